"""The same graphs behind FastGraph, on the memory backend."""

from fast_graph import fastGraph
from scripts.bench.graphs import BUILDERS

app = fastGraph(graphs=BUILDERS)
