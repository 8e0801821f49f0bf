"""Runs the comparison; bench/compare starts it beside a brick."""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import plots
import report
from cases import CLIENTS, ON, QUICK, RDMA, SIZES, TRACED, all_cases


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("build", "output", "volfile", "mount", "brick", "brick-directory", "rdma"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--size", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--cases", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


class Bench:
    """The programs, and what they are pointed at."""

    def __init__(self, args):
        self.args = args
        self.null = None
        self.where = {
            ("brick", "gzc"): args.brick,
            ("brick", "rdma"): args.rdma,
            ("brick", "floor"): args.brick,
            ("brick", "gfapi"): args.volfile,
            ("brick", "fuse"): args.mount,
        }

    def start_null(self):
        command = [f"{self.args.build}/nullbrick", "--name", "load", "--size", str(self.args.size)]
        command = ["setpriv", "--pdeathsig", "KILL", *command]
        self.null = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        uri = self.null.stdout.readline().strip()
        if not uri:
            sys.exit("compare: nullbrick did not start")
        self.where["null", "gzc"] = self.where["null", "floor"] = uri

    def stop_null(self):
        if self.null:
            self.null.terminate()
            self.null.wait()

    def fill(self):
        """Makes the file, whole, through the mount; it is in the brick's page cache from then on."""
        block = bytes(range(256)) * 4096
        with open(f"{self.args.mount}/load", "wb", buffering=0) as file:
            for at in range(0, self.args.size, len(block)):
                file.write(block[: self.args.size - at])

    def command(self, case, client, seconds, seed):
        where = self.where[case.server, client.key.split("-")[0]]
        if client.connections:
            where += f"?nconnect={case.threads}"
        return [
            f"{self.args.build}/{client.program}", where, "--path", "/load",
            "--size", str(self.args.size), "--op", case.op, "--pattern", case.pattern,
            "--block", case.block, "--depth", str(case.depth), "--threads", str(case.threads),
            "--seconds", str(seconds), "--spin", str(int(client.spin)), "--seed", str(seed),
        ]

    def run(self, case, client, seconds, seed, wrap=()):
        command = [*wrap, *self.command(case, client, seconds, seed)]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if case.op == "write" and case.server == "brick":
            # What was written would go to the disk at the next one's expense.
            subprocess.run(["sync", "-f", self.args.brick_directory], check=True)
        if result.returncode:
            sys.exit(f"compare: failed: {' '.join(command)}")
        values = dict(line.split("=", 1) for line in result.stdout.splitlines())
        values.pop("client")
        return {key: float(value) for key, value in values.items()}

    def traced_calls(self, case, client):
        """System calls per call as strace counts them: the difference of a run that hardly does
        any and a longer one, in which mounting and ending cancel out."""
        totals = []
        for seconds in (0, 0.6):
            with tempfile.TemporaryDirectory() as logs, ExitStack() as ends:
                if client.key == "fuse":
                    ends.enter_context(traced_process(os.environ["LOAD_MOUNT_PID"], f"{logs}/mount"))
                strace = (*STRACE, "-o", f"{logs}/load")
                values = self.run(case, client, seconds, 1, strace)
                ends.close()
                totals.append((sum(map(traced_count, Path(logs).iterdir())), values["all"]))
        (fewer, short), (more, longer) = totals
        return (more - fewer) / (longer - short) if longer > short else None


STRACE = ("strace", "-f", "-c", "-U", "calls,name")


@contextmanager
def traced_process(pid, log):
    """Counts the system calls of a process that runs already."""
    strace = subprocess.Popen((*STRACE, "-o", log, "-p", pid), stderr=subprocess.PIPE, text=True)
    strace.stderr.readline()  # says that it is attached
    try:
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate()


def traced_count(log):
    lines = [line.split() for line in log.read_text().splitlines()]
    # The load generator sleeps beside the client: that is not the client's.
    return sum(int(line[0]) for line in lines if len(line) == 2 and line[0].isdigit()
               and line[1] not in ("total", "clock_nanosleep"))


def derive(raw, block):
    """What a measurement says per call and per byte."""
    calls = max(raw["calls"], 1)
    gigabytes = calls * block / 1e9
    figures = {
        "calls_per_s": raw["calls"] / raw["wall"],
        "gb_per_s": raw["calls"] * block / raw["wall"] / 1e9,
        "p50_us": raw["p50"],
        "p99_us": raw["p99"],
        "p999_us": raw["p999"],
        "switches_per_call": (raw["voluntary"] + raw["involuntary"] + raw["switches_elsewhere"])
        / calls,
    }
    # What another process does for the client (FUSE) is CPU time of its own kind: it is not divided.
    raw["cpu"] += raw["elsewhere"]
    for kind in ("user", "system", "elsewhere", "cpu"):
        figures[f"{kind}_s_per_gb"] = raw[kind] / gigabytes
        figures[f"{kind}_us_per_call"] = raw[kind] / calls * 1e6
    if "sends" in raw:
        for kind in ("sends", "receives", "waits"):
            figures[f"{kind}_per_call"] = raw[kind] / calls
    return figures


def summarize(rounds):
    """Medians over the rounds, with the least and the most."""
    summary = {}
    for key in rounds[0]:
        values = [r[key] for r in rounds]
        summary[key] = {"median": median(values), "min": min(values), "max": max(values)}
    return summary


class Progress:
    def __init__(self, total):
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.terminal = sys.stderr.isatty()

    def step(self, what):
        percent = self.done * 100 // self.total
        if self.terminal:
            spent = time.monotonic() - self.start
            left = spent / self.done * (self.total - self.done) / 60 if self.done else 0
            print(f"\r\033[K{percent:3d} %  {left:4.0f} min left  {what}", end="", file=sys.stderr,
                  flush=True)
        elif self.done * 10 // self.total != (self.done - 1) * 10 // self.total:
            print(f"compare: {percent} %", file=sys.stderr, flush=True)
        self.done += 1

    def end(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr)


def machine(args):
    def output(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.split()

    cpu = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": cpu[1] if cpu else platform.machine(),
        "kernel": platform.release(),
        "glusterfs": output("glusterfsd", "--version")[1],
        "filesystem": output("df", "--output=fstype", args.brick_directory)[-1],
        "date": time.strftime("%Y-%m-%d"),
        "rdma": sorted(d.name for d in Path("/sys/class/infiniband").glob("*")) if args.rdma else [],
    }


def measure(bench, cases, rounds, seconds):
    """Every client in turn, in every round; who begins moves on by one from round to round."""
    results = {case: {client.key: [] for client in case.clients} for case in cases}
    progress = Progress(sum(len(case.clients) for case in cases) * rounds)
    for number in range(rounds):
        for case in cases:
            clients = case.clients
            for i in range(len(clients)):
                client = clients[(i + number) % len(clients)]
                progress.step(f"round {number + 1}/{rounds}  {case.name}  {client.label}")
                raw = bench.run(case, client, seconds, number + 1)
                results[case][client.key].append(derive(raw, SIZES[case.block]))
    progress.end()
    return results


def trace(bench, cases):
    return {
        (case, client.key): bench.traced_calls(case, client)
        for case in cases if case in TRACED
        for client in case.clients
    }


def document_of(args, seconds, results, traced):
    cases = []
    for case, by_client in results.items():
        clients = {
            key: {"summary": summarize(rounds), "rounds": rounds,
                  "traced_syscalls_per_call": traced.get((case, key))}
            for key, rounds in by_client.items()
        }
        cases.append({**case.__dict__, "name": case.name, "clients": clients})
    document = {
        "machine": machine(args),
        "rounds": args.rounds, "seconds": seconds, "size": args.size,
        "clients": {key: client.label for key, client in CLIENTS.items()},
        "cases": cases,
    }
    document["goals"] = report.goals(document)
    return document


def main():
    args = arguments()
    # An exception: what is running is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cases = [c for c in (QUICK if args.quick else all_cases())
             if re.search(args.cases, c.name + " ")]
    if not cases:
        sys.exit("compare: no case has such a name; --list shows all")
    if args.list:
        print("\n".join(case.name for case in cases))
        return
    if args.rdma:
        ON["brick"] += RDMA
    seconds = args.seconds or (0.1 if args.quick else 0.2)
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    bench = Bench(args)
    try:
        bench.start_null()
        bench.fill()
        results = measure(bench, cases, args.rounds, seconds)
        traced = {} if args.quick else trace(bench, cases)
    finally:
        bench.stop_null()
    document = document_of(args, seconds, results, traced)
    (output / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    pictures = plots.draw(document, output)
    (output / "results.md").write_text(report.markdown(document, pictures))
    print(report.summary(document))
    print(f"\n{output}: results.json, results.md and {len(pictures)} pictures")


if __name__ == "__main__":
    main()
