"""Demo graphs that run without any model key. They know LangGraph only, never the server that runs them."""
