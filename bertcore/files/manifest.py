"""Checksums of the files of a folder, so that one that was changed or damaged since is named when it is read.

``bertcore_manifest.json`` lies in the folder: ``files`` has size and SHA-256 of each, the other entries say what the
folder is, and ``sha256`` is that of the manifest's own content without this entry. Files that it does not name, such as
a README that a user adds, are nobody's business.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bertcore.errors import ModelError, Origin

MANIFEST_FILE = "bertcore_manifest.json"

_THREADS = 4
_ATTEMPTS = 5


def write_manifest(folder: Path, **facts: int) -> None:
    """Writes the manifest of a folder that nobody reads yet, over all files below it.

    Args:
        folder: whose files are complete.
        facts: numbers to remember with them, as the step of a checkpoint.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    with ThreadPoolExecutor(_THREADS) as pool:  # hashing leaves the other threads free
        entries = dict(zip(names, pool.map(_describe, files), strict=True))
    content = {**facts, "files": entries}
    content["sha256"] = _own_checksum(content)
    (folder / MANIFEST_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def verified_facts(folder: Path) -> dict[str, int]:
    """Compares every file of a folder with its manifest, and returns what else the manifest says.

    A folder that is replaced meanwhile, as ``best/`` of a run that goes on, is compared anew.

    Returns:
        Nothing for a folder without a manifest, which is not verified.

    Raises:
        ModelError: a file is missing or is not as it was written; names it.
    """
    for attempt in range(_ATTEMPTS):
        text = _read(folder)
        if text is None:
            return {}
        try:
            return _verified(folder, text)
        except ModelError:
            if attempt == _ATTEMPTS - 1 or _read(folder) == text:
                raise
    raise AssertionError("unreachable")


def _read(folder: Path) -> bytes | None:
    try:
        return (folder / MANIFEST_FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(
            str(error.strerror),
            "see to its permissions",
            origin=Origin(str(folder / MANIFEST_FILE)),
            code="weights-unreadable",
        ) from None


def _verified(folder: Path, text: bytes) -> dict[str, int]:
    manifest = folder / MANIFEST_FILE
    try:
        content: dict[str, Any] = json.loads(text)
        checksum = content.pop("sha256")
        entries: Mapping[str, Mapping[str, Any]] = content["files"]
        whole = checksum == _own_checksum(content)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise _changed(folder, manifest, "it is not as it was written")
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda name: _describe_if_there(folder / name), entries)
        for (name, entry), actual in zip(entries.items(), found, strict=True):
            if actual is None:
                raise _changed(folder, folder / name, "the file is missing")
            if actual["bytes"] != entry["bytes"]:
                raise _changed(folder, folder / name, f"it had {entry['bytes']} bytes, and has {actual['bytes']}")
            if actual != entry:
                raise _changed(folder, folder / name, "its content is not what was written (another SHA-256)")
    del content["files"]
    return content


def _changed(folder: Path, file: Path, what: str) -> ModelError:
    return ModelError(
        f"damaged or changed: {what}",
        f"restore it from a copy; if it was changed on purpose, delete {folder / MANIFEST_FILE}, "
        "and nothing is compared any more",
        origin=Origin(str(file)),
        code="file-changed",
    )


def _describe_if_there(file: Path) -> dict[str, Any] | None:
    try:
        return _describe(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(
            f"cannot be read: {error.strerror}",
            "see to its permissions and its disk",
            origin=Origin(str(file)),
            code="weights-unreadable",
        ) from None


def _describe(file: Path) -> dict[str, Any]:
    with open(file, "rb", buffering=0) as content:
        return {
            "bytes": os.fstat(content.fileno()).st_size,
            "sha256": hashlib.file_digest(content, "sha256").hexdigest(),
        }


def _own_checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
