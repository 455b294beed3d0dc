"""The user's own named entities: which file must hold some."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry


def test_only_a_training_file_must_hold_entities(tmp_path: Path) -> None:
    task = Registry().task("ner")
    file = tmp_path / "none.bio"
    file.write_text("小\tO\n明\tO\n", encoding="utf-8")
    for named in ({"path": str(file)}, {"dev": str(file)}):
        (sentence,) = task.open(task.data_config(**named)).split("dev")
        assert sentence.label == ()
    with pytest.raises(DataError, match=r"none\.bio: no entity in 1 texts"):
        task.open(task.data_config(train=str(file), dev=str(file)))


@pytest.mark.parametrize(
    ("name", "content", "unit", "words"),
    [
        ("word.bio", "EU\tB-ORG\nrejects\tO\n7\tO\ncalls\tO\n", "word", ["EU", "rejects", "7", "calls"]),
        ("letter.bio", "E\tB-ORG\nU\tI-ORG\n7\tO\n", "character", ["E", "U", "7"]),
        ("chinese.bio", "华\tB-ORG\n为\tI-ORG\n，\tO\n", "character", ["华", "为", "，"]),
        ("mixed.bio", "用\tO\nBERT\tB-MODEL\n于\tO\n5\tO\nG\tO\n网\tO\n7B\tO\n", "word", None),
        (
            "english.jsonl",
            '{"text": "EU rejects calls", "entities": [{"start": 0, "end": 2, "type": "ORG"}]}\n',
            "word",
            ["EU", "rejects", "calls"],
        ),
        (
            "chinese.jsonl",
            '{"text": "华为 5G", "entities": [{"start": 0, "end": 2, "type": "ORG"}]}\n',
            "character",
            ["华", "为", " ", "5", "G"],
        ),
    ],
)
def test_texts_are_split_as_the_training_file_is(
    tmp_path: Path, name: str, content: str, unit: str, words: list[str] | None
) -> None:
    task = Registry().task("ner")
    (tmp_path / name).write_text(content, encoding="utf-8")
    files = {"train": str(tmp_path / name), "dev": str(tmp_path / name)}
    dataset = task.open(task.data_config(**files))
    assert dataset.options == {"unit": unit}
    if words is not None:
        assert [sentence.words for split in ("train", "dev") for sentence in dataset.split(split)] == [words] * 2
    kept = task.data_config(**files).model_copy(update=dict(dataset.options))
    (parsed,) = task.parse_input([({"text": "EU 华为"}, Origin("in.jsonl", 1))], kept)
    assert parsed.words == (["EU", "华", "为"] if unit == "word" else ["E", "U", " ", "华", "为"])
    other = "character" if unit == "word" else "word"
    assert task.open(task.data_config(**files, unit=other)).options == {"unit": other}
