#include "step.h"

#include <ctype.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *arguments;
    char look;
} kinds[] = {
#define X(name, arguments, look) {#name, arguments, look},
    STEPS(X)
#undef X
};

const char *step_name(enum step_kind kind)
{
    return kinds[kind].name;
}

const char *step_arguments(enum step_kind kind)
{
    return kinds[kind].arguments;
}

char step_look(enum step_kind kind)
{
    return kinds[kind].look;
}

static bool is_text(char argument)
{
    return argument == 'p' || argument == 't' || argument == 'a';
}

static void print_text(FILE *to, const char *text)
{
    fputs(" \"", to);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\' || !isprint(*p))
            fprintf(to, "\\x%02x", *p);
        else
            fputc(*p, to);
    }
    fputc('"', to);
}

void step_print(FILE *to, const struct step *s)
{
    unsigned number = 0, text = 0;

    fprintf(to, "%u %s", s->who, kinds[s->kind].name);
    for (const char *a = kinds[s->kind].arguments; *a; a++) {
        if (is_text(*a))
            print_text(to, s->text[text++]);
        else
            fprintf(to, *a == 'x' ? " %#llo" : " %lld", (long long)s->n[number++]);
    }
}

static char *parse_text(const char **line)
{
    const char *p = *line + strspn(*line, " ");
    char *text, *to;

    if (*p++ != '"')
        return NULL;
    to = text = malloc(strlen(p) + 1);
    if (!text)
        err(1, NULL);
    while (*p && *p != '"') {
        unsigned byte;
        if (p[0] != '\\') {
            *to++ = *p++;
        } else if (sscanf(p, "\\x%2x", &byte) == 1) {
            *to++ = (char)byte;
            p += 4;
        } else {
            break;
        }
    }
    if (*p != '"') {
        free(text);
        return NULL;
    }
    *to = '\0';
    *line = p + 1;
    return text;
}

static bool parse_arguments(const char *line, struct step *s)
{
    unsigned number = 0, text = 0;

    for (const char *a = kinds[s->kind].arguments; *a; a++) {
        char *end;
        if (is_text(*a)) {
            if (!(s->text[text++] = parse_text(&line)))
                return false;
        } else {
            s->n[number++] = strtoll(line, &end, 0);
            if (end == line)
                return false;
            line = end;
        }
    }
    number = 0;
    for (const char *a = kinds[s->kind].arguments; *a; a++) {
        if (!is_text(*a)) {
            int64_t n = s->n[number++];
            if ((*a == 'h' && (n < 0 || n >= SLOTS)) || (*a == 'd' && (n < 0 || n >= DIR_SLOTS)))
                return false;
        }
    }
    return line[strspn(line, " \n")] == '\0';
}

bool step_parse(const char *line, struct step *s)
{
    char name[32];
    int at = 0;

    *s = (struct step){.kind = 0};
    if (sscanf(line, "%u %31s%n", &s->who, name, &at) != 2 || s->who >= IDENTITIES)
        return false;
    for (s->kind = 0; s->kind < STEP_KINDS; s->kind++) {
        if (strcmp(kinds[s->kind].name, name) == 0) {
            if (parse_arguments(line + at, s))
                return true;
            step_free(s);
            return false;
        }
    }
    return false;
}

void step_free(struct step *s)
{
    free(s->text[0]);
    free(s->text[1]);
    s->text[0] = s->text[1] = NULL;
}

bool step_is_relative(const struct step *s)
{
    unsigned text = 0;

    for (const char *a = kinds[s->kind].arguments; *a; a++) {
        if (*a == 'p' && s->text[text][0] != '/' && s->text[text][0] != '^')
            return true;
        text += is_text(*a);
    }
    return false;
}

struct step step_copy(const struct step *s)
{
    struct step copy = *s;

    for (int i = 0; i < 2; i++) {
        if (s->text[i] && !(copy.text[i] = strdup(s->text[i])))
            err(1, NULL);
    }
    return copy;
}

void script_add(struct script *script, struct step s)
{
    if (script->count == script->room) {
        script->room = script->room ? 2 * script->room : 64;
        script->steps = reallocarray(script->steps, script->room, sizeof(*script->steps));
        if (!script->steps)
            err(1, NULL);
    }
    script->steps[script->count++] = s;
}

void script_free(struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        step_free(&script->steps[i]);
    free(script->steps);
    *script = (struct script){NULL};
}

void script_read(struct script *script, const char *path)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    struct step s;

    if (!file)
        err(1, "%s", path);
    for (unsigned number = 1; getline(&line, &room, file) >= 0; number++) {
        if (line[0] == '#' || line[strspn(line, " \n")] == '\0')
            continue;
        if (!step_parse(line, &s))
            errx(1, "%s:%u: no step: %s", path, number, line);
        script_add(script, s);
    }
    free(line);
    fclose(file);
}

bool script_write(const struct script *script, const char *path, const char *comment)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return false;
    while (*comment) {
        int length = (int)strcspn(comment, "\n");
        fprintf(file, "# %.*s\n", length, comment);
        comment += length + (comment[length] == '\n');
    }
    for (size_t i = 0; i < script->count; i++) {
        step_print(file, &script->steps[i]);
        fputc('\n', file);
    }
    return fclose(file) == 0;
}
