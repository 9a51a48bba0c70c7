"""The port of threads."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from fast_graph.model.lifecycle import ThreadStatus
from fast_graph.model.queries import ThreadQuery
from fast_graph.model.records import Json, Page, Scope, Thread, ThreadState

MOST_HELD = timedelta(minutes=2)
"""How long a hold may last: a backend that others share lets one go whose holder has not by then."""


class ThreadStore(Protocol):
    """Threads. A row outside ``scope`` does not exist.

    There is no way to set a status: it moves with a run, or with a state edit made under ``hold``.
    """

    async def create(self, thread: Thread) -> None:
        """Store a new thread. Raises ConflictError when the id is taken, CapacityError when full."""
        ...

    async def get(self, thread_id: str, *, scope: Scope) -> Thread:
        """The thread's row. Raises NotFoundError."""
        ...

    async def search(self, query: ThreadQuery, *, scope: Scope) -> Page[Thread]:
        """The matching threads of one page, and the number of all matches."""
        ...

    async def patch(self, thread_id: str, *, metadata: Json, scope: Scope) -> Thread:
        """Merge ``metadata`` into the thread's. Raises NotFoundError."""
        ...

    async def delete(self, thread_id: str, *, scope: Scope) -> None:
        """Remove the thread and all its runs, running ones too (their holders lose the lease).

        Raises NotFoundError.
        """
        ...

    def hold(self, thread_id: str, *, scope: Scope) -> AbstractAsyncContextManager[Thread]:
        """Keep runs from starting on the thread while its state is edited.

        Raises NotFoundError, and ConflictError while a run is pending or running or another edit is going on.
        A run may be created meanwhile; it is claimed once the hold ends, after ``MOST_HELD`` at the latest.
        """
        ...

    async def put_state(
        self, thread_id: str, state: ThreadState, *, status: ThreadStatus, metadata: Json, scope: Scope
    ) -> Thread:
        """Show an edited state, and the status it amounts to, on the thread's row; merge ``metadata``.

        To be called under ``hold``. Clears the error that an earlier run left.

        Raises NotFoundError.
        """
        ...
