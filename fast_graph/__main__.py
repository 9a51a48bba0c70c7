"""``python -m fast_graph`` is the command ``fast-graph``."""

from fast_graph.cli import main

if __name__ == "__main__":
    main()
