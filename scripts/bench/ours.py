"""The same graphs behind FastGraph, on the backend of the environment."""

from fast_graph import fastGraph
from scripts.bench.graphs import BUILDERS

app = fastGraph(graphs=BUILDERS)
