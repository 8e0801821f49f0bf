#include "volume/ping.h"

static void ping_done(struct rpc_call *call)
{
    struct ping_op *p = (struct ping_op *)((char *)call - offsetof(struct ping_op, call));
    if (call->error)
        session_text(op_why(&p->op), p->session, call, FATE_PLAIN, "PING", NULL, call->error);
    else
        *p->nanoseconds = clock_now() - p->begun;
    op_finish(&p->op, call->error);
}

void ping_init(struct ping_op *p, struct gzc_volume *v, struct session *s, uint64_t *nanoseconds)
{
    op_init(&p->op, v);
    p->session = s;
    p->nanoseconds = nanoseconds;
}

void ping_start(struct op *op)
{
    struct ping_op *p = (struct ping_op *)op;
    rpc_ping_call(&p->call, p->head);
    p->call.done = ping_done;
    p->call.deadline = op->context.deadline;
    p->call.owner = op;
    p->begun = clock_now();
    rpc_post(session_connection(p->session), &p->call);
}
