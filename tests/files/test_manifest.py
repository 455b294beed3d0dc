"""Checksums of a folder's files, against sha256sum and every kind of change."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.errors import ModelError
from bertcore.files.manifest import MANIFEST_FILE, verified_facts, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several sizes, one of them in a folder below."""
    draw = random.Random(0)
    folder = tmp_path / "folder"
    (folder / "model").mkdir(parents=True)
    for name, size in (("empty", 0), ("state.json", 100), ("weights", 3_000_000), ("model/词.txt", 10)):
        (folder / name).write_bytes(draw.randbytes(size))
    write_manifest(folder, step=12)
    return folder


def test_what_is_as_it_was_written_passes_with_what_was_noted(folder: Path) -> None:
    assert verified_facts(folder) == {"step": 12}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_checksums_are_those_of_sha256sum(folder: Path) -> None:
    entries = json.loads((folder / MANIFEST_FILE).read_text())["files"]
    assert set(entries) == {"empty", "state.json", "weights", "model/词.txt"}
    lines = "".join(f"{entry['sha256']}  {name}\n" for name, entry in entries.items())
    subprocess.run(["sha256sum", "--check", "--strict"], input=lines.encode(), cwd=folder, check=True)
    assert {name: entry["bytes"] for name, entry in entries.items()} == {
        name: (folder / name).stat().st_size for name in entries
    }


def test_any_flipped_bit_is_named_with_its_file_and_a_way_on(folder: Path) -> None:
    draw = random.Random(1)
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    for file in [*files, *draw.choices(files, k=40)]:
        content = file.read_bytes()
        place, bit = draw.randrange(len(content)), 1 << draw.randrange(8)
        file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        with pytest.raises(ModelError) as caught:
            verified_facts(folder)
        assert caught.value.cause.startswith(f"{file}: damaged or changed: ")
        assert f"delete {folder / MANIFEST_FILE}" in caught.value.remedy
        assert "\n" not in caught.value.cause + caught.value.remedy
        file.write_bytes(content)
    assert verified_facts(folder) == {"step": 12}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.unlink(), "the file is missing"),
        (lambda file: file.write_bytes(b""), "it had 100 bytes, and has 0"),
        (lambda file: file.write_bytes(file.read_bytes() + b"\n"), "it had 100 bytes, and has 101"),
    ],
)
def test_a_file_that_is_missing_or_of_another_size_is_named(
    folder: Path, change: Callable[[Path], None], words: str
) -> None:
    change(folder / "state.json")
    with pytest.raises(ModelError, match=words):
        verified_facts(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"files": [], "sha256": ""}', b"\xff"])
def test_a_manifest_that_is_none_is_named(folder: Path, content: bytes) -> None:
    (folder / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=f"{MANIFEST_FILE}: damaged or changed"):
        verified_facts(folder)


def test_files_of_the_user_are_not_compared(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    assert verified_facts(folder) == {"step": 12}


def test_without_a_manifest_nothing_is_compared(folder: Path) -> None:
    (folder / "weights").write_bytes(b"edited")
    (folder / MANIFEST_FILE).unlink()
    assert verified_facts(folder) == {}
    assert verified_facts(folder / "absent") == {}


def test_a_folder_that_is_replaced_while_it_is_compared_is_compared_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `best/` of a run that goes on: the new manifest is that of the new files."""
    from bertcore.files import manifest

    newer = tmp_path / "newer"
    shutil.copytree(folder, newer)
    (newer / "weights").write_bytes(b"better")
    (newer / MANIFEST_FILE).unlink()
    write_manifest(newer, step=24)
    describe = manifest._describe

    def describe_and_replace(file: Path) -> dict[str, object]:
        if newer.exists():
            folder.rename(tmp_path / "old")
            newer.rename(folder)
        return describe(file)

    monkeypatch.setattr(manifest, "_describe", describe_and_replace)
    assert verified_facts(folder) == {"step": 24}
