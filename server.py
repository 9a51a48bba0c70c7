"""Serves the demo graphs: ``python server.py --help``."""

import argparse
import logging
import os

import uvicorn

from fast_graph import fastGraph
from graph_demo.graph import GRAPHS

app = fastGraph(graphs=GRAPHS, title="FastGraph demo")


def main() -> None:
    """Read the command line and serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"), help="address to listen on")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")), help="port to listen on")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:     %(message)s")
    # Clients that wait for long runs must not keep the server from stopping.
    uvicorn.run(app, host=options.host, port=options.port, access_log=False, timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
