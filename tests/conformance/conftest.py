"""Failures in the shipped classes are explained as those in test files are."""

import pytest

pytest.register_assert_rewrite("fast_graph.testing")
