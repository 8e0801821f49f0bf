/*
 * lab.h - a real brick, or a real cluster, for a test.
 *
 * The scripts with-brick and with-cluster do the work and tell what they offer; these functions
 * start one of them as a child and talk to it over pipes. When the process that started a lab ends,
 * however it ends, the lab ends and nothing of it is left: no process, mount or file.
 *
 * Functions that return int give 0 or -errno unless stated; a script's complaints go to standard
 * error. A lab belongs to one thread at a time.
 */
#ifndef LAB_H
#define LAB_H

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/** The script that keeps a lab. */
struct lab {
    pid_t pid;
    FILE *commands;
    FILE *answers;
    char dir[PATH_MAX];   /* everything of this lab is in there */
    char output[1 << 16]; /* what the last lab_run() printed, cut at this size, NUL-terminated */
};

/** How a brick is to be; all zero is the default. Strings stay the caller's. */
struct lab_brick_options {
    const char *allow;      /* auth.addr list; NULL: "*" */
    const char *reject;     /* auth.addr list; NULL: none */
    const char *volume_id;  /* a UUID; NULL: a random one */
    const char *directory;  /* kept afterwards; NULL: in the lab's own directory, removed with it */
    const char *options[8]; /* "TRANSLATOR.KEY=VALUE" each, see with-brick --help */
};

struct lab_brick {
    struct lab lab;
    char host[64];
    uint16_t port;
    char path[PATH_MAX];     /* its directory, and the name that SETVOLUME asks for */
    char uri[PATH_MAX + 96]; /* gluster+brick://host:port/path */
    char volume_id[37];
    pid_t pid; /* glusterfsd; 0 from a kill to the next restart */
};

/** Starts a brick; returns when it answers. @param options  NULL is all defaults. */
int lab_brick_start(struct lab_brick *brick, const struct lab_brick_options *options);
/** Ends the lab and returns when nothing is left of it. */
int lab_brick_stop(struct lab_brick *brick);
/** Kills glusterfsd with SIGKILL and returns when it is gone; its directory stays. */
int lab_brick_kill(struct lab_brick *brick);
/** Kills glusterfsd if it runs, and starts it again on the same directory and port. */
int lab_brick_restart(struct lab_brick *brick);
/** Sends a signal to glusterfsd: SIGSTOP and SIGCONT make it deaf and let it hear again. */
int lab_brick_signal(struct lab_brick *brick, int signal);

struct lab_cluster {
    struct lab lab;
    char host[64];         /* of glusterd and all bricks */
    char bricks[PATH_MAX]; /* brick i of volume v is the directory bricks/v/i */
    int own_netns;
};

/**
 * Starts glusterd and volumes, and moves the calling thread into the cluster's network namespace,
 * where alone they can be reached.
 * @param volumes  NULL-terminated, "name" or "name=kind" each, see with-cluster --help. At most 8.
 */
int lab_cluster_start(struct lab_cluster *cluster, const char *const *volumes);
/** Ends the lab, returns when nothing is left of it, and moves the thread back where it was. */
int lab_cluster_stop(struct lab_cluster *cluster);

/**
 * Runs a line of shell in the lab: any command, and the functions of the script that keeps it, of
 * which a cluster has gluster, glusterd_kill, glusterd_start, brick_kill VOLUME INDEX,
 * brick_restart VOLUME, volume_create NAME KIND, volume_start NAME, volume_stop NAME. What it
 * prints is in lab->output.
 * @return its exit status, or -errno.
 */
int lab_run(struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
