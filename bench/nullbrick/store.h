/*
 * store.h - the null brick's files: one flat directory, all of it in memory.
 *
 * A file's memory is address space that was reserved for it once and is never unmapped, so that
 * whoever still holds a pointer into it (a reply that the socket has taken a part of, a payload
 * that is arriving) can do no harm when the file is truncated or removed. Only what has been
 * written takes memory; the rest reads as zeros.
 *
 * READ and WRITE take no lock: a descriptor is an index into a table, and the fields they look at
 * are atomic. Everything else runs under store_lock().
 */
#ifndef NULLBRICK_STORE_H
#define NULLBRICK_STORE_H

#include "proto/iatt.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_FILES    1024
#define STORE_FILE_MAX (UINT64_C(1) << 34) /* bytes */
/* The descriptor of the directory; those of files are larger. */
#define STORE_DIR_FD 0

struct file {
    atomic_bool used;
    bool linked; /* has its name; an unlinked file lives until the last descriptor goes */
    unsigned opens;
    atomic_int_fast64_t fd; /* all descriptors of a file are this one; a new one with each file */
    _Atomic uint64_t size;
    _Atomic int64_t mtime; /* nanoseconds since 1970; ctime is the same */
    uint8_t *memory;       /* STORE_FILE_MAX bytes */
    /* as on the wire, with size and times as they were when the file was made */
    uint8_t iatt[IATT_BYTES];
    gf_gfid gfid;
    char name[GF_NAME_MAX + 1];
};

extern const gf_gfid store_root;

/** Nanoseconds since 1970, by the clock's last tick. */
int64_t store_now(void);

/** Serialises all that is not READ or WRITE. */
void store_lock(void);
void store_unlock(void);

/* ---- READ and WRITE: without the lock -------------------------------------------------------- */

/** The file of a descriptor, or of @p gfid if that is GF_FD_ANONYMOUS. NULL: there is none. */
struct file *store_file(int64_t fd, const uint8_t gfid[GF_GFID_BYTES]);
/** @p size bytes at @p offset have been written. */
void store_written(struct file *file, uint64_t offset, uint64_t size, int64_t now);
/** The file's attributes as they are now. */
void store_iatt(struct file *file, uint8_t out[IATT_BYTES]);

/* ---- under the lock -------------------------------------------------------------------------- */

/** The directory's attributes. */
void store_root_iatt(uint8_t out[IATT_BYTES]);
/** NULL: there is none. */
struct file *store_by_name(const char *name);
struct file *store_by_gfid(const uint8_t gfid[GF_GFID_BYTES]);
/** The next file with a name, from index *@p at on, which then is behind it; NULL at the end. */
struct file *store_next(unsigned *at);

/** Makes an empty file, not open. @return 0, ENOSPC (STORE_FILES), ENOMEM. */
int store_create(const char *name, const uint8_t gfid[GF_GFID_BYTES], uint32_t mode, uint32_t uid,
                 uint32_t gid, struct file **file);
/** Sets the length. @return 0 or EFBIG. */
int store_truncate(struct file *file, uint64_t size);
/** Gives the file the memory of its size, filled with bytes that tell where they are, so that
 *  nothing of that is left to be done in a measurement. @return 0 or ENOMEM. */
int store_fill(struct file *file);
void store_unlink(struct file *file);
void store_open(struct file *file);
void store_release(struct file *file);
/** No client is left: nothing is open any more. */
void store_release_all(void);

#endif
