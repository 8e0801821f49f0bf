/* The commands of gzc. Each takes its own argument vector, argv[0] being "gzc NAME", and returns
 * the program's exit status; wrong usage ends the program from inside argp with EXIT_USAGE. */
#ifndef GZC_COMMAND_H
#define GZC_COMMAND_H

#define EXIT_USAGE 2

int command_cat(int argc, char **argv);
int command_chmod(int argc, char **argv);
int command_chown(int argc, char **argv);
int command_cp(int argc, char **argv);
int command_df(int argc, char **argv);
int command_du(int argc, char **argv);
int command_find(int argc, char **argv);
int command_get(int argc, char **argv);
int command_info(int argc, char **argv);
int command_ln(int argc, char **argv);
int command_ls(int argc, char **argv);
int command_mkdir(int argc, char **argv);
int command_mv(int argc, char **argv);
int command_ping(int argc, char **argv);
int command_put(int argc, char **argv);
int command_rm(int argc, char **argv);
int command_rmdir(int argc, char **argv);
int command_stat(int argc, char **argv);
int command_touch(int argc, char **argv);
int command_tree(int argc, char **argv);
int command_truncate(int argc, char **argv);
int command_xattr(int argc, char **argv);

#endif
