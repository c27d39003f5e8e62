/* journal.h: what stands on the disk of files whose syncs may fail, page by page, as far as it differs from what the files show.
 *
 * A region of the session, shared by all processes of the run. A page enters when it is written to for the first time since the
 * last good sync, with its old bytes; it leaves when a sync makes its new bytes durable. A sync that fails makes the pages of its
 * file lost: Linux marks them clean then, and nobody will write them out unless they are written to again. Put back, the old bytes
 * show what a machine shows that was started anew.
 *
 * Context: any thread, any signal handler, gate closed. No lock: a page belongs to whoever has made it busy. Threads that write to
 * one page at once may find some of the other's bytes among the old ones, as if the kernel had written the page out in between. */
#ifndef FSH_JOURNAL_H
#define FSH_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FSH_JOURNAL_PAGE = 4096, FSH_JOURNAL_PAGES = 1 << 14, FSH_JOURNAL_FILES = 2048, FSH_JOURNAL_NAME = 456 };

enum fsh_page_use { PAGE_FREE, PAGE_BUSY, PAGE_DIRTY, PAGE_LOST };

struct fsh_journal_file {
    _Atomic uint64_t key; /* of device and inode, odd; 0 is free */
    uint64_t dev, ino;
    _Atomic uint64_t low, high; /* its pages are from low to high, and not high itself */
    _Atomic uint32_t live;      /* pages that are not free */
    _Atomic uint32_t mapped;    /* some process may write to it through a mapping: nothing is put back */
    uint64_t pad;
    char name[FSH_JOURNAL_NAME]; /* ends in NUL */
};

struct fsh_journal_page {
    _Atomic uint64_t key;     /* of the file and its number */
    _Atomic uint32_t use;     /* enum fsh_page_use */
    uint32_t size;            /* old bytes: the file ended there */
    _Atomic uint64_t written; /* moment of the last write to it */
    uint64_t born;            /* moment when it entered */
    uint64_t number;          /* in its file */
    uint64_t pad[3];
};

struct fsh_journal {
    _Atomic uint64_t moment; /* of the last write or sync */
    _Atomic uint64_t full;   /* pages that found no room: their bytes can't be lost */
    uint64_t pad[6];
    struct fsh_journal_file files[FSH_JOURNAL_FILES];
    struct fsh_journal_page pages[FSH_JOURNAL_PAGES];
    uint8_t bytes[FSH_JOURNAL_PAGES][FSH_JOURNAL_PAGE];
};

/* NULL if it is not there; with `make`, if there is no room. */
struct fsh_journal_file *fsh_journal_file(struct fsh_journal *j, uint64_t dev, uint64_t ino, bool make);
void fsh_journal_name(struct fsh_journal_file *f, const char *name);

/* A page is about to be written to. NULL: there is nothing to be done; otherwise the caller puts its old bytes into
 * fsh_journal_bytes and calls fsh_journal_enter. */
struct fsh_journal_page *fsh_journal_take(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t number);
uint8_t *fsh_journal_bytes(struct fsh_journal *j, const struct fsh_journal_page *page);
/* size < 0: they can't be read, so the page goes again. */
void fsh_journal_enter(struct fsh_journal_file *f, struct fsh_journal_page *page, int64_t size);

uint64_t fsh_journal_moment(struct fsh_journal *j);
/* What was written before `moment` is durable. */
void fsh_journal_synced(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t moment);
/* What is dirty is lost. Returns the number of pages. */
uint64_t fsh_journal_failed(struct fsh_journal *j, struct fsh_journal_file *f);
/* Pages from `first` on, up to `end` and not that itself, are as the file shows them. */
void fsh_journal_forget(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t first, uint64_t end);
/* The file ends at `size` now. */
void fsh_journal_cut(struct fsh_journal *j, struct fsh_journal_file *f, uint64_t size);
/* Writes its old bytes into the file behind `fd`, which is `size` bytes long. 0 or -errno. */
int fsh_journal_put_back(struct fsh_journal *j, const struct fsh_journal_page *page, int fd, uint64_t size);
/* The next page that is lost, from *at on (0 at first). NULL after the last. */
struct fsh_journal_page *fsh_journal_lost(struct fsh_journal *j, const struct fsh_journal_file *f, uint64_t *at);

#endif
