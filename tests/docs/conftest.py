"""What the tests of the documents share: a checkout, with the demo server on the port that the documents call 8000."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.checkout import Checkout, make_checkout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def demo_output(checkout: Checkout) -> Iterator[Path]:
    """What the demo server prints. It is started by the command of the README."""
    port = checkout.port("8000")
    with checkout.serving("./scripts/serve", port, PORT=str(port)) as output:
        yield output
