/* files.h: the files that a profile names (`reply @FILE`), as a session holds them: META_FILES. A run reads them once, at its
 * start; its other processes and its replays find them there, whatever has become of the files.
 *
 * Each: u32 length of the path, u32 size, the path as the profile has it, the content, zeros to a multiple of 8. */
#ifndef FSH_FILES_H
#define FSH_FILES_H

#include "trace.h"

enum { FSH_FILE_MAX = 16 << 20 }; /* larger ones are not kept: each process reads them where they are */

size_t fsh_files_size(const char *path, size_t content);
/* Writes an entry without its content, `content` bytes, and returns where that goes. `to` is zeroed and has room for
 * fsh_files_size. */
char *fsh_files_put(char *to, const char *path, size_t content);
/* The content; data is NULL if the file is not there. */
struct fsh_text fsh_files_find(struct fsh_text files, const char *path);

#endif
