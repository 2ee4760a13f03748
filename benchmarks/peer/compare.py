"""Compares `./freshet bench` with llama.cpp at one shape and format: A B A B in one run, medians of pairwise ratios.

    python compare.py --peer BIN --models DIR --shape 110m --format bf16 [--rounds 3] [--batch 1,8,32]
                      [--depth 0] [--prompt 512] [--threads 2] [--java HOME] [--json FILE]

BIN holds llama-bench and llama-batched-bench, DIR the files SHAPE-FORMAT.gguf of make_gguf.py. Ours runs augmented linear attention,
the peer the softmax model of the same shape with `-fa off`, its faster setting on a CPU. The formats int8 and q8_0 meet each other.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

from table import table

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER_FORMAT = {"f32": "f32", "bf16": "bf16", "int8": "q8_0"}


def numbers(text: str) -> list[int]:
    return [int(x) for x in text.split(",") if x]


def busy() -> float:
    """Seconds that all processors have worked since the machine started, or been taken by other guests of its host."""
    ticks = [int(x) for x in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def own() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def run(command: list[str], **more) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"Cannot measure: {command[0]} ended with {done.returncode}.\n{done.stderr[-2000:]}")
    return done.stdout


def peer(o: argparse.Namespace) -> dict[str, float]:
    """Tokens a second of the peer by row name."""
    model = str(pathlib.Path(o.models) / f"{o.shape}-{PEER_FORMAT[o.format]}.gguf")
    rates = {}
    single = 1 in o.batch
    command = [f"{o.peer}/llama-bench", "-m", model, "-t", str(o.threads), "-fa", "0", "-o", "json", "-r", "3"]
    command += ["-p", ",".join(map(str, o.prompt)) or "0", "-n", "48" if single else "0", "-d", ",".join(map(str, o.depth))]
    for row in json.loads(run(command)):
        if row["n_gen"] > 0:
            rates[f"decode 1 at {row['n_depth']}"] = row["avg_ts"]
        elif row["n_depth"] == 0:
            rates[f"prefill {row['n_prompt']}"] = row["avg_ts"]
    several = [b for b in o.batch if b > 1]
    if several and 0 in o.depth:
        command = [f"{o.peer}/llama-batched-bench", "-m", model, "-t", str(o.threads), "-fa", "off", "-c", "4096"]
        command += ["-npp", "1", "-ntg", "24", "-npl", ",".join(map(str, several)), "--output-format", "jsonl"]
        for line in run(command).splitlines():
            if line.startswith("{"):
                row = json.loads(line)
                rates[f"decode {row['pl']} at 0"] = row["speed_tg"]
    return rates


def ours(o: argparse.Namespace) -> tuple[dict[str, float], dict]:
    """Tokens a second of Freshet by row name, and its whole report."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/bench.json"
        environment = dict(os.environ, **({"JAVA_HOME": o.java} if o.java else {}))
        command = [str(ROOT / "freshet"), "bench", "--shape", o.shape, "--attention", o.attention, "--augmented"]
        command += ["--weights", o.format, "--threads", str(o.threads), "--runs", "3", "--warm", str(o.warm)]
        command += ["--batch", ",".join(map(str, o.batch)), "--depth", ",".join(map(str, o.depth))]
        command += ["--prompt", ",".join(map(str, o.prompt)) or "0"]
        command += ["--tree", str(o.tree), "--json", file]
        run(command, env=environment)
        result = json.loads(pathlib.Path(file).read_text())
    rates = {f"decode {r['batch']} at {r['tokens']}": r["tokens_per_s"] for r in result.get("decode", [])}
    rates |= {f"prefill {r['tokens']}": r["tokens_per_s"] for r in result.get("prefill", [])}
    return rates, result


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peer", required=True)
    p.add_argument("--models", required=True)
    p.add_argument("--shape", required=True, choices=["15m", "110m", "1b"])
    p.add_argument("--format", required=True, choices=list(PEER_FORMAT))
    p.add_argument("--attention", default="flash_global")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--batch", type=numbers, default=[1, 8, 32])
    p.add_argument("--depth", type=numbers, default=[0])
    p.add_argument("--prompt", type=numbers, default=[512])
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--warm", type=int, default=4)
    p.add_argument("--tree", type=int, default=16)
    p.add_argument("--java")
    p.add_argument("--json")
    o = p.parse_args()
    rounds, reports, others = [], [], []
    for i in range(o.rounds):
        before, before_own = busy(), own()
        theirs = peer(o)
        mine, report = ours(o)
        rounds.append({name: (mine[name], theirs[name]) for name in mine if name in theirs})
        reports.append(report)
        others.append(busy() - before - (own() - before_own))
        print(f"round {i + 1} of {o.rounds}", file=sys.stderr)
        data = {"options": vars(o), "rounds": rounds, "reports": reports, "others_cpu_s": others}
        if o.json:
            pathlib.Path(o.json).write_text(json.dumps(data, indent=1))
    print(table([data]))


if __name__ == "__main__":
    main()
