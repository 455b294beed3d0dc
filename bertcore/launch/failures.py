"""How a job ended, and which of several failures was the reason."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertcore.contracts.ranks import LOST_OTHERS

TO_BLAME = 0.5
"""Seconds in which failures count as of one moment."""

FIRST = "rank 0"
"""Name of the process that speaks to the user."""


@dataclass(frozen=True)
class Failure:
    """Why a job did not end well.

    Attributes:
        host: on which.
        process: as ``rank 3``; empty where the host as a whole was lost.
        code: exit code, negative for a signal; None where the host was lost, or the process did not come.
        last_lines: what it said last.
        seconds: since the start of the job.
    """

    host: str
    process: str
    code: int | None
    last_lines: tuple[str, ...]
    seconds: float
    absent: float | None = None
    """Seconds for which all other processes waited for this one, where that is why."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        failure: the first one; None where all went well, or where the user stopped it.
        signal: with which the user stopped it; None where nobody did.
        codes: exit code of each process that ended, by its name.
    """

    failure: Failure | None
    signal: int | None
    codes: Mapping[str, int]


def first_failure(failures: Sequence[Failure]) -> Failure | None:
    """The one that the user reads: the others are what came of it."""
    if not failures:
        return None
    own_reasons = [failure for failure in failures if failure.code != LOST_OTHERS]
    # Where each only lost the others, one that has a log tells what its framework said.
    failures = own_reasons or sorted(failures, key=lambda failure: failure.process == FIRST)
    at_once = [failure for failure in failures if failure.seconds - failures[0].seconds <= TO_BLAME]
    # SIGTERM is what this side sends to the others.
    killed = [failure for failure in at_once if failure.code is not None and failure.code < 0]
    own = [failure for failure in killed if failure.code != -signal.SIGTERM]
    if own:
        return own[0]
    # The first rank has shown its error to the user: where others had the same one, it need not be told again.
    return next(
        (failure for failure in at_once if (failure.process, failure.code) == (FIRST, at_once[0].code)), at_once[0]
    )
