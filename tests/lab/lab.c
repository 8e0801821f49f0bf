#include "lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Takes one NAME=value line of an answer. */
typedef void (*lab_variable)(struct lab *lab, const char *name, const char *value);

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

/* Reads an answer, up to and with its line "status=N"; N, or -EPIPE if the script has ended. */
static int lab_answer(struct lab *lab, lab_variable set)
{
    char line[PATH_MAX + 128];

    while (fgets(line, sizeof(line), lab->answers)) {
        char *value = strchr(line, '=');

        line[strcspn(line, "\n")] = '\0';
        if (!value)
            continue;
        *value++ = '\0';
        if (!strcmp(line, "status"))
            return atoi(value);
        if (!strcmp(line, "LAB_DIR"))
            copy(lab->dir, sizeof(lab->dir), value);
        else
            set(lab, line, value);
    }
    return -EPIPE;
}

static void lab_read_output(struct lab *lab)
{
    char path[PATH_MAX + 16];
    FILE *file;
    size_t length = 0;

    snprintf(path, sizeof(path), "%s/output", lab->dir);
    file = fopen(path, "re");
    if (file) {
        length = fread(lab->output, 1, sizeof(lab->output) - 1, file);
        fclose(file);
    }
    lab->output[length] = '\0';
}

static int lab_command(struct lab *lab, lab_variable set, const char *command)
{
    int status;

    if (fprintf(lab->commands, "%s\n", command) < 0 || fflush(lab->commands))
        return -EPIPE;
    status = lab_answer(lab, set);
    lab_read_output(lab);
    return status;
}

/* Ends the script and waits for it. */
static int lab_end(struct lab *lab)
{
    int status = 0;

    fclose(lab->commands);
    while (waitpid(lab->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    fclose(lab->answers);
    return status ? -EIO : 0;
}

static int lab_spawn(struct lab *lab, char *const argv[], int commands, int answers)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults, none;
    int error;

    /* A test that ignores or blocks signals must not make the servers do so. */
    sigfillset(&defaults);
    sigdelset(&defaults, SIGKILL);
    sigdelset(&defaults, SIGSTOP);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, commands, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, answers, STDOUT_FILENO);
    error = posix_spawn(&lab->pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -error;
}

/* Starts a script of this directory and reads its first answer. */
static int lab_start(struct lab *lab, lab_variable set, char *const argv[])
{
    int in[2], out[2], error;

    if (pipe2(in, O_CLOEXEC))
        return -errno;
    if (pipe2(out, O_CLOEXEC)) {
        error = -errno;
        close(in[0]);
        close(in[1]);
        return error;
    }
    error = lab_spawn(lab, argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    if (error) {
        close(in[1]);
        close(out[0]);
        return error;
    }
    lab->commands = fdopen(in[1], "w");
    lab->answers = fdopen(out[0], "r");
    error = lab_answer(lab, set);
    if (error)
        lab_end(lab);
    return error;
}

static void brick_variable(struct lab *lab, const char *name, const char *value)
{
    struct lab_brick *brick = (struct lab_brick *)lab;

    if (!strcmp(name, "LAB_BRICK_HOST"))
        copy(brick->host, sizeof(brick->host), value);
    else if (!strcmp(name, "LAB_BRICK_PORT"))
        brick->port = (uint16_t)atoi(value);
    else if (!strcmp(name, "LAB_BRICK_PATH"))
        copy(brick->path, sizeof(brick->path), value);
    else if (!strcmp(name, "LAB_BRICK_URI"))
        copy(brick->uri, sizeof(brick->uri), value);
    else if (!strcmp(name, "LAB_BRICK_VOLUME_ID"))
        copy(brick->volume_id, sizeof(brick->volume_id), value);
    else if (!strcmp(name, "LAB_BRICK_PID"))
        brick->pid = (pid_t)atoi(value);
}

int lab_brick_start(struct lab_brick *brick, const struct lab_brick_options *options)
{
    static const struct lab_brick_options defaults;
    const char *argv[32] = {LAB_SCRIPTS "/with-brick"};
    int n = 1;

    if (!options)
        options = &defaults;
    const char *pairs[][2] = {{"--allow", options->allow},
                              {"--reject", options->reject},
                              {"--volume-id", options->volume_id},
                              {"--directory", options->directory}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (pairs[i][1]) {
            argv[n++] = pairs[i][0];
            argv[n++] = pairs[i][1];
        }
    }
    for (size_t i = 0; i < sizeof(options->options) / sizeof(options->options[0]); i++) {
        if (options->options[i]) {
            argv[n++] = "--option";
            argv[n++] = options->options[i];
        }
    }
    memset(brick, 0, sizeof(*brick));
    return lab_start(&brick->lab, brick_variable, (char *const *)argv);
}

int lab_brick_stop(struct lab_brick *brick)
{
    return lab_end(&brick->lab);
}

int lab_brick_kill(struct lab_brick *brick)
{
    int error = lab_command(&brick->lab, brick_variable, "brick_kill");

    brick->pid = 0;
    return error;
}

int lab_brick_restart(struct lab_brick *brick)
{
    int status = lab_command(&brick->lab, brick_variable, "brick_restart");

    return status > 0 ? -EIO : status;
}

/* Whether every thread of a process is stopped; a process that is gone is. */
static bool all_stopped(pid_t pid)
{
    char path[64];
    bool stopped = true;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    struct dirent *task;
    while (tasks && stopped && (task = readdir(tasks))) {
        char stat[400], state = 'T';
        if (task->d_name[0] == '.')
            continue;
        snprintf(stat, sizeof(stat), "%s/%s/stat", path, task->d_name);
        FILE *f = fopen(stat, "re");
        if (f && fscanf(f, "%*d %*s %c", &state) != 1) /* "glusterfsd" holds no blank */
            state = 'T';
        if (f)
            fclose(f);
        stopped = state == 'T';
    }
    if (tasks)
        closedir(tasks);
    return stopped;
}

int lab_brick_signal(struct lab_brick *brick, int signal)
{
    /* kill(0) would go to the test's own process group */
    if (brick->pid <= 0)
        return -ESRCH;
    if (kill(brick->pid, signal))
        return -errno;
    /* SIGSTOP takes effect thread by thread, some time after kill() has returned. */
    while (signal == SIGSTOP && !all_stopped(brick->pid))
        sched_yield();
    return 0;
}

static void cluster_variable(struct lab *lab, const char *name, const char *value)
{
    struct lab_cluster *cluster = (struct lab_cluster *)lab;

    if (!strcmp(name, "LAB_CLUSTER_HOST"))
        copy(cluster->host, sizeof(cluster->host), value);
    else if (!strcmp(name, "LAB_CLUSTER_BRICKS"))
        copy(cluster->bricks, sizeof(cluster->bricks), value);
}

/* The script's own process is in the cluster's network namespace. */
static int cluster_enter(struct lab_cluster *cluster)
{
    char path[64];
    int netns, error = 0;

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)cluster->lab.pid);
    netns = open(path, O_RDONLY | O_CLOEXEC);
    if (netns < 0)
        return -errno;
    cluster->own_netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (cluster->own_netns < 0 || setns(netns, CLONE_NEWNET))
        error = -errno;
    close(netns);
    return error;
}

int lab_cluster_start(struct lab_cluster *cluster, const char *const *volumes)
{
    const char *argv[20] = {LAB_SCRIPTS "/with-cluster"};
    int n = 1, error;

    for (int i = 0; volumes[i]; i++) {
        if (i == 8)
            return -E2BIG;
        argv[n++] = "--volume";
        argv[n++] = volumes[i];
    }
    if (n == 1)
        argv[n++] = "--no-volume";
    memset(cluster, 0, sizeof(*cluster));
    cluster->own_netns = -1;
    error = lab_start(&cluster->lab, cluster_variable, (char *const *)argv);
    if (error)
        return error;
    error = cluster_enter(cluster);
    if (error)
        lab_cluster_stop(cluster);
    return error;
}

int lab_cluster_stop(struct lab_cluster *cluster)
{
    int error = 0, end;

    if (cluster->own_netns >= 0) {
        if (setns(cluster->own_netns, CLONE_NEWNET))
            error = -errno;
        close(cluster->own_netns);
    }
    end = lab_end(&cluster->lab);
    return error ? error : end;
}

static void ignore_variable(struct lab *lab, const char *name, const char *value)
{
    (void)lab, (void)name, (void)value;
}

int lab_run(struct lab *lab, const char *format, ...)
{
    char command[4096];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(command))
        return -E2BIG;
    return lab_command(lab, ignore_variable, command);
}
