"""bertcore: fine-tune BERT with one task definition, one training loop and one checkpoint on every backend.

Public names are loaded when first used, so that importing bertcore costs nothing.
"""

from __future__ import annotations

import sys
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
    from bertcore.api import run_folds as run_folds
    from bertcore.api import run_seeds as run_seeds
    from bertcore.api import score as score
    from bertcore.api import submit as submit
    from bertcore.errors import BertcoreError as BertcoreError
    from bertcore.plugins.hookspecs import hookimpl as hookimpl
    from bertcore.trackers.progress_display import show_progress as show_progress

__version__ = "0.1.0"

_PUBLIC = {
    "BertcoreError": "bertcore.errors",
    "check_data": "bertcore.api",
    "convert": "bertcore.api",
    "convert_data": "bertcore.api",
    "evaluate": "bertcore.api",
    "hookimpl": "bertcore.plugins.hookspecs",
    "predict": "bertcore.api",
    "resume": "bertcore.api",
    "run": "bertcore.api",
    "run_folds": "bertcore.api",
    "run_seeds": "bertcore.api",
    "score": "bertcore.api",
    "show_progress": "bertcore.trackers.progress_display",
    "submit": "bertcore.api",
}

_MODULES = ("api", "errors")

__all__ = [
    "BertcoreError",
    "__version__",
    "api",
    "check_data",
    "convert",
    "convert_data",
    "errors",
    "evaluate",
    "hookimpl",
    "predict",
    "resume",
    "run",
    "run_folds",
    "run_seeds",
    "score",
    "show_progress",
    "submit",
]


if not TYPE_CHECKING:  # a type checker would take any name for one that this function finds

    def __getattr__(name: str) -> Any:
        if name in _PUBLIC:
            return getattr(import_module(_PUBLIC[name]), name)
        if name in _MODULES:
            return import_module(f"bertcore.{name}")
        raise AttributeError(f"module 'bertcore' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
