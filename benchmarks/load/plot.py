"""Draws the reports of load_test.py: open requests against time, and percentiles of the time to the first token, at each load.

    python plot.py DIR OUT.png        (pip install matplotlib)
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = ["#2a6f97", "#e09f3e", "#9e2a2b", "#540b0e"]


def main() -> None:
    work, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    loads = json.loads((work / "report.json").read_text())["loads"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    for load, colour in zip(loads, COLOURS):
        report = json.loads((work / f"load-{load['share']:g}.json").read_text())
        label = f"{100 * load['share']:.0f} % ({load['window']['offered_requests_per_second']:.0f} requests/s)"
        rows = report["timeline"]
        left.plot([r["seconds"] for r in rows], [r["open"] for r in rows], color=colour, label=label)
        left.axvline(report["seconds"], color="0.8", linewidth=0.8, zorder=0)
        first = report["latency_ms"]["time_to_first_token"]
        names = ["p50", "p90", "p95", "p99"]
        right.plot(names, [first[n] / 1000 for n in names], color=colour, marker="o", label=label)
    left.set_xlabel("seconds (grey: end of the traffic)")
    left.set_ylabel("open requests")
    left.set_ylim(0, 1.35 * max(load["backlog"]["most_open"] for load in loads))
    left.legend(frameon=False, loc="upper left")
    right.set_yscale("log")
    right.set_ylabel("time to first token, seconds")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(out, dpi=130)


if __name__ == "__main__":
    main()
