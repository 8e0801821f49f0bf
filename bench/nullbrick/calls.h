/*
 * calls.h - what the null brick answers to every call but READ and WRITE, which serve.c does
 * itself.
 */
#ifndef NULLBRICK_CALLS_H
#define NULLBRICK_CALLS_H

#include "proto/rpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A call whose RPC header has been looked through. */
struct call {
    uint32_t xid, prog, vers, proc;
    uint32_t uid, gid;   /* of the credential */
    const uint8_t *args; /* to the end of the record */
    size_t length;
    bool *introduced; /* SETVOLUME has been answered with success on this connection */
};

/* Before a reply's results: the record mark and the RPC header (RFC 5531 sections 11 and 9). */
#define REPLY_HEAD 28

/** Writes the first REPLY_HEAD bytes of a reply of @p length bytes, record mark included. */
void reply_head(uint8_t *out, size_t length, uint32_t xid, enum onc_accept_stat stat);

/**
 * Executes a call. @param export  the path that SETVOLUME must name.
 * @return the reply, with its record mark, to be freed by the caller; *length: its bytes. NULL: no
 * memory. Thread safe.
 */
uint8_t *call_answer(const struct call *call, const char *export, size_t *length);

#endif
