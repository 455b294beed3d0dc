"""What the conformance suites share: the plugin that is tested, loaded as bertcore loads it, and a tokenizer."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from bertcore.plugins.discovery import GROUP, Plugins
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer

FRAMEWORKS = ("torch", "mindspore", "tensorflow", "transformers")
"""What tasks and converters work without."""
NONSENSE = {"empty": b"", "zeros": b"\x00" * 4096, "braces": b"{}", "text": b"no weights\n" * 99}
CUTS = (0.0, 0.1, 0.5, 0.9, 1.0)
"""How much of a file is left; the last means all but one byte."""


def load_plugin(target: str, *others: str) -> Registry:
    """Loads a plugin with those that it stands on, and nothing else, from what their entry points name.

    Args:
        target: the value of the entry point, ``module`` or ``module:attribute``.
        others: those of further plugins.

    Raises:
        AssertionError: a plugin cannot be loaded, or one of its hooks fails; with the traceback.
    """
    plugins = Plugins()
    targets = (target, *others)
    plugins.load([metadata.EntryPoint(f"under-test-{number}", one, GROUP) for number, one in enumerate(targets)])
    registry = Registry(plugins)
    registry.gather_all()
    for one, record in zip(targets, plugins.records, strict=True):
        assert record.status == "ok", f"{one}: {record.status}\n{record.details or record.error}"
    return registry


def only(found: dict[str, object], name: str, kind: str) -> str:
    """Returns the name to test: the given one, or the only one that the plugin registers."""
    if name:
        assert name in found, f"the plugin registers no {kind} {name!r} but {', '.join(found) or 'none'}"
        return name
    assert len(found) == 1, f"the plugin registers {len(found)} {kind}s: name one with the attribute {kind!r}"
    return next(iter(found))


def imported_modules(code: str, names: Sequence[str]) -> list[str]:
    """Runs code in a fresh interpreter, and returns which of the named modules it imported.

    Raises:
        AssertionError: the code failed; with its output.
    """
    code += f"\nimport sys\nprint('IMPORTED', *(name for name in {list(names)!r} if name in sys.modules))\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stderr
    return process.stdout.rpartition("IMPORTED")[2].split()


def character_tokenizer(folder: Path) -> Tokenizer:
    """A BERT tokenizer whose word pieces are single characters, so that texts have many."""
    characters = [chr(code) for code in range(33, 127)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *characters, *(f"##{character}" for character in characters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return Tokenizer.load(folder)


@contextmanager
def small_files_only() -> Iterator[None]:
    """The operating system refuses to let a file grow beyond 2 kB, much as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
