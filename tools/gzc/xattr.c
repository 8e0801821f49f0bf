/* gzc xattr. */
#include "command.h"
#include "json.h"
#include "message.h"
#include "target.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum encoding { ANY, TEXT, HEX, BASE64 };

struct options {
    bool no_dereference;
    enum encoding encoding;
    int flags; /* of setxattr(2) */
    const char *name;
    char *value;
    size_t size;
    bool several;    /* more than one URI: what is printed is preceded by it */
    json_t *results; /* NULL without --json */
    const struct verb *verb;
    struct args args;
};

/* ---- values ---------------------------------------------------------------------------------- */

/* Memory and a NUL behind it. */
struct bytes {
    char *at;
    size_t size;
};

static struct bytes from_hex(const char *text)
{
    struct bytes out = {.at = need(malloc(strlen(text) / 2 + 1))};
    unsigned byte;
    for (; isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]); text += 2) {
        sscanf(text, "%2x", &byte);
        out.at[out.size++] = (char)byte;
    }
    out.at[out.size] = '\0';
    if (*text) {
        free(out.at);
        out.at = NULL;
    }
    return out;
}

static struct bytes from_base64(const char *text)
{
    size_t length = strlen(text), pad = 0;
    struct bytes out = {.at = need(malloc(length + 1))};
    while (pad < 2 && pad < length && text[length - 1 - pad] == '=')
        pad++;
    int n = length % 4 ? -1
                       : EVP_DecodeBlock((unsigned char *)out.at, (const unsigned char *)text,
                                         (int)length);
    if (n < 0) {
        free(out.at);
        out.at = NULL;
        return out;
    }
    out.size = (size_t)n - pad;
    out.at[out.size] = '\0';
    return out;
}

static char *to_base64(const char *value, size_t size)
{
    char *text = need(malloc(4 * ((size + 2) / 3) + 1));
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)value, (int)size);
    return text;
}

/* As setfattr(1): 0x and hexadecimal, 0s and base64, or else the text itself. */
static struct bytes parse_value(const char *text, enum encoding encoding)
{
    bool hex = strncasecmp(text, "0x", 2) == 0, base64 = strncasecmp(text, "0s", 2) == 0;
    if (encoding == HEX || (encoding == ANY && hex))
        return from_hex(text + (hex ? 2 : 0));
    if (encoding == BASE64 || (encoding == ANY && base64))
        return from_base64(text + (base64 ? 2 : 0));
    return (struct bytes){need(strdup(text)), strlen(text)};
}

/* Whether it can be shown as text, and read back as such. */
static bool is_text(const char *value, size_t size)
{
    if (size >= 2 && value[0] == '0' && strchr("xXsS", value[1]))
        return false;
    json_t *string = memchr(value, '\0', size) ? NULL : json_stringn(value, size);
    bool text = string != NULL;
    for (size_t i = 0; i < size && text; i++)
        text = !iscntrl((unsigned char)value[i]);
    json_decref(string);
    return text;
}

/* As it can be given to `set`. */
static void print_value(const char *value, size_t size, enum encoding encoding)
{
    if (encoding == ANY)
        encoding = is_text(value, size) ? TEXT : BASE64;
    if (encoding == TEXT) {
        fwrite(value, 1, size, stdout);
    } else if (encoding == HEX) {
        fputs("0x", stdout);
        for (size_t i = 0; i < size; i++)
            printf("%02x", (unsigned char)value[i]);
    } else {
        char *text = to_base64(value, size);
        printf("0s%s", text);
        free(text);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Calls @p get until the value fits. @return 0 with memory of the caller's, or -errno. */
static int read_whole(const struct target *t, const char *name, const struct options *o,
                      struct bytes *out)
{
    ssize_t n = 0;
    *out = (struct bytes){0};
    do {
        size_t room = (size_t)n;
        free(out->at);
        out->at = need(malloc(room + 1));
        if (name)
            n = (o->no_dereference ? gzc_lgetxattr : gzc_getxattr)(t->volume, t->path, name,
                                                                   out->at, room);
        else
            n = (o->no_dereference ? gzc_llistxattr : gzc_listxattr)(t->volume, t->path, out->at,
                                                                     room);
        if (n >= 0 && (size_t)n <= room)
            break;
        n = n == -ERANGE ? (ssize_t)(2 * room) : n;
    } while (n > 0);
    if (n < 0) {
        free(out->at);
        return (int)n;
    }
    out->size = (size_t)n;
    out->at[n] = '\0';
    return 0;
}

static json_t *report(const struct target *t, const struct options *o)
{
    json_t *result = need(json_object()), *attributes = need(json_array());
    json_set_bytes(result, "uri", t->uri);
    json_set_bytes(result, "path", t->path);
    json_object_set_new(result, "xattrs", attributes);
    json_array_append_new(o->results, result);
    return attributes;
}

/* One attribute: its text if it is text, and always all of it. */
static void report_value(json_t *attributes, const char *name, const struct bytes *value)
{
    json_t *attribute = need(json_object());
    char *base64 = to_base64(value->at, value->size);
    json_set_bytes(attribute, "name", name);
    json_set_number(attribute, "size", value->size);
    if (is_text(value->at, value->size))
        json_object_set_new(attribute, "value", need(json_stringn(value->at, value->size)));
    json_object_set_new(attribute, "base64", need(json_string(base64)));
    json_array_append_new(attributes, attribute);
    free(base64);
}

static int get_value(const struct target *t, const char *name, const struct options *o,
                     json_t *attributes)
{
    struct bytes value;
    int rc = read_whole(t, name, o, &value);
    if (rc < 0)
        return target_complain(t, rc);
    if (attributes) {
        report_value(attributes, name, &value);
    } else {
        if (!o->name || o->several)
            text_name(o->name ? t->uri : name);
        fputs(!o->name ? "=" : o->several ? ": " : "", stdout);
        print_value(value.at, value.size, o->encoding);
        putchar('\n');
    }
    free(value.at);
    return EXIT_SUCCESS;
}

static int get(const struct target *t, void *arg)
{
    const struct options *o = arg;
    return get_value(t, o->name, o, o->results ? report(t, o) : NULL);
}

static int list(const struct target *t, void *arg)
{
    const struct options *o = arg;
    struct bytes names;
    int rc = read_whole(t, NULL, o, &names), status = EXIT_SUCCESS;
    if (rc < 0)
        return target_complain(t, rc);
    json_t *attributes = o->results ? report(t, o) : NULL;
    if (o->several && !o->results) {
        text_name(t->uri);
        fputs(":\n", stdout);
    }
    for (const char *name = names.at; name < names.at + names.size; name += strlen(name) + 1)
        status |= get_value(t, name, o, attributes);
    free(names.at);
    return status;
}

/* ---- changing -------------------------------------------------------------------------------- */

static int set(const struct target *t, void *arg)
{
    const struct options *o = arg;
    int rc = (o->no_dereference ? gzc_lsetxattr : gzc_setxattr)(t->volume, t->path, o->name,
                                                                o->value, o->size, o->flags);
    return rc < 0 ? target_complain(t, rc) : EXIT_SUCCESS;
}

static int remove_one(const struct target *t, void *arg)
{
    const struct options *o = arg;
    int rc = (o->no_dereference ? gzc_lremovexattr : gzc_removexattr)(t->volume, t->path, o->name);
    return rc < 0 ? target_complain(t, rc) : EXIT_SUCCESS;
}

/* ---- the command ----------------------------------------------------------------------------- */

static const struct verb {
    const char *name;
    int (*each)(const struct target *t, void *arg);
    int words; /* before the URIs: the name and the value */
} verbs[] = {{"list", list, 0}, {"get", get, 1}, {"set", set, 2}, {"remove", remove_one, 1}};
#define VERBS (sizeof(verbs) / sizeof(*verbs))

enum { KEY_CREATE = 256, KEY_REPLACE };

/* Takes the verb and its words off the arguments. */
static void take_verb(struct options *o, struct argp_state *state)
{
    const char *word = o->args.count ? *o->args.at : "";
    const struct verb *verb = verbs;
    while (verb < verbs + VERBS && strcmp(verb->name, word) != 0)
        verb++;
    if (verb == verbs + VERBS)
        argp_error(state, "'%s' is not list, get, set or remove", word);
    if (o->args.count < 2 + verb->words)
        argp_error(state, "an argument is missing");
    if (verb->words > 0)
        o->name = o->args.at[1];
    if (verb->words > 1) {
        struct bytes value = parse_value(o->args.at[2], o->encoding);
        if (!value.at)
            argp_error(state, "'%s' is not a value in that encoding", o->args.at[2]);
        o->value = value.at;
        o->size = value.size;
    }
    o->args.at += 1 + verb->words;
    o->args.count -= 1 + verb->words;
    o->several = o->args.count > 1;
    o->verb = verb;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const encodings[] = {[TEXT] = "text", [HEX] = "hex", [BASE64] = "base64"};
    struct options *o = state->input;
    switch (key) {
    case 'e':
        o->encoding = ANY;
        for (int i = TEXT; i <= BASE64; i++)
            if (strcmp(arg, encodings[i]) == 0)
                o->encoding = (enum encoding)i;
        if (o->encoding == ANY)
            argp_error(state, "'%s' is not an encoding: text, hex or base64", arg);
        return 0;
    case 'h':
        o->no_dereference = true;
        return 0;
    case KEY_CREATE:
        o->flags = XATTR_CREATE;
        return 0;
    case KEY_REPLACE:
        o->flags = XATTR_REPLACE;
        return 0;
    case ARGP_KEY_END:
        take_verb(o, state);
        return 0;
    default:
        return json_args_key(key, state, &o->args, 0, &o->results);
    }
}

int command_xattr(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"create", KEY_CREATE, NULL, 0, "set: fail if it is there", 0},
        {"encoding", 'e', "ENCODING", 0,
         "text, hex (0x...) or base64 (0s...); by default values are shown as text if they are, and "
         "as base64 if not, and 0x or 0s says how one is given",
         0},
        {"no-dereference", 'h', NULL, 0, "a symbolic link itself, not what it leads to", 0},
        {"replace", KEY_REPLACE, NULL, 0, "set: fail if it is not there", 0},
        {"json", KEY_JSON, NULL, 0, "print a JSON document", 0},
        {0},
    };
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "list URI...\nget NAME URI...\n"
                                                 "set NAME VALUE URI...\nremove NAME URI...",
                                     .doc = "Shows and changes extended attributes."};
    struct options o = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int status = targets_each(&o.args, o.verb->each, &o);
    free(o.value);
    if (o.results)
        json_print(o.results);
    return status;
}
