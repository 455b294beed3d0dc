"""The People's Daily corpus: persons, places and organizations, as bert4torch's script reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``people_daily``."""
    from bertcore_tasks.ner.column_task import ColumnNerTask, Layout

    return [
        ColumnNerTask(
            name="people_daily",
            description="People's Daily (1998), Chinese named entities LOC PER ORG: entity F1",
            types=("LOC", "PER", "ORG"),
            layouts=(Layout("BIO", "example.{split}"),),
        )
    ]
