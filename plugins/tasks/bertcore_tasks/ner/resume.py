"""Chinese résumés (Zhang and Yang 2018, Lattice LSTM): eight types, BMES."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``resume``."""
    from bertcore_tasks.ner.column_task import ColumnNerTask, Layout

    return [
        ColumnNerTask(
            name="resume",
            description="Resume (Lattice LSTM), Chinese named entities of 8 types, BMES: entity F1",
            types=("CONT", "EDU", "LOC", "NAME", "ORG", "PRO", "RACE", "TITLE"),
            layouts=(Layout("BMES", "{split}.char.bmes"),),
        )
    ]
