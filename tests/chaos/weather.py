"""What befalls a storm's servers: kills and restarts at moments that a seed decides."""

import asyncio
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from tests.services.processes import Server, StartError

BETWEEN_INSTANCES = (3.0, 10.0)
"""Seconds for which one instance is left in peace, at least and at most."""
BETWEEN_SERVICES = (3.0, 8.0)
INSTANCE_AWAY = (0.0, 3.0)
REDIS_AWAY = (0.0, 6.0)
POSTGRES_AWAY = (0.0, 8.0)
"""Sometimes longer than a lease."""


@dataclass(kw_only=True)
class Weather:
    """Strikes until it is told that it is over; then everything runs again."""

    seed: int
    instances: Sequence[Server]
    redis: Server
    postgres: Server
    strikes: Counter[str] = field(default_factory=Counter)
    deaths: dict[int, float] = field(default_factory=dict)
    """When each process of an instance had ended, by the clock of the diary."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def rage(self) -> None:
        """Every instance has a fate of its own; Redis and PostgreSQL share one."""
        async with asyncio.TaskGroup() as group:
            for number, instance in enumerate(self.instances):
                group.create_task(self._haunt(instance, Random(f"{self.seed} instance {number}")))
            group.create_task(self._haunt_services(Random(f"{self.seed} services")))

    async def _pause(self, random: Random, between: tuple[float, float]) -> bool:
        """False if the storm is over meanwhile."""
        try:
            async with asyncio.timeout(random.uniform(*between)):
                await self.over.wait()
        except TimeoutError:
            return True
        return False

    async def _haunt(self, instance: Server, random: Random) -> None:
        while await self._pause(random, BETWEEN_INSTANCES):
            pid, politely = instance.pid, random.random() < 0.25
            self.strikes["instances stopped" if politely else "instances killed"] += 1
            await asyncio.to_thread(stop if politely else kill, instance)
            self.deaths[pid] = monotonic()
            await self._pause(random, INSTANCE_AWAY)
            await asyncio.to_thread(revive, instance)

    async def _haunt_services(self, random: Random) -> None:
        while await self._pause(random, BETWEEN_SERVICES):
            strike = random.choice(["postgres killed", "redis killed", "redis emptied"])
            of_postgres = strike == "postgres killed"
            victim, away = (self.postgres, POSTGRES_AWAY) if of_postgres else (self.redis, REDIS_AWAY)
            self.strikes[strike] += 1
            await asyncio.to_thread(victim.kill)
            await self._pause(random, away)
            if strike == "redis emptied":
                shutil.rmtree(victim.place / "appendonlydir", ignore_errors=True)
            await asyncio.to_thread(victim.start)


def stop(instance: Server) -> None:
    """In good order; by force if it does not come to an end, or was not up yet."""
    instance.stop()


def kill(instance: Server) -> None:
    instance.kill()


def revive(instance: Server) -> None:
    """Whoever runs a server starts it again until it stays: it may not without its services."""
    while True:
        try:
            instance.start()
        except StartError:
            continue
        except (TimeoutError, subprocess.TimeoutExpired):
            instance.kill()
            continue
        return
