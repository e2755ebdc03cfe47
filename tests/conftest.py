"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings


def pytest_configure() -> None:
    """No example is timed: a machine that does something else as well is no failure."""
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
