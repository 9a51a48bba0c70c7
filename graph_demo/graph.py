"""The demo graphs by name, compiled without checkpointer and store: whoever runs them brings these."""

import os
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.graph.state import CompiledStateGraph

from graph_demo import approval, chat, failing, pipeline, plain, research, task_maistro
from graph_demo.model import OfflineChatModel, real_chat_model
from graph_demo.requests import Reader, read_by_model, read_by_rules

Graphs = dict[str, CompiledStateGraph[Any, Any, Any, Any]]


def choose_graphs(model_name: str | None) -> Graphs:
    """The graphs with the named model, or offline if there is no name."""
    if not model_name:
        return build_graphs(OfflineChatModel(), read=read_by_rules)
    model = real_chat_model(model_name)
    return build_graphs(model, read=read_by_model(model))


def build_graphs(model: BaseChatModel, *, read: Reader) -> Graphs:
    return {
        "chat": chat.build(model),
        "approval": approval.build(),
        "failing": failing.build(),
        "plain": plain.build(),
        "research": research.build(model),
        "task_maistro": task_maistro.build(model, read=read),
        "pipeline": pipeline.build(),
    }


GRAPHS: dict[str, object] = {**choose_graphs(os.environ.get("FAST_GRAPH_DEMO_MODEL"))}
