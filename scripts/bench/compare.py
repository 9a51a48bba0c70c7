"""Drives both servers with the same load, in turn, and prints medians and their ratios.

S1: stateless runs, waited for. S2: a new thread, a run waited for, its state. S3: tokens of a streamed run.
Every answer is checked; a wrong one ends the benchmark.

    python scripts/bench/compare.py --rounds 5
"""

import argparse
import asyncio
import contextlib
import json
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop

ROOT = Path(__file__).parents[2]
SERVERS = ("floor", "ours")
TOKENS = 500
TARGETS = {
    "S1 runs/s": ">= 0.60",
    "S1 cpu ms/run": "<= 2",
    "S1 lone wait p50 ms": "<= 2",
    "S2 turns/s": ">= 0.60",
    "S3 messages tokens/s": ">= 1.0",
    "S3 messages first token p50 ms": "<= 2",
    "S3 messages cpu us/token": "<= 1.1",
    "S3 custom tokens/s": ">= 1.0",
}
"""Ours as a multiple of the floor."""

Figures = dict[str, float]


@dataclass
class Server:
    """One of the two, as a process and as an HTTP client."""

    name: str
    url: str
    process: psutil.Process
    session: aiohttp.ClientSession

    async def post(self, path: str, body: Any) -> Any:
        """The JSON answer to a POST."""
        async with self.session.post(self.url + path, json=body) as response:
            response.raise_for_status()
            return await response.json()

    def cpu(self) -> float:
        """Seconds of processor time used so far."""
        times = self.process.cpu_times()
        return times.user + times.system


@dataclass
class Load:
    """Latencies in seconds of what was done, how long all of it took, and the server's processor time."""

    latencies: list[float] = field(default_factory=list)
    wall: float = 0
    cpu: float = 0

    @property
    def rate(self) -> float:
        """Per second."""
        return len(self.latencies) / self.wall

    @property
    def p50(self) -> float:
        """Milliseconds."""
        return statistics.median(self.latencies) * 1e3

    @property
    def cpu_each(self) -> float:
        """Milliseconds of the server's processor time."""
        return self.cpu / len(self.latencies) * 1e3


async def closed_loop(
    server: Server, act: Callable[[int], Awaitable[float | None]], *, clients: int, each: int
) -> Load:
    """``clients`` at once do ``each`` acts, one after another. An act may tell its latency itself."""
    load = Load()

    async def client(number: int) -> None:
        for step in range(each):
            began = time.perf_counter()
            told = await act(number * each + step)
            load.latencies.append(time.perf_counter() - began if told is None else told)

    cpu, began = server.cpu(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    load.wall, load.cpu = time.perf_counter() - began, server.cpu() - cpu
    return load


async def s1(server: Server, runs: int) -> Figures:
    """Stateless runs."""

    async def act(number: int) -> None:
        answer = await server.post("/runs/wait", {"assistant_id": "echo", "input": {"x": number}})
        assert answer["y"] == number + 1, answer

    alone = await closed_loop(server, act, clients=1, each=runs // 4)
    many = await closed_loop(server, act, clients=8, each=runs // 8)
    return {"S1 runs/s": many.rate, "S1 cpu ms/run": many.cpu_each, "S1 lone wait p50 ms": alone.p50}


async def s2(server: Server, runs: int) -> Figures:
    """Turns on new threads."""

    async def act(number: int) -> None:
        thread = (await server.post("/threads", {}))["thread_id"]
        body = {"assistant_id": "echo", "input": {"x": number}}
        assert (await server.post(f"/threads/{thread}/runs/wait", body))["y"] == number + 1
        async with server.session.get(f"{server.url}/threads/{thread}/state") as response:
            assert (await response.json())["values"]["y"] == number + 1

    return {"S2 turns/s": (await closed_loop(server, act, clients=8, each=runs // 16)).rate}


async def s3(server: Server, runs: int) -> Figures:
    """Tokens, through the chat model and through the stream writer."""
    figures: Figures = {}
    for mode, event, through in (("messages-tuple", "messages", "model"), ("custom", "custom", "writer")):
        body = {"assistant_id": "tokens", "input": {"tokens": TOKENS, "through": through}, "stream_mode": [mode]}

        async def act(number: int, body: Any = body, event: str = event) -> float:
            thread = (await server.post("/threads", {}))["thread_id"]
            return await first_token(server, thread, body, event)

        load = await closed_loop(server, act, clients=8, each=max(1, runs // 256))
        tokens = len(load.latencies) * TOKENS
        figures |= {
            f"S3 {event} tokens/s": tokens / load.wall,
            f"S3 {event} first token p50 ms": load.p50,
            f"S3 {event} cpu us/token": load.cpu / tokens * 1e6,
        }
    return figures


async def first_token(server: Server, thread: str, body: Any, event: str) -> float:
    """Seconds until the first token came; all of them have to, in order."""
    began, first, received = time.perf_counter(), 0.0, b""
    async with server.session.post(f"{server.url}/threads/{thread}/runs/stream", json=body) as response:
        async for chunk in response.content.iter_any():
            received += chunk
            if not first and b"event: %b" % event.encode() in received:
                first = time.perf_counter() - began
    numbers = list(token_numbers(received, event))
    assert numbers == list(range(TOKENS)), f"{len(numbers)} tokens of {TOKENS}, or out of order"
    return first


def token_numbers(received: bytes, event: str) -> Iterator[int]:
    """The numbers that a stream's tokens bear."""
    for block in received.replace(b"\r", b"").decode().split("\n\n"):
        name, _, data = block.partition("\ndata: ")
        if name == f"event: {event}":
            value = json.loads(data)
            text = value["i"] if event == "custom" else value[0]["content"].strip()
            if text != "":
                yield int(text)


@contextlib.asynccontextmanager
async def serving(name: str) -> AsyncIterator[Server]:
    """The server in a process of its own, ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        f"scripts.bench.{name}:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, cwd=ROOT)  # noqa: ASYNC220 - at once
    try:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            server = Server(name, f"http://127.0.0.1:{port}", psutil.Process(process.pid), session)
            await until_ready(server)
            yield server
    finally:
        process.terminate()
        process.wait(20)


async def until_ready(server: Server) -> None:
    """Come back once the server answers."""
    for _ in range(600):
        with contextlib.suppress(aiohttp.ClientError):
            async with server.session.get(server.url + "/ok") as response:
                if response.status == 200:
                    return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{server.name} did not come up")


async def measure(rounds: int, runs: int) -> dict[str, dict[str, list[float]]]:
    """Every figure of every round: the servers take turns, and take turns at being first."""
    found: dict[str, dict[str, list[float]]] = {}
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(name)) for name in SERVERS]
        for number in range(-1, rounds):
            for scenario in (s1, s2, s3):
                for server in servers if number % 2 else servers[::-1]:
                    figures = await scenario(server, runs if number >= 0 else runs // 4)
                    print(f"round {number + 1} of {rounds}: {scenario.__name__} {server.name}", file=sys.stderr)
                    for metric, value in figures.items() if number >= 0 else ():
                        found.setdefault(metric, {}).setdefault(server.name, []).append(value)
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Medians, the ratio round by round, its spread, and what is aimed at."""
    lines = ["| figure | floor | FastGraph | ratio (min to max) | target |", "|---|---|---|---|---|"]
    for metric, by_server in found.items():
        floor, ours = (by_server[name] for name in SERVERS)
        ratios = [ours[i] / floor[i] for i in range(len(floor))]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        middle = [statistics.median(values) for values in (floor, ours, ratios)]
        lines.append(
            f"| {metric} | {middle[0]:.4g} | {middle[1]:.4g} | x {middle[2]:.2f} ({spread}) "
            f"| {TARGETS.get(metric, '')} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that does not (default 5)")
    parser.add_argument("--runs", type=int, default=2048, help="size of a round (default 2048)")
    options = parser.parse_args()
    found = uvloop.run(measure(options.rounds, options.runs))
    print(f"Python {platform.python_version()}, {psutil.cpu_count()} cores, {options.rounds} rounds\n")
    print(table(found))


if __name__ == "__main__":
    main()
