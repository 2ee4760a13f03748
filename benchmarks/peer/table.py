"""Prints what compare.py wrote with --json as tables, the rounds of one shape and format together.

    python table.py FILE...
"""

import json
import pathlib
import statistics
import sys


def median_range(values: list[float], digits: int) -> str:
    values = sorted(values)
    return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f} - {values[-1]:.{digits}f})"


def rows(files: list[dict]) -> dict[str, list[dict]]:
    """Rounds by name of the work: our rate, the peer's, our share of the machine's limit."""
    found: dict[str, list[dict]] = {}
    for file in files:
        for pairs, report in zip(file["rounds"], file["reports"]):
            shares = {f"decode {r['batch']} at {r['tokens']}": r for r in report.get("decode", [])}
            shares |= {f"prefill {r['tokens']}": r for r in report.get("prefill", [])}
            for name, (mine, theirs) in pairs.items():
                share = shares.get(name, {"share_of_limit": None, "bound": ""})
                found.setdefault(name, []).append({"mine": mine, "theirs": theirs, "ratio": mine / theirs, **share})
    return found


def table(files: list[dict]) -> str:
    """One table for files of the same shape and format."""
    o = files[0]["options"]
    machine = files[-1]["reports"][-1]["machine"]
    others = ", ".join(f"{x:.0f}" for f in files for x in f["others_cpu_s"]) or "not recorded"
    lines = [f"### {o['shape']} {o['format']}", ""]
    lines += [f"Java {machine['java']}, {machine['kernels']}. CPU seconds of other processes, by round: {others}.", ""]
    lines += ["| work | Freshet, tokens/s | llama.cpp | ratio of pairs | pairs | of the machine |", "|---|---|---|---|---|---|"]
    for name, pairs in rows(files).items():
        known = [p for p in pairs if p["share_of_limit"] is not None]
        share = ""
        if known:
            bound = statistics.mode(p["bound"] for p in known)
            share = f"{100 * statistics.median(p['share_of_limit'] for p in known):.0f} % {bound}"
        lines.append(
            f"| {name} | {statistics.median(p['mine'] for p in pairs):.1f} "
            f"| {statistics.median(p['theirs'] for p in pairs):.1f} "
            f"| {median_range([p['ratio'] for p in pairs], 2)} | {len(pairs)} | {share} |"
        )
    for name, what in (("verify", "draft of {rows} rows over one row"), ("flatness", "position {far:,} over {near:,}")):
        reports = [r[name] for f in files for r in f["reports"] if name in r]
        if reports:
            lines += ["", f"Time of a step, {what.format(**reports[0])}: {median_range([r['ratio'] for r in reports], 3)}."]
    return "\n".join(lines)


def main(paths: list[str]) -> None:
    groups: dict[tuple, list[dict]] = {}
    for path in paths:
        file = json.loads(pathlib.Path(path).read_text())
        java = file["reports"][-1]["machine"]["java"].split(".")[0]
        groups.setdefault((file["options"]["shape"], file["options"]["format"], java), []).append(file)
    print("\n\n".join(table(files) for files in groups.values()))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
