"""The server that tests start as a process of its own."""

from fast_graph import fastGraph
from tests.integration.graphs import GRAPHS

app = fastGraph(GRAPHS)
