#include "brick/setvolume.h"

#include "proto/dict.h"
#include "proto/fop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

/* The op-version that clients of GlusterFS 11 claim (globals.h): gates features of a volume. */
#define OP_VERSION 110000

static const struct xdr_procedure setvolume = {
    GF_HNDSK_PROGRAM,
    GF_HNDSK_VERSION,
    GF_HNDSK_SETVOLUME,
    (xdrproc_t)xdr_gf_setvolume_args,
    (xdrproc_t)xdr_gf_setvolume_res,
    0,
};

/* What the dict holds, and what for: gluster-protocol facts are in server-setvolume.c. */
static int introduce(const struct session *s, struct dict *d)
{
    const struct brick_spec *spec = s->spec;
    char uuid[sizeof(s->identity->process_uuid) + 32];
    /* Another one each time, as GlusterFS's clients do it: a brick that hears late of a loss would
     * take us for the client that it is clearing away, with calls that are still under way, and
     * mix up the descriptors of both; release 10.3 dies of it. */
    snprintf(uuid, sizeof(uuid), "%s-RECON_NO:-%u", s->identity->process_uuid, s->started_before);
    int rc = dict_set_string(d, "remote-subvolume", spec->path);
    rc = rc ? rc : dict_set_string(d, "process-uuid", uuid);
    rc =
        rc ? rc : dict_set_int(d, "fops-version", GF_FOP_PROGRAM); /* the number, not the version */
    rc = rc ? rc : dict_set_int(d, "mgmt-version", GF_HNDSK_PROGRAM);
    rc = rc ? rc : dict_set_string(d, "client-version", "libgzc");
    rc = rc ? rc : dict_set_string(d, "process-name", program_invocation_short_name);
    rc = rc ? rc : dict_set_int(d, "opversion", OP_VERSION);
    rc = rc ? rc : dict_set_int(d, "clnt-lk-version", 1);
    if (!rc && spec->username)
        rc = dict_set_string(d, "username", spec->username);
    if (!rc && spec->password)
        rc = dict_set_string(d, "password", spec->password);
    if (!rc && spec->has_volume_id) {
        char text[UUID_STR_LEN];
        uuid_unparse_lower(spec->volume_id, text);
        rc = dict_set_string(d, "volume-id", text);
    }
    return rc;
}

void setvolume_begin(struct session *s, struct rpc_conn *conn, struct xdr_call *call,
                     void (*done)(struct xdr_call *))
{
    gf_setvolume_args args = {0};
    struct dict d;
    dict_init(&d);
    memset(&s->handshake_results, 0, sizeof(s->handshake_results));
    if (introduce(s, &d) == 0) {
        size_t size = dict_opaque_size(&d);
        args.dict.dict_val = malloc(size);
        args.dict.dict_len = args.dict.dict_val ? (u_int)size : 0;
        if (args.dict.dict_val)
            dict_opaque_encode(&d, (uint8_t *)args.dict.dict_val, size);
    }
    /* Without memory the brick gets an empty dict and says what it misses. */
    xdr_call_post(conn, call, &setvolume, &s->caller, &args, &s->handshake_results, done);
    free(args.dict.dict_val);
    dict_free(&d);
}

/* What the brick says to its refusal, beside the errno. */
static void refusal(struct session *s, const struct dict *answer, int err, struct errtext *why)
{
    const char *said = dict_get_string(answer, "ERROR");
    errtext_set(why, err, "%s: handshake refused: %s%s%.200s%s", s->label, errtext_errno(err),
                said ? " (\"" : "", said ? said : "", said ? "\")" : "");
}

int setvolume_end(struct session *s, struct xdr_call *call, struct errtext *why)
{
    struct gf_setvolume_res *res = &s->handshake_results;
    int error = call->rpc.error;
    struct dict answer;
    dict_init(&answer);
    if (!error) {
        error =
            dict_opaque_decode(&answer, (const uint8_t *)res->dict.dict_val, res->dict.dict_len);
        if (error)
            errtext_set(&call->rpc.conn->why, error, "malformed results in a reply");
    }
    if (error == -ETIMEDOUT) {
        errtext_set(why, error, "%s: no answer to the handshake in time", s->label);
    } else if (error) {
        errtext_set(why, error, "%s: handshake: %s", s->label, call->rpc.conn->why.text);
    } else if (res->op_ret < 0) {
        error = res->op_errno > 0 && res->op_errno < 4096 ? -res->op_errno : -EPROTO;
        refusal(s, &answer, error, why);
    } else {
        const char *id = dict_get_string(&answer, "volume-id");
        if (!id || uuid_parse(id, s->volume_id) < 0)
            uuid_clear(s->volume_id);
    }
    dict_free(&answer);
    xdr_free((xdrproc_t)xdr_gf_setvolume_res, (char *)res);
    return error;
}
