/* files.c: see files.h. Runs in the victim too: nothing is allocated. What a session says of lengths is believed within its bounds.
 */
#include "files.h"

#include <string.h>

enum { HEAD = 2 * sizeof(uint32_t) };

size_t fsh_files_size(const char *path, size_t content) {
    return (HEAD + strlen(path) + content + 7) & ~(size_t)7;
}

char *fsh_files_put(char *to, const char *path, size_t content) {
    const uint32_t head[2] = {(uint32_t)strlen(path), (uint32_t)content};
    memcpy(to, head, HEAD);
    memcpy(to + HEAD, path, head[0]);
    return to + HEAD + head[0];
}

struct fsh_text fsh_files_find(struct fsh_text files, const char *path) {
    const size_t n = strlen(path);
    for (size_t at = 0; files.len - at >= HEAD;) {
        uint32_t head[2];
        memcpy(head, files.data + at, HEAD);
        const uint64_t left = files.len - at - HEAD, whole = (uint64_t)head[0] + head[1];
        if (whole > left)
            break;
        const char *name = files.data + at + HEAD;
        if (head[0] == n && !memcmp(name, path, n))
            return (struct fsh_text){name + n, head[1]};
        const uint64_t step = (HEAD + whole + 7) & ~UINT64_C(7);
        if (step > files.len - at)
            break;
        at += step;
    }
    return (struct fsh_text){NULL, 0};
}
