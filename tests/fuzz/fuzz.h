/*
 * What the targets share. A target is a file with LLVMFuzzerTestOneInput(): it decodes the bytes,
 * and if they are accepted, checks what the decoder promises. The sanitizers see to the rest: the
 * input lies in memory of exactly its length.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t length);

/* A target may have this: it makes a new input of one, in @p room bytes, and returns its length. */
size_t LLVMFuzzerCustomMutator(uint8_t *in, size_t length, size_t room, unsigned seed);
/* libFuzzer's own way to do that. */
size_t LLVMFuzzerMutate(uint8_t *in, size_t length, size_t room);

/* A promise that is broken ends the run; the input is kept as a crash. */
#define promise(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #what);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
