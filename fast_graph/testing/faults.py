"""Ports that misbehave: calls that wait, calls that fail before or after their work is done, lost signals.

``faulty(stores.queue, Crash(at="finish"))`` is a queue whose first ``finish`` raises; ``with_parts`` puts it in
the place of the sound one. What a fault does not speak of passes through untouched. This is for FastGraph's
ports; LangGraph insists on its own classes, so its saver and store are better subclassed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar, cast

from fast_graph.storage.backend import Stores
from fast_graph.storage.signals import Listener, Signal, Signals

P = TypeVar("P")


class Fault(Protocol):
    """What happens around each awaited call of a port, and around entering what it opens."""

    async def before(self, call: str) -> None:
        """The call has been made and nothing has happened yet."""
        ...

    async def after(self, call: str) -> None:
        """The work is done and the caller does not know it yet."""
        ...


class Latency:
    """Every call waits for ``wait(name)`` first: a gate that the test opens, or a pause."""

    def __init__(self, wait: Callable[[str], Awaitable[object]]) -> None:
        self._wait = wait

    async def before(self, call: str) -> None:
        """Wait."""
        await self._wait(call)

    async def after(self, call: str) -> None:
        """Nothing."""


class Crash:
    """The ``on``-th call of ``at`` (of anything, without ``at``) raises, and so do the next ``times - 1``.

    ``moment="after"`` raises when the work is done: what was written stays, and the caller cannot know.
    """

    def __init__(
        self,
        *,
        at: str | None = None,
        on: int = 1,
        times: int = 1,
        moment: Literal["before", "after"] = "before",
        error: Exception | None = None,
    ) -> None:
        self._at, self._moment = at, moment
        self._fatal = range(on, on + times)
        self._error = error or ConnectionError("the backend is gone")
        self.calls = 0

    async def before(self, call: str) -> None:
        """Count the call, and raise if it is a fatal one."""
        if self._at in (None, call):
            self.calls += 1
            self._strike(call, "before")

    async def after(self, call: str) -> None:
        """Raise if the call is a fatal one."""
        self._strike(call, "after")

    def _strike(self, call: str, moment: str) -> None:
        if self._at in (None, call) and moment == self._moment and self.calls in self._fatal:
            raise self._error


class LossySignals:
    """Signals of which only those that ``keep`` accepts arrive: none, unless told otherwise."""

    def __init__(self, signals: Signals, keep: Callable[[Signal], bool] = lambda signal: False) -> None:
        self._signals, self._keep = signals, keep
        self.lost: list[Signal] = []

    async def send(self, signal: Signal) -> None:
        """Send it, or lose it without a word."""
        if self._keep(signal):
            await self._signals.send(signal)
        else:
            self.lost.append(signal)

    def listen(self, listener: Listener) -> AbstractContextManager[None]:
        """As the sound port does."""
        return self._signals.listen(listener)


def faulty(port: P, *faults: Fault) -> P:
    """The port, with these faults around its calls."""
    return cast(P, _Faulty(port, faults))


def with_parts(stores: Stores, **parts: Any) -> Stores:
    """The stores, with these parts in the place of their own."""
    return cast(Stores, _Altered(stores, parts))


class _Altered:
    def __init__(self, stores: Stores, parts: dict[str, Any]) -> None:
        self._stores, self._parts = stores, parts

    def __getattr__(self, name: str) -> Any:
        return self._parts[name] if name in self._parts else getattr(self._stores, name)

    async def __aenter__(self) -> Self:
        await self._stores.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stores.__aexit__(kind, error, trace)


class _Faulty:
    def __init__(self, port: object, faults: tuple[Fault, ...]) -> None:
        self._port, self._faults = port, faults

    def __getattr__(self, name: str) -> Any:
        sound = getattr(self._port, name)
        if iscoroutinefunction(sound):
            return self._around_call(name, sound)
        return self._around_opening(name, sound) if callable(sound) else sound

    def _around_call(self, name: str, sound: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        @wraps(sound)
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._before(name)
            result = await sound(*args, **kwargs)
            await self._after(name)
            return result

        return call

    def _around_opening(self, name: str, sound: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(sound)
        def call(*args: Any, **kwargs: Any) -> Any:
            opened = sound(*args, **kwargs)
            is_context = isinstance(opened, AbstractAsyncContextManager)
            return self._entering(name, opened) if is_context else opened

        return call

    @asynccontextmanager
    async def _entering(self, name: str, opened: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        await self._before(name)
        async with opened as entered:
            await self._after(name)
            yield entered

    async def _before(self, name: str) -> None:
        for fault in self._faults:
            await fault.before(name)

    async def _after(self, name: str) -> None:
        for fault in self._faults:
            await fault.after(name)
