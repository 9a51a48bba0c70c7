"""The same graphs behind FastGraph, on the memory backend."""

from graphs import BUILDERS

from fast_graph import fastGraph

app = fastGraph(graphs=BUILDERS)
