/* main.c: finds the command and hands over. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "out.h"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND(name, summary) {#name, summary, fsh_cmd_##name},
#include "commands.def"
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int help(void) {
    puts("usage: faultshim COMMAND [OPTION]... [ARGUMENT]...\n\ncommands:");
    for (unsigned i = 0; i < COMMANDS; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    puts("\n'faultshim COMMAND --help' tells the options of a command; faultshim(1) tells the rest.");
    return fsh_out_finish(0);
}

static int unknown(const char *name) {
    const char *names[COMMANDS];
    for (unsigned i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = fsh_nearest(name, strlen(name), names, COMMANDS);
    if (near)
        return fsh_fail(EXIT_TROUBLE, "there is no command '%s'; did you mean '%s'?", name, near);
    return fsh_fail(EXIT_TROUBLE, "there is no command '%s'; 'faultshim --help' lists them", name);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "--help";
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        int status = help();
        return argc > 1 ? status : EXIT_TROUBLE;
    }
    if (!strcmp(name, "--version")) {
        puts("faultshim " FSH_VERSION);
        return fsh_out_finish(0);
    }
    for (unsigned i = 0; i < COMMANDS; i++)
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    return unknown(name);
}
