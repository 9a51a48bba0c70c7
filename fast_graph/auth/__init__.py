"""Who calls, and what of everything exists for them."""
