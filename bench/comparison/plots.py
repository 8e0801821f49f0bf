"""Pictures of the results, by gnuplot: SVG for pages, PNG for everything else."""

import subprocess

from cases import SIZES
from report import Results

# Of Okabe and Ito's palette, which colour-blind people can tell apart too; the same in all pictures.
COLOURS = {
    "gzc": "#0072b2", "gzc-sleep": "#56b4e9", "gfapi": "#d55e00", "fuse": "#e69f00",
    "floor": "#444444", "floor-sleep": "#999999",
}
SHOWN = ("floor", "gzc", "gfapi", "fuse")
LABELS = {"floor": "socket floor", "gzc": "libgzc", "gfapi": "libgfapi", "fuse": "FUSE mount",
          "gzc-sleep": "libgzc, sleeping", "floor-sleep": "floor, sleeping"}

STYLE = """
set encoding utf8
set border 3 lc rgb '#888888'
set tics nomirror textcolor rgb '#333333'
set grid ytics lc rgb '#e4e4e4' lt 1
set key outside bottom center horizontal reverse Left textcolor rgb '#333333' samplen 2 width 2
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
            f"set title {quoted(title)}\nset ylabel {quoted(ylabel)}\nplot {plots}\n")


def throughput(r):
    groups = [(f"{op} {size}", f"brick {op} seq {size} depth 1") for op in ("read", "write") for size in SIZES]
    groups = [g for g in groups if g[1] in r.cases]
    if not groups:
        return None
    return bars("One call outstanding, sequential: throughput by block size (higher is better)", "GB/s", groups,
                SHOWN, lambda key, client: r.get(key, client, "gb_per_s"))


def calls_by_depth(r):
    depths = [d for d in (1, 4, 16, 64) if f"brick read random 4K depth {d}" in r.cases]
    if len(depths) < 2:
        return None
    clients = SHOWN
    rows = [(d, *((r.get(f"brick read random 4K depth {d}", c, "calls_per_s") or 0) / 1000 for c in clients))
            for d in depths]
    plots = ", ".join(
        f"$data using 1:{i + 2} title '{LABELS[c]}' with linespoints lw 2.5 pt 7 ps 0.9 lc rgb '{COLOURS[c]}'"
        for i, c in enumerate(clients))
    return (datablock("data", rows) + "set logscale x 2\nset xtics (1,4,16,64)\nset xlabel 'calls outstanding'\n"
            "set title '4 KiB random reads per second, one thread (higher is better)'\n"
            f"set ylabel 'thousand calls/s'\nset xrange [0.9:72]\nplot {plots}\n")


def latency(r):
    name = "brick read random 4K depth 1"
    if name not in r.cases:
        return None
    clients = ("floor", "gzc", "gzc-sleep", "gfapi", "fuse")
    rows = [(LABELS[c], r.get(name, c, "p50_us"), r.get(name, c, "p99_us"), i) for i, c in enumerate(clients)]
    colours = "\n".join(f"set linetype {i + 1} lc rgb '{COLOURS[c]}'" for i, c in enumerate(clients))
    return (datablock("data", rows) + colours + "\nset boxwidth 0.6 absolute\nset xrange [-0.6:4.6]\nunset key\nset logscale y\nset yrange [10:*]\n"
            "set title '4 KiB random read, one outstanding: median latency, line up to the 99th percentile"
            " (lower is better; logarithmic)'\nset ylabel 'µs'\n"
            "plot $data using 4:2:($4+1):xtic(1) with boxes lc variable, "
            "$data using 4:2:2:3 with yerrorbars pt 0 lw 1.5 lc rgb '#222222', "
            "$data using 4:2:(sprintf('%.0f', $2)) with labels offset 0,-1 textcolor rgb 'white'\n")


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
        ("floor-sleep", "gzc-sleep", "gzc", "gfapi", "fuse"), lambda key, client: r.get(key, client, "cpu_s_per_gb"))


def floor_ratio(r):
    rows = {"brick": [], "null": []}
    for name, case in r.cases.items():
        ratio = r.of_floor(name)
        if ratio:
            rows[case["server"]].append(ratio)
    text = "".join(datablock(server, [(i, v) for i, v in enumerate(sorted(values))])
                   for server, values in rows.items() if values)
    if len(rows["brick"]) + len(rows["null"]) < 4:
        return None
    titles = {"brick": ("real brick", COLOURS["gzc"]), "null": ("null brick", COLOURS["gfapi"])}
    plots = ", ".join(f"${s} using 1:2 with points pt 7 ps 0.8 lc rgb '{titles[s][1]}' title '{titles[s][0]}'"
                      for s in rows if rows[s])
    return (text + "set title 'Calls per second, libgzc / better socket floor: every case, in order"
            " (higher is better)'\nset ylabel 'ratio'\nset xlabel 'cases, the worst first'\nset xrange [-1:*]\n"
            f"plot 0.95 with lines dt 2 lc rgb '#888888' title '0.95', 1 with lines lc rgb '#bbbbbb' notitle, {plots}\n")


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
        for terminal, suffix in (("svg size 900,460 font 'Helvetica,14' background rgb 'white'", "svg"),
                                 ("pngcairo size 1350,690 font 'Sans,16' background rgb 'white'", "png")):
            script = f"set terminal {terminal}\nset output '{output}/{name}.{suffix}'\n{STYLE}{body}"
            subprocess.run(["gnuplot"], input=script, text=True, check=True)
        drawn.append((name, title))
    return drawn
