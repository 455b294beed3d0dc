"""CLUENER: fine-grained Chinese named entities of ten types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``cluener``."""
    from bertcore_tasks.ner.span_task import SpanNerTask

    return [
        SpanNerTask(
            name="cluener",
            description="CLUE CLUENER: fine-grained Chinese named entities of 10 types, entity F1",
            types=(
                "address",
                "book",
                "company",
                "game",
                "government",
                "movie",
                "name",
                "organization",
                "position",
                "scene",
            ),
            submission_file="cluener_predict.json",
        )
    ]
