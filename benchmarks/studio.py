"""The studio: how soon a slider's picture comes, how much it answers, and what it costs to watch.

    python benchmarks/studio.py [slider] [thumbnails] [clients] [watching] [gallery] [--seconds 30] [--out FILE]

`slider`: samples of 64 x 64 at points of the latent space, one after the other, as a moved slider asks for them.
`thumbnails`: cached thumbnails by 20 connections.
`clients`: 20 clients at once that ask for samples, each by seeds of its own; every answer is compared with that of
a client alone.
`gallery`: a folder of 10,000 pictures is opened: what is in it, and the thumbnails of the page's first screen.
`watching`: 50 runs that write a line a second, and a page that looks at their list.

The studio is a process of its own, as `evenodds studio` starts it; the clients are another one on the same machine.
Times are those of the clients, processor time and memory those of the studio. No data are needed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RESULTS = Path(__file__).parent / "results" / "studio.json"
RUN = Path(__file__).parents[1] / "tests" / "fixtures" / "old_layout" / "digits"
TOKEN = "of-the-benchmark-alone"
PAGE = 1.5
"""Seconds from one look of a page at the list to the next."""


class Studio:
    """A studio in a process of its own."""

    def __init__(self, runs: Path, data: Path) -> None:
        command = [sys.executable, "-m", "evenodds", "studio", str(runs), "--data", str(data), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, "--token", TOKEN, "--device", "cpu"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split(":")[2].split("/")[0])

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=120)

    def processor_seconds(self) -> float:
        """Of the process so far; see proc_pid_stat(5)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def mebibytes(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def asked(connection: HTTPConnection, path: str) -> bytes:
    """The body of an answer; AssertionError of one that is no answer."""
    connection.request("GET", path, headers={"authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, (answer.status, body[:200])
    return body


@contextmanager
def studio(runs: int, pictures: int = 0) -> Iterator[tuple[Studio, Path]]:
    """A studio with so many copies of a run, and a folder of so many pictures."""
    with tempfile.TemporaryDirectory() as name:
        home, rng = Path(name), np.random.default_rng(0)
        (home / "data").mkdir()
        for k in range(pictures):
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(home / "data" / f"{k:04d}.png")
        for k in range(runs):
            shutil.copytree(RUN, home / "runs" / f"run-{k:02d}")
        server = Studio(home / "runs", home / "data")
        try:
            yield server, home
        finally:
            server.process.terminate()
            server.process.wait()


def slider(seconds: float) -> dict[str, Any]:
    """Milliseconds from a request to the whole of its picture."""
    with studio(0, 64) as (server, home):
        words = ["train", "photos-64", "--data", str(home / "data"), "--out", str(home / "runs" / "photos"), "--quiet"]
        settings = ["--images", "64", "--set", "batch=16", "watch=off"]
        subprocess.run([sys.executable, "-m", "evenodds", *words, *settings], check=True, capture_output=True)
        connection, times = server.connection(), []
        for what in ("share={0}", "moves=1%3D{0}"):
            path = "/api/runs/photos/points?start=0:0&end=1:0&slot=slider&" + what
            asked(connection, path.format(0.001))  # the run is loaded, the directions are found
            end, k = time.perf_counter() + seconds / 2, 0
            while time.perf_counter() < end:
                begun, k = time.perf_counter(), k + 1
                asked(connection, path.format(k % 997 / 997))
                times.append(1000 * (time.perf_counter() - begun))
        p50, p95 = (float(np.quantile(times, share)) for share in (0.5, 0.95))
        return {"requests": len(times), "p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}


def thumbnails(seconds: float, connections: int = 20) -> dict[str, Any]:
    """Requests a second, of pictures that were asked for before."""
    with studio(1, 100) as (server, home):
        head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        place = str(home / "data").replace("/", "%2F")
        requests = [f"GET /api/data/thumbnails/{k}?place={place} HTTP/1.1\r\n{head}".encode() for k in range(100)]
        for k in range(100):
            asked(server.connection(), f"/api/data/thumbnails/{k}?place={place}")
        before, used = server.mebibytes(), server.processor_seconds()
        counts = asyncio.run(_hammered(server.port, requests, connections, seconds))
        rate = sum(counts) / seconds
        figures = {"requests": sum(counts), "requests_per_second": round(rate), "failed": 0}
        each = 1000 * (server.processor_seconds() - used) / sum(counts)
        return {**figures, "processor_ms": round(each, 3), "more_mebibytes": round(server.mebibytes() - before, 1)}


async def _hammered(port: int, requests: list[bytes], connections: int, seconds: float) -> list[int]:
    """Requests that each connection had answered; AssertionError where one was refused."""

    async def one(first: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        end, k = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            writer.write(requests[(first + k) % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head[:100]
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
            k += 1
        writer.close()
        return k

    return list(await asyncio.gather(*(one(k) for k in range(connections))))


def clients(seconds: float, number: int = 20) -> dict[str, Any]:
    """Whether answers are lost or mixed where many ask at once, and memory."""
    with studio(2) as (server, _):

        def path(client: int, k: int) -> str:
            return f"/api/runs/run-0{k % 2}/samples?n=16&seed={client + number * (k % 50)}&format=png"

        alone, wrong, answers = server.connection(), [], [0] * number
        right = {
            path(c, k): hashlib.sha256(asked(alone, path(c, k))).digest() for c in range(number) for k in range(50)
        }
        before, end = server.mebibytes(), time.perf_counter() + seconds

        def play(client: int) -> None:
            connection, k = server.connection(), 0
            while time.perf_counter() < end:
                if hashlib.sha256(asked(connection, path(client, k))).digest() != right[path(client, k)]:
                    wrong.append((client, k))
                k += 1
            answers[client] = k

        threads = [threading.Thread(target=play, args=(client,)) for client in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        figures = {"answers": sum(answers), "fewest_of_a_client": min(answers), "wrong": len(wrong)}
        return {**figures, "more_mebibytes": round(server.mebibytes() - before, 1)}


def watching(seconds: float, runs: int = 50) -> dict[str, Any]:
    """The share of one core that a studio takes whose runs all write, and whose page is open."""
    with studio(runs) as (server, home):
        histories = [folder / "metrics.jsonl" for folder in sorted((home / "runs").iterdir())]
        connection, images, looks = server.connection(), 4096, 0
        asked(connection, "/api/runs")
        begun, used = time.perf_counter(), server.processor_seconds()
        next_line = next_look = begun
        while (now := time.perf_counter()) < begun + seconds:
            if now >= next_line:
                next_line, images = next_line + 1, images + 64
                for path in histories:
                    with path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"images": images, "seconds": now - begun, "generator/cost": 1.0}) + "\n")
            if now >= next_look:
                next_look, looks = next_look + PAGE, looks + 1
                asked(connection, "/api/runs")
            time.sleep(0.02)
        share = (server.processor_seconds() - used) / (time.perf_counter() - begun)
        return {"runs": runs, "looks": looks, "share_of_a_core": round(share, 4)}


def gallery(_: float, pictures: int = 10_000, shown: int = 24) -> dict[str, Any]:
    """Seconds to the last thumbnail of a folder that nobody looked at before, and of its middle screen after that."""
    with studio(1, pictures) as (server, home):
        connection, place = server.connection(), str(home / "data").replace("/", "%2F")
        asked(connection, "/api/runs")
        times = []
        for first in (0, pictures // 2):
            begun = time.perf_counter()
            found = json.loads(asked(connection, f"/api/data?place={place}"))
            assert found["pictures"] == pictures
            for k in range(first, first + shown):
                asked(connection, f"/api/data/thumbnails/{k}?place={place}")
            times.append(round(time.perf_counter() - begun, 2))
        return {"pictures": pictures, "thumbnails": shown, "seconds_first": times[0], "seconds_middle": times[1]}


BENCHMARKS = {"slider": slider, "thumbnails": thumbnails, "clients": clients, "watching": watching, "gallery": gallery}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], default=[])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
    for name in options.names or BENCHMARKS:
        results[name] = {"seconds": options.seconds, **BENCHMARKS[name](options.seconds)}
        print(name, json.dumps(results[name]), flush=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
