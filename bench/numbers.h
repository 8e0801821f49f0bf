/* numbers.h - numbers that the bench programs make up, and those that they are given. */
#ifndef BENCH_NUMBERS_H
#define BENCH_NUMBERS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/** splitmix64: the generator of Steele, Lea and Flood, "Fast splittable pseudorandom number
 *  generators", 2014. Several threads may share a state. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = __atomic_add_fetch(state, 0x9e3779b97f4a7c15, __ATOMIC_RELAXED);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/** A number with an optional suffix K, M or G (powers of 1024). False: it is none. */
static inline bool parse_number(const char *text, uint64_t *value)
{
    static const char suffixes[] = "KMG";
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (errno || end == text || *text == '-' || (*end && (!suffix || end[1])))
        return false;
    if (suffix)
        *value <<= 10 * (suffix - suffixes + 1);
    return true;
}

#endif
