"""Fixtures live in tests/fixtures, one file per noun."""

pytest_plugins = ["fixtures.postgres"]
