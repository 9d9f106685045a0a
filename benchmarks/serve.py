"""`evenodds serve` under load: how much it answers and how soon, whether its memory is flat, whether answers are mixed.

    python benchmarks/serve.py [--seconds 60] [--clients 20] [--queue 16] [--run FOLDER] [--quick] [--out FILE]

So many clients at once ask for samples, each for other counts, seeds and forms. The queue is shorter than the clients
are many, so that some are refused; these wait as Retry-After says, at most half a second. Every answer is compared
with the one that the same request got when it was alone. Two further clients go away in the middle of their requests,
twenty times a second. At the end the server is asked to end while all clients wait: what it has taken is answered.

The server is a process of its own, as `evenodds serve` starts it; the clients are another one on the same machine.
`--quick` takes four seconds and writes no results.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "serve.json"
RUN = Path(__file__).parents[1] / "tests" / "fixtures" / "old_layout" / "digits"
TOKEN = "of-the-benchmark-alone"
COUNTS, SEEDS, FORMS = (1, 1, 1, 4, 16, 100), 20, ("png", "npz", "json")
PAUSE = 0.05
"""Seconds between two requests of a client that goes away."""


class Server:
    """A server in a process of its own."""

    def __init__(self, run: Path, queue: int) -> None:
        words = ["serve", str(run), "--port", "0", "--token", TOKEN, "--queue", str(queue), "--device", "cpu"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evenodds", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split(":")[2].split("/")[0])
        while self._status("/readyz") != 200:
            time.sleep(0.05)

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=120)

    def figures(self) -> dict[str, float]:
        """What /metrics says, by name and labels."""
        text = asked(self.connection(), "/metrics", None)[1].decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, _, value in lines}

    def _status(self, path: str) -> int:
        try:
            return asked(self.connection(), path, None)[0]
        except OSError:
            return 0


def asked(connection: HTTPConnection, path: str, body: dict[str, Any] | None) -> tuple[int, bytes, float]:
    """The status and the body of an answer, and the seconds of Retry-After."""
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), float(answer.getheader("retry-after") or 0)


def digest(content: bytes, form: str) -> str:
    """Of the samples of an answer: a zip file holds the time at which it was written."""
    if form == "npz":
        with np.load(io.BytesIO(content)) as found:
            content = b"".join(found[name].tobytes() for name in sorted(found))
    return hashlib.sha256(content).hexdigest()


def requests() -> list[dict[str, Any]]:
    """All that is asked for."""
    return [
        {"count": count, "seed": seed, "format": form} for count in sorted({*COUNTS}) for seed in range(SEEDS)
        for form in FORMS
    ]  # fmt: skip


class Load:
    """Clients at work, and what they saw."""

    def __init__(self, server: Server, alone: dict[str, str]) -> None:
        self.server, self.alone = server, alone
        self.times: list[float] = []
        self.seen: Counter[str] = Counter()
        self.ends = threading.Event()

    def client(self, number: int) -> None:
        """Asks until the end; of the server too."""
        rng, connection = np.random.default_rng(number), self.server.connection()
        while not self.ends.is_set():
            body = {
                "count": int(rng.choice(COUNTS)), "seed": int(rng.integers(SEEDS)), "format": str(rng.choice(FORMS))
            }  # fmt: skip
            begun = time.perf_counter()
            try:
                status, content, retry = asked(connection, "/v1/sample", body)
            except (OSError, HTTPException):
                self.seen["closed"] += 1
                return
            self.seen[str(status)] += 1
            if status == 200:
                self.times.append(1000 * (time.perf_counter() - begun))
                self.seen["samples"] += body["count"]
                self.seen["mixed"] += self.alone[json.dumps(body)] != digest(content, body["format"])
            elif status == 429:
                time.sleep(min(retry, 0.5))

    def leaver(self) -> None:
        """Goes away in the middle of its requests, of every second one before the body is whole."""
        body, k = json.dumps({"count": 1000, "format": "npz"}).encode(), 0
        head = (
            f"POST /v1/sample HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        while not self.ends.wait(PAUSE):
            k += 1
            try:
                with socket.create_connection(("127.0.0.1", self.server.port)) as one:
                    one.sendall(head + (body if k % 2 else body[:9]))
            except OSError:  # the server has ended
                return
            self.seen["left"] += 1


def played(run: Path, seconds: float, clients: int, queue: int) -> dict[str, Any]:
    """Everything that is measured."""
    server = Server(run, queue)
    try:
        connection = server.connection()
        alone = {}
        for body in requests():
            status, content, _ = asked(connection, "/v1/sample", body)
            assert status == 200, content
            alone[json.dumps(body)] = digest(content, body["format"])
        load = Load(server, alone)
        threads = [threading.Thread(target=load.client, args=(k,)) for k in range(clients)]
        leavers = [threading.Thread(target=load.leaver) for _ in range(2)]
        for thread in [*threads, *leavers]:
            thread.start()
        memory, begun = [], time.perf_counter()
        for _ in range(max(2, round(seconds / 2))):
            memory.append(round(server.figures()["process_resident_memory_bytes"] / 2**20, 1))
            time.sleep(2)
        spent, times, seen = time.perf_counter() - begun, sorted(load.times), dict(load.seen)
        figures = server.figures()
        server.process.send_signal(signal.SIGTERM)  # while all ask
        status = server.process.wait(60)
        load.ends.set()
        for thread in [*threads, *leavers]:
            thread.join()
    finally:
        server.process.kill()
        server.process.wait()
    return told(times, seen, figures, memory, spent) | {"clients": clients, "queue": queue, "exit_status": status,
        "mixed_answers": load.seen["mixed"], "other_statuses": others(load.seen)}  # fmt: skip


def others(seen: Counter[str]) -> dict[str, int]:
    """Answers that are neither there nor refused by the queue."""
    return {word: n for word, n in seen.items() if re.fullmatch(r"\d{3}", word) and word not in ("200", "429")}


def told(
    times: list[float], seen: dict[str, int], figures: dict[str, float], memory: list[float], spent: float
) -> dict[str, Any]:
    """The measures of the load."""
    shared = figures["evenodds_pass_requests_sum"] / max(1.0, figures["evenodds_pass_requests_count"])
    return {
        "seconds": round(spent, 1),
        "answers": len(times),
        "answers_per_second": round(len(times) / spent, 1),
        "samples_per_second": round(seen.get("samples", 0) / spent, 1),
        "p50_ms": round(float(np.quantile(times, 0.5)), 1),
        "p95_ms": round(float(np.quantile(times, 0.95)), 1),
        "refused_429": seen.get("429", 0),
        "clients_that_left": seen.get("left", 0),
        "dropped_by_server": int(figures["evenodds_dropped_total"]),
        "waiting_after": int(figures["evenodds_waiting"]),
        "requests_in_a_pass": round(shared, 2),
        "memory_mib": memory,
        "memory_mib_first_and_last": [memory[min(2, len(memory) - 1)], memory[-1]],
    }


def main() -> int:
    """Plays, prints, and writes the results; 1 where an answer was mixed or another fault was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--queue", type=int, default=16)
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    words = parser.parse_args()
    found = played(words.run, 4 if words.quick else words.seconds, words.clients, words.queue)
    content = json.dumps({"processors": os.cpu_count(), **found}, indent=1)
    print(content)
    out = words.out or (None if words.quick else RESULTS)
    if out is not None:
        out.write_text(content + "\n", encoding="utf-8")
    return 1 if found["mixed_answers"] or found["other_statuses"] or found["exit_status"] else 0


if __name__ == "__main__":
    sys.exit(main())
