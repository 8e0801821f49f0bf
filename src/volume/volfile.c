#include "volume/volfile.h"

#include <errno.h>
#include <search.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parser {
    struct volfile *vf;
    struct xlator *current; /* between "volume" and "end-volume" */
    void *names;            /* tsearch tree of all translators so far, the current one too */
    const char *name;       /* of the file */
    int line;
    struct errtext *why;
};

/* -EINVAL with "volfile NAME:LINE: ...". */
static int __attribute__((format(printf, 2, 3)))
malformed(const struct parser *p, const char *format, ...)
{
    char text[ERRTEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return errtext_set(p->why, EINVAL, "volfile %.200s:%d: %s", p->name, p->line, text);
}

static int no_memory(const struct parser *p)
{
    return errtext_set(p->why, ENOMEM, "volfile %.200s: no memory", p->name);
}

/* Room for one more in an array of @p n that only ever grew by this: it doubles at powers of two.
 */
static void *grow(void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    return reallocarray(array, n ? 2 * n : 1, size);
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Moves @p line to its next word; false at the end of the line or at a comment. */
static bool at_word(char **line)
{
    while (is_blank(**line))
        (*line)++;
    return **line && **line != '#';
}

/* graph.y gives what stands in `` to the shell. No glusterd writes that, and we do not run it. */
static int take(const struct parser *p, char *word, char **out)
{
    if (strchr(word, '`'))
        return malformed(p, "a command in `` is not run");
    *out = word;
    return 0;
}

/* A word in "", where a backslash makes the byte behind it an ordinary one. */
static int quoted_word(const struct parser *p, char **line, char **word)
{
    char *from = *line + 1, *start = from, *to = from;
    while (*from && *from != '"') {
        if (*from == '\\' && from[1])
            from++;
        *to++ = *from++;
    }
    if (!*from)
        return malformed(p, "'\"' is missing at the end of a word");
    from++;
    if (*from && !is_blank(*from))
        return malformed(p, "no blank behind a word in '\"'");
    *line = from;
    *to = '\0';
    return take(p, start, word);
}

/* The next word of @p line, cut out in place; NULL if there is none. */
static int next_word(const struct parser *p, char **line, char **word)
{
    *word = NULL;
    if (!at_word(line))
        return 0;
    if (**line == '"')
        return quoted_word(p, line, word);
    char *start = *line;
    while (**line && !is_blank(**line))
        (*line)++;
    if (**line)
        *(*line)++ = '\0';
    return take(p, start, word);
}

/* The one word that follows @p keyword. */
static int only_word(const struct parser *p, const char *keyword, char *line, char **word)
{
    char *more = NULL;
    int rc = next_word(p, &line, word);
    if (!rc && !*word)
        return malformed(p, "nothing after '%s'", keyword);
    if (!rc)
        rc = next_word(p, &line, &more);
    return more ? malformed(p, "'%.64s' after '%s %.64s'", more, keyword, *word) : rc;
}

/* What remains of @p line up to a comment, without the blanks around it; "" if nothing does. */
static int value_of(const struct parser *p, char *line, char **value)
{
    if (at_word(&line) && *line == '"') {
        int rc = quoted_word(p, &line, value);
        return !rc && at_word(&line) ? malformed(p, "'%.64s' after the value", line) : rc;
    }
    char *start = line, *end = line;
    for (char *c = line; *c && !(*c == '#' && (c == line || is_blank(c[-1]))); c++)
        if (!is_blank(*c))
            end = c + 1;
    *end = '\0';
    return take(p, start, value);
}

/* ---- statements ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct xlator *)a)->name, ((const struct xlator *)b)->name);
}

static int volume(struct parser *p, char *line)
{
    char *name;
    int rc = only_word(p, "volume", line, &name);
    if (rc)
        return rc;
    if (p->current)
        return malformed(p, "volume '%.64s' begins inside volume '%.64s' of line %d", name,
                         p->current->name, p->current->line);
    struct volfile *vf = p->vf;
    struct xlator **xlators = grow(vf->xlators, vf->nxlators, sizeof(*xlators));
    if (!xlators)
        return no_memory(p);
    vf->xlators = xlators;
    struct xlator *x = calloc(1, sizeof(*x));
    if (!x)
        return no_memory(p);
    x->name = name;
    x->line = p->line;
    vf->xlators[vf->nxlators++] = vf->top = p->current = x;

    struct xlator **known = tsearch(x, &p->names, compare);
    if (!known)
        return no_memory(p);
    if (*known != x)
        return malformed(p, "volume '%.64s' is defined on line %d already", name, (*known)->line);
    return 0;
}

static int type(struct parser *p, char *line)
{
    char *word;
    int rc = only_word(p, "type", line, &word);
    if (rc)
        return rc;
    if (p->current->type)
        return malformed(p, "second type of volume '%.64s'", p->current->name);
    p->current->type = word;
    return 0;
}

static int option(struct parser *p, char *line)
{
    struct xlator *x = p->current;
    char *key, *value;
    int rc = next_word(p, &line, &key);
    if (!rc && !key)
        return malformed(p, "nothing after 'option'");
    if (!rc)
        rc = value_of(p, line, &value);
    if (rc)
        return rc;
    struct xlator_option *options = grow(x->options, x->noptions, sizeof(*options));
    if (!options)
        return no_memory(p);
    x->options = options;
    x->options[x->noptions++] = (struct xlator_option){.key = key, .value = value};
    return 0;
}

static int subvolume(struct parser *p, const char *name)
{
    struct xlator *x = p->current, key = {.name = name};
    struct xlator **found = tfind(&key, &p->names, compare);
    if (!found)
        return malformed(p, "subvolume '%.64s' of volume '%.64s' is not defined above", name,
                         x->name);
    if (*found == x)
        return malformed(p, "volume '%.64s' has itself as a subvolume", x->name);
    struct xlator **children = grow(x->children, x->nchildren, sizeof(*children));
    if (!children)
        return no_memory(p);
    x->children = children;
    x->children[x->nchildren++] = *found;
    return 0;
}

static int subvolumes(struct parser *p, char *line)
{
    if (p->current->nchildren)
        return malformed(p, "second 'subvolumes' of volume '%.64s'", p->current->name);
    for (;;) {
        char *name;
        int rc = next_word(p, &line, &name);
        if (rc)
            return rc;
        if (!name)
            break;
        rc = subvolume(p, name);
        if (rc)
            return rc;
    }
    return p->current->nchildren ? 0 : malformed(p, "nothing after 'subvolumes'");
}

static int end_volume(struct parser *p, char *line)
{
    char *word;
    int rc = next_word(p, &line, &word);
    if (rc)
        return rc;
    if (word)
        return malformed(p, "'%.64s' after 'end-volume'", word);
    if (!p->current->type)
        return malformed(p, "volume '%.64s' has no type", p->current->name);
    p->current = NULL;
    return 0;
}

static const struct statement {
    const char *keyword;
    int (*parse)(struct parser *p, char *line);
    bool inside; /* stands between "volume" and "end-volume" only */
} statements[] = {
    {"option", option, true},         {"volume", volume, false},        {"type", type, true},
    {"end-volume", end_volume, true}, {"subvolumes", subvolumes, true},
};
#define NSTATEMENTS (sizeof(statements) / sizeof(*statements))

static int parse_line(struct parser *p, char *line)
{
    char *keyword;
    int rc = next_word(p, &line, &keyword);
    if (rc || !keyword)
        return rc;
    const struct statement *s = statements;
    while (s < statements + NSTATEMENTS && strcmp(keyword, s->keyword) != 0)
        s++;
    if (s == statements + NSTATEMENTS)
        return malformed(p,
                         "unknown keyword '%.64s'; known are volume, type, option, subvolumes, "
                         "end-volume",
                         keyword);
    if (s->inside && !p->current)
        return malformed(p, "'%s' outside a volume", keyword);
    return s->parse(p, line);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* A volfile is text: of control characters, only blanks and line ends. */
static int check_text(struct parser *p, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)p->vf->text[i];
        if ((c < ' ' && !strchr("\t\r\n", c)) || c == 0 || c == 0x7f)
            return malformed(p, "byte 0x%02x is not text", c);
        p->line += c == '\n';
    }
    return 0;
}

static int parse(struct parser *p, size_t length)
{
    p->line = 1;
    int rc = check_text(p, length);
    p->line = rc ? p->line : 0;
    for (char *line = p->vf->text, *next; !rc && line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        else if (!*line)
            break; /* behind the last line end */
        p->line++;
        rc = parse_line(p, line);
    }
    if (rc)
        return rc;
    if (p->current)
        return malformed(p, "volume '%.64s' of line %d has no end-volume", p->current->name,
                         p->current->line);
    if (!p->vf->top)
        return errtext_set(p->why, EINVAL, "volfile %.200s: there is no volume in it", p->name);
    return 0;
}

static void keep(void *node)
{
    (void)node;
}

int volfile_parse(const char *text, size_t length, const char *name, struct volfile *vf,
                  struct errtext *why)
{
    struct parser p = {.vf = vf, .name = name, .why = why};
    *vf = (struct volfile){0};
    if (length > VOLFILE_MAX)
        return errtext_set(why, EINVAL, "volfile %.200s: larger than %u bytes", name, VOLFILE_MAX);
    vf->text = malloc(length + 1);
    if (!vf->text)
        return no_memory(&p);
    memcpy(vf->text, text, length);
    vf->text[length] = '\0';
    int rc = parse(&p, length);
    tdestroy(p.names, keep);
    if (rc)
        volfile_free(vf);
    return rc;
}

void volfile_free(struct volfile *vf)
{
    for (size_t i = 0; i < vf->nxlators; i++) {
        free(vf->xlators[i]->options);
        free(vf->xlators[i]->children);
        free(vf->xlators[i]);
    }
    free(vf->xlators);
    free(vf->text);
    *vf = (struct volfile){0};
}

/* ---- options --------------------------------------------------------------------------------- */

const char *xlator_option(const struct xlator *x, const char *key)
{
    for (size_t i = x->noptions; i-- > 0;)
        if (!strcmp(x->options[i].key, key))
            return x->options[i].value;
    return NULL;
}

bool xlator_option_bool(const struct xlator *x, const char *key, bool *value)
{
    static const char *const words[][2] = {
        {"off", "on"}, {"no", "yes"}, {"false", "true"}, {"disable", "enable"}, {"0", "1"}};
    const char *text = xlator_option(x, key);
    for (size_t i = 0; text && i < sizeof(words) / sizeof(*words); i++)
        for (int truth = 0; truth < 2; truth++)
            if (!strcasecmp(text, words[i][truth])) {
                *value = truth;
                return true;
            }
    return !text;
}

bool xlator_option_time(const struct xlator *x, const char *key, unsigned max, unsigned *seconds)
{
    static const struct {
        const char *name;
        unsigned seconds;
    } units[] = {{"", 1},         {"s", 1},      {"sec", 1},    {"m", 60},
                 {"min", 60},     {"h", 3600},   {"hr", 3600},  {"d", 86400},
                 {"days", 86400}, {"w", 604800}, {"wk", 604800}};
    const char *text = xlator_option(x, key);
    if (!text)
        return true;
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 9)
        return false;
    uint64_t number = strtoul(text, NULL, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (!strcmp(text + digits, units[i].name) && number * units[i].seconds <= max) {
            *seconds = (unsigned)(number * units[i].seconds);
            return true;
        }
    return false;
}
