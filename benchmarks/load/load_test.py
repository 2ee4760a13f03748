"""A load test of the streaming job: a Kafka broker, the job and the load generator as processes of their own, at several loads.

    python load_test.py --trace FILE --work DIR [--shares 0.5,0.9,2] [--seconds 70] [--slots 32] [--prompt-scale 0.1]
                        [--completion-scale 0.1] [--heap 512m] [--checkpoint "2 s"] [--flood 80]

It first finds what the job can serve by offering far more for a while, then replays the trace at shares of that rate by changing its
speed. After each load it waits until everything is answered. Reports of `./freshet load` go to DIR/load-SHARE.json, memory of the job (RSS,
heap after collections) and the verdict of `./freshet verify-topics` to DIR/report.json.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / "pipeline" / "target" / "lib"
HEAP = re.compile(r"^\[([\d.]+)s\].*?(\d+)M->(\d+)M\((\d+)M\)")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def java() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(pathlib.Path(home) / "bin" / "java") if home else "java"


def start_broker(work: pathlib.Path) -> tuple[subprocess.Popen, str]:
    """Formats a directory and starts a broker in it; returns it with its address."""
    port, controller = free_port(), free_port()
    properties = {
        "process.roles": "broker,controller", "node.id": 1,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}", "log.dirs": work / "kafka",
        "auto.create.topics.enable": "false", "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 2,
        "transaction.state.log.replication.factor": 1, "transaction.state.log.num.partitions": 2,
        "transaction.state.log.min.isr": 1, "group.initial.rebalance.delay.ms": 0,
    }
    file = work / "server.properties"
    file.write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
    command = [java(), "-Xmx300m", "-XX:+UseSerialGC", "-cp", f"{LIBRARIES}/*"]
    cluster = uuid.uuid4().hex[:22]
    log = (work / "broker.log").open("w")
    subprocess.run(command + ["kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(file)],
                   check=True, stdout=log, stderr=log)
    return subprocess.Popen(command + ["kafka.Kafka", str(file)], stdout=log, stderr=log), f"127.0.0.1:{port}"


def await_port(address: str) -> None:
    host, port = address.split(":")
    for _ in range(240):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit(f"The broker does not listen on {address}.")


class Job:
    """The job's process and its memory."""

    def __init__(self, o: argparse.Namespace, config: pathlib.Path):
        self.collections = o.work / "job.gc.log"
        self.log = o.work / "job.log"
        flags = f"-Xlog:gc:file={self.collections}:uptime"
        environment = dict(os.environ, FRESHET_HEAP=o.heap, FRESHET_JAVA=flags)
        command = [str(ROOT / "freshet"), "run", "--config", str(config), "--port", "0"]
        self.start = time.time()
        self.process = subprocess.Popen(command, stdout=self.log.open("w"), stderr=subprocess.STDOUT, env=environment)
        self.samples = []
        threading.Thread(target=self.sample, daemon=True).start()

    def sample(self) -> None:
        while self.process.poll() is None:
            try:
                text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
                self.samples.append((time.time(), int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024))
            except (OSError, AttributeError):
                pass
            time.sleep(1)

    def await_running(self) -> None:
        for _ in range(240):
            if "is running" in self.log.read_text():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.5)
        sys.exit(f"The job does not run; see {self.log}.")

    def memory(self, begin: float, end: float) -> dict:
        """Largest RSS and heap left by collections within a span of time, MiB."""
        heap = [HEAP.match(line) for line in self.collections.read_text().splitlines()]
        left = [int(m.group(3)) for m in heap if m and begin <= self.start + float(m.group(1)) <= end]
        rss = [mib for at, mib in self.samples if begin <= at <= end]
        return {"rss_max_mib": round(max(rss, default=0)), "heap_after_collections_max_mib": max(left, default=0),
                "heap_after_collections_min_mib": min(left, default=0), "collections": len(left)}


def arrivals(file: pathlib.Path) -> list[float]:
    """Seconds of the requests of a trace after the first."""
    with file.open() as lines:
        rows = list(csv.reader(lines))[1:]
    def seconds(text: str) -> float:
        if ":" not in text:
            return float(text)
        whole, _, rest = text.partition(".")
        return datetime.datetime.fromisoformat(whole).timestamp() + float("0." + (rest or "0"))
    times = sorted(seconds(row[0]) for row in rows if row)
    return [t - times[0] for t in times]


def speed(times: list[float], rate: float, seconds: float) -> float:
    """The speed at which so many requests a second come in the first seconds."""
    low, high = 1e-3, times[-1] / seconds
    for _ in range(60):
        middle = (low + high) / 2
        if sum(t < middle * seconds for t in times) / seconds < rate:
            low = middle
        else:
            high = middle
    return high


def load(o: argparse.Namespace, config: pathlib.Path, name: str, factor: float, seconds: float, warm_up: float) -> dict:
    file = o.work / f"load-{name}.json"
    command = [str(ROOT / "freshet"), "load", "--config", str(config), "--trace", str(o.trace), "--speed", f"{factor:.4f}",
               "--prompt-scale", str(o.prompt_scale), "--completion-scale", str(o.completion_scale), "--duration", str(seconds),
               "--warm-up", str(warm_up), "--json", str(file)]
    environment = dict(os.environ, FRESHET_HEAP="256m")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    (o.work / f"load-{name}.txt").write_text(done.stdout + done.stderr)
    if not file.exists():
        sys.exit(f"The load generator failed:\n{done.stderr}")
    report = json.loads(file.read_text())
    report["status"] = done.returncode
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--shares", default="0.5,0.9,2")
    parser.add_argument("--seconds", type=float, default=70)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--prompt-scale", type=float, default=0.1)
    parser.add_argument("--completion-scale", type=float, default=0.1)
    parser.add_argument("--heap", default="512m")
    parser.add_argument("--checkpoint", default="2 s")
    parser.add_argument("--flood", type=float, default=80, help="requests a second that are surely too many")
    o = parser.parse_args()
    o.work.mkdir(parents=True, exist_ok=True)
    times = arrivals(o.trace)
    broker, address = start_broker(o.work)
    job = None
    try:
        await_port(address)
        config = o.work / "job.yaml"
        config.write_text(f"kafka: {{bootstrap.servers: '{address}'}}\n"
                          f"model: {{directory: {ROOT / 'models' / 'freshet-tiny'}}}\nengine: {{slots: {o.slots}}}\n"
                          f"checkpoint: {{interval: {o.checkpoint}, directory: {o.work / 'checkpoints'}}}\n"
                          "topics: {partitions: 2, replicas: 1}\n")
        job = Job(o, config)
        job.await_running()
        # The compiler is warm afterwards; what a full engine serves is the rate that can be sustained.
        flood = load(o, config, "flood", speed(times, o.flood, 30), 30, 12)
        if flood["window"]["kept_up"]:
            sys.exit(f"The job serves {o.flood} requests a second. Raise --flood.")
        sustainable = flood["window"]["served_requests_per_second"]
        print(f"sustainable: {sustainable:.2f} requests/s", flush=True)
        loads = []
        for share in o.shares.split(","):
            factor = speed(times, float(share) * sustainable, o.seconds)
            begin = time.time()
            report = load(o, config, share, factor, o.seconds, o.seconds / 7)
            row = {"share": float(share), "speed": factor, "status": report["status"], "requests": report["requests"],
                   "window": report["window"], "backlog": report["backlog"], "latency_ms": report["latency_ms"],
                   "sender_lateness_ms": report["sender_lateness_ms"], "memory": job.memory(begin, time.time())}
            loads.append(row)
            print(json.dumps(row), flush=True)
        verdict = subprocess.run([str(ROOT / "freshet"), "verify-topics", "--config", str(config), "--json"],
                                 capture_output=True, text=True, check=False)
        result = {"sustainable_requests_per_second": sustainable, "flood": flood["window"],
                  "options": {k: str(v) for k, v in vars(o).items()}, "loads": loads,
                  "verify_topics": json.loads(verdict.stdout)}
        (o.work / "report.json").write_text(json.dumps(result, indent=1) + "\n")
        print(verdict.stdout)
    finally:
        for process in (job.process if job else None, broker):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()


if __name__ == "__main__":
    main()
