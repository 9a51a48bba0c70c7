from itertools import product

import pytest

from fast_graph.model.lifecycle import INFLIGHT, RUN_STATUSES, TERMINAL, TRANSITIONS, RunStatus, diagram, may_move


def test_every_status_has_a_row_and_leads_to_known_ones() -> None:
    assert set(TRANSITIONS) == set(RUN_STATUSES)
    assert all(after <= set(RUN_STATUSES) for after in TRANSITIONS.values())


def test_a_status_is_either_in_flight_or_terminal() -> None:
    assert set(RUN_STATUSES) == INFLIGHT | TERMINAL
    assert not INFLIGHT & TERMINAL
    assert {"pending", "running"} == INFLIGHT


@pytest.mark.parametrize(("before", "after"), list(product(sorted(TERMINAL), RUN_STATUSES)))
def test_a_terminal_run_never_changes(before: RunStatus, after: RunStatus) -> None:
    assert not may_move(before, after)


def test_every_run_that_is_in_flight_can_end() -> None:
    for status in INFLIGHT:
        assert may_move(status, "interrupted")


def test_every_status_can_be_reached() -> None:
    reached: set[RunStatus] = {"pending"}
    for _ in RUN_STATUSES:
        reached |= {after for before in reached for after in TRANSITIONS[before]}
    assert reached == set(RUN_STATUSES)


def test_only_a_running_run_goes_back_to_pending() -> None:
    assert [before for before in RUN_STATUSES if may_move(before, "pending")] == ["running"]


def test_the_diagram_has_one_arrow_for_each_move_and_for_each_end() -> None:
    lines = diagram().splitlines()
    arrows = {tuple(line.split(" --> ")) for line in map(str.strip, lines) if " --> " in line}
    moves = {(before, after) for before, into in TRANSITIONS.items() for after in into}
    assert lines[0] == "stateDiagram-v2"
    assert arrows == moves | {("[*]", "pending")} | {(status, "[*]") for status in TERMINAL}
    assert len(lines) == len(arrows) + 1
