"""Pictures of the results, by gnuplot: SVG for pages, PNG for everything else."""

import subprocess

from cases import SIZES
from report import FLOORS, Results

# Of Okabe and Ito's palette, which colour-blind people can tell apart too; the same in all pictures.
COLOURS = {
    "gzc": "#0072b2", "gzc-sleep": "#56b4e9", "gfapi": "#d55e00", "fuse": "#e69f00",
    "floor": "#444444", "floor-sleep": "#999999", "rdma": "#009e73", "rdma-sleep": "#66c4ad",
}
SHOWN = ("floor", "rdma", "gzc", "gfapi", "fuse")
LABELS = {"floor": "socket floor", "gzc": "libgzc", "gfapi": "libgfapi", "fuse": "FUSE mount",
          "gzc-sleep": "libgzc, sleeping", "floor-sleep": "floor, sleeping",
          "rdma": "libgzc by RDMA", "rdma-sleep": "RDMA, sleeping"}

STYLE = """
set encoding utf8
set border 3 lc rgb '#888888'
set tics nomirror textcolor rgb '#333333'
set grid ytics lc rgb '#e4e4e4' lt 1
set key outside bottom center horizontal reverse Left textcolor rgb '#333333' samplen 2 width 2
set bmargin 5
set title textcolor rgb '#111111' offset 0,0.3
set ylabel textcolor rgb '#333333'
set xlabel textcolor rgb '#333333'
set style fill solid 1 noborder
set boxwidth 0.85 relative
set yrange [0:*]
"""


def quoted(text):
    return '"' + text.replace('"', "'") + '"'


def datablock(name, rows):
    lines = (" ".join("NaN" if v is None else quoted(v) if isinstance(v, str) else f"{v:.6g}" for v in row)
             for row in rows)
    return f"${name} << END\n" + "\n".join(lines) + "\nEND\n"


def bars(title, ylabel, groups, clients, value, block="data"):
    """Grouped bars: a group for each of (label, key), a bar for each client."""
    rows = [(label, *(value(key, client) for client in clients)) for label, key in groups]
    plots = ", ".join(
        f"${block} using {i + 2}:xtic(1) title '{LABELS[c]}' lc rgb '{COLOURS[c]}'"
        for i, c in enumerate(clients))
    return (datablock(block, rows) + "set style data histograms\nset style histogram clustered gap 1\n"
            f"set xtics scale 0\nset xrange [-0.7:{len(groups) - 0.3}]\n"
            f"set title {quoted(title)}\nset ylabel {quoted(ylabel)}\nplot {plots}\n")


def better_floor(r, name, figure):
    return max((v for v in (r.get(name, floor, figure) for floor in FLOORS) if v is not None), default=None)


def measured(r, clients):
    """Those of the clients that took part: RDMA is there only if it was asked for."""
    there = {key for case in r.cases.values() for key in case["clients"]}
    return [c for c in clients if c in there]


def shown(r, name, client, figure):
    """The floor stands for the better of the polling and the sleeping one."""
    return better_floor(r, name, figure) if client == "floor" else r.get(name, client, figure)


def throughput(r):
    groups = [(f"{op} {size}", f"brick {op} seq {size} depth 1") for op in ("read", "write") for size in SIZES]
    groups = [g for g in groups if g[1] in r.cases]
    if not groups:
        return None
    return bars("One call outstanding, sequential: throughput by block size (higher is better)", "GB/s", groups,
                measured(r, SHOWN), lambda key, client: shown(r, key, client, "gb_per_s"))


def calls_by_depth(r):
    depths = [d for d in (1, 4, 16, 64) if f"brick read random 4K depth {d}" in r.cases]
    if len(depths) < 2:
        return None
    rows = [(d, *((shown(r, f"brick read random 4K depth {d}", c, "calls_per_s") or 0) / 1000 for c in measured(r, SHOWN)))
            for d in depths]
    plots = ", ".join(
        f"$data using 1:{i + 2} title '{LABELS[c]}' with linespoints lw 3 pt 7 lc rgb '{COLOURS[c]}'"
        for i, c in enumerate(measured(r, SHOWN)))
    return (datablock("data", rows) + "set logscale x 2\nset xtics (1,4,16,64)\nset bmargin 6\n"
            "set xlabel 'calls outstanding'\n"
            "set title '4 KiB random reads per second, one thread (higher is better)'\n"
            f"set ylabel 'thousand calls/s'\nset xrange [0.9:{depths[-1] * 1.1}]\nplot {plots}\n")


def latency(r):
    name = "brick read random 4K depth 1"
    if name not in r.cases:
        return None
    clients = measured(r, ("floor", "rdma", "rdma-sleep", "gzc", "gzc-sleep", "gfapi", "fuse"))
    rows = [(LABELS[c].replace(" ", "\\n", 1), r.get(name, c, "p50_us"), r.get(name, c, "p99_us"), i)
            for i, c in enumerate(clients)]
    colours = "\n".join(f"set linetype {i + 1} lc rgb '{COLOURS[c]}'" for i, c in enumerate(clients))
    panels = "".join(
        f"set title '{title}'\nplot $data using 4:{column}:($4+1):xtic(1) with boxes lc variable, "
        f"$data using 4:{column}:(sprintf('%.0f', ${column})) with labels offset 0,0.7 textcolor rgb '#111111'\n"
        for column, title in ((2, "median"), (3, "99th percentile")))
    return (datablock("data", rows) + colours + "\nset boxwidth 0.65 absolute\n"
            f"set xrange [-0.6:{len(clients) - 0.4}]\nunset key\n"
            "set ylabel 'µs'\nset bmargin 4\nset xtics scale 0 font ',12'\nset offsets 0,0,graph 0.1,0\n"
            "set multiplot layout 1,2 title 'Latency of a 4 KiB random read, one outstanding (lower is better)' "
            f"textcolor rgb '#111111'\n{panels}unset multiplot\n")


def cpu(r):
    groups = [("read 4K, 16 outstanding", "brick read random 4K depth 16"),
              ("read 64K", "brick read seq 64K depth 1"), ("read 1M", "brick read seq 1M depth 1"),
              ("read 1M, 4 outstanding", "brick read seq 1M depth 4"),
              ("write 1M", "brick write seq 1M depth 1")]
    groups = [g for g in groups if g[1] in r.cases]
    if not groups:
        return None
    # 4 KiB calls cost ten times as much per byte: a logarithmic axis shows both.
    return "set logscale y\nset yrange [*:*]\n" + bars(
        "CPU time of the client (lower is better; logarithmic)", "s/GB", groups,
        measured(r, ("floor-sleep", "rdma-sleep", "rdma", "gzc-sleep", "gzc", "gfapi", "fuse")), lambda key, client: r.get(key, client, "cpu_s_per_gb"))


RATIO_MAX = 2  # higher ones are drawn there


def floor_ratio(r):
    """A column for each operation and size: in it the cases in their order, those on the real brick
    left, those on the null brick right."""
    columns, points = {}, {"brick": [], "null": []}
    for name, case in r.cases.items():
        ratio = r.of_floor(name)
        column = columns.setdefault((case["op"], case["pattern"], case["block"]), len(columns))
        if ratio:
            order = sum(int(x) == column for x, _ in points[case["server"]])
            start = column + (0.08 if case["server"] == "brick" else 0.54)
            points[case["server"]].append((start + 0.06 * order, min(ratio, RATIO_MAX)))
    if sum(map(len, points.values())) < 4:
        return None
    text = "".join(datablock(server, rows) for server, rows in points.items() if rows)
    tics = ", ".join(f'"{op}\\n{pattern}\\n{block}" {i + 0.5}' for (op, pattern, block), i in columns.items())
    lines = "".join(f"set arrow from {i},graph 0 to {i},graph 1 nohead lc rgb '#dddddd'\n"
                    for i in range(1, len(columns)))
    titles = {"brick": ("real brick", COLOURS["gzc"], 7), "null": ("null brick", COLOURS["gfapi"], 5)}
    plots = ", ".join(f"${server} using 1:2 with points pt {shape} lc rgb '{colour}' title '{title}'"
                      for server, (title, colour, shape) in titles.items() if points[server])
    return (text + lines + f"set xtics ({tics}) scale 0 font ',12'\nset xrange [0:{len(columns)}]\n"
            "set title 'Calls per second, libgzc / better socket floor, in every case (higher is better)'\n"
            "set xlabel 'in each column: 1, 4, 16, 64 outstanding with one thread, then 4, 16, 64 with four'"
            " font ',12' offset 0,-1.8\nset ylabel 'ratio'\nset bmargin 8\n"
            f"set yrange [0:{RATIO_MAX}.05]\nset ytics add ('≥ {RATIO_MAX}' {RATIO_MAX})\n"
            "plot 0.95 with lines dt 2 lw 1.5 lc rgb '#666666' title 'goal: 0.95', "
            f"1 with lines lc rgb '#999999' notitle, {plots}\n")


PICTURES = (
    ("throughput", "Throughput by block size, one call outstanding", throughput),
    ("calls", "4 KiB random reads per second by calls outstanding", calls_by_depth),
    ("latency", "Latency of a 4 KiB random read", latency),
    ("cpu", "CPU time of the client per GB", cpu),
    ("floor", "libgzc against the socket floor in every case", floor_ratio),
)


def draw(document, output):
    """Draws what there are cases for; gives (name, title) of each picture."""
    results, drawn = Results(document), []
    for name, title, make in PICTURES:
        body = make(results)
        if not body:
            continue
        for terminal, points, suffix in (
                ("svg size 900,460 font 'Helvetica,14' background rgb 'white'", 0.55, "svg"),
                ("pngcairo size 1350,690 font 'Sans,16' background rgb 'white'", 1.2, "png")):
            script = (f"set terminal {terminal}\nset pointsize {points}\n"
                      f"set output '{output}/{name}.{suffix}'\n{STYLE}{body}")
            subprocess.run(["gnuplot"], input=script, text=True, check=True)
        drawn.append((name, title))
    return drawn
