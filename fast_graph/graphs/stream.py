"""A graph's own stream as events: each stream mode in the form clients know it, encoded once."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import RunControl

from fast_graph.graphs.config import USER_KEY
from fast_graph.graphs.registry import Graph
from fast_graph.graphs.serde import encode, encode_message
from fast_graph.model.records import Event, Json

INTERRUPT = "__interrupt__"
ALWAYS = ("values", "updates")
"""Modes that are followed in any case: they tell the final values, and whether the graph stopped half-way."""

Namespace = tuple[str, ...]


class GraphStream:
    """One run of a graph as events. Afterwards ``values`` and ``interrupted`` tell how it ended."""

    def __init__(self, graph: Graph, *, modes: Sequence[str], subgraphs: bool) -> None:
        self._graph = graph
        self._modes = frozenset(modes)
        self._subgraphs = subgraphs
        self._messages = MessageEvents(as_tuples="messages-tuple" in self._modes)
        self._encoders: Mapping[str, Callable[[str, Any], Iterator[Event]]] = {
            "values": self._values,
            "updates": self._updates,
            "messages": self._messages.events,
            "checkpoints": self._checkpoints,
            "debug": self._debug,
        }
        self._last: Any = None
        self._last_text: bytes | None = None
        self.interrupted = False
        """Whether nodes were left to run: a dynamic or static interrupt stopped the graph."""

    def values(self) -> bytes | None:
        """JSON of the last values, with ``__interrupt__`` if that is how it ended; None if there were none."""
        if self._last_text is None and self._last is not None:
            self._last_text = encode(self._last)
        return self._last_text

    async def events(
        self, input: Any, config: RunnableConfig, *, control: RunControl, **options: Any
    ) -> AsyncGenerator[Event, None]:
        """Run the graph. Raises what the graph raises."""
        options |= {"stream_mode": self._graph_modes(), "subgraphs": self._subgraphs, "control": control}
        if "events" in self._modes:
            source: AsyncGenerator[Any, None] = self._with_callbacks(input, config, options)
        else:
            source = cast("AsyncGenerator[Any, None]", self._graph.astream(input, config, **options))
        async with aclosing(source):
            async for chunk in source:
                if isinstance(chunk, Event):
                    yield chunk
                    continue
                for event in self._encode(chunk):
                    yield event

    def _graph_modes(self) -> list[str]:
        asked = {"messages" if mode == "messages-tuple" else mode for mode in self._modes} - {"events"}
        return sorted(asked.union(ALWAYS))

    async def _with_callbacks(
        self, input: Any, config: RunnableConfig, options: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """LangChain's events; the graph's own chunks come out of the stream events of the outermost run."""
        async for event in self._graph.astream_events(input, config, version="v2", **options):
            if event["event"] == "on_chain_stream" and not event["parent_ids"]:
                yield event["data"]["chunk"]
            else:
                yield Event("events", encode(event))

    def _encode(self, chunk: tuple[Any, ...]) -> Iterator[Event]:
        namespace, mode, data = cast("tuple[Namespace, str, Any]", chunk if self._subgraphs else ((), *chunk))
        if not namespace:
            self._note(mode, data)
        if mode not in self._modes and mode != "messages":
            return iter(())
        suffix = "|".join(("", *namespace))
        encoder = self._encoders.get(mode)
        if encoder is None:
            return iter((Event(mode + suffix, encode(data)),))
        return encoder(suffix, data)

    def _note(self, mode: str, data: Any) -> None:
        stopped = mode in ALWAYS and isinstance(data, Mapping) and INTERRUPT in data
        self.interrupted = self.interrupted or stopped
        # Other tasks of the superstep may still emit values: whoever waits must see the interrupt all the same.
        if mode == "values" and (stopped or not self.interrupted):
            self._last, self._last_text = data, None

    def _values(self, suffix: str, data: Any) -> Iterator[Event]:
        text = encode(data)
        if data is self._last:
            self._last_text = text
        yield Event("values" + suffix, text)

    def _updates(self, suffix: str, data: Any) -> Iterator[Event]:
        yield Event("updates" + suffix, encode(data))

    def _checkpoints(self, suffix: str, data: Any) -> Iterator[Event]:
        yield Event("checkpoints" + suffix, encode(_public(data)))

    def _debug(self, suffix: str, data: Any) -> Iterator[Event]:
        if data["type"] == "checkpoint":
            payload = _public(data["payload"])
            places = {
                "checkpoint": checkpoint_of(payload["config"]),
                "parent_checkpoint": checkpoint_of(payload["parent_config"]),
            }
            tasks = [_with_checkpoint(task) for task in payload["tasks"]]
            data = {**data, "payload": {**payload, "tasks": tasks, **places}}
        yield Event("debug" + suffix, encode(data))


class MessageEvents:
    """Messages as clients ask for them: chunk by chunk with metadata, or as they grow."""

    def __init__(self, *, as_tuples: bool) -> None:
        self.events = self._tuples if as_tuples else self._growing
        self._metadata: tuple[object, bytes] = (None, b"")
        self._grown: dict[str, BaseMessage] = {}

    def _tuples(self, suffix: str, data: tuple[BaseMessage, Json]) -> Iterator[Event]:
        message, metadata = data
        # All chunks of one model call bear the same metadata object: it is encoded once.
        if self._metadata[0] is not metadata:
            self._metadata = (metadata, encode(metadata))
        text = b"[%b,%b]" % (encode_message(message), self._metadata[1])
        yield Event("messages" + suffix, text)

    def _growing(self, suffix: str, data: tuple[BaseMessage, Json]) -> Iterator[Event]:
        message, metadata = data
        key = str(message.id)
        known = self._grown.get(key)
        if known is None:
            yield Event("messages/metadata" + suffix, encode({key: {"metadata": metadata}}))
        if isinstance(message, BaseMessageChunk):
            grown = known + message if isinstance(known, BaseMessageChunk) else message
            self._grown[key] = grown
            whole = message_chunk_to_message(grown)
            yield Event("messages/partial" + suffix, encode([whole]))
        else:
            self._grown[key] = message
            yield Event("messages/complete" + suffix, encode([message]))


def checkpoint_of(config: Mapping[str, Any] | None) -> Json | None:
    """The place of a checkpoint that a config names."""
    if config is None:
        return None
    where = config["configurable"]
    keys = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    return {key: where[key] for key in keys if key in where}


def _public(checkpoint: Json) -> dict[str, Any]:
    """A checkpoint payload without LangGraph's own bookkeeping."""
    return {
        **checkpoint,
        "config": _public_config(checkpoint["config"]),
        "parent_config": _public_config(checkpoint["parent_config"]),
        "tasks": [{**task, "state": _public_config(task.get("state"))} for task in checkpoint["tasks"]],
    }


def _with_checkpoint(task: Json) -> Json:
    """A task that is a subgraph names its checkpoint; others say nothing of one."""
    if not isinstance(task["state"], Mapping):
        return task
    return {**{key: task[key] for key in task if key != "state"}, "checkpoint": checkpoint_of(task["state"])}


def _public_config(config: Any) -> Any:
    if not isinstance(config, Mapping) or "configurable" not in config:
        return config
    where = {
        key: value for key, value in config["configurable"].items() if not key.startswith("__") and key != USER_KEY
    }
    return {"configurable": where}
