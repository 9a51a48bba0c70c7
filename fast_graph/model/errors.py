"""Every error FastGraph raises on purpose. Only the API knows which status code each becomes."""

from collections.abc import Mapping


class FastGraphError(Exception):
    """Base of all of them; ``str(error)`` is safe to show to a client."""


class ConfigurationError(FastGraphError):
    """The application was put together in a way that cannot work; says what to change."""


class UnauthenticatedError(FastGraphError):
    """Nobody known sends the request: its credentials are missing, or not valid."""


class ForbiddenError(FastGraphError):
    """The caller is known, and may not do this."""


class RejectedError(ForbiddenError):
    """An answer that a function of the user's chose by itself: its status, text and headers are passed on."""

    def __init__(self, detail: str, *, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers


class NotFoundError(FastGraphError):
    """There is no such row, or the caller may not see it."""


class ConflictError(FastGraphError):
    """The row exists already, or its thread is busy."""


class InvalidError(FastGraphError):
    """A value is malformed or out of range."""


class RefusedError(FastGraphError):
    """Every value is well-formed, but the request makes no sense in the present state."""


class CapacityError(FastGraphError):
    """A bound of this backend is reached; nothing was stored."""


class LimitError(FastGraphError):
    """The caller asks for more than is allowed at a time; nothing was done, and it may be asked for again later."""

    def __init__(self, text: str, *, retry_after: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        """Seconds after which it is worth while."""


class TooLargeError(FastGraphError):
    """A value is well-formed, but larger than is allowed."""


class UnavailableError(FastGraphError):
    """The backend cannot be reached at the moment; whether the last call took effect is not known."""


class SealedError(FastGraphError):
    """What is kept was encrypted with a key that is not at hand, or is not as it was encrypted."""


class LeaseLostError(FastGraphError):
    """The run was claimed again, finished or deleted: the holder of this lease may write nothing more."""


class StreamTruncatedError(FastGraphError):
    """The reader fell so far behind that events it has not seen were dropped."""
