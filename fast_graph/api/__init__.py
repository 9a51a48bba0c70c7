"""HTTP in the dialect of the LangGraph Platform: parse, call one service method, format."""
