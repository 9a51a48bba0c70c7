"""Records as they are kept when they are encrypted: same shape, with sealed text where values were."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import orjson

from fast_graph.backends.sealed.cipher import Keyring, as_bytes, as_text
from fast_graph.model.records import Failure, Json, Lease, Outcome, Run, Thread, ThreadState

KEY = "__fast_graph_sealed__"
"""The only key of an object that stands for a sealed value."""

PREFIX = "sealed:"
"""How a text begins that stands for a sealed text."""

Interrupts = Mapping[str, Sequence[Json]]


class Seals:
    """Seals what records say, and leaves what they are found by: ids, status, times, metadata."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys

    # ---------------------------------------------------------------- pieces

    def seal_json(self, value: Any) -> dict[str, Any]:
        """An object that stands for any JSON."""
        return {KEY: as_text(self._keys.seal(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)))}

    def open_json(self, value: Any) -> Any:
        """What the object stands for; any other value is itself."""
        return orjson.loads(self._keys.open(as_bytes(value[KEY]))) if _stands_for_another(value) else value

    def seal_text(self, text: bytes | None) -> bytes | None:
        """JSON text that stands for JSON text."""
        return None if text is None else orjson.dumps({KEY: as_text(self._keys.seal(text))})

    def open_text(self, text: bytes | None) -> bytes | None:
        """What the JSON text stands for, if it does."""
        if text is None or KEY.encode() not in text:
            return text
        found = orjson.loads(text)
        return self._keys.open(as_bytes(found[KEY])) if _stands_for_another(found) else text

    def seal_failure(self, failure: Failure | None) -> Failure | None:
        """The error's type stays."""
        if failure is None:
            return None
        return replace(failure, message=PREFIX + as_text(self._keys.seal(failure.message.encode(errors="replace"))))

    def open_failure(self, failure: Failure | None) -> Failure | None:
        """Errors that the server itself writes down are not sealed."""
        if failure is None or not failure.message.startswith(PREFIX):
            return failure
        return replace(failure, message=self._keys.open(as_bytes(failure.message.removeprefix(PREFIX))).decode())

    def seal_interrupts(self, interrupts: Interrupts | None) -> Interrupts | None:
        """Not even the number of them shows."""
        return {KEY: [self.seal_json(interrupts)]} if interrupts else interrupts

    def open_interrupts(self, interrupts: Interrupts | None) -> Interrupts | None:
        """What they were."""
        return cast(Interrupts, self.open_json(interrupts[KEY][0])) if interrupts and KEY in interrupts else interrupts

    # ---------------------------------------------------------------- records

    def seal_thread(self, thread: Thread) -> Thread:
        """A thread to be kept."""
        return replace(
            thread,
            config=self.seal_config(thread.config),
            values=self.seal_text(thread.values),
            interrupts=self.seal_interrupts(thread.interrupts),
            error=self.seal_failure(thread.error),
        )

    def open_thread(self, thread: Thread) -> Thread:
        """A thread that was kept."""
        return replace(
            thread,
            config=self.open_json(thread.config),
            values=self.open_text(thread.values),
            interrupts=self.open_interrupts(thread.interrupts),
            error=self.open_failure(thread.error),
        )

    def seal_config(self, config: Json) -> Json:
        """An empty one says nothing."""
        return self.seal_json(config) if config else config

    def seal_state(self, state: ThreadState) -> ThreadState:
        """A thread's new state."""
        return ThreadState(values=self.seal_text(state.values), interrupts=self.seal_interrupts(state.interrupts))

    def seal_run(self, run: Run) -> Run:
        """A run to be kept."""
        return replace(run, kwargs=self._keys.seal(run.kwargs), error=self.seal_failure(run.error))

    def open_run(self, run: Run) -> Run:
        """A run that was kept."""
        return replace(run, kwargs=self._keys.open(run.kwargs), error=self.open_failure(run.error))

    def open_lease(self, lease: Lease) -> Lease:
        """A claimed run."""
        return replace(lease, run=self.open_run(lease.run))

    def seal_outcome(self, outcome: Outcome) -> Outcome:
        """How an execution ended."""
        state = None if outcome.state is None else self.seal_state(outcome.state)
        return replace(outcome, state=state, error=self.seal_failure(outcome.error))


def _stands_for_another(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(KEY), str)
