"""A bound on what graphs write: the serializer of checkpoints, which refuses values that are too large."""

from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from fast_graph.model.errors import TooLargeError


class BoundedSerializer(JsonPlusSerializer):
    """LangGraph's own, for values of at most so many bytes."""

    most: int

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        kind, data = super().dumps_typed(obj)
        if len(data) > self.most:
            raise TooLargeError(f"The graph writes {len(data)} bytes to its state at once: {self.most} are allowed")
        return kind, data


def bounded(serde: SerializerProtocol, *, most: int) -> SerializerProtocol:
    """The same serializer with a bound; one that is not LangGraph's is left as it is."""
    if type(serde) is EncryptedSerializer:
        return EncryptedSerializer(serde.cipher, bounded(serde.serde, most=most))
    if type(serde) is not JsonPlusSerializer:
        return serde
    found = BoundedSerializer()
    found.most = most
    return found
