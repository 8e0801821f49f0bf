"""The cases of the comparison, and who takes part in them."""

from dataclasses import dataclass
from itertools import product

SIZES = {"4K": 4096, "64K": 65536, "128K": 131072, "1M": 1048576}


@dataclass(frozen=True)
class Client:
    key: str
    program: str
    label: str
    spin: bool  # polls for replies as the client would by itself
    connections: bool = False  # as many as threads


# libgzc and the floor are measured both ways, polling and sleeping.
GZC = Client("gzc", "load-gzc", "libgzc", True)
GZC_SLEEP = Client("gzc-sleep", "load-gzc", "libgzc, busy_poll_us=0", False)
GZC_CONNECTIONS = Client("gzc-n", "load-gzc", "libgzc, nconnect=4", True, True)
GFAPI = Client("gfapi", "load-gfapi", "libgfapi", False)
FUSE = Client("fuse", "load-posix", "FUSE mount", False)
FLOOR = Client("floor", "load-floor", "socket floor, polling", True)
FLOOR_SLEEP = Client("floor-sleep", "load-floor", "socket floor, sleeping", False)

# By way of a gateway beside the brick; only if asked for.
RDMA = (Client("rdma", "load-gzc", "libgzc by RDMA", True),
        Client("rdma-sleep", "load-gzc", "libgzc by RDMA, busy_poll_us=0", False))

CLIENTS = {c.key: c for c in (GZC, GZC_CONNECTIONS, GZC_SLEEP, *RDMA, GFAPI, FUSE, FLOOR, FLOOR_SLEEP)}
ON = {
    "brick": (GZC, FLOOR, GFAPI, FUSE, GZC_SLEEP, FLOOR_SLEEP),
    "null": (GZC, FLOOR, GZC_SLEEP, FLOOR_SLEEP),
}


@dataclass(frozen=True)
class Case:
    server: str  # "brick" or "null"
    op: str
    pattern: str
    block: str
    depth: int
    threads: int

    @property
    def clients(self):
        """Who takes part. The floor has a connection for each thread, and so can libgzc."""
        return ON[self.server] + ((GZC_CONNECTIONS,) if self.threads > 1 else ())

    @property
    def name(self):
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"{self.server} {self.op} {self.pattern} {self.block} depth {self.depth}{threads}"


def all_cases():
    cases = []
    for server, op, pattern, block in product(ON, ("read", "write"), ("random", "seq"), SIZES):
        for threads, depth in product((1, 4), (1, 4, 16, 64)):
            if depth >= threads:
                cases.append(Case(server, op, pattern, block, depth, threads))
    return cases


QUICK = (
    Case("brick", "read", "random", "4K", 1, 1),
    Case("brick", "read", "random", "4K", 16, 1),
    Case("brick", "read", "seq", "1M", 1, 1),
    Case("brick", "read", "seq", "1M", 4, 1),
    Case("brick", "write", "seq", "1M", 1, 1),
    Case("null", "read", "random", "4K", 1, 1),
    Case("null", "read", "random", "4K", 16, 1),
    Case("null", "read", "random", "4K", 4, 4),
)
# Those for which system calls are counted from outside, too, which takes a run under strace.
TRACED = QUICK[:4]
