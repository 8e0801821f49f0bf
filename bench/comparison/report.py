"""What the results say: goals, and tables in Markdown."""

FLOORS = ("floor", "floor-sleep")


class Results:
    """The medians of a results document."""

    def __init__(self, document):
        self.cases = {case["name"]: case for case in document["cases"]}

    def get(self, name, client, figure):
        case = self.cases.get(name)
        if not case or client not in case["clients"]:
            return None
        value = case["clients"][client]["summary"].get(figure)
        return value and value["median"]

    def ratio(self, name, figure, client, other):
        a, b = self.get(name, client, figure), self.get(name, other, figure)
        return a / b if a is not None and b else None

    def of_floor(self, name, client=None):
        """Calls per second of libgzc and of the better floor: their ratio. With several threads the
        floor has a connection for each of them, and so has libgzc, unless @p client is given."""
        floors = [self.get(name, floor, "calls_per_s") for floor in FLOORS]
        gzc = client and self.get(name, client, "calls_per_s")
        if not client:
            gzc = self.get(name, "gzc-n", "calls_per_s") or self.get(name, "gzc", "calls_per_s")
        floors = [f for f in floors if f]
        return gzc / max(floors) if gzc and floors else None


def goals(document):
    r = Results(document)
    random1 = "brick read random 4K depth 1"
    random16 = "brick read random 4K depth 16"
    seq1, seq4 = "brick read seq 1M depth 1", "brick read seq 1M depth 4"
    null1, null4 = "null read random 4K depth 1", "null read random 4K depth 4, 4 threads"
    of_floor = [v for v in map(r.of_floor, r.cases) if v is not None]
    one, four = (r.get(name, "gzc", "calls_per_s") for name in (null1, null4))
    candidates = [
        (f"calls/s, libgzc / better floor: least of {len(of_floor)} cases", ">=", 0.95,
         min(of_floor, default=None)),
        ("4 KiB random read, 1 outstanding: p50, libgzc / libgfapi", "<=", 0.4,
         r.ratio(random1, "p50_us", "gzc", "gfapi")),
        ("the same, libgzc / FUSE", "<=", 0.3, r.ratio(random1, "p50_us", "gzc", "fuse")),
        ("1 MiB sequential read, 1 outstanding: throughput, libgzc / libgfapi", ">=", 1.8,
         r.ratio(seq1, "gb_per_s", "gzc", "gfapi")),
        ("the same, libgzc / FUSE", ">=", 3.0, r.ratio(seq1, "gb_per_s", "gzc", "fuse")),
        ("the same, polling off: CPU per call, libgzc / libgfapi", "<=", 0.3,
         r.ratio(seq1, "cpu_us_per_call", "gzc-sleep", "gfapi")),
        ("4 KiB random read, 16 outstanding: calls/s, libgzc / libgfapi", ">=", 1.5,
         r.ratio(random16, "calls_per_s", "gzc", "gfapi")),
        ("1 MiB sequential read, 4 outstanding: throughput, libgzc / libgfapi", ">=", 1.5,
         r.ratio(seq4, "gb_per_s", "gzc", "gfapi")),
        ("the same: CPU per GB, libgzc / libgfapi", "<=", 0.4,
         r.ratio(seq4, "cpu_s_per_gb", "gzc", "gfapi")),
        ("4 KiB random read, 16 outstanding, null brick: receives per read", "<=", 1.1,
         r.get("null read random 4K depth 16", "gzc", "receives_per_call")),
        ("the same: sends per read", "<=", 0.3,
         r.get("null read random 4K depth 16", "gzc", "sends_per_call")),
        ("4 KiB random read, null brick: calls/s, 4 threads / 1 thread", ">=", 1.0,
         four / one if one and four else None),
    ]
    return [
        {"goal": goal, "relation": relation, "limit": limit, "measured": round(measured, 4),
         "met": measured <= limit if relation == "<=" else measured >= limit}
        for goal, relation, limit, measured in candidates if measured is not None
    ]


def describe(document):
    m = document["machine"]
    return (f"{m['cpus']} x {m['cpu']}, Linux {m['kernel']}, glusterfs {m['glusterfs']}, brick on "
            f"{m['filesystem']}, loopback" + "".join(f", RDMA device {d}" for d in m["rdma"]) +
            f", {m['date']}; medians of {document['rounds']} interleaved "
            f"rounds of {document['seconds']} s; file of {document['size'] >> 20} MiB, in the brick's "
            f"page cache")


def summary(document):
    lines = [describe(document), ""]
    for goal in document["goals"]:
        lines.append(f"  {goal['goal']:<72} {goal['relation']} {goal['limit']:<5} {goal['measured']:8.3f}  "
                     f"{'met' if goal['met'] else 'NOT MET'}")
    return "\n".join(lines)


def table(header, rows):
    alignment = "|".join(["---"] + ["---:"] * (len(header) - 1))
    return "\n".join(["| " + " | ".join(header) + " |", f"|{alignment}|",
                      *("| " + " | ".join(row) + " |" for row in rows)])


def goals_table(document):
    return table(("goal", "limit", "measured", ""), [
        (g["goal"], f"{g['relation']} {g['limit']}", f"{g['measured']:.3f}",
         "met" if g["met"] else "**not met**") for g in document["goals"]])


def floor_table(document):
    """libgzc against the better floor: one row per server, operation and size."""
    r = Results(document)
    columns = sorted({(c["threads"], c["depth"]) for c in document["cases"]})
    rows = {}
    for case in document["cases"]:
        key = f"{case['server']}, {case['op']} {case['pattern']} {case['block']}"
        row = rows.setdefault(key, {})
        row[case["threads"], case["depth"]] = r.of_floor(case["name"])
        if case["threads"] > 1:
            row["one", case["depth"]] = r.of_floor(case["name"], "gzc")
    shared = [("one", d) for t, d in columns if t > 1]
    names = [f"{d} outstanding" + (f", {t} threads" if t > 1 else "") for t, d in columns]
    names += [f"{d}, 4 threads, one connection" for _, d in shared]
    columns += shared
    header = ("calls/s, libgzc / better floor", *names)
    return table(header, [
        (key, *(f"{row[c]:.2f}" if row.get(c) else "" for c in columns)) for key, row in rows.items()])


def client_row(label, data):
    def figure(name, digits):
        return f"{data['summary'][name]['median']:.{digits}f}" if name in data["summary"] else ""

    def pair(unit, digits):
        # The kernel divides at its tick: all rounds together, not the median of short ones.
        user, system = (sum(r[f"{kind}_{unit}"] for r in data["rounds"]) for kind in ("user", "system"))
        elsewhere = data["summary"][f"elsewhere_{unit}"]["median"]
        own = max(data["summary"][f"cpu_{unit}"]["median"] - elsewhere, 0)
        share = user / (user + system) if user + system else 0
        text = f"{own * share:.{digits}f} + {own * (1 - share):.{digits}f}"
        return text + (f" + {elsewhere:.{digits}f}" if elsewhere else "")

    rate = data["summary"]["calls_per_s"]
    own = [data["summary"][f"{k}_per_call"]["median"] for k in ("sends", "receives", "waits")
           if f"{k}_per_call" in data["summary"]]
    traced = data.get("traced_syscalls_per_call")
    calls = f"{sum(own):.2f}" if own else ""
    if traced:
        calls += f" ({traced:.2f})"
    return (label, f"{rate['median']:.0f}", f"{rate['min']:.0f}-{rate['max']:.0f}", figure("gb_per_s", 3),
            figure("p50_us", 1), figure("p99_us", 1), figure("p999_us", 1), pair("us_per_call", 2),
            pair("s_per_gb", 3), calls, figure("switches_per_call", 2))


def markdown(document, pictures):
    header = ("", "calls/s", "least-most", "GB/s", "p50 us", "p99 us", "p99.9 us",
              "CPU us/call, user + system", "CPU s/GB, user + system", "system calls/call",
              "context switches/call")
    parts = ["# libgzc, libgfapi, a FUSE mount and the bare socket", "", describe(document) + ".", "",
             "libgfapi and the FUSE mount have the translators that a volume has by default, write-behind "
             "among them: their writes are over before the brick has them. The third part of the FUSE mount's "
             "CPU time is that of its own process, whose context switches are counted as well. System calls per "
             "call are as libgzc counts its own; in parentheses as strace counts them, whose slowness changes what it "
             "counts.", "", goals_table(document), "", floor_table(document), ""]
    parts += [f"![{title}]({name}.svg)\n" for name, title in pictures]
    for case in document["cases"]:
        rows = [client_row(document["clients"][key], data) for key, data in case["clients"].items()]
        parts += [f"## {case['name']}", "", table(header, rows), ""]
    return "\n".join(parts)
