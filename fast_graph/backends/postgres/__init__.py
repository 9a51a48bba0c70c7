"""Everything durable in PostgreSQL."""
