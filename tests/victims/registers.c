/* registers: the registers that a system call keeps, across libc's own functions that are a system call and little else. libc keeps
 * live values in any of them around its system calls. Bare, `write`, `read` and `syscall` of libc keep all vector registers, all
 * general ones but rax, rcx and r11, and the red zone; what stands between must do so too. Reached by address, past whatever is
 * preloaded. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "victim.h"

struct state {
    uint64_t general[16]; /* as numbered: rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
    uint64_t red_zone[14], unused[10];
    uint64_t zmm[32][8];
    uint64_t mask[8];
} __attribute__((aligned(64)));

/* In the assembler below: loads everything from `in`, calls, stores everything to `out`. */
void call_with(const struct state *in, struct state *out, void *function, int how);
enum { WITH_YMM = 1, WITH_ZMM = 2 };

#define EACH16(x)   x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
#define UPPER16(x)  x(16) x(17) x(18) x(19) x(20) x(21) x(22) x(23) x(24) x(25) x(26) x(27) x(28) x(29) x(30) x(31)
#define MASKS(x)    x(1) x(2) x(3) x(4) x(5) x(6) x(7)
#define ZMM_AT      "320"
#define LOAD_X(n)   "movups " ZMM_AT "+64*" #n "(%rdi), %xmm" #n "\n"
#define LOAD_Y(n)   "vmovups " ZMM_AT "+64*" #n "(%rdi), %ymm" #n "\n"
#define LOAD_Z(n)   "vmovups " ZMM_AT "+64*" #n "(%rdi), %zmm" #n "\n"
#define STORE_X(n)  "movups %xmm" #n ", " ZMM_AT "+64*" #n "(%rax)\n"
#define STORE_Y(n)  "vmovups %ymm" #n ", " ZMM_AT "+64*" #n "(%rax)\n"
#define STORE_Z(n)  "vmovups %zmm" #n ", " ZMM_AT "+64*" #n "(%rax)\n"
#define LOAD_K(n)   "kmovq " ZMM_AT "+2048+8*" #n "(%rdi), %k" #n "\n"
#define STORE_K(n)  "kmovq %k" #n ", " ZMM_AT "+2048+8*" #n "(%rax)\n"
#define RED(n)      "movq 128+8*" #n "(%rdi), %rax\n movq %rax, -136+8*" #n "(%rsp)\n"
#define RED_BACK(n) "movq -136+8*" #n "(%rsp), %rcx\n movq %rcx, 128+8*" #n "(%rax)\n"
#define EACH14(x)   x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13)

/* Two frames: the saved registers, then `out` and the function. The red zone is that of the called function: below its return
 * address. */
__asm__(
    ".text\n"
    ".globl call_with\n"
    "call_with:\n"
    "pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
    "pushq %rcx\n pushq %rsi\n pushq %rdx\n" /* 16(%rsp) how, 8(%rsp) out, (%rsp) function */
    "testl $2, %ecx\n jnz 2f\n"
    "testl $1, %ecx\n jnz 1f\n" EACH16(
        LOAD_X) "jmp 3f\n"
                "1:\n" EACH16(
                    LOAD_Y) "jmp 3f\n"
                            "2:\n" EACH16(LOAD_Z) UPPER16(LOAD_Z) MASKS(LOAD_K) "3:\n" EACH14(
                                RED) "movq 0(%rdi), %rax\n movq 8(%rdi), %rcx\n movq 16(%rdi), %rdx\n movq 24(%rdi), %rbx\n movq "
                                     "40(%rdi), %rbp\n"
                                     "movq 48(%rdi), %rsi\n movq 64(%rdi), %r8\n movq 72(%rdi), %r9\n movq 80(%rdi), %r10\n movq "
                                     "88(%rdi), %r11\n"
                                     "movq 96(%rdi), %r12\n movq 104(%rdi), %r13\n movq 112(%rdi), %r14\n movq 120(%rdi), %r15\n"
                                     "movq 56(%rdi), %rdi\n"
                                     "call *(%rsp)\n"
                                     "movq %rax, -16(%rsp)\n" /* where the return address was is free; the red zone of the callee
                                                                 starts below it */
                                     "movq 8(%rsp), %rax\n"
                                     "movq %rcx, 8(%rax)\n movq %rdx, 16(%rax)\n movq %rbx, 24(%rax)\n movq %rbp, 40(%rax)\n movq "
                                     "%rsi, 48(%rax)\n"
                                     "movq %rdi, 56(%rax)\n movq %r8, 64(%rax)\n movq %r9, 72(%rax)\n movq %r10, 80(%rax)\n movq "
                                     "%r11, 88(%rax)\n"
                                     "movq %r12, 96(%rax)\n movq %r13, 104(%rax)\n movq %r14, 112(%rax)\n movq %r15, 120(%rax)\n"
                                     "movq -16(%rsp), %rcx\n movq %rcx, 0(%rax)\n" EACH14(
                                         RED_BACK) "movl 16(%rsp), %ecx\n"
                                                   "testl $2, %ecx\n jnz 2f\n"
                                                   "testl $1, %ecx\n jnz 1f\n" EACH16(
                                                       STORE_X) "jmp 3f\n"
                                                                "1:\n" EACH16(
                                                                    STORE_Y) "jmp 3f\n"
                                                                             "2:\n" EACH16(STORE_Z) UPPER16(STORE_Z) MASKS(
                                                                                 STORE_K) "3:\n"
                                                                                          "testl $3, %ecx\n jz 4f\n vzeroupper\n "
                                                                                          "4:\n"
                                                                                          "addq $24, %rsp\n"
                                                                                          "popq %r15\n popq %r14\n popq %r13\n "
                                                                                          "popq %r12\n popq %rbp\n popq %rbx\n"
                                                                                          "ret\n");

_Static_assert(offsetof(struct state, zmm) == 320 && offsetof(struct state, red_zone) == 128, "as the assembler has it");

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

static int vectors;

static void fill(struct state *s, uint64_t seed) {
    uint64_t *words = (uint64_t *)s;
    for (size_t i = 0; i < sizeof *s / 8; i++)
        words[i] = seed += 0x9e3779b97f4a7c15;
}

static void same(const char *what, const void *a, const void *b, size_t n) {
    if (memcmp(a, b, n))
        victim_fail(what, (int)n, "kept");
}

/* One call of `function` with these arguments; every register is where it was. */
static void kept(const char *name, void *function, const long *args, int n, long result) {
    static struct state in, out;
    static const int at[] = {RDI, RSI, RDX, RCX, R8, R9};
    static uint64_t seed;
    fill(&in, ++seed);
    memset(&out, 0, sizeof out);
    for (int i = 0; i < n; i++)
        in.general[at[i]] = (uint64_t)args[i];
    call_with(&in, &out, function, vectors);
    if ((long)out.general[RAX] != result)
        victim_fail(name, (int)out.general[RAX], "result");
    static const int keeps[] = {RBX, RBP, R12, R13, R14, R15};
    for (size_t i = 0; i < sizeof keeps / sizeof *keeps; i++)
        same(name, &in.general[keeps[i]], &out.general[keeps[i]], 8);
    for (int i = 0; i < 32; i++)
        if (i < 16 || vectors & WITH_ZMM)
            same(name, in.zmm[i], out.zmm[i], vectors & WITH_ZMM ? 64 : vectors & WITH_YMM ? 32 : 16);
    if (vectors & WITH_ZMM)
        same(name, in.mask + 1, out.mask + 1, 56);
    if (strcmp(name, "syscall")) { /* that one moves its arguments */
        static const int too[] = {RDX, RSI, RDI, R8, R9, R10};
        for (size_t i = 0; i < sizeof too / sizeof *too; i++)
            same(name, &in.general[too[i]], &out.general[too[i]], 8);
    }
    same(name, in.red_zone, out.red_zone, sizeof in.red_zone);
}

int main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    __builtin_cpu_init();
    vectors = (__builtin_cpu_supports("avx") ? WITH_YMM : 0) | (__builtin_cpu_supports("avx512bw") ? WITH_ZMM : 0);
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    CHECK(libc);
    void *write_ = dlsym(libc, "write"), *read_ = dlsym(libc, "read"), *syscall_ = dlsym(libc, "syscall"),
         *lseek_ = dlsym(libc, "lseek"), *pread_ = dlsym(libc, "pread");
    CHECK(write_ && read_ && syscall_ && lseek_ && pread_);
    static char bytes[100];
    int fd = open("registers", O_RDWR | O_CREAT, 0600);
    CHECK(fd > 2);
    for (int i = 0; i < 300; i++) {
        kept("write", write_, (const long[]){fd, (long)bytes, 100}, 3, 100);
        kept("lseek", lseek_, (const long[]){fd, 0, SEEK_SET}, 3, 0);
        kept("read", read_, (const long[]){fd, (long)bytes, 100}, 3, 100);
        kept("syscall", syscall_, (const long[]){SYS_pwrite64, fd, (long)bytes, 100, 0}, 5, 100);
        kept("syscall", syscall_, (const long[]){SYS_getppid}, 1, getppid());
        kept("lseek", lseek_, (const long[]){fd, 0, SEEK_SET}, 3, 0);
    }
    puts("registers ok");
    return 0;
}
