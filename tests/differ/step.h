/*
 * Steps: the operations that the differential test is made of, and their script form.
 *
 * A step is a line of text and a line of text is a step, so that a failing sequence can be kept,
 * read, and run again:
 *
 *     1 pwrite 3 4096 512 77        as identity 1: 4096 bytes of pattern 77 to slot 3, at 512
 *     0 rename "a/b" "c\xff" 0
 *
 * Numbers are decimal, flags and modes octal with their leading 0. A path that begins with '/' is
 * meant from the test's own directory, "^" is the root of the volume; other paths are relative to
 * the working directory. So are the texts of symbolic links, which the back end writes accordingly.
 */
#ifndef DIFFER_STEP_H
#define DIFFER_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    SLOTS = 8,      /* for open files */
    DIR_SLOTS = 3,  /* for open directories */
    IDENTITIES = 3, /* root, a user, a user with supplementary groups */
    NUMBERS = 5,    /* that a step has at most */
};

/*
 * Arguments: h slot of a file, d slot of a directory, i number, x flags or mode (octal), s seed of
 * a pattern, p path, t text of a symbolic link, a name of an attribute. The third column says what
 * is compared behind the step: attributes and times of what the paths and slots name (a), also
 * their data (d), also the directories of the paths (n), nothing (-).
 */
#define STEPS(X)                                                                                   \
    X(open, "hpxx", 'n')                                                                           \
    X(creat, "hpx", 'n')                                                                           \
    X(close, "h", '-')                                                                             \
    X(dup, "hh", 'a')                                                                              \
    X(read, "hi", 'a')                                                                             \
    X(write, "his", 'd')                                                                           \
    X(readv, "hii", 'a')                                                                           \
    X(writev, "hiis", 'd')                                                                         \
    X(pread, "hii", 'a')                                                                           \
    X(pwrite, "hiis", 'd')                                                                         \
    X(preadv, "hiii", 'a')                                                                         \
    X(pwritev, "hiiis", 'd')                                                                       \
    X(pwritev2, "hiixs", 'd')                                                                      \
    X(lseek, "hii", 'a')                                                                           \
    X(ftruncate, "hi", 'd')                                                                        \
    X(truncate, "pi", 'd')                                                                         \
    X(fallocate, "hxii", 'd')                                                                      \
    X(copy, "hihii", 'd')                                                                          \
    X(fsync, "h", 'a')                                                                             \
    X(fdatasync, "h", 'a')                                                                         \
    X(mkdir, "px", 'n')                                                                            \
    X(rmdir, "p", 'n')                                                                             \
    X(unlink, "p", 'n')                                                                            \
    X(rename, "ppx", 'n')                                                                          \
    X(link, "pp", 'n')                                                                             \
    X(symlink, "tp", 'n')                                                                          \
    X(readlink, "pi", 'a')                                                                         \
    X(mknod, "pxi", 'n')                                                                           \
    X(chmod, "px", 'a')                                                                            \
    X(fchmod, "hx", 'a')                                                                           \
    X(chown, "pii", 'a')                                                                           \
    X(lchown, "pii", 'a')                                                                          \
    X(fchown, "hii", 'a')                                                                          \
    X(utimens, "piiii", 'a')                                                                       \
    X(lutimens, "piiii", 'a')                                                                      \
    X(futimens, "hiiii", 'a')                                                                      \
    X(access, "px", 'a')                                                                           \
    X(stat, "p", '-')                                                                              \
    X(lstat, "p", '-')                                                                             \
    X(fstat, "h", '-')                                                                             \
    X(statx, "px", '-')                                                                            \
    X(fstatx, "h", '-')                                                                            \
    X(statvfs, "p", '-')                                                                           \
    X(getxattr, "pai", '-')                                                                        \
    X(lgetxattr, "pai", '-')                                                                       \
    X(fgetxattr, "hai", '-')                                                                       \
    X(setxattr, "paixs", 'a')                                                                      \
    X(lsetxattr, "paixs", 'a')                                                                     \
    X(fsetxattr, "haixs", 'a')                                                                     \
    X(listxattr, "pi", '-')                                                                        \
    X(llistxattr, "pi", '-')                                                                       \
    X(flistxattr, "hi", '-')                                                                       \
    X(removexattr, "pa", 'a')                                                                      \
    X(lremovexattr, "pa", 'a')                                                                     \
    X(fremovexattr, "ha", 'a')                                                                     \
    X(opendir, "dp", 'a')                                                                          \
    X(list, "di", '-') /* from the beginning; then again from behind the i-th entry */             \
    X(closedir, "d", '-')                                                                          \
    X(lock, "hiiii", '-') /* type, whence, start, length */                                        \
    X(getlock, "hiiii", '-')                                                                       \
    X(realpath, "pi", 'a')                                                                         \
    X(chdir, "p", '-')                                                                             \
    /* what is looked at, not made by the generator */                                             \
    X(entries, "p", '-') /* of a directory, sorted */                                              \
    X(data, "p", '-')    /* of a file: the whole of it */                                          \
    X(fdata, "h", '-')

enum step_kind {
#define X(name, arguments, look) STEP_##name,
    STEPS(X)
#undef X
        STEP_KINDS
};

struct step {
    enum step_kind kind;
    unsigned who;       /* identity */
    int64_t n[NUMBERS]; /* h, d, i, x and s in order */
    char *text[2];      /* p, t and a in order; owned */
};

/** In utimens's nanoseconds. */
enum { NSEC_NOW = -1, NSEC_OMIT = -2, NSEC_NULL = -3 /* the first: times is NULL */ };

const char *step_name(enum step_kind kind);
const char *step_arguments(enum step_kind kind);
char step_look(enum step_kind kind);

/** Prints a step as a line, without the newline. */
void step_print(FILE *to, const struct step *s);
/** Reads one from a line. @return false: it is none; @p s owns nothing then. */
bool step_parse(const char *line, struct step *s);
void step_free(struct step *s);
/** Whether a path of it begins at the working directory. */
bool step_is_relative(const struct step *s);
struct step step_copy(const struct step *s);

/** A list of steps. */
struct script {
    struct step *steps;
    size_t count, room;
};

/** Takes the step's texts over. */
void script_add(struct script *script, struct step s);
void script_free(struct script *script);
/** Empty lines and lines that begin with '#' are skipped. Ends the program with a message if the
 * file cannot be read or holds something else. */
void script_read(struct script *script, const char *path);
/** @param comment  goes before it, each line with a '#'. @return false: it cannot be written. */
bool script_write(const struct script *script, const char *path, const char *comment);

/** Byte @p at of pattern @p seed. */
static inline unsigned char pattern_byte(uint64_t seed, uint64_t at)
{
    uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u + at * 0xd1342543de82ef95u;
    return (unsigned char)(x >> 56 ^ x >> 29);
}

#endif
