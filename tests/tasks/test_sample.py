"""The embedded sample of textual entailment: as its generator writes it, and out of reach of a bag of words."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from bertcore_tasks.glue import make_sample
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

Row = dict[str, str]


@pytest.fixture(scope="module", params=["train", "dev"])
def split(request: pytest.FixtureRequest) -> str:
    return request.param


def read(split: str) -> list[Row]:
    with (make_sample.FOLDER / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def run_check(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)


def test_the_files_are_what_the_generator_writes() -> None:
    result = run_check(Path(make_sample.__file__))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("fault", ["edited", "missing"])
def test_check_names_the_file_that_is_out_of_date(tmp_path: Path, fault: str) -> None:
    script = Path(shutil.copy(make_sample.__file__, tmp_path))
    shutil.copytree(make_sample.FOLDER, tmp_path / "sample")
    dev = tmp_path / "sample" / "dev.tsv"
    if fault == "edited":
        dev.write_text(dev.read_text().replace("not_entailment", "entailment", 1))
    else:
        dev.unlink()
    result = run_check(script)
    assert result.returncode == 1
    assert "dev.tsv is out of date" in result.stdout
    assert "train.tsv is up to date" in result.stdout


def test_format_is_that_of_rte(split: str, rte_dir: Path) -> None:
    sample, official = ((folder / f"{split}.tsv").read_text("utf-8") for folder in (make_sample.FOLDER, rte_dir))
    assert sample.splitlines()[0] == official.splitlines()[0]
    rows = read(split)
    assert [row["index"] for row in rows] == [str(index) for index in range(len(rows))]
    assert {row["label"] for row in rows} == {line.split("\t")[3] for line in official.splitlines()[1:]}


def test_sizes_and_balance() -> None:
    train, dev = read("train"), read("dev")
    assert 400 <= len(train) <= 900
    assert 150 <= len(dev) <= 200
    for rows in (train, dev):
        counts = Counter(row["label"] for row in rows)
        assert counts["entailment"] == counts["not_entailment"] == len(rows) / 2


def test_no_pair_is_longer_than_48_word_pieces(split: str, minilm: Path) -> None:
    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encodings = tokenizer.encode_batch([(row["sentence1"], row["sentence2"]) for row in read(split)])
    assert max(len(encoding.ids) for encoding in encodings) <= 48
    assert not any("[UNK]" in encoding.tokens for encoding in encodings)


def test_no_pair_occurs_twice_and_the_splits_share_no_premise() -> None:
    train, dev = read("train"), read("dev")
    pairs = [(row["sentence1"], row["sentence2"]) for row in train + dev]
    assert len(set(pairs)) == len(pairs)
    assert {row["sentence1"] for row in train}.isdisjoint(row["sentence1"] for row in dev)


def test_held_out_words_occur_in_dev_alone() -> None:
    # "visited" is a word of another rule, too, so of the deeds only the nouns count.
    nouns_of_deeds = ("plants", "friend", "cake")
    held_out = set(
        words(
            " ".join(
                (
                    *make_sample.NAMES_HELD_OUT,
                    *make_sample.PEOPLE_HELD_OUT,
                    *make_sample.BUILDINGS_HELD_OUT,
                    *make_sample.KINDS_HELD_OUT,
                    *nouns_of_deeds,
                )
            )
        )
    )
    in_split = {
        split: {word for row in read(split) for word in words(row["sentence1"] + " " + row["sentence2"])}
        for split in ("train", "dev")
    }
    assert in_split["train"].isdisjoint(held_out)
    assert len(in_split["dev"] & held_out) >= 10


def test_every_hypothesis_meets_one_bag_of_words_with_either_label(split: str) -> None:
    labels: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for row in read(split):
        labels[row["sentence2"], tuple(sorted(words(row["sentence1"])))].append(row["label"])
    assert all(Counter(found)["entailment"] * 2 == len(found) for found in labels.values())


@pytest.mark.parametrize("features", ["both sentences together", "each sentence apart", "word overlap", "all"])
def test_a_bag_of_words_stays_at_the_baseline(features: str) -> None:
    train, dev = read("train"), read("dev")
    vectorizer = CountVectorizer().fit([row[name] for row in train for name in ("sentence1", "sentence2")])

    def matrix(rows: list[Row]) -> np.ndarray:
        premises, hypotheses = (
            vectorizer.transform([row[name] for row in rows]).toarray() for name in ("sentence1", "sentence2")
        )
        sets = [(set(words(row["sentence1"])), set(words(row["sentence2"]))) for row in rows]
        overlap = np.array(
            [(len(p & h), len(p - h), len(h - p), len(p ^ h), len(p & h) / len(p | h), len(p), len(h)) for p, h in sets]
        )
        together = premises + hypotheses
        apart = np.hstack([premises, hypotheses])
        return {
            "both sentences together": together,
            "each sentence apart": apart,
            "word overlap": overlap,
            "all": np.hstack([together, apart, overlap]),
        }[features]

    model = LogisticRegression(max_iter=2000).fit(matrix(train), [row["label"] for row in train])
    accuracy = model.score(matrix(dev), [row["label"] for row in dev])
    assert accuracy == pytest.approx(0.5, abs=0.03)
