"""The use cases: a caller and plain values in, records out. No HTTP and no SQL."""
