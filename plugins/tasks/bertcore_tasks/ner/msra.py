"""MSRA, the Chinese corpus of SIGHAN 2006: persons, places and organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``msra``."""
    from bertcore_tasks.ner.column_task import ColumnNerTask, Layout

    return [
        ColumnNerTask(
            name="msra",
            description="MSRA (SIGHAN 2006), Chinese named entities LOC PER ORG: entity F1",
            types=("LOC", "PER", "ORG"),
            layouts=(
                Layout("BIO", "msra_{split}_bio.txt"),
                Layout("BIO", "msra_{split}_bio"),
                # As Lattice LSTM, zh-NER-TF and others hand it out.
                Layout("BMES", "{split}.char.bmes", train="train_dev"),
                Layout("BMES", "{split}.char.bmes"),
                Layout(None, "{split}_data"),
                Layout(None, "{split}.txt"),
                Layout(None, "{split}.tsv"),
            ),
            dev_is_test=True,
            other_names={"NS": "LOC", "NR": "PER", "NT": "ORG"},
        )
    ]
