"""What the pages show on MindSpore runs, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.mindspore

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["backends.md"])
def test_what_a_page_shows_on_mindspore_runs_and_prints_what_it_shows(
    name: str, play: Callable[[Path, bool], int]
) -> None:
    assert play(DOCS / name, True)
