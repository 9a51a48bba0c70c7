"""The differences from the recording that we know of, each at its exact place and for a requirement's reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.protocol.contract.compare import Difference


@dataclass(frozen=True)
class Explained:
    """Where a case may differ: everything else in it has to be as recorded."""

    case: str
    requirement: str
    paths: Sequence[str]

    def matches(self, difference: Difference) -> bool:
        """Whether this is the difference meant."""
        return any(fnmatchcase(difference.path, path) for path in self.paths)


EXPLAINED: Sequence[Explained] = (
    Explained("meta.info", "meta.info.crons", ["0.body.flags.crons"]),
    Explained("meta.cors", "cors.exposed", ["0.headers.access-control-expose-headers"]),
    Explained("assistants.get", "assistants.by_name", ["2.status", "2.body.*"]),
    Explained("threads.create_invalid", "ids.any_string", ["0.status", "0.body.*"]),
    Explained("threads.create_supersteps", "history.limit", ["1.body.length"]),
    Explained("threads.create_supersteps", "state.metadata.parent", ["1.body.0.metadata.checkpoint_id"]),
    Explained("threads.get_errors", "ids.any_string", ["1.status"]),
    Explained("threads.delete", "ids.any_string", ["2.status"]),
    Explained("threads.search_invalid", "ids.any_string", ["4.status", "4.body", "4.headers.x-pagination-total"]),
    Explained("state.history", "history.limit", ["1.body"]),
    Explained("cancel.rollback", "cancel.rollback", ["2.body.0", "2.body.1"]),
    Explained(
        "store.put_invalid",
        "errors.detail",
        ["1.body", "1.headers.content-type", "2.body", "2.headers.content-type"],
    ),
    Explained("store.get_invalid", "errors.detail", ["0.body.error", "0.body.detail"]),
)


def unexplained(case: str, found: Sequence[Difference]) -> list[Difference]:
    """The differences that nothing explains."""
    known = [entry for entry in EXPLAINED if entry.case == case]
    return [difference for difference in found if not any(entry.matches(difference) for entry in known)]


def unneeded(case: str, found: Sequence[Difference]) -> list[str]:
    """The places where a case may differ and does not."""
    paths = [path for entry in EXPLAINED if entry.case == case for path in entry.paths]
    return [path for path in paths if not any(fnmatchcase(difference.path, path) for difference in found)]
