"""The port of runs as their owners see them; what workers do with them is the queue's port."""

from collections.abc import Sequence
from typing import Protocol

from fast_graph.model.lifecycle import CancelAction
from fast_graph.model.queries import RunQuery
from fast_graph.model.quota import UNLIMITED, Quota
from fast_graph.model.records import Created, Json, Page, Run, Scope, Thread


class RunStore(Protocol):
    """Runs. A run is in scope when its thread is."""

    async def create(
        self,
        run: Run,
        *,
        create_thread: Thread | None,
        thread_config: Json,
        scope: Scope,
        quota: Quota = UNLIMITED,
    ) -> Created:
        """Admit a run; creating it *is* enqueueing it. One transaction, in which

        - the ``quota`` has room for one more, else LimitError. Runs of the same thread that this one displaces do
          not count, nor do runs of an unnamed caller or graph;
        - the thread exists, or is made from ``create_thread``, else NotFoundError;
        - the run's multitask strategy is applied to the thread's runs in flight: ``reject`` raises
          ConflictError if there are any; ``interrupt`` and ``rollback`` end the pending ones at once
          (interrupted, deleted) and leave a wish for the running one;
        - the row is inserted pending, and the thread is busy, shows ``thread_config``, and bears what the run's
          metadata has of ``graph_id`` and ``assistant_id``.

        Raises ConflictError when the run id is taken, CapacityError when full; then nothing has happened.
        """
        ...

    async def get(self, run_id: str, *, thread_id: str | None, scope: Scope) -> Run:
        """The run's row; with ``thread_id``, only if it is on that thread. Raises NotFoundError."""
        ...

    async def search(self, query: RunQuery, *, scope: Scope) -> Page[Run]:
        """The thread's runs, newest first by default. Raises NotFoundError for the thread."""
        ...

    async def inflight(self, *, thread_id: str | None, scope: Scope) -> Sequence[Run]:
        """The runs that are pending or running, oldest first; of one thread, or of all in scope."""
        ...

    async def request_cancel(self, run_ids: Sequence[str], action: CancelAction, *, scope: Scope) -> Sequence[Run]:
        """Ask runs in flight to stop, and return those that were, as they stand now.

        A pending run ends at once: ``interrupted``, or deleted on ``rollback``. A running one gets a wish that
        its holder sees at the next heartbeat; a later ``rollback`` overrides an ``interrupt``, never the reverse.
        Ids that are unknown, out of scope or finished are left out.
        """
        ...

    async def delete(self, run_id: str, *, thread_id: str, scope: Scope) -> Run:
        """Remove the row and return what it was; a holder loses its lease and the thread is free again.

        Raises NotFoundError.
        """
        ...
