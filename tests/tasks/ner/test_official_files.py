"""The official files, counted again by simpler means than the tasks read them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bertcore_tasks.ner.units import Sentence

from bertcore.contracts.dataset import Dataset
from bertcore.contracts.tagging import Span, scheme_tags, spans_to_tags
from bertcore.contracts.task import Task
from bertcore.errors import DataError
from bertcore.plugins.registry import Registry

from .conftest import LAYOUTS, write_layout


def opened(name: str, folder: Path, **options: Any) -> tuple[Task, Dataset]:
    task = Registry().task(name)
    return task, task.open(task.data_config(path=str(folder), **options))


def sentences(dataset: Dataset, split: str) -> list[Sentence]:
    return list(dataset.split(split))


@pytest.mark.parametrize(
    ("name", "split", "count"),
    [("people_daily", "train", 20864), ("people_daily", "dev", 2318), ("chinese_ner", "test", 4636)],
)
def test_peoples_daily_is_read_whole(people_daily_dir: Path, name: str, split: str, count: int) -> None:
    _, dataset = opened(name, people_daily_dir)
    read = sentences(dataset, split)
    content = (people_daily_dir / f"example.{split}").read_text(encoding="utf-8")
    assert len(read) == len(content.strip("\n").split("\n\n")) == count
    assert "".join(sentence.text for sentence in read) == re.sub(r" \S+\n|\n", "", content)
    found = Counter(span.type for sentence in read for span in sentence.label)
    # An entity begins with B, or with an I that stands behind neither a B nor an I of its type.
    loose = re.findall(r"(?<! [BI]-LOC\n). I-(LOC)|(?<! [BI]-ORG\n). I-(ORG)|(?<! [BI]-PER\n). I-(PER)", content)
    expected = Counter(re.findall(r" B-(\w+)\n", content)) + Counter("".join(groups) for groups in loose)
    assert found == expected
    assert len(loose) == 5 * (split == "train")
    assert dataset.split(split).notes == (
        "example.train: 5 tags in 5 sentences that BIO forbids, read as conlleval does; the first in line 623600",
    ) * (split == "train")


def test_tags_that_break_the_scheme_are_refused_on_request(people_daily_dir: Path, tmp_path: Path) -> None:
    lines = (people_daily_dir / "example.train").read_text(encoding="utf-8").splitlines()
    (tmp_path / "example.train").write_text("\n".join(lines[623_598:]), encoding="utf-8")
    _, dataset = opened("people_daily", tmp_path, repair=False)
    with pytest.raises(DataError) as caught:
        dataset.split("train")
    assert caught.value.cause.endswith("example.train:2: the tag 'I-PER' without a B-PER before it")
    assert "data.repair=true" in caught.value.remedy


def test_tags_have_the_ids_of_bert4torch(people_daily_dir: Path) -> None:
    _, dataset = opened("people_daily", people_daily_dir)
    assert dataset.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER", "B-ORG", "I-ORG")


@pytest.mark.parametrize(("split", "count"), [("train", 10748), ("dev", 1343), ("test", 1345)])
def test_cluener_is_read_whole(cluener_dir: Path, split: str, count: int) -> None:
    task, dataset = opened("cluener", cluener_dir)
    read = sentences(dataset, split)
    lines = [json.loads(line) for line in (cluener_dir / f"{split}.json").read_text(encoding="utf-8").splitlines()]
    assert len(read) == len(lines) == count
    assert [sentence.text for sentence in read] == [line["text"] for line in lines]
    for sentence, line in zip(read, lines, strict=True):
        assert list(sentence.units.starts) == list(range(len(sentence.text)))
        if split == "test":
            assert sentence.label is None
            assert sentence.identifier == str(line["id"])
        else:
            expected = {
                (first, last + 1, kind)
                for kind, surfaces in line["label"].items()
                for places in surfaces.values()
                for first, last in places
            }
            assert {(span.start, span.end, span.type) for span in sentence.label} == expected
    assert task.leaderboard == {"test": "cluener_predict.json"}
    assert len(dataset.labels) == 21


def test_the_submission_of_cluener_has_the_form_of_its_labels(cluener_dir: Path) -> None:
    """The gold entities of dev, written as predictions, are the official lines again."""
    task, dataset = opened("cluener", cluener_dir)
    predictions = [
        {
            "id": sentence.identifier,
            "entities": [
                {"start": span.start, "end": span.end, "type": span.type, "text": sentence.surface(span)}
                for span in sentence.label
            ],
        }
        for sentence in sentences(dataset, "dev")
    ]
    written = task.submission("test", predictions).splitlines()
    official = (cluener_dir / "dev.json").read_text(encoding="utf-8").splitlines()
    assert len(written) == len(official) == 1343
    for number, (ours, theirs) in enumerate(zip(written, official, strict=True)):
        record = json.loads(ours)
        assert list(record) == ["id", "label"]
        assert record["id"] == number
        label = json.loads(theirs)["label"]
        assert {kind: {s: sorted(p) for s, p in by.items()} for kind, by in label.items()} == record["label"]
    assert '"彭小军": [[0, 2]]' in written[0]


def test_msra_has_no_dev_split_of_its_own(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "MSRA", "msra")
    _, dataset = opened("msra", folder)
    assert set(dataset.files) == {"train", "dev", "test"}
    assert dataset.files["dev"] == dataset.files["test"]
    assert any("no dev split" in note for note in dataset.notes)
    first, second = sentences(dataset, "dev")
    assert (first.text, first.label) == ("当希望", ())
    assert second.text == "新华社北京1月电"
    assert second.label == (Span(0, 3, "ORG"), Span(3, 5, "LOC"))
    (folder / "msra_dev_bio.txt").write_text("京\tO\n", encoding="utf-8")
    _, dataset = opened("msra", folder)
    assert [len(sentences(dataset, split)) for split in ("dev", "test")] == [1, 2]
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("train", "test", "scheme"),
    [
        ("train.txt", "test.txt", "BIO"),
        ("train.tsv", "test.tsv", "BIOES"),
        ("train_data", "test_data", "BIO"),
        ("train.char.bmes", "test.char.bmes", "BMES"),
        ("train_dev.char.bmes", "test.char.bmes", "BMES"),
    ],
)
@pytest.mark.parametrize("types", [("LOC", "PER", "ORG"), ("NS", "NR", "NT")], ids=["PER", "NR"])
def test_msra_is_read_under_its_other_names(
    tmp_path: Path, train: str, test: str, scheme: str, types: tuple[str, ...]
) -> None:
    spans = [Span(0, 3, types[2]), Span(3, 5, types[0]), Span(5, 6, types[1])]
    tagged = zip("新华社北京王说", spans_to_tags(spans, 7, scheme), strict=True)
    (tmp_path / train).write_text("".join(f"{unit} {tag}\n" for unit, tag in tagged), encoding="utf-8")
    (tmp_path / test).write_text("京 O\n", encoding="utf-8")
    _, dataset = opened("msra", tmp_path)
    (sentence,) = sentences(dataset, "train")
    assert sentence.text == "新华社北京王说"
    assert sentence.label == (Span(0, 3, "ORG"), Span(3, 5, "LOC"), Span(5, 6, "PER"))
    assert dataset.labels == scheme_tags(scheme, ("LOC", "PER", "ORG"))
    assert [sentence.text for sentence in sentences(dataset, "dev")] == ["京"]


def test_a_folder_without_files_of_known_names_tells_them_and_the_way_to_any_other(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened("msra", tmp_path)
    for name in ("msra_train_bio.txt", "train.txt", "train_data", "train_dev.char.bmes"):
        assert name in caught.value.cause
    assert "--task ner --train FILE" in caught.value.remedy


def test_resume_is_bmes(tmp_path: Path) -> None:
    _, dataset = opened("resume", write_layout(tmp_path / "resume", "resume"))
    first, second = sentences(dataset, "train")
    assert first.label == (Span(0, 2, "NAME"), Span(5, 7, "RACE"))
    assert second.label == (Span(0, 3, "EDU"), Span(3, 4, "NAME"))
    assert dataset.labels[:5] == ("O", "B-CONT", "M-CONT", "E-CONT", "S-CONT")
    assert len(dataset.labels) == 33


def test_weibo_comes_with_and_without_positions_in_words(tmp_path: Path) -> None:
    """golden-horse's own files, and those made of them for Lattice LSTM, hold the same text and entities."""
    _, dataset = opened("weibo", write_layout(tmp_path / "golden-horse", "weibo"))
    expected = sentences(dataset, "train")
    assert [sentence.text for sentence in expected] == ["她和现任男友", "北京"]
    assert expected[0].label == (Span(2, 4, "PER.NOM"), Span(4, 6, "PER.NOM"))
    assert dataset.labels[1:3] == ("B-PER.NAM", "I-PER.NAM")
    lattice = tmp_path / "lattice"
    lattice.mkdir()
    content = "她 O\n和 O\n现 B-PER.NOM\n任 E-PER.NOM\n男 B-PER.NOM\n友 E-PER.NOM\n\n北 B-GPE.NAM\n京 E-GPE.NAM\n\n"
    (lattice / "train.all.bmes").write_text(content, encoding="utf-8")
    _, dataset = opened("weibo", lattice)
    found = sentences(dataset, "train")
    assert [(s.text, s.label) for s in found] == [(s.text, s.label) for s in expected]
    assert dataset.labels[1:4] == ("B-PER.NAM", "M-PER.NAM", "E-PER.NAM")


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "cmeee"])  # whose files are JSON
def test_an_unknown_type_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    folder = write_layout(tmp_path / name, name)
    file = next(iter(folder.iterdir()))
    file.write_text(file.read_text(encoding="utf-8") + "山\tB-HILL\n", encoding="utf-8")
    _, dataset = opened(name, folder, repair=True)
    split = next(split for split, (path,) in dataset.files.items() if path == file)
    with pytest.raises(DataError, match=r":\d+: the tag 'B-HILL' has the unknown type 'HILL'"):
        dataset.split(split)


def test_the_scheme_of_other_files_can_be_declared(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "msra", "msra")
    for file in folder.iterdir():
        file.write_text("北\tB-LOC\n京\tE-LOC\n", encoding="utf-8")
    _, dataset = opened("msra", folder)
    with pytest.raises(DataError) as caught:
        dataset.split("train")
    assert ":2: the tag 'E-LOC' is not one of BIO" in caught.value.cause
    assert "data.scheme=BIOES" in caught.value.remedy
    _, dataset = opened("msra", folder, scheme="BIOES")
    assert sentences(dataset, "train")[0].label == (Span(0, 2, "LOC"),)
    assert dataset.labels[1:5] == ("B-LOC", "I-LOC", "E-LOC", "S-LOC")
