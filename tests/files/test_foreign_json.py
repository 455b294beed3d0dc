from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcore.files.bounds import DEEPEST_JSON
from bertcore.files.foreign_json import parse_json, read_json


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("text", ["3", '"a"', nested(DEEPEST_JSON), '{"a": {"b": [1, {"c": null}]}}', "[[], {}]"])
def test_what_is_read_is_what_the_standard_library_reads(text: str, tmp_path: Path) -> None:
    assert parse_json(text) == json.loads(text)
    file = tmp_path / "a.json"
    file.write_text(text)
    assert read_json(file, len(text)) == json.loads(text)


@pytest.mark.parametrize(
    "text", [nested(DEEPEST_JSON + 1), nested(900), nested(1_000_000), '{"a":' * 200 + "1" + "}" * 200]
)
def test_depth_has_a_bound(text: str) -> None:
    with pytest.raises(ValueError, match=f"more than {DEEPEST_JSON} deep"):
        parse_json(text)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with file.open("wb") as opened:
        opened.truncate(2**40)  # of which no byte is on the disk
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        read_json(file, 1000)
