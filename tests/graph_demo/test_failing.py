import pytest
from langchain_core.runnables import RunnableConfig

from graph_demo import failing
from tests.graph_demo.conftest import Bind


async def test_the_error_names_the_input(bind: Bind, thread: RunnableConfig) -> None:
    with pytest.raises(ValueError, match="Cannot process 'bad data': this graph always fails"):
        await bind(failing.build()).ainvoke({"text": " bad data "}, thread)


async def test_the_step_before_the_failure_is_kept(bind: Bind, thread: RunnableConfig) -> None:
    graph = bind(failing.build())
    with pytest.raises(ValueError, match="bad data"):
        await graph.ainvoke({"text": "bad data"}, thread)
    state = await graph.aget_state(thread)
    assert state.values["prepared"] == "bad data"
    assert state.next == ("fail",)
    assert "Cannot process 'bad data'" in str(state.tasks[0].error)
