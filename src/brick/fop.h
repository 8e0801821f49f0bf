/* File operations on a brick, off the hot path: one call of the FOP program, and its outcome. */
#ifndef BRICK_FOP_H
#define BRICK_FOP_H

#include "brick/remote.h"
#include "proto/fop.h"

/* A batch of directory entries: what is asked for, by the brick's own measure (gf_dirent_t), and
 * what that can come to when it is encoded, attributes included. */
#define FOP_LIST_BATCH (128 << 10)
#define FOP_LIST_MAX   (512u << 10)

/* The encoded extended attributes of an inode: Linux keeps 64 KiB of names and as much a value. */
#define FOP_XATTR_MAX (1u << 20)

/** Results of READDIRP: the list is still encoded, but valid; see proto/dirlist.h. */
struct fop_list_res {
    int32_t op_ret, op_errno;
    uint8_t *list; /* may be taken over, leaving NULL */
    size_t length;
};

/** One file operation. The memory is the poster's until done() has run. */
struct fop {
    struct xdr_call call; /* first */
    struct brick_call brick;
    uint32_t number;       /* GF_FOP_... */
    unsigned generation;   /* of the session that it was last sent in */
    int error;             /* 0, or -errno: of the connection or of the brick */
    struct remote *target; /* of COPY_FILE_RANGE, which is on two; else NULL */
    struct remote *source;
    union {
        struct {
            int32_t op_ret, op_errno;
        } head; /* all results begin so */
        gf_common_res common;
        gf_lookup_res lookup;
        gf_iatt_res iatt;
        gf_prepost_res prepost;
        gf_parent_res parent;
        gf_entry_res entry;
        gf_fd_res fd;
        gf_create_res create;
        gf_readlink_res readlink;
        gf_rename_res rename;
        gf_statfs_res statfs;
        gf_xattr_res xattr;
        gf_seek_res seek;
        gf_lk_res lk;
        gf_copy_file_range_res copy;
        struct fop_list_res list;
    } results; /* valid if error is 0; to be freed with fop_free_results() in any case */
    void *arg; /* the poster's */
    void (*done)(struct fop *fop);
};

/**
 * Posts operation @p number with @p arguments (the gf_..._args of it), which are not needed any
 * more when this returns, as soon as the session is up; again, if its connection breaks and the
 * table of kinds in fop.c lets it. done() runs once, by the leader.
 * @param remote  that it is on; whose fd need not be in the arguments. NULL: none.
 */
void fop_post(struct session *s, struct remote *remote, struct fop *fop, uint32_t number,
              void *arguments, const struct fop_context *context, void (*done)(struct fop *));

/** The same for COPY_FILE_RANGE, which goes when both are open. */
void fop_post_copy(struct remote *source, struct remote *target, struct fop *fop,
                   gf_copy_file_range_args *arguments, const struct fop_context *context,
                   void (*done)(struct fop *));

/** Whether it may have been executed though its answer was lost: it is not to be done twice. */
static inline bool fop_is_unknown(const struct fop *fop)
{
    return fop->brick.fate == FATE_UNKNOWN;
}

/** Asks for a gfid for the inode that an operation makes: the client names it, or the brick refuses
 *  (posix-entry-ops.c: posix_create, posix_mkdir, ...). @return 0 or -ENOMEM. */
int fop_request_gfid(struct dict *xdata);

/** Frees what the results hold. */
void fop_free_results(struct fop *fop);

/** The name of an operation, e.g. "LOOKUP". */
const char *fop_name(uint32_t number);

/**
 * Stamps an encoded credential with the time, and with which times of the inode operation @p number
 * sets to it, as features/utime does (utime-helpers.c, utime-gen-fops-c.py); nothing if the volume
 * does not want it.
 */
void fop_stamp(uint8_t *credential, uint32_t number, const struct fop_context *context);

#endif
