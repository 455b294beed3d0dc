"""Gaps: what a plugin does not do, said in its test module with the reason why.

A gap is a strict expected failure. The test runs all the same and must fail; when it passes, the gap has closed, and
the suite fails until the declaration is taken out. ibis' suites do it in the same way and with the same three words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Gap:
    """What is missing, and why.

    Attributes:
        kind: whether it can still be closed.
        reason: one line for who reads the report.
    """

    kind: str
    reason: str

    @property
    def mark(self) -> pytest.MarkDecorator:
        """The strict expected failure."""
        import pytest

        return pytest.mark.xfail(strict=True, reason=f"{self.kind}: {self.reason}")


def notimpl(reason: str) -> Gap:
    """The plugin could do it, and does not yet."""
    return Gap("not implemented", reason)


def notyet(reason: str) -> Gap:
    """What the plugin stands on cannot do it yet: a framework, a file format, a package."""
    return Gap("not yet possible", reason)


def never(reason: str) -> Gap:
    """It makes no sense here, and will not come."""
    return Gap("never", reason)
