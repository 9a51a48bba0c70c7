import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.protocol.doors import Door
from tests.protocol.requirements import covers
from tests.protocol.talking import final, history_of, new_thread, started, state_of, thread_of


async def at_door(client: LangGraphClient, thread: str, door: Door) -> str:
    """A run that has come to a door."""
    run = await started(client, thread, "door", {"log": ["first"], "door": door.name})
    await door.reached()
    return run["run_id"]


async def statuses(client: LangGraphClient, thread: str) -> list[str]:
    """How the thread's runs stand, newest first."""
    return [run["status"] for run in await client.runs.list(thread)]


SECOND = {"log": ["second"], "door": None}


@covers("multitask.reject")
async def test_a_second_run_can_be_refused(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    first = await at_door(client, thread, door)
    with pytest.raises(ConflictError):
        await started(client, thread, "door", SECOND, multitask_strategy="reject")
    door.open()
    await client.runs.join(thread, first)
    assert await statuses(client, thread) == ["success"]
    third = await started(client, thread, "door", SECOND, multitask_strategy="reject")
    assert third["status"] == "pending"


@covers("multitask.enqueue")
@pytest.mark.parametrize("strategy", ["enqueue", None])
async def test_a_second_run_waits_its_turn(client: LangGraphClient, door: Door, strategy: str | None) -> None:
    thread = await new_thread(client)
    await at_door(client, thread, door)
    second = await started(client, thread, "door", SECOND, multitask_strategy=strategy)
    third = await started(client, thread, "door", {"log": ["third"]}, multitask_strategy=strategy)
    assert await statuses(client, thread) == ["pending", "pending", "running"]
    door.open()
    await client.runs.join(thread, third["run_id"])
    assert second["multitask_strategy"] == "enqueue"
    assert await statuses(client, thread) == ["success"] * 3
    one = ["before", "behind"]
    assert (await state_of(client, thread))["values"]["log"] == ["first", *one, "second", *one, "third", *one]


@covers("multitask.interrupt")
async def test_a_second_run_can_stop_the_first_and_go_on_from_there(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    first = await at_door(client, thread, door)
    values = await final(client, thread, "door", SECOND, multitask_strategy="interrupt")
    assert values["log"] == ["first", "before", "second", "before", "behind"]
    assert (await client.runs.get(thread, first))["status"] == "interrupted"
    row = await thread_of(client, thread)
    assert (row["status"], row["error"]) == ("idle", None)


@covers("multitask.rollback")
async def test_a_second_run_can_undo_the_first(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    first = await at_door(client, thread, door)
    values = await final(client, thread, "door", SECOND, multitask_strategy="rollback")
    assert values["log"] == ["second", "before", "behind"]
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, first)
    assert await statuses(client, thread) == ["success"]
    kept = {state["metadata"]["run_id"] for state in await history_of(client, thread)}
    assert first not in kept


@covers("multitask.rollback")
async def test_what_was_before_the_run_undone_stays(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    await final(client, thread, "door", {"log": ["earlier"], "door": None})
    await at_door(client, thread, door)
    values = await final(client, thread, "door", SECOND, multitask_strategy="rollback")
    assert values["log"] == ["earlier", "before", "behind", "second", "before", "behind"]


@covers("multitask.queue")
@pytest.mark.parametrize(("strategy", "left"), [("interrupt", "interrupted"), ("rollback", None)])
async def test_runs_that_wait_are_pushed_aside_too(
    client: LangGraphClient, door: Door, strategy: str, left: str | None
) -> None:
    thread = await new_thread(client)
    await at_door(client, thread, door)
    await started(client, thread, "door", {"log": ["never"], "door": None})
    values = await final(client, thread, "door", SECOND, multitask_strategy=strategy)
    assert "never" not in values["log"]
    assert await statuses(client, thread) == ["success"] + ([left] * 2 if left else [])


@covers("multitask.threads")
async def test_threads_do_not_wait_for_each_other(client: LangGraphClient, door: Door) -> None:
    busy, other = await new_thread(client), await new_thread(client)
    await at_door(client, busy, door)
    assert (await final(client, other, "door", SECOND))["log"] == ["second", "before", "behind"]
    assert (await thread_of(client, busy))["status"] == "busy"
