"""The promises of the Signals port. Hints may be lost, but a sound backend loses none on a quiet day."""

import asyncio
from typing import ClassVar

from fast_graph.storage.backend import Stores
from fast_graph.storage.signals import CancelRequested, RunsReady, Signal
from fast_graph.testing.clock import START


class Ear:
    """A listener that remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self._news = asyncio.Event()

    def __call__(self, signal: Signal, /) -> None:
        self.heard.append(signal)
        self._news.set()

    async def hears(self, count: int, *, patience: float) -> list[Signal]:
        """Everything heard, once it is ``count`` signals."""
        async with asyncio.timeout(patience):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()
        return self.heard


class SignalsConformance:
    """Takes the fixture ``stores`` (open)."""

    patience: ClassVar[float] = 10.0
    """Seconds after which a signal counts as lost."""

    async def test_every_listener_is_told(self, stores: Stores) -> None:
        one, two = Ear(), Ear()
        with stores.signals.listen(one), stores.signals.listen(two):
            await stores.signals.send(RunsReady())
            for ear in (one, two):
                assert await ear.hears(1, patience=self.patience) == [RunsReady()]

    async def test_a_signal_arrives_with_what_it_says(self, stores: Stores) -> None:
        ear = Ear()
        with stores.signals.listen(ear):
            await stores.signals.send(CancelRequested(["run-1", "run-2"]))
            await stores.signals.send(RunsReady(due_at=START))
            cancel, ready = await ear.hears(2, patience=self.patience)
        assert isinstance(cancel, CancelRequested)
        assert list(cancel.run_ids) == ["run-1", "run-2"]
        assert ready == RunsReady(due_at=START)

    async def test_each_signal_is_told_once_and_in_order(self, stores: Stores) -> None:
        ear = Ear()
        sent: list[Signal] = [RunsReady(), CancelRequested(["run-1"]), RunsReady()]
        with stores.signals.listen(ear):
            for signal in sent:
                await stores.signals.send(signal)
            heard = await ear.hears(3, patience=self.patience)
        assert [type(signal) for signal in heard] == [type(signal) for signal in sent]

    async def test_a_listener_is_told_nothing_once_its_context_has_ended(self, stores: Stores) -> None:
        stays, leaves = Ear(), Ear()
        with stores.signals.listen(stays):
            with stores.signals.listen(leaves):
                await stores.signals.send(RunsReady())
                await leaves.hears(1, patience=self.patience)
            await stores.signals.send(RunsReady())
            await stays.hears(2, patience=self.patience)
        assert len(leaves.heard) == 1

    async def test_a_signal_that_nobody_listens_to_is_no_error(self, stores: Stores) -> None:
        await stores.signals.send(RunsReady())
        ear = Ear()
        with stores.signals.listen(ear):
            await stores.signals.send(CancelRequested(["run-1"]))
            # The first one may still be on its way, and be heard after all.
            while not any(isinstance(signal, CancelRequested) for signal in ear.heard):
                await ear.hears(len(ear.heard) + 1, patience=self.patience)
