"""The words of the domain: frozen records, literals, the lifecycle table and errors. Standard library only."""
