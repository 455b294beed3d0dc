"""What the catalogue says of a kind of errors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of errors.

    Attributes:
        when: one sentence that says when it comes.
        remedy: one sentence that says what to do; the error itself says it with names and values.
    """

    when: str
    remedy: str
