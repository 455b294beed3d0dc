"""bertcore: fine-tune BERT with one task definition, one training loop and one checkpoint on every backend.

Public names are loaded when first used, so that importing bertcore costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertcore.api import check_data as check_data
    from bertcore.api import convert as convert
    from bertcore.api import convert_data as convert_data
    from bertcore.api import evaluate as evaluate
    from bertcore.api import predict as predict
    from bertcore.api import resume as resume
    from bertcore.api import run as run
    from bertcore.api import run_seeds as run_seeds
    from bertcore.api import score as score
    from bertcore.api import submit as submit
    from bertcore.hookspecs import hookimpl as hookimpl

__version__ = "0.1.0"

_PUBLIC = {
    "hookimpl": "bertcore.hookspecs",
    "run": "bertcore.api",
    "run_seeds": "bertcore.api",
    "resume": "bertcore.api",
    "evaluate": "bertcore.api",
    "predict": "bertcore.api",
    "submit": "bertcore.api",
    "score": "bertcore.api",
    "convert": "bertcore.api",
    "check_data": "bertcore.api",
    "convert_data": "bertcore.api",
}

__all__ = [
    "__version__",
    "check_data",
    "convert",
    "convert_data",
    "evaluate",
    "hookimpl",
    "predict",
    "resume",
    "run",
    "run_seeds",
    "score",
    "submit",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'bertcore' has no attribute {name!r}")
