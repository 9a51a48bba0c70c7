from graph_demo.graph import GRAPHS, choose_graphs

NAMES = {"chat", "approval", "failing", "plain", "research", "task_maistro", "pipeline"}


def test_all_demo_graphs_are_there() -> None:
    assert set(GRAPHS) == NAMES


def test_graphs_leave_checkpointer_and_store_to_the_server() -> None:
    for graph in choose_graphs(None).values():
        assert graph.checkpointer is None
        assert graph.store is None


def test_graphs_are_named_as_they_are_served() -> None:
    assert {name: graph.name for name, graph in choose_graphs(None).items()} == {name: name for name in NAMES}


def test_every_graph_has_schemas_and_a_drawing() -> None:
    for graph in choose_graphs("").values():
        assert graph.get_input_jsonschema()["properties"]
        assert graph.get_output_jsonschema()["properties"]
        assert graph.get_graph(xray=True).to_json()["nodes"]
