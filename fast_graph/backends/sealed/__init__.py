"""Encryption of what any other backend keeps: wrappers of the ports, and a serialiser for the checkpointer."""
