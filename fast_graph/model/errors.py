"""Every error FastGraph raises on purpose. Only the API knows which status code each becomes."""


class FastGraphError(Exception):
    """Base of all of them; ``str(error)`` is safe to show to a client."""


class ConfigurationError(FastGraphError):
    """The application was put together in a way that cannot work; says what to change."""


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


class UnavailableError(FastGraphError):
    """The backend cannot be reached at the moment; whether the last call took effect is not known."""


class SealedError(FastGraphError):
    """What is kept was encrypted with a key that is not at hand, or is not as it was encrypted."""


class LeaseLostError(FastGraphError):
    """The run was claimed again, finished or deleted: the holder of this lease may write nothing more."""


class StreamTruncatedError(FastGraphError):
    """The reader fell so far behind that events it has not seen were dropped."""
