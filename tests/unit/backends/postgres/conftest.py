"""A database to keep things in, whose writes wait for a flush."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.backends.postgres.kept import NEVER, Kept, kept_in


@pytest.fixture
async def kept(postgres_url: str) -> AsyncIterator[Kept]:
    async with kept_in(postgres_url, linger=NEVER) as kept:
        yield kept
