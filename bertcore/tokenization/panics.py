"""What a library written in Rust does where it finds itself in a state that it holds impossible: it panics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Turns a panic, which is no ``Exception`` so that nobody catches it by chance, into one.

    Raises:
        ValueError: there was a panic.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise ValueError(f"its parts do not fit together: {error}") from None
