#include "json.h"

#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The bytes with each that is not part of a UTF-8 sequence replaced by U+FFFD. */
static json_t *readable(const char *bytes)
{
    char *text;
    size_t size;
    FILE *out = need(open_memstream(&text, &size));
    for (size_t left = strlen(bytes), n; left; left -= n, bytes += n) {
        json_t *sequence = NULL;
        for (n = 0; !sequence && n < 4 && n < left;)
            sequence = json_stringn(bytes, ++n);
        if (sequence) {
            fwrite(bytes, 1, n, out);
        } else {
            fputs("\xef\xbf\xbd", out);
            n = 1;
        }
        json_decref(sequence);
    }
    fclose(out);
    json_t *string = json_string(need(text));
    free(text);
    return string;
}

static json_t *hexadecimal(const char *bytes)
{
    size_t length = strlen(bytes);
    char *text = need(malloc(2 * length + 1));
    for (size_t i = 0; i < length; i++)
        sprintf(text + 2 * i, "%02x", (unsigned char)bytes[i]);
    json_t *string = json_stringn(text, 2 * length);
    free(text);
    return string;
}

void json_set_bytes(json_t *object, const char *key, const char *bytes)
{
    json_t *string = json_string(bytes); /* NULL if they are not UTF-8 */
    if (string) {
        json_object_set_new(object, key, string);
        return;
    }
    char other[32];
    snprintf(other, sizeof(other), "%s_bytes", key);
    json_object_set_new(object, key, need(readable(bytes)));
    json_object_set_new(object, other, need(hexadecimal(bytes)));
}

void json_set_number(json_t *object, const char *key, uint64_t number)
{
    json_object_set_new(object, key, need(json_integer((json_int_t)number)));
}

static void set_time(json_t *object, const char *key, const struct timespec *when)
{
    char text[96], whole[64];
    struct tm tm;
    if (!gmtime_r(&when->tv_sec, &tm) || !strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm))
        return;
    snprintf(text, sizeof(text), "%s.%09ldZ", whole, when->tv_nsec);
    json_object_set_new(object, key, need(json_string(text)));
}

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFCHR:
        return "char-device";
    case S_IFBLK:
        return "block-device";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    default:
        return "unknown";
    }
}

void json_set_stat(json_t *object, const struct stat *st)
{
    char text[24];
    json_object_set_new(object, "type", need(json_string(type_name(st->st_mode))));
    snprintf(text, sizeof(text), "%04o", st->st_mode & 07777);
    json_object_set_new(object, "mode", need(json_string(text)));
    snprintf(text, sizeof(text), "%ju", (uintmax_t)st->st_ino);
    json_object_set_new(object, "ino", need(json_string(text)));
    json_set_number(object, "nlink", st->st_nlink);
    json_set_number(object, "uid", st->st_uid);
    json_set_number(object, "gid", st->st_gid);
    json_set_number(object, "size", (uint64_t)st->st_size);
    json_set_number(object, "blocks", (uint64_t)st->st_blocks);
    json_set_number(object, "blksize", (uint64_t)st->st_blksize);
    set_time(object, "atime", &st->st_atim);
    set_time(object, "mtime", &st->st_mtim);
    set_time(object, "ctime", &st->st_ctim);
}

error_t json_args_key(int key, struct argp_state *state, struct args *args, int least,
                      json_t **results)
{
    if (key != KEY_JSON)
        return args_key(key, state, args, least);
    if (!*results)
        *results = need(json_array());
    return 0;
}

void json_print(json_t *document)
{
    /* On a terminal nothing but ASCII: a name may hold what the terminal obeys. */
    size_t flags = isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0;
    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9) | flags);
    putchar('\n');
    json_decref(document);
}
