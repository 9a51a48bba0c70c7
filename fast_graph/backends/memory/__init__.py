"""Everything in one process's memory."""
