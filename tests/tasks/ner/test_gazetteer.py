"""The baseline of named entities: the names of the training split, as CoNLL-2003 has it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.gazetteer import Gazetteer
from bertcore_tasks.ner.options import NerDataConfig
from bertcore_tasks.ner.scoring import Prediction, evaluate, remembered
from bertcore_tasks.ner.units import Sentence, split_units
from hypothesis import given
from hypothesis import strategies as st

import bertcore
from bertcore.contracts.tagging import Span, spans_to_tags
from bertcore.plugins.registry import Registry


def sentence(text: str, *entities: tuple[str, str]) -> Sentence:
    spans = tuple(Span(text.index(name), text.index(name) + len(name), kind) for name, kind in entities)
    return Sentence(text, {"text": text}, spans, "here", split_units(text, "word"))


TRAINING = [
    sentence("Ada met Bob in New York", ("Ada", "PER"), ("Bob", "PER"), ("New York", "LOC")),
    sentence("York is old", ("York", "LOC")),
    sentence("Paris met Ada", ("Paris", "PER"), ("Ada", "PER")),
    sentence("Paris is large", ("Paris", "LOC")),
]


def found(text: str) -> list[tuple[str, str]]:
    words = text.split()
    return [(" ".join(words[span.start : span.end]), span.type) for span in Gazetteer(TRAINING).find(words)]


def test_the_longest_name_of_one_type_is_found() -> None:
    assert found("Ada of York in New York") == [("Ada", "PER"), ("York", "LOC"), ("New York", "LOC")]
    assert found("Paris and Bob") == [("Bob", "PER")], "Paris was a person and a place"
    assert found("New ideas") == []
    assert found("") == []


words = st.lists(st.sampled_from("abc"), min_size=1, max_size=8)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.sampled_from(["X", "Y"]), max_size=5), words)
def test_it_finds_what_a_plain_search_finds(names: dict[str, str], text: list[str]) -> None:
    training = [
        Sentence("", {"text": name}, (Span(0, len(name), kind),), "", split_units(name, "character"))
        for name, kind in names.items()
    ]
    expected, start = [], 0
    while start < len(text):
        lengths = [n for n in range(3, 0, -1) if "".join(text[start : start + n]) in names and start + n <= len(text)]
        if lengths:
            expected.append(Span(start, start + lengths[0], names["".join(text[start : start + lengths[0]])]))
        start += lengths[0] if lengths else 1
    assert Gazetteer(training).find(text) == expected


def test_its_scores_are_those_of_its_predictions() -> None:
    dev = [
        sentence("Bob left Paris for New York", ("Bob", "PER"), ("Paris", "LOC"), ("New York", "LOC")),
        sentence("York met Ada", ("York", "PER"), ("Ada", "PER")),
    ]
    scores = remembered(TRAINING, dev, "BIO")
    # Found: Bob, New York, York as a place, Ada; three of them are right, of five.
    assert [scores["precision"], scores["recall"]] == [3 / 4, 3 / 5]
    assert "cluener_f1" not in scores


def test_it_is_the_baseline_of_cluener_wherever_it_is_scored(cluener_dir: Path) -> None:
    """The F1 of a dictionary of strings, searched in another way, and of its file of predictions."""
    task = Registry().task("cluener")
    assert isinstance(task, NerTask)
    read = {
        split: [json.loads(line) for line in (cluener_dir / f"{split}.json").read_text(encoding="utf-8").splitlines()]
        for split in ("train", "dev")
    }
    kinds: dict[str, set[str]] = {}
    for line in read["train"]:
        for kind, names in line["label"].items():
            for name in names:
                kinds.setdefault(name, set()).add(kind)
    unique = {name: next(iter(of_name)) for name, of_name in kinds.items() if len(of_name) == 1}
    longest = max(map(len, unique))
    right = predicted = wanted = 0
    for line in read["dev"]:
        gold = {
            (start, end, kind)
            for kind, names in line["label"].items()
            for places in names.values()
            for start, end in places
        }
        text, place = line["text"], 0
        own = set()
        while place < len(text):
            name = next(
                (text[place : place + n] for n in range(longest, 0, -1) if text[place : place + n] in unique), ""
            )
            if name:
                own.add((place, place + len(name) - 1, unique[name]))
            place += len(name) or 1
        right, predicted, wanted = right + len(own & gold), predicted + len(own), wanted + len(gold)
    dataset = task.open(NerDataConfig(path=str(cluener_dir)))
    examples = dataset.split("dev")
    baseline = task.baseline(lambda: dataset.split("train"), examples, dataset.labels, NerDataConfig())
    assert baseline["f1"] == pytest.approx(2 * right / (predicted + wanted), abs=2e-3)
    assert 0.3 < baseline["f1"] < 0.7
    perfect = bertcore.score(task="cluener", data=cluener_dir, predictions=cluener_dir / "dev.json").evaluation
    assert perfect.baseline == baseline
    assert set(perfect.metrics) == set(baseline), "each score has its baseline"


def evaluated(predicted: list[list[Span]]) -> tuple[str, ...]:
    gold = [sentence("Ada is in York", ("Ada", "PER"), ("York", "LOC")), sentence("Bob left", ("Bob", "PER"))]
    predictions = [
        Prediction.of_tags(one, spans_to_tags(spans, len(one.units), "BIO"), "BIO")
        for one, spans in zip(gold, predicted, strict=True)
    ]
    return evaluate(gold, predictions, "BIO", ("LOC", "PER")).notes


def test_no_entity_and_one_type_alone_are_said() -> None:
    assert evaluated([[], []]) == ("no entity is predicted in any of 2 sentences, which hold 3",)
    assert evaluated([[Span(0, 1, "PER")], []]) == ("all predicted entities, 1, are of the type 'PER'",)
    assert evaluated([[Span(0, 1, "PER"), Span(3, 4, "LOC")], []]) == ()


def test_tags_that_break_the_scheme_are_counted_beside_no_entity() -> None:
    gold = [sentence("Ada is in York", ("Ada", "PER"), ("York", "LOC"))]
    prediction = Prediction.of_tags(gold[0], ["I-PER", "O", "O", "I-LOC"], "BIO")
    assert evaluate(gold, [prediction], "BIO", ("LOC", "PER")).notes == (
        "no entity is predicted in any of 1 sentences, which hold 2; conlleval reads 2 from tags that break the scheme",
    )


def test_cluener_s_own_score_is_no_other_task_s() -> None:
    registry = Registry()
    tasks = [registry.task(name) for name in ("cluener", "resume", "msra", "people_daily", "weibo", "ner")]
    with_score = [task.name for task in tasks if isinstance(task, NerTask) and task.scores_names]
    assert with_score == ["cluener"]
    names = list(itertools.chain(remembered(TRAINING, TRAINING, "BIO")))
    assert names == [
        f"{kind}{score}" for kind in ("", "conlleval_", "token_") for score in ("f1", "precision", "recall")
    ]
