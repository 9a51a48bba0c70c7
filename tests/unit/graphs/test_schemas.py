"""How graphs are described, those included that can only be described in part."""

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from fast_graph.graphs.schemas import drawing, schemas, subgraph_schemas
from tests.unit.graphs.sources import Text, compiled


class Foreign:
    """A type that pydantic knows nothing of."""


class Raising:
    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        raise ValueError("no schema here")


class ForeignState(TypedDict):
    text: str
    tool: Foreign


class RaisingState(TypedDict):
    text: str
    tool: Raising


class CallableState(TypedDict):
    text: str
    tool: Callable[[], int]


class Settings(BaseModel):
    model: str


def test_a_graph_has_schemas_of_what_goes_in_and_out() -> None:
    found = schemas(compiled())
    for kind in ("input_schema", "output_schema", "state_schema"):
        assert found[kind]["properties"].keys() == {"text"}
    assert found["context_schema"] is None
    assert found["config_schema"] == {}


def test_the_context_has_a_schema_if_the_graph_names_one() -> None:
    found = schemas(compiled(context=Settings))
    assert found["context_schema"]["properties"].keys() == {"model"}
    assert found["config_schema"] == found["context_schema"]


@pytest.mark.parametrize("state", [ForeignState, RaisingState, CallableState])
def test_a_schema_that_cannot_be_made_is_null(state: type[Any]) -> None:
    found = schemas(compiled(state))
    assert [found[kind] for kind in ("input_schema", "output_schema", "state_schema")] == [None] * 3


def test_what_can_be_described_is_described_next_to_what_cannot() -> None:
    found = schemas(compiled(context=Foreign))
    assert found["input_schema"] is not None
    assert found["context_schema"] is None
    assert found["config_schema"] == {}


def test_an_entrypoint_has_schemas_of_its_types() -> None:
    @entrypoint()
    async def double(number: int) -> int:
        return number * 2

    found = schemas(double)
    assert found["input_schema"]["type"] == "integer"
    assert found["output_schema"]["type"] == "integer"


def nested() -> Any:
    outer = StateGraph(Text)
    outer.add_node("inside", compiled())
    outer.add_edge(START, "inside")
    return outer.compile()


async def test_subgraphs_are_described_by_their_place() -> None:
    assert (await subgraph_schemas(nested(), None, recurse=False)).keys() == {"inside"}
    assert await subgraph_schemas(compiled(), None, recurse=True) == {}


async def test_a_drawing_has_every_node_and_edge() -> None:
    drawn = await drawing(compiled(), xray=False)
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "shout", "__end__"]
    assert drawn["nodes"][-1] == {"id": "__end__"}
    assert drawn["nodes"][1]["data"] == {"name": "shout"}
    edges = [(edge["source"], edge["target"]) for edge in drawn["edges"]]
    assert edges == [("__start__", "shout"), ("shout", "__end__")]


async def test_an_x_ray_shows_what_is_inside_of_nodes() -> None:
    outside = await drawing(nested(), xray=False)
    inside = await drawing(nested(), xray=True)
    assert "inside" in [node["id"] for node in outside["nodes"]]
    assert "inside:shout" in [node["id"] for node in inside["nodes"]] or "shout" in [n["id"] for n in inside["nodes"]]
