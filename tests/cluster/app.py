"""The app of every instance."""

from fast_graph import fastGraph
from tests.cluster.graphs import CLUSTER_GRAPHS
from tests.cluster.signing import Signed
from tests.protocol.contract.graphs import contract_graphs

app = fastGraph({**contract_graphs(), **CLUSTER_GRAPHS})
app.add_middleware(Signed)
