"""Weibo (Peng and Dredze 2015): names (NAM) and nominal mentions (NOM) in Chinese social media."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``weibo``."""
    from bertcore_tasks.ner.column_task import ColumnNerTask, Layout
    from bertcore_tasks.ner.tags import without_word_positions

    kinds = ("PER", "LOC", "ORG", "GPE")
    return [
        ColumnNerTask(
            name="weibo",
            description="Weibo, Chinese named and nominal entities of 8 types: entity F1",
            types=tuple(f"{kind}.{mention}" for kind in kinds for mention in ("NAM", "NOM")),
            layouts=(
                Layout("BMES", "{split}.all.bmes"),
                Layout("BMES", "{split}.char.bmes"),
                Layout("BIO", "weiboNER_2nd_conll.{split}"),
                Layout("BIO", "weiboNER.conll.{split}"),
            ),
            clean=without_word_positions,
        )
    ]
