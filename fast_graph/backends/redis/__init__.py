"""The Redis parts of a backend: the stream log and the signals. Rows are kept elsewhere."""
