"""What a storm has left, held against what was promised: every accepted run ended, once, in its turn."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg

from tests.chaos.clients import assert_linear, items_of
from tests.chaos.crowd import Wanted
from tests.chaos.diary import Diary, Line

PATIENCE = 90.0
"""Seconds after the storm until whatever has not ended is stuck."""
LOOK = 0.5

IN_FLIGHT = ("pending", "running")


@dataclass(kw_only=True)
class Reckoning:
    """What was found."""

    accepted: int = 0
    unsure: int = 0
    """Requests of which no answer came, and which were accepted nevertheless."""
    repeated: int = 0
    """Steps that were begun more than once."""
    takeovers: Sequence[float] = ()
    """Seconds from the end of a process in the middle of a step until another began with that step."""
    ends: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    @property
    def by_kind(self) -> Sequence[Sequence[str]]:
        """What must not be, as the table has it."""
        return self.lost, self.stuck, self.overlaps, self.wrong, self.surprises

    @property
    def faults(self) -> Sequence[str]:
        return [fault for kind in self.by_kind for fault in kind]


async def reckon(
    wanted: Sequence[Wanted], diary: Diary, deaths: Mapping[int, float], *, url: str, database: str
) -> Reckoning:
    """Look at everything once the storm is over."""
    found = Reckoning(accepted=sum(one.accepted for one in wanted))
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        await _calm(client, found)
        lines = diary.lines()
        rows = _rows(database)
        by_thread: dict[str, list[Any]] = defaultdict(list)
        for thread, item, status in rows:
            by_thread[thread].append((item, status))
        asked = {one.item: one for one in wanted}
        for thread in sorted({one.thread for one in wanted if one.thread}):
            await _look_at(client, thread, by_thread.get(thread, []), asked, found)
    _look_at_stateless(wanted, lines, rows, found)
    _look_at_clients(wanted, found)
    found.overlaps += overlaps(lines, deaths)
    found.takeovers = takeovers(lines, deaths)
    begun = Counter((line.run, line.step) for line in lines if line.what == "begin")
    found.repeated = sum(times - 1 for times in begun.values())
    return found


async def _calm(client: httpx.AsyncClient, found: Reckoning) -> None:
    """Wait until no thread is busy; those that stay so are stuck."""
    ends = asyncio.get_running_loop().time() + PATIENCE
    while True:
        busy = (await client.post("/threads/search", json={"status": "busy", "limit": 1000})).json()
        if not busy:
            return
        if asyncio.get_running_loop().time() > ends:
            found.stuck += [f"thread {thread['thread_id']} is busy" for thread in busy]
            return
        await asyncio.sleep(LOOK)


def _rows(database: str) -> list[tuple[str, str, str]]:
    """Thread, item and status of every run that is kept, in the order in which they were accepted."""
    query = "SELECT thread_id, metadata ->> 'item', status FROM fast_graph_runs ORDER BY place"
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


async def _look_at(
    client: httpx.AsyncClient,
    thread: str,
    runs: Sequence[tuple[str, str]],
    asked: Mapping[str, Wanted],
    found: Reckoning,
) -> None:
    """Its runs ended, and its state is what they make of it one after the other."""
    found.ends.update(status for _, status in runs)
    found.unsure += sum(not asked[item].accepted for item, _ in runs)
    found.stuck += [f"run {item} on {thread} is {status}" for item, status in runs if status in IN_FLIGHT]
    there = {item for item, _ in runs}
    found.lost += [f"run {item} on {thread} is gone" for item, one in asked.items() if _is_missing(one, thread, there)]
    answer = await client.get(f"/threads/{thread}/state")
    if answer.status_code == 404 and not runs:
        return
    items = (answer.json().get("values") or {}).get("items", [])
    found.wrong += [f"{thread}: {fault}" for fault in unlike(items, runs, asked)]
    try:
        await assert_linear(client, thread)
    except AssertionError as error:
        found.wrong.append(f"{thread} has a branch: {error}")


def _is_missing(one: Wanted, thread: str, there: set[str]) -> bool:
    return one.thread == thread and one.accepted and one.item not in there


def unlike(items: Sequence[str], runs: Sequence[tuple[str, str]], asked: Mapping[str, Wanted]) -> list[str]:
    """What differs from a thread on which the runs followed each other."""
    left, faults = list(items), []
    for item, status in runs:
        one = asked[item]
        whole = _whole(one)
        done = 0
        while done < len(whole) and left and left[0] == whole[done]:
            left.pop(0)
            done += 1
        may_stop = one.cancelled and status == "interrupted"
        if (done < len(whole) and not may_stop) or (status != "success" and not may_stop):
            faults.append(f"run {item} ({status}) did {done} of {len(whole)} steps")
    return faults + ([f"these were not expected: {left}"] if left else [])


def _whole(one: Wanted) -> list[str]:
    """What the run adds to its thread."""
    if one.kind == "asked" and not one.steps:
        return [f"{one.item.rpartition('a')[0]} answered"]
    return items_of(one.item, 1 if one.kind == "asked" else one.steps)


def _look_at_stateless(
    wanted: Sequence[Wanted], lines: Sequence[Line], rows: Sequence[tuple[str, str, str]], found: Reckoning
) -> None:
    """Nothing is left of them but what they did."""
    kept = {item: status for _, item, status in rows}
    ended = {(line.item, line.step) for line in lines if line.what == "end"}
    for one in wanted:
        if one.thread is not None:
            continue
        did_all = (one.item, one.steps - 1) in ended
        if one.item in kept:
            found.stuck.append(f"stateless run {one.item} is {kept[one.item]}")
        elif did_all:
            found.ends["success"] += 1
            found.unsure += not one.accepted
        elif one.accepted:
            found.lost.append(f"stateless run {one.item} did not end")


def _look_at_clients(wanted: Sequence[Wanted], found: Reckoning) -> None:
    """Waiting clients got what their run made, and readers every event once and in order."""
    found.stuck += [f"who wanted {one.item} ({one.kind}) still waits" for one in wanted if not one.served]
    for one in wanted:
        if one.kind == "waited" and one.accepted:
            items = (one.answer or {}).get("items", [])
            if items_of(one.item, one.steps)[-1] not in items:
                found.wrong.append(f"who waited for {one.item} got {str(one.answer)[:200]}")
        if one.kind == "streamed" and one.accepted:
            numbers = [int(event.id.partition("-")[2]) for event in one.events if event.id]
            if sorted(set(numbers)) != numbers:
                found.wrong.append(f"who read {one.item} saw {numbers}")


def overlaps(lines: Sequence[Line], deaths: Mapping[int, float]) -> list[str]:
    """Where two runs of a thread were at work at the same time. A process that was killed works until its death."""
    spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for place, line in enumerate(lines):
        if line.what == "begin":
            later = (one for one in lines[place:] if _ends(one, line))
            until = next((one.at for one in later), deaths.get(line.pid, float("inf")))
            spans[line.thread].append((line.at, until, line.run))
    return [
        f"runs {one[2]} and {other[2]} overlap on {thread} for {min(one[1], other[1]) - other[0]:.2f} s"
        for thread, found in spans.items()
        for place, one in enumerate(sorted(found))
        for other in sorted(found)[place + 1 :]
        if other[0] < one[1] and other[2] != one[2]
    ]


def takeovers(lines: Sequence[Line], deaths: Mapping[int, float]) -> list[float]:
    """How long runs whose process was killed waited for another, each time."""
    last: dict[str, Line] = {}
    found = []
    for line in lines:
        before = last.get(line.run)
        if before and before.what == "begin" and before.pid in deaths and before.pid != line.pid:
            found.append(line.at - deaths[before.pid])
        last[line.run] = line
    return found


def _ends(one: Line, begun: Line) -> bool:
    return one.what != "begin" and (one.run, one.step, one.pid) == (begun.run, begun.step, begun.pid)
