"""The ports: what the services and the engine need kept, as protocols whose docstrings are the contracts."""
