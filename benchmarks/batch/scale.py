"""Runs `./freshet batch` over many short requests, kills it twice with SIGKILL, resumes it, and checks what it left behind.

    python scale.py --work DIR [--lines 100000] [--kills 2] [--slots 32] [--heap 256m] [--check 10000] [--good-every 1] [--json FILE]

It checks that each line has exactly one answer, that the answers of the first `--check` lines equal those of an undisturbed run over
these lines alone, byte for byte but for the moment at which a batch began, and that the heap after collections stays flat. The model is
models/freshet-tiny; the requests are made up here, the same on every call, one in a thousand of them wrong in one of four ways. With
`--good-every N` only each N-th line is a request at all: how memory grows with lines shows without the hours of their generation.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUBJECTS = "the fox|an old sailor|the queen|my brother|a tired horse|the miller|the north wind|a small girl".split("|")
VERBS = "went to|looked at|dreamt of|ran from|sang about|waited for|could not find|remembered".split("|")
OBJECTS = "the sea|a golden key|the dark wood|her house|a letter|the last ship|nothing at all|the mountain".split("|")
CREATED = re.compile(rb'"created":\d+,')
HEAP = re.compile(r"^\[([\d.]+)s\].*?(\d+)M->(\d+)M\((\d+)M\)")


def request(i: int, good_every: int) -> str:
    """A request line; its text and length follow from its number alone."""
    if i % good_every != 0:
        return f"this is no request {i}"
    prompt = f"{SUBJECTS[i % 8]} {VERBS[i // 8 % 8]} {OBJECTS[i // 64 % 8]}"
    body = {"prompt": prompt[0].upper() + prompt[1:], "max_tokens": 3 + i * 7 % 6}
    kind = i // 1000 % 4 if i % 1000 == 500 else -1
    if kind == 0:
        return f"this is no request {i}"
    if kind == 1:
        body["temperature"] = 9
    if kind == 2:
        body["max_tokens"] = -1
    name = "line-0" if kind == 3 else f"line-{i}"
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/completions", "body": body})


def write(file: pathlib.Path, lines: int, good_every: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as out:
        for i in range(lines):
            out.write(request(i, good_every) + "\n")


def count(file: pathlib.Path) -> int:
    if not file.exists():
        return 0
    with file.open("rb") as data:
        return sum(block.count(b"\n") for block in iter(lambda: data.read(1 << 20), b""))


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024
    except (OSError, AttributeError):
        return 0.0


class Run:
    """One process of a batch, with its log and that of its collector."""

    def __init__(self, o: argparse.Namespace, source: pathlib.Path, target: pathlib.Path, name: str):
        self.collections = o.work / f"{name}.gc.log"
        self.log = o.work / f"{name}.log"
        # A new process must not find the log of one that had its number.
        self.collections.unlink(missing_ok=True)
        flags = f"-Xlog:gc:file={self.collections}:uptime"
        environment = dict(os.environ, FRESHET_HEAP=o.heap, FRESHET_JAVA=flags)
        command = [str(ROOT / "freshet"), "batch", "--input", str(source), "--output", str(target), "--slots", str(o.slots)]
        self.start = time.time()
        self.process = subprocess.Popen(command, stdout=self.log.open("w"), stderr=subprocess.STDOUT, env=environment)
        self.rss = []

    def watch(self, file: pathlib.Path, until: int | None) -> int:
        """Waits for the end, or kills the process when a file has so many lines; returns the exit status."""
        while True:
            try:
                return self.process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                self.rss.append(resident(self.process.pid))
                if until is not None and count(file) >= until:
                    self.process.send_signal(signal.SIGKILL)
                    return self.process.wait()

    def heap(self) -> list[tuple[float, int]]:
        """Uptime in seconds and MiB that were left, of each collection."""
        found = [HEAP.match(line) for line in self.collections.read_text().splitlines()]
        return [(float(m.group(1)), int(m.group(3))) for m in found if m]

    def summary(self) -> dict[str, str]:
        rows = (line.split(None, 1) for line in self.log.read_text().splitlines())
        return {row[0]: row[1] for row in rows if len(row) == 2}


def answers(folder: pathlib.Path, limit: int | None = None) -> dict[int, bytes]:
    """The answer of each line by its number; fails where one has two."""
    found = {}
    for name in ("output.jsonl", "errors.jsonl"):
        with (folder / name).open("rb") as data:
            for line in data:
                number = json.loads(line)["response"]["body"]["source"]["offset"]
                if number in found:
                    sys.exit(f"Line {number} has two answers.")
                if limit is None or number < limit:
                    found[number] = CREATED.sub(b"", line)
                else:
                    found[number] = b""
    return found


def flatness(heap: list[tuple[float, int]]) -> list[str]:
    """Smallest and largest heap after a collection in each tenth of a run, its first tenths being start-up and compilation."""
    end = heap[-1][0]
    tenths = [[left for at, left in heap if i * end / 10 <= at <= (i + 1) * end / 10] for i in range(10)]
    return [f"{min(tenth)}-{max(tenth)}" if tenth else "" for tenth in tenths]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--heap", default="256m")
    parser.add_argument("--check", type=int, default=10_000)
    parser.add_argument("--good-every", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path)
    o = parser.parse_args()
    source = o.work / "all" / "requests.jsonl"
    part = o.work / "part" / "requests.jsonl"
    write(source, o.lines, o.good_every)
    write(part, o.check, o.good_every)
    target = o.work / "answers"
    runs = []
    for i in range(o.kills + 1):
        run = Run(o, source, target, f"run-{i}")
        before = count(target / "output.jsonl")
        good = o.lines // o.good_every
        status = run.watch(target / "output.jsonl", good * (i + 1) // (o.kills + 1) if i < o.kills else None)
        after = count(target / "output.jsonl")
        seconds = time.time() - run.start
        left = [mib for _, mib in run.heap()]
        runs.append({"status": status, "seconds": round(seconds, 1), "answers_before": before, "answers_after": after,
                     "heap_after_collections_mib": flatness(run.heap()), "collections": len(left),
                     "largest_rss_mib": round(max(run.rss)), "summary": run.summary() if i == o.kills else {}})
        print(json.dumps(runs[-1]), flush=True)
    if runs[-1]["status"] != 0:
        sys.exit(f"The last run ended with {runs[-1]['status']}.")
    undisturbed = o.work / "undisturbed"
    whole = Run(o, part, undisturbed, "undisturbed")
    if whole.watch(undisturbed / "output.jsonl", None) != 0:
        sys.exit("The undisturbed run failed.")
    found = answers(target, o.check)
    expected = answers(undisturbed)
    missing = o.lines - len(found)
    different = sum(found.get(i) != expected.get(i) for i in range(o.check))
    errors = count(target / "errors.jsonl")
    report = {"lines": o.lines, "slots": o.slots, "heap": o.heap, "runs": runs, "missing": missing, "errors": errors,
              "compared": o.check, "different": different, "undisturbed": whole.summary()}
    text = json.dumps(report, indent=1)
    if o.json:
        o.json.write_text(text + "\n")
    print(f"{o.lines} lines: {missing} missing, none twice, {errors} errors; {different} of {o.check} answers differ.")
    if missing or different:
        sys.exit(1)


if __name__ == "__main__":
    main()
