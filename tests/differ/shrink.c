#include "shrink.h"

#include "compare.h"

#include <time.h>

/* Runs a script, and looks behind the steps from number `look`, and at the trees then. */
static const char *run(const struct script *script, size_t look, bool trees, size_t *at)
{
    sides_begin();
    for (*at = 0; *at < script->count; (*at)++) {
        const char *why = sides_step(&script->steps[*at], *at >= look, NULL);
        if (why)
            return why;
    }
    return trees ? sides_trees() : NULL;
}

const char *replay(const struct script *script, size_t *at)
{
    return run(script, 0, true, at);
}

struct shrinking {
    struct script *script; /* fails */
    bool trees;            /* only at its end */
    time_t until;
};

/* Takes a candidate if it fails as the script does: its last step is of the same kind. */
static bool take(struct shrinking *k, struct script *candidate)
{
    size_t at;

    if (time(NULL) < k->until && candidate->count > 0 &&
        run(candidate, candidate->count - 1, k->trees, &at)) {
        bool trees = at == candidate->count;
        const struct script *s = k->script;
        if (trees == k->trees &&
            (trees || candidate->steps[at].kind == s->steps[s->count - 1].kind)) {
            while (!trees && candidate->count > at + 1)
                step_free(&candidate->steps[--candidate->count]);
            script_free(k->script);
            *k->script = *candidate;
            return true;
        }
    }
    script_free(candidate);
    return false;
}

/* Without steps [from, to). */
static struct script without(const struct script *script, size_t from, size_t to)
{
    struct script rest = {NULL};

    for (size_t i = 0; i < script->count; i++) {
        if (i < from || i >= to)
            script_add(&rest, step_copy(&script->steps[i]));
    }
    return rest;
}

/* Delta debugging (Zeller): ever smaller pieces, from the end, where removing is likeliest. */
static void remove_steps(struct shrinking *k)
{
    for (size_t piece = k->script->count / 2; piece > 0; piece /= 2) {
        for (size_t to = k->script->count; to > 0;) {
            size_t from = to > piece ? to - piece : 0;
            struct script candidate = without(k->script, from, to);
            take(k, &candidate);
            to = from < k->script->count ? from : k->script->count;
        }
    }
}

/* Does nothing for a step that is not there any more, as the script has become shorter. */
static bool try_step(struct shrinking *k, size_t i, struct step changed)
{
    if (i >= k->script->count)
        return false;
    changed = step_copy(&changed);
    struct script candidate = without(k->script, 0, 0);
    step_free(&candidate.steps[i]);
    candidate.steps[i] = changed;
    return take(k, &candidate);
}

static bool try_number(struct shrinking *k, size_t i, unsigned n, int64_t value)
{
    if (i >= k->script->count)
        return false;
    struct step changed = k->script->steps[i];
    if (changed.n[n] == value)
        return false;
    changed.n[n] = value;
    return try_step(k, i, changed);
}

static void simplify_number(struct shrinking *k, size_t i, unsigned n, bool flags)
{
    int64_t value = k->script->steps[i].n[n];

    if (value == 0 || try_number(k, i, n, 0))
        return;
    if (flags) {
        for (int64_t bit = 1; bit < 1 << 30; bit *= 2) {
            if (value & bit && try_number(k, i, n, value & ~bit))
                value &= ~bit;
        }
    } else {
        while ((value /= 2) && try_number(k, i, n, value))
            ;
    }
}

static void simplify(struct shrinking *k)
{
    for (size_t i = 0; i < k->script->count; i++) {
        struct step changed = k->script->steps[i];
        const char *arguments = step_arguments(changed.kind);
        unsigned n = 0;
        if (changed.who) {
            changed.who = 0;
            try_step(k, i, changed);
        }
        for (const char *a = arguments; *a && i < k->script->count; a++) {
            if (*a == 'x' || *a == 'i' || *a == 's')
                simplify_number(k, i, n, *a == 'x');
            n += *a != 'p' && *a != 't' && *a != 'a';
        }
    }
}

void shrink(struct script *script, unsigned seconds)
{
    struct shrinking k = {.script = script, .until = time(NULL) + seconds};
    size_t at, before;

    const char *why = replay(script, &at);
    if (!why)
        return; /* it does not fail again: as it is */
    printf("again, at step %zu:\n%s\n", at + 1, why);
    k.trees = at == script->count;
    while (!k.trees && script->count > at + 1)
        step_free(&script->steps[--script->count]);
    do {
        before = script->count;
        remove_steps(&k);
    } while (script->count < before);
    simplify(&k);
}
