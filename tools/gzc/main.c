/* gzc: files of GlusterFS volumes at the prompt. */
#include "command.h"
#include "copy.h"
#include "message.h"
#include "target.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <gzc.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"cat", "write files to the standard output", command_cat},
    {"chmod", "change permissions", command_chmod},
    {"chown", "change owners", command_chown},
    {"cp", "copy files and directories", command_cp},
    {"df", "show how much space a volume has", command_df},
    {"du", "show how much space directories take", command_du},
    {"find", "find files", command_find},
    {"get", "copy files from a volume", command_get},
    {"info", "show a volume's bricks, options and counters", command_info},
    {"ln", "make links", command_ln},
    {"ls", "list directories", command_ls},
    {"mkdir", "make directories", command_mkdir},
    {"mv", "move or rename", command_mv},
    {"ping", "measure the round-trip time to the bricks", command_ping},
    {"put", "copy files to a volume", command_put},
    {"rm", "remove files", command_rm},
    {"rmdir", "remove empty directories", command_rmdir},
    {"stat", "show attributes", command_stat},
    {"touch", "set times, make empty files", command_touch},
    {"tree", "show directories as a tree", command_tree},
    {"truncate", "set the size of files", command_truncate},
    {"xattr", "show and change extended attributes", command_xattr},
};
#define COMMANDS (sizeof(commands) / sizeof(*commands))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_version(FILE *out, struct argp_state *state)
{
    (void)state;
    fprintf(out, "gzc %s\n", gzc_version());
}

/* What --help says below the options; argp takes memory from malloc(). */
static char *help(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    char *out;
    size_t size;
    FILE *f = need(open_memstream(&out, &size));
    fputs("Commands:\n\n", f);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`gzc COMMAND --help' tells the options of a command; gzc(1) tells the rest.\n"
          "A URI is gluster://SERVER/VOLUME/PATH, or another form that gzc(1) lists.",
          f);
    fclose(f);
    return need(out);
}

struct choice {
    const struct command *command;
    int at; /* index of its name in argv */
};

/* Stops at the first argument: it names the command, whose own options follow. */
static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        choice->command = find_command(arg);
        if (!choice->command)
            argp_error(state, "'%s' is not a command", arg);
        choice->at = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "no command");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Standard streams that are closed are opened the wrong way round, so that using them fails and
 * no socket or file takes their numbers. */
static void occupy_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Ends the output. A failure is told only if none has been. */
static int close_output(int status)
{
    bool failed = ferror(stdout);
    errno = 0;
    if (fclose(stdout) == 0 && !failed)
        return status;
    if (status == EXIT_SUCCESS)
        complain("standard output", "%s", errno ? strerror(errno) : "Write error");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .parser = parse,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "Works on the files of GlusterFS volumes, without mounting them.\v",
        .help_filter = help,
    };
    struct choice choice = {0};
    char name[32];

    occupy_streams();
    /* Names are compared and shown as the user's locale has it; numbers are not. */
    setlocale(LC_CTYPE, "");
    setlocale(LC_COLLATE, "");
    argp_err_exit_status = EXIT_USAGE;
    argp_program_version_hook = print_version;
    if (argc > 0)
        argv[0] = (char *)"gzc";
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &choice);

    argv += choice.at;
    argc -= choice.at;
    snprintf(name, sizeof(name), "gzc %s", choice.command->name);
    argv[0] = name;
    message_command(choice.command->name);
    int status = choice.command->run(argc, argv);
    copies_free();
    volumes_unmount();
    return close_output(status);
}
