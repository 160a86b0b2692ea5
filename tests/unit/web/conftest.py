"""Fixtures that plan reports."""

from tests.unit.query.conftest import planner, schema  # noqa: F401 - fixtures
