"""Serves the demo graphs: ``python server.py --help``."""

import argparse
import logging
import os

import uvicorn
from dotenv import load_dotenv

from fast_graph import fastGraph
from fast_graph.connections import patient_http
from graph_demo.graph import choose_graphs

load_dotenv(".env")  # HOST, PORT and FAST_GRAPH_DEMO_MODEL, and the key of a real model, which no settings read
app = fastGraph(graphs={**choose_graphs(os.environ.get("FAST_GRAPH_DEMO_MODEL"))}, title="FastGraph demo")


def main() -> None:
    """Read the command line and serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=os.environ.get("PORT") or "8000", help="port to listen on")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:     %(message)s")
    app.state.fast_graph.warn_if_exposed(options.host)
    settings = app.state.fast_graph.settings
    # Clients that wait for long runs must not keep the server from stopping.
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=settings.keep_alive,
        http=patient_http(patience=settings.request_timeout, most_head=settings.max_header_bytes),
    )


if __name__ == "__main__":
    main()
