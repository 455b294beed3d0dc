"""Scores of entities against seqeval in both of its modes, bert4torch's loop and CLUENER's script."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.options import NerDataConfig
from bertcore_tasks.ner.scoring import Prediction, evaluate
from bertcore_tasks.ner.units import Sentence, split_units
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2, IOBES

from bertcore.contracts.evaluation import Evaluation
from bertcore.contracts.tagging import Span, entity_types, find_scheme, scheme_tags, spans_to_tags, tags_to_spans
from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry

from .conftest import write_layout

TYPES = ("LOC", "PER")

Change = Callable[[list[str]], list[str]]
"""Damages the lines of a file."""


@st.composite
def tagged_texts(draw: st.DrawFn) -> tuple[str, list[list[str]], list[list[str]]]:
    """A scheme, well-formed gold tags of some texts, and any tags as predictions, many of them right."""
    scheme = draw(st.sampled_from(["BIO", "BIOES", "BMES"]))
    labels = st.sampled_from(scheme_tags(scheme, TYPES))
    gold: list[list[str]] = []
    predicted: list[list[str]] = []
    for _ in range(draw(st.integers(1, 4))):
        tags = draw(st.lists(labels, min_size=1, max_size=10))
        gold.append(spans_to_tags(tags_to_spans(tags, scheme), len(tags), scheme))
        predicted.append([draw(labels) if draw(st.integers(0, 3)) == 0 else tag for tag in gold[-1]])
    return scheme, gold, predicted


def sentences_of(scheme: str, gold: Sequence[Sequence[str]]) -> list[Sentence]:
    return [
        Sentence(
            str(number),
            {"text": "中" * len(tags)},
            tuple(tags_to_spans(tags, scheme)),
            Origin("here"),
            split_units("中" * len(tags), "character"),
        )
        for number, tags in enumerate(gold)
    ]


def evaluation_of(scheme: str, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Evaluation:
    sentences = sentences_of(scheme, gold)
    predictions = [Prediction.of_tags(*pair, scheme) for pair in zip(sentences, predicted, strict=True)]
    return evaluate(sentences, predictions, scheme, TYPES)


def for_seqeval(texts: Sequence[Sequence[str]]) -> list[list[str]]:
    """seqeval writes the M of BMES as I."""
    return [[re.sub("^M-", "I-", tag) for tag in tags] for tags in texts]


def scores(name: str, evaluation: Evaluation) -> list[float]:
    return [evaluation.metrics[f"{name}{score}"] for score in ("precision", "recall", "f1")]


@given(tagged_texts())
def test_f1_is_that_of_seqeval_in_strict_mode(drawn: tuple[str, list[list[str]], list[list[str]]]) -> None:
    scheme, gold, predicted = drawn
    evaluation = evaluation_of(scheme, gold, predicted)
    arguments = (for_seqeval(gold), for_seqeval(predicted))
    options = {"mode": "strict", "scheme": IOB2 if scheme == "BIO" else IOBES, "zero_division": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [score(*arguments, **options) for score in (precision_score, recall_score, f1_score)]
        report = classification_report(*arguments, output_dict=True, **options) if any(expected) else {}
    assert scores("", evaluation) == pytest.approx(expected, abs=1e-12)
    assert list(evaluation.per_class) == list(TYPES)
    for kind, score in evaluation.per_class.items():
        theirs = report.get(kind, {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": score.support})
        assert [score.precision, score.recall, score.f1, score.support] == pytest.approx(
            [theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"]], abs=1e-12
        )


@given(tagged_texts())
def test_conlleval_f1_is_that_of_seqeval_in_default_mode(
    drawn: tuple[str, list[list[str]], list[list[str]]],
) -> None:
    scheme, gold, predicted = drawn
    evaluation = evaluation_of(scheme, gold, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = (for_seqeval(gold), for_seqeval(predicted))
        expected = [score(*arguments, zero_division=0) for score in (precision_score, recall_score, f1_score)]
    assert scores("conlleval_", evaluation) == pytest.approx(expected, abs=1e-12)


def bert4torch_scores(scheme: str, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> list[float]:
    """The loop of bert4torch's ``task_sequence_labeling_ner_crf.py``: padded ids of tags, where O is 0."""
    ids = {tag: index for index, tag in enumerate(scheme_tags(scheme, TYPES))}
    width = max(map(len, gold))
    label, score = (
        np.array([[ids[tag] for tag in tags] + [0] * (width - len(tags)) for tags in texts])
        for texts in (gold, predicted)
    )
    x = 1e-10 + ((score == label) * (label > 0)).sum()
    y = 1e-10 + (score > 0).sum()
    z = 1e-10 + (label > 0).sum()
    return [x / y, x / z, 2 * x / (y + z)]


@given(tagged_texts())
def test_token_f1_is_that_of_bert4torch(drawn: tuple[str, list[list[str]], list[list[str]]]) -> None:
    scheme, gold, predicted = drawn
    evaluation = evaluation_of(scheme, gold, predicted)
    expected = bert4torch_scores(scheme, gold, predicted)
    if any(tag != "O" for tags in (*gold, *predicted) for tag in tags):
        found = [tag != "O" for tags in predicted for tag in tags]
        wanted = [tag != "O" for tags in gold for tag in tags]
        if any(found) and any(wanted):  # else bert4torch divides 1e-10 by itself
            assert scores("token_", evaluation) == pytest.approx(expected, abs=1e-6)


def test_the_three_scores_differ() -> None:
    """One entity right, one with a missing B, one with a wrong end."""
    gold = [["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O", "B-LOC", "I-LOC"]]
    predicted = [["B-PER", "I-PER", "O", "I-LOC", "I-LOC", "O", "B-LOC", "O"]]
    evaluation = evaluation_of("BIO", gold, predicted)
    assert scores("", evaluation) == [1 / 2, 1 / 3, 2 * 1 / 5]
    assert scores("conlleval_", evaluation) == [2 / 3] * 3
    assert scores("token_", evaluation) == [4 / 5, 4 / 6, 2 * 4 / 11]
    assert evaluation.per_class["PER"].f1 == 1
    assert evaluation.per_class["LOC"].f1 == 0
    assert evaluation.summary == "entity f1 0.400000, precision 0.500000, recall 0.333333, total_num 1 sentences"
    assert evaluation.baseline == {}
    labels, counts = evaluation.confusion or ((), None)
    assert labels == ("LOC", "PER", "no entity")
    assert counts is not None
    assert counts.tolist() == [[0, 0, 2], [0, 1, 0], [1, 0, 0]]
    assert evaluation.errors == [
        {
            "id": "0",
            "origin": "here",
            "missed": ["LOC 中中 3-5", "LOC 中中 6-8"],
            "made up": ["LOC 中 6-7"],
            "text": "中" * 8,
        }
    ]


def cluener_script(gold: list[dict[str, Any]], predicted: list[dict[str, Any]]) -> float:
    """What CLUENER's own script compares: in each line the names of a type, and not where they stand."""
    types = ["address", "book", "company", "game", "government", "movie", "name", "organization", "position", "scene"]
    total = 0.0
    for kind in types:
        wanted = {(number, name) for number, line in enumerate(gold) for name in line["label"].get(kind, {})}
        found = {(number, name) for number, line in enumerate(predicted) for name in line["label"].get(kind, {})}
        precision, recall = len(wanted & found) / len(found), len(wanted & found) / len(wanted)
        total += 2 * precision * recall / (precision + recall)
    return total / len(types)


@pytest.fixture
def cluener(cluener_dir: Path) -> tuple[NerTask, list[Sentence], tuple[str, ...], Path]:
    task = Registry().task("cluener")
    assert isinstance(task, NerTask)
    dataset = task.open(NerDataConfig(path=str(cluener_dir)))
    examples = dataset.split("dev")
    return task, examples, dataset.labels, cluener_dir / "dev.json"


def test_cluener_predictions_of_any_program_are_scored(
    cluener: tuple[NerTask, list[Sentence], tuple[str, ...], Path], tmp_path: Path
) -> None:
    """Every third name left out, every seventh of another type, every fifth in one of its places, out of order."""
    task, examples, labels, file = cluener
    gold = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    predicted = []
    count = 0
    for number, line in enumerate(gold):
        label: dict[str, dict[str, list[list[int]]]] = {}
        for kind, surfaces in line["label"].items():
            for surface, places in surfaces.items():
                count += 1
                if count % 3:
                    label.setdefault("name" if count % 7 == 0 else kind, {})[surface] = places[: 1 + count % 5]
        predicted.append({"id": number, "label": label})
    lines = [json.dumps(line, ensure_ascii=False) for line in predicted]
    (tmp_path / "p.json").write_text("\n".join(reversed(lines)), encoding="utf-8")
    evaluation = task.score(examples, labels, tmp_path / "p.json", NerDataConfig())
    assert evaluation.total == 1343
    assert evaluation.metrics["cluener_f1"] == pytest.approx(cluener_script(gold, predicted), abs=1e-12)
    strict = [evaluation.per_class[kind].f1 for kind in entity_types(labels)]
    assert abs(evaluation.metrics["cluener_f1"] - sum(strict) / 10) > 1e-4, "the script counts names, not places"
    assert 0.5 < evaluation.metrics["f1"] < 0.8
    perfect = task.score(examples, labels, file, NerDataConfig())
    assert {perfect.metrics[name] for name in ("f1", "cluener_f1", "token_f1", "conlleval_f1")} == {1.0}


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (lambda lines: lines[:-1], "no prediction for 1 of 1343 texts, the first has the id '1342'"),
        (lambda lines: [*lines, lines[-1]], ":1344: a second prediction for the id '1342'"),
        (lambda lines: ['{"id": 5000, "label": {}}', *lines], ":1: there is no text with the id '5000'"),
        (lambda lines: ['{"id": 0}', *lines[1:]], ":1: neither the field 'label' nor 'entities'"),
        (lambda lines: ['{"id": 0, "tags": [], "label": {}}', *lines[1:]], ":1: the field 'entities' is missing"),
        (lambda lines: ['{"id": 0, "text": "x", "label": {}}', *lines[1:]], "/dev.json:1, which has the id '0'"),
        (lambda lines: ['{"id": 0, "label": {"name": {"彭": [[1, 1]]}}}', *lines[1:]], "there and not '彭'"),
        (lambda lines: ["{", *lines[1:]], ":1: "),
    ],
)
def test_damaged_json_predictions_are_named(
    cluener: tuple[NerTask, list[Sentence], tuple[str, ...], Path], tmp_path: Path, lines: Change, cause: str
) -> None:
    task, examples, labels, _ = cluener
    whole = [f'{{"id": {number}, "label": {{}}}}' for number in range(len(examples))]
    (tmp_path / "p.jsonl").write_text("\n".join(lines(whole)), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        task.score(examples, labels, tmp_path / "p.jsonl", NerDataConfig())
    assert "p.jsonl" in caught.value.cause
    assert cause in caught.value.cause


@pytest.fixture
def people_daily(people_daily_dir: Path) -> tuple[NerTask, list[Sentence], tuple[str, ...], list[str]]:
    task = Registry().task("people_daily")
    assert isinstance(task, NerTask)
    dataset = task.open(NerDataConfig(path=str(people_daily_dir)))
    examples = dataset.split("dev")
    lines = (people_daily_dir / "example.dev").read_text(encoding="utf-8").splitlines()
    return task, examples, dataset.labels, lines


def test_columns_with_a_predicted_tag_are_scored_as_conlleval_takes_them(
    people_daily: tuple[NerTask, list[Sentence], tuple[str, ...], list[str]], tmp_path: Path
) -> None:
    """`char GOLD PREDICTED`, where every fifth B is an I and every 40th line O."""
    task, examples, labels, lines = people_daily
    gold: list[list[str]] = [[]]
    predicted: list[list[str]] = [[]]
    written = []
    for number, line in enumerate(lines):
        if not line:
            gold.append([])
            predicted.append([])
            written.append("")
            continue
        tag = line.split(" ")[1]
        guess = "O" if number % 40 == 0 else tag.replace("B-", "I-") if number % 5 == 0 else tag
        gold[-1].append(tag)
        predicted[-1].append(guess)
        written.append(f"{line} {guess}")
    (tmp_path / "p.txt").write_text("\n".join(written), encoding="utf-8")
    evaluation = task.score(examples, labels, tmp_path / "p.txt", NerDataConfig())
    assert evaluation.total == 2318
    gold, predicted = [tags for tags in gold if tags], [tags for tags in predicted if tags]
    assert evaluation.metrics["f1"] == pytest.approx(f1_score(gold, predicted, mode="strict", scheme=IOB2), abs=1e-12)
    assert evaluation.metrics["conlleval_f1"] == pytest.approx(f1_score(gold, predicted), abs=1e-12)
    right = sum(a == b != "O" for pair in zip(gold, predicted, strict=True) for a, b in zip(*pair, strict=True))
    found, wanted = (sum(tag != "O" for tags in texts for tag in tags) for texts in (predicted, gold))
    assert evaluation.metrics["token_f1"] == pytest.approx(2 * right / (found + wanted), abs=1e-12)
    assert evaluation.metrics["f1"] < evaluation.metrics["conlleval_f1"] < 1


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda lines: ["X O", *lines[1:]], "/example.dev:1 and what follows says"),
        (lambda lines: lines[lines.index("") + 1 :], ":1: "),
        (lambda lines: lines[:-31], "2317 sentences instead of 2318"),
        (lambda lines: [*lines, "", "好 O"], "2319 sentences instead of 2318"),
        (lambda lines: lines[1:], ":1: "),
        (lambda lines: [lines[0].replace(" O", " E-LOC"), *lines[1:]], ":1: the tag 'E-LOC' is not one of BIO"),
        (lambda lines: [lines[0].split(" ")[0], *lines[1:]], ":1: 1 column instead of"),
    ],
)
def test_columns_that_do_not_agree_are_named(
    people_daily: tuple[NerTask, list[Sentence], tuple[str, ...], list[str]],
    tmp_path: Path,
    change: Change,
    cause: str,
) -> None:
    task, examples, labels, lines = people_daily
    (tmp_path / "p.txt").write_text("\n".join(change(lines)), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        task.score(examples, labels, tmp_path / "p.txt", NerDataConfig())
    assert "p.txt" in caught.value.cause
    assert cause in caught.value.cause
    assert caught.value.remedy


@settings(deadline=None)
@given(tagged_texts())
def test_a_predictions_file_of_bertcore_has_the_scores_of_its_evaluation(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[str, list[list[str]], list[list[str]]]
) -> None:
    scheme, gold, predicted = drawn
    evaluation = evaluation_of(scheme, gold, predicted)
    file = tmp_path_factory.mktemp("p") / "predictions.jsonl"
    file.write_text("".join(f"{json.dumps(entry)}\n" for entry in evaluation.predictions), encoding="utf-8")
    task = Registry().task("people_daily")
    assert isinstance(task, NerTask)
    labels = scheme_tags(scheme, TYPES)
    assert find_scheme(labels) == scheme
    again = task.score(sentences_of(scheme, gold), labels, file, NerDataConfig())
    assert again.metrics == evaluation.metrics
    assert again.summary == evaluation.summary


def test_predictions_have_the_layout_of_the_official_files(tmp_path: Path) -> None:
    """Weibo's with the position of each character in its word; the user's own with the text in another column."""
    folder = write_layout(tmp_path / "weibo", "weibo")
    task = Registry().task("weibo")
    data = task.data_config(path=str(folder))
    dataset = task.open(data)
    file = folder / "weiboNER_2nd_conll.dev"
    examples = dataset.split("dev")
    assert task.score(examples, dataset.labels, file, data).metrics["f1"] == 1.0
    (tmp_path / "own").mkdir()
    own = tmp_path / "own" / "train.tsv"
    own.write_text("tag\tword\nB-X\t北\nI-X\t京\n", encoding="utf-8")
    task = Registry().task("ner")
    data = task.data_config(path=str(tmp_path / "own"), text="word", label="tag")
    dataset = task.open(data)
    own_examples = dataset.split("train")
    (tmp_path / "p.tsv").write_text("tag\tword\tguess\nB-X\t北\tB-X\nI-X\t京\tO\n", encoding="utf-8")
    metrics = task.score(own_examples, dataset.labels, tmp_path / "p.tsv", data).metrics
    assert (metrics["f1"], metrics["token_precision"], metrics["token_recall"]) == (0.0, 1.0, 0.5)


def test_gold_entities_count_once() -> None:
    sentence = Sentence(
        "0", {"text": "中中"}, (Span(0, 1, "LOC"), Span(0, 1, "LOC")), "", split_units("中中", "character")
    )
    evaluation = evaluate([sentence], [Prediction.of_tags(sentence, ["B-LOC", "O"], "BIO")], "BIO", TYPES)
    assert evaluation.metrics["recall"] == 1.0
