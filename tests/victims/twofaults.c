/* twofaults: a journal with a bug that needs two faults. What a short write leaves over waits in a buffer for the next record; when
 * the sync of the index fails it is tried again, and what waits is forgotten: built with MENDED it is not.
 *
 *   twofaults            writes 60 records into `journal`, an index into `index`; ends with 0 if all is there, with 3 if bytes are
 * lost */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "victim.h"

enum { RECORDS = 60, RECORD = 40, TRIES = 200 };

static char waiting[RECORDS * RECORD];
static int n_waiting;

static void write_on(int fd) {
    ssize_t n = write(fd, waiting, (size_t)n_waiting);
    if (n <= 0)
        return;
    n_waiting -= (int)n;
    memmove(waiting, waiting + n, (size_t)n_waiting);
}

static void sync_index(int fd) {
    for (int tries = 0; tries < TRIES && fsync(fd) != 0; tries++) {
#ifndef MENDED
        n_waiting = 0;
#endif
    }
}

int main(void) {
    int journal = -1, index = -1;
    struct stat st;
    for (int tries = 0; tries < TRIES && journal < 0; tries++)
        journal = open("journal", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    for (int tries = 0; tries < TRIES && index < 0; tries++)
        index = open("index", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < RECORDS; i++) {
        char *volatile scratch = malloc(100 + (size_t)i);
        if (scratch)
            scratch[0] = 1;
        memset(waiting + n_waiting, 'a' + i % 26, RECORD);
        n_waiting += RECORD;
        write_on(journal);
        for (int tries = 0; tries < TRIES && pwrite(index, &i, sizeof i, 0) != (ssize_t)sizeof i; tries++)
            ;
        if (i % 4 == 3)
            sync_index(index);
        free(scratch);
    }
    for (int tries = 0; tries < TRIES && n_waiting; tries++)
        write_on(journal);
    for (int tries = 0; tries < TRIES && fsync(journal) != 0; tries++)
        ;
    if (fstat(journal, &st) != 0)
        st.st_size = 0;
    close(journal);
    close(index);
    return st.st_size == RECORDS * RECORD ? 0 : 3;
}
