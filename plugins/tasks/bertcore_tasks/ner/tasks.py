"""The tasks of named entities: each a description of its official files."""

from __future__ import annotations

from bertcore_tasks.ner.column_task import ColumnNerTask, Layout
from bertcore_tasks.ner.span_task import SpanNerTask
from bertcore_tasks.ner.tags import without_word_positions


def cluener() -> SpanNerTask:
    """CLUENER: fine-grained Chinese named entities of ten types."""
    return SpanNerTask(
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
        leaderboard={"test": "cluener_predict.json"},
    )


def people_daily() -> ColumnNerTask:
    """The People's Daily corpus: persons, places and organizations, as bert4torch's script reads it."""
    return ColumnNerTask(
        name="people_daily",
        description="People's Daily (1998), Chinese named entities LOC PER ORG: entity F1",
        types=("LOC", "PER", "ORG"),
        layouts=(Layout("BIO", "example.{split}"),),
    )


def chinese_ner() -> ColumnNerTask:
    """ChineseNER (zjy-ucas): the People's Daily corpus as that project publishes it."""
    return ColumnNerTask(
        name="chinese_ner",
        description="ChineseNER (zjy-ucas), named entities LOC PER ORG: entity F1",
        types=("LOC", "PER", "ORG"),
        layouts=(Layout("BIO", "example.{split}"),),
    )


def msra() -> ColumnNerTask:
    """MSRA, the Chinese corpus of SIGHAN 2006: persons, places and organizations."""
    return ColumnNerTask(
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


def resume() -> ColumnNerTask:
    """Chinese résumés (Zhang and Yang 2018, Lattice LSTM): eight types, BMES."""
    return ColumnNerTask(
        name="resume",
        description="Resume (Lattice LSTM), Chinese named entities of 8 types, BMES: entity F1",
        types=("CONT", "EDU", "LOC", "NAME", "ORG", "PRO", "RACE", "TITLE"),
        layouts=(Layout("BMES", "{split}.char.bmes"),),
    )


def weibo() -> ColumnNerTask:
    """Weibo (Peng and Dredze 2015): names (NAM) and nominal mentions (NOM) in Chinese social media."""
    kinds = ("PER", "LOC", "ORG", "GPE")
    return ColumnNerTask(
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
