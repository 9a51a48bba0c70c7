"""What a graph looks like from outside: its drawing, its schemas, its subgraphs."""

from collections.abc import Callable, Mapping
from typing import Any

from langgraph.channels.base import BaseChannel
from langgraph.pregel import Pregel
from pydantic import BaseModel, create_model
from pydantic.errors import PydanticUserError

from fast_graph.graphs.registry import Graph
from fast_graph.model.records import Json

NO_SCHEMA = (PydanticUserError, AttributeError, NameError, TypeError, ValueError)
"""What pydantic raises for types that have no schema: its own error, and those of the types' authors."""


async def drawing(graph: Graph, *, xray: int | bool) -> Json:
    """Nodes and edges; ``xray`` draws subgraphs too, to that depth."""
    drawn = (await graph.aget_graph(xray=xray)).to_json()
    return {"nodes": [_node(node) for node in drawn["nodes"]], "edges": drawn["edges"]}


def _node(node: Mapping[str, Any]) -> Json:
    if node["id"] == "__end__":
        return {"id": "__end__"}
    data = node.get("data")
    name = data.get("name", node["id"]) if isinstance(data, Mapping) else node["id"]
    more = {"metadata": node["metadata"]} if node.get("metadata") else {}
    return {"id": node["id"], "type": node.get("type", "runnable"), "data": {"name": name}, **more}


def schemas(graph: Graph) -> Json:
    """JSON schemas of input, output, state and context; null where there is none."""
    context = _or_none(graph.get_context_jsonschema)
    return {
        "input_schema": _or_none(graph.get_input_jsonschema),
        "output_schema": _or_none(graph.get_output_jsonschema),
        "state_schema": _or_none(lambda: _state_schema(graph)),
        "config_schema": context if context is not None else {},
        "context_schema": context,
    }


async def subgraph_schemas(graph: Graph, namespace: str | None, *, recurse: bool) -> Json:
    """The schemas of each subgraph, by the path of node names to it."""
    return {
        name: schemas(subgraph)
        async for name, subgraph in graph.aget_subgraphs(namespace=namespace, recurse=recurse)
        if isinstance(subgraph, Pregel)
    }


def _state_schema(graph: Graph) -> dict[str, Any]:
    channels = {name: graph.channels[name] for name in graph.stream_channels_list}
    fields: dict[str, Any] = {
        name: (channel.UpdateType, None) for name, channel in channels.items() if isinstance(channel, BaseChannel)
    }
    model: type[BaseModel] = create_model(graph.get_name("State"), **fields)
    return model.model_json_schema()


def _or_none(make: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    try:
        return make()
    except NO_SCHEMA:
        return None
