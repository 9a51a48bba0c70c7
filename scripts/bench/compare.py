"""Drives the servers with the same load, in turn, and prints medians and their ratios.

S1: stateless runs, waited for. S2: a new thread, a run waited for, its state. S3: tokens of a streamed run.
S5: background runs, created as fast as possible, until the last has ended (FastGraph alone: the floor has none).
Every answer is checked; a wrong one ends the benchmark.

    python scripts/bench/compare.py --rounds 5
    python scripts/bench/compare.py --postgres postgresql://postgres@localhost/bench --redis redis://localhost/1
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import psutil
import uvloop

ROOT = Path(__file__).parents[2]
TOKENS = 500
MEMORY_TARGETS = {
    "S1 runs/s": ">= 0.60",
    "S1 cpu ms/run": "<= 2",
    "S1 lone wait p50 ms": "<= 2",
    "S2 turns/s": ">= 0.60",
    "S3 messages tokens/s": ">= 1.0",
    "S3 messages first token p50 ms": "<= 2",
    "S3 messages cpu us/token": "<= 1.1",
    "S3 custom tokens/s": ">= 1.0",
}
SHARED_TARGETS = {
    "S1 runs/s": ">= 0.40",
    "S1 cpu ms/run": "<= 4",
    "S2 turns/s": ">= 1.5 x floor PG",
    "S3 messages tokens/s": ">= 0.8",
    "S3 messages cpu us/token": "<= 1.5",
    "S3 custom tokens/s": ">= 0.6",
}
"""Ours as a multiple of the floor, in memory and on PostgreSQL and Redis."""

Figures = dict[str, float]
Serving = tuple[str, str, Mapping[str, str]]
"""A server's name, its module, and what its environment has besides."""

ECHO = {"assistant_id": "echo", "input": {"x": 1}}


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


async def s5(server: Server, runs: int) -> Figures:
    """Background runs: created by 8 clients, and then drained."""
    if server.name != "FastGraph":
        return {}
    began = time.perf_counter()

    async def act(number: int) -> None:
        await server.post("/threads/" + str(uuid4()) + "/runs", {**ECHO, "if_not_exists": "create"})

    load = await closed_loop(server, act, clients=8, each=max(1, runs // 32))
    while True:
        async with server.session.post(f"{server.url}/threads/count", json={"status": "busy"}) as response:
            if await response.json() == 0:
                break
    return {"S5 runs/s until drained": len(load.latencies) / (time.perf_counter() - began)}


@contextlib.asynccontextmanager
async def serving(name: str, module: str, environment: Mapping[str, str]) -> AsyncIterator[Server]:
    """The server in a process of its own, ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        f"scripts.bench.{module}:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})  # noqa: ASYNC220 - at once
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


async def measure(servers: Sequence[Serving], rounds: int, runs: int) -> dict[str, dict[str, list[float]]]:
    """Every figure of every round: the servers take turns, and take turns at being first."""
    found: dict[str, dict[str, list[float]]] = {}
    async with contextlib.AsyncExitStack() as stack:
        up = [await stack.enter_async_context(serving(*server)) for server in servers]
        for number in range(-1, rounds):
            for scenario in (s1, s2, s3, s5):
                for server in up if number % 2 else up[::-1]:
                    figures = await scenario(server, runs if number >= 0 else runs // 4)
                    print(f"round {number + 1} of {rounds}: {scenario.__name__} {server.name}", file=sys.stderr)
                    for metric, value in figures.items() if number >= 0 else ():
                        found.setdefault(metric, {}).setdefault(server.name, []).append(value)
    return found


def table(found: dict[str, dict[str, list[float]]], targets: Mapping[str, str]) -> str:
    """Medians, the ratios to each floor round by round, their spread, and what is aimed at."""
    names = list(found["S1 runs/s"])
    floors = [name for name in names if name != "FastGraph"]
    head = ["figure", *floors, "FastGraph", *(f"x {name} (min to max)" for name in floors), "target"]
    lines = [head, ["---"] * len(head)]
    for metric, by_server in found.items():
        ours = by_server["FastGraph"]
        medians = [f"{statistics.median(by_server[name]):.4g}" if name in by_server else "" for name in floors]
        ratios = [_ratio(ours, by_server.get(name, ())) for name in floors]
        lines.append([metric, *medians, f"{statistics.median(ours):.4g}", *ratios, targets.get(metric, "")])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _ratio(ours: Sequence[float], floor: Sequence[float]) -> str:
    if not floor:
        return ""
    ratios = [mine / theirs for mine, theirs in zip(ours, floor, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that does not (default 5)")
    parser.add_argument("--runs", type=int, default=2048, help="size of a round (default 2048)")
    parser.add_argument("--postgres", help="the database of the second floor and of FastGraph; it fills with rows")
    parser.add_argument("--redis", help="the Redis of FastGraph")
    options = parser.parse_args()
    if bool(options.postgres) != bool(options.redis):
        parser.error("--postgres and --redis go together")
    servers: list[Serving] = [("floor", "floor", {})]
    environment = {}
    if options.postgres:
        servers.append(("floor PG", "floor", {"FLOOR_POSTGRES": options.postgres}))
        environment = {"POSTGRE_DATABASE_URL": options.postgres, "REDIS_URL": options.redis}
    servers.append(("FastGraph", "ours", environment))
    found = uvloop.run(measure(servers, options.rounds, options.runs))
    print(f"Python {platform.python_version()}, {psutil.cpu_count()} cores, {options.rounds} rounds\n")
    print(table(found, SHARED_TARGETS if options.postgres else MEMORY_TARGETS))


if __name__ == "__main__":
    main()
