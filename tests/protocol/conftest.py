import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(*requirements): the entries of requirements.py that the test shows")
