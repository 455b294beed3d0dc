"""CMRC 2018: a span of a Chinese paragraph that answers a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``cmrc2018``."""
    from bertcore_tasks.qa.cmrc2018_task import Cmrc2018Task

    return [Cmrc2018Task()]
