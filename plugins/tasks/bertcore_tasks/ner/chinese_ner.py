"""ChineseNER (zjy-ucas): the People's Daily corpus as that project publishes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``chinese_ner``."""
    from bertcore_tasks.ner.column_task import ColumnNerTask, Layout

    return [
        ColumnNerTask(
            name="chinese_ner",
            description="ChineseNER (zjy-ucas), named entities LOC PER ORG: entity F1",
            types=("LOC", "PER", "ORG"),
            layouts=(Layout("BIO", "example.{split}"),),
        )
    ]
