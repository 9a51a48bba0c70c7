"""The whole decision table: every combination of what can be known when a graph has stopped."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_graph.engine.outcome import Abandon, Ending, Release, StopReason, outcome_of
from fast_graph.model.lifecycle import THREAD_STATUSES, may_move
from fast_graph.model.records import Failure, Outcome, ThreadState, Wish

FAILURE = Failure(error="ValueError", message="no")
STATE = ThreadState(values=b"{}", interrupts={})
REASONS: tuple[StopReason, ...] = get_args(StopReason)

WISHES = st.none() | st.builds(
    Wish,
    action=st.sampled_from(["interrupt", "rollback", "pause"]),
    superseded_by=st.none() | st.just("run-2"),
)
ENDINGS = st.builds(
    Ending,
    reason=st.sampled_from([None, *REASONS]),
    wish=WISHES,
    error=st.sampled_from([None, FAILURE]),
    state=st.sampled_from([None, STATE]),
    state_status=st.sampled_from(["idle", "interrupted"]),
)


def written(ending: Ending) -> Outcome:
    """The outcome, where there is one to write."""
    decision = outcome_of(ending)
    assert isinstance(decision, Outcome)
    return decision


@given(ENDINGS)
def test_every_ending_has_a_decision_that_the_lifecycle_allows(ending: Ending) -> None:
    decision = outcome_of(ending)
    if isinstance(decision, Outcome):
        assert may_move("running", decision.status)
        assert decision.thread_status in THREAD_STATUSES
        assert decision.thread_status != "busy"


@given(ENDINGS)
def test_who_lost_the_lease_writes_nothing_and_nobody_else_does_so(ending: Ending) -> None:
    assert (outcome_of(ending) == Abandon()) == (ending.reason == "lease_lost")


@given(ENDINGS)
def test_a_shutdown_releases_and_nothing_else_does(ending: Ending) -> None:
    assert (outcome_of(ending) == Release()) == (ending.reason == "shutdown")


@given(ENDINGS)
def test_only_a_rollback_forgets(ending: Ending) -> None:
    decision = outcome_of(ending)
    assert (isinstance(decision, Outcome) and decision.forget) == (ending.reason == "rollback")


@given(ENDINGS)
def test_the_state_is_written_as_it_was_found(ending: Ending) -> None:
    decision = outcome_of(ending)
    if isinstance(decision, Outcome):
        assert decision.state == ending.state


@given(ENDINGS)
def test_a_run_is_a_success_only_if_nothing_stopped_it(ending: Ending) -> None:
    decision = outcome_of(ending)
    success = isinstance(decision, Outcome) and decision.status == "success"
    assert success == (ending.reason in (None, "timeout") and ending.error is None)


@pytest.mark.parametrize("status", ["idle", "interrupted"])
def test_the_thread_of_a_success_is_what_its_state_amounts_to(status: str) -> None:
    outcome = written(Ending(state=STATE, state_status=status))  # type: ignore[arg-type] # one of the two
    assert (outcome.status, outcome.thread_status, outcome.error) == ("success", status, None)


def test_a_run_that_raised_is_an_error_of_the_thread_too() -> None:
    outcome = written(Ending(error=FAILURE, state=STATE, state_status="interrupted"))
    assert (outcome.status, outcome.thread_status, outcome.error) == ("error", "error", FAILURE)


def test_a_timeout_is_a_status_of_its_own_and_an_error_of_the_thread() -> None:
    outcome = written(Ending(reason="timeout", error=FAILURE))
    assert (outcome.status, outcome.thread_status, outcome.error) == ("timeout", "error", FAILURE)


@pytest.mark.parametrize("error", [None, FAILURE])
def test_an_interrupted_run_leaves_its_thread_interrupted_whatever_the_graph_said(error: Failure | None) -> None:
    outcome = written(Ending(reason="interrupt", error=error))
    assert (outcome.status, outcome.thread_status) == ("interrupted", "interrupted")
    assert outcome.error == Failure(error="UserInterrupt", message="Cancelled on request")


def test_a_paused_run_is_interrupted_without_an_error() -> None:
    outcome = written(Ending(reason="pause"))
    assert (outcome.status, outcome.thread_status, outcome.error) == ("interrupted", "interrupted", None)


@pytest.mark.parametrize("status", ["idle", "interrupted"])
def test_a_rolled_back_run_leaves_its_thread_as_it_was(status: str) -> None:
    outcome = written(Ending(reason="rollback", state_status=status))  # type: ignore[arg-type] # one of the two
    assert outcome.thread_status == status
    assert outcome.error == Failure(error="UserRollback", message="Cancelled on request")


@pytest.mark.parametrize("reason", ["interrupt", "rollback"])
def test_a_displaced_run_tells_which_run_took_its_place(reason: StopReason) -> None:
    wish = Wish(action="interrupt", superseded_by="run-2")
    outcome = written(Ending(reason=reason, wish=wish))
    assert outcome.error is not None
    assert outcome.error.message == "Superseded by run run-2"
