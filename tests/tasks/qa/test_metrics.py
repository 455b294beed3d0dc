"""Scores of answers: published predictions, the definitions of the official scripts, and figures worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bertcore_tasks.qa.metrics import cmrc2018, normalize, segment, squad_v1, squad_v2, words
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bertcore.contracts.dataset import Example
from bertcore.errors import DataError
from bertcore.plugins.registry import Registry

PUBLISHED = [
    ("BERT__ensemble___Google_AI_Language_.json", 86.206, 92.196, 0, 0),
    ("Logistic_Regression_Baseline__Stanford_University_.json", 40.142, 50.982, 13, 28),
]


@pytest.mark.parametrize(("name", "exact_match", "f1", "missing", "others"), PUBLISHED)
def test_published_predictions_have_the_scores_of_the_official_script(
    registry: Registry,
    squad_dir: Path,
    squad_dev: list[Example],
    name: str,
    exact_match: float,
    f1: float,
    missing: int,
    others: int,
) -> None:
    task = registry.task("squad")
    result = task.score(squad_dev, (), squad_dir / "dev-predictions" / name, task.data_config())
    assert round(result.metrics["exact_match"], 3) == exact_match
    assert round(result.metrics["f1"], 3) == f1
    assert set(result.metrics) == {"exact_match", "f1"}
    assert result.total == 10570
    # The official script, too, takes questions without a prediction as wrong, and passes over those it does not know.
    given = json.loads((squad_dir / "dev-predictions" / name).read_text())
    identifiers = {example.identifier for example in squad_dev}
    assert (len(identifiers - set(given)), len(set(given) - identifiers)) == (missing, others)
    rest = f", {missing} without a prediction, {others} predictions of other questions" if missing else ""
    assert result.summary == f"total_num 10570, exact_match {exact_match:.3f}, f1 {f1:.3f}{rest}"
    assert len(result.errors) == 20
    assert all(error["f1"] == 0 for error in result.errors)


def test_the_command_scores_one_file(bertcore_command: Callable[..., Any], squad_dir: Path) -> None:
    predictions = squad_dir / "dev-predictions" / PUBLISHED[0][0]
    data = squad_dir / "dev-v1.1.json"
    outcome = bertcore_command("score", "--task", "squad", "--data", data, "--predictions", predictions, "--json")
    assert outcome.code == 0, outcome.err
    metrics = json.loads(outcome.out)["metrics"]
    assert (round(metrics["exact_match"], 3), round(metrics["f1"], 3)) == (86.206, 92.196)


def test_normalisation_of_squad() -> None:
    assert normalize("The  Quick-Brown fox, a dog\tand an “owl”.") == "quickbrown fox dog and “owl”"
    assert normalize("Theatre and a.") == "theatre and"
    assert normalize("a the an") == ""


def test_f1_of_squad_counts_words_as_often_as_they_occur() -> None:
    # Shared: "to be" twice less once: precision 3/4, recall 3/3.
    assert squad_v1("to be to be", ["to be to"]).f1 == pytest.approx(6 / 7)
    # The best of several answers, each judged by itself: 2/3 of "Denver Broncos team", all of "Broncos" at 1/3.
    assert squad_v1("the Denver Broncos team", ["Denver Broncos", "Broncos"]).f1 == pytest.approx(4 / 5)
    assert squad_v1("Carolina", ["Denver"]) == squad_v1("", ["Denver"])


def test_texts_without_words_agree_in_version_2_alone() -> None:
    # evaluate-v1.1 finds no shared word in two empty texts; evaluate-v2.0 calls them equal.
    assert (squad_v1("the", ["a"]).exact, squad_v1("the", ["a"]).f1) == (True, 0.0)
    assert (squad_v2("the", ["a"]).exact, squad_v2("the", ["a"]).f1) == (True, 1.0)
    assert squad_v2("", []).f1 == 1.0
    assert squad_v2("Normans", []) == squad_v2("", ["Normans"])
    assert squad_v2("Normans", []).f1 == 0.0


def test_scores_of_version_2(registry: Registry, squad2: Path, examples_of: Any, tmp_path: Path) -> None:
    task = registry.task("squad")
    examples = examples_of("squad", squad2)
    right = {e.identifier: e.label.answers[0] if e.label.answers else "" for e in examples}
    file = tmp_path / "predictions.json"

    def scored(**changes: str) -> dict[str, float]:
        file.write_text(json.dumps({**right, **changes}))
        return dict(task.score(examples, (), file, task.data_config()).metrics)

    assert set(scored().values()) == {100.0}
    # Seven questions, two of them without an answer.
    worse = scored(q4="Ada", q1="Ada Lovelace wrote")
    assert worse["unanswerable_accuracy"] == pytest.approx(50)
    assert worse["answerable_exact_match"] == pytest.approx(80)
    # "Ada Lovelace wrote" shares two of three words with "Ada Lovelace", all of it.
    assert worse["answerable_f1"] == pytest.approx(100 * (4 + 4 / 5) / 5)
    assert worse["exact_match"] == pytest.approx(100 * 5 / 7)
    assert worse["f1"] == pytest.approx(100 * (5 + 4 / 5) / 7)
    baseline = task.score(examples, (), file, task.data_config()).baseline
    assert baseline == {
        "exact_match": pytest.approx(200 / 7),
        "f1": pytest.approx(200 / 7),
        "answerable_exact_match": 0,
        "answerable_f1": 0,
        "unanswerable_accuracy": 100,
    }
    # The baseline is the score of a file that answers nothing, and that is said.
    file.write_text(json.dumps(dict.fromkeys(right, "")))
    silent = task.score(examples, (), file, task.data_config())
    assert silent.metrics == baseline
    assert silent.notes == ("none of 7 questions is answered, and 5 have an answer",)
    file.write_text(json.dumps(dict.fromkeys(right, "Ada")))
    assert task.score(examples, (), file, task.data_config()).notes == (
        "all 7 questions are answered, and 2 have no answer",
    )
    missing = {key: text for key, text in right.items() if key != "q4"}
    file.write_text(json.dumps(missing))
    result = task.score(examples, (), file, task.data_config())
    assert result.metrics["unanswerable_accuracy"] == 50
    assert result.total == 7
    # Where no question has an answer, there is nothing to say of those that have one.
    unanswerable = [example for example in examples if not example.label.answers]
    result = task.score(unanswerable, (), file, task.data_config())
    assert result.metrics == {"exact_match": 50, "f1": 50, "unanswerable_accuracy": 50}
    assert result.summary.startswith("total_num 2, exact_match 50.000, f1 50.000, unanswerable_accuracy 50.000, ")


# CMRC 2018. The expected segments are those of NLTK 3.10 (word_tokenize, its English sentence model), which was run on
# these texts once and is not needed here.

WORDS = [
    ("the u.s. army. he left", ["the", "u.s.", "army", ".", "he", "left"]),
    ("don't can't won't it's i'll", ["do", "n't", "ca", "n't", "wo", "n't", "it", "'s", "i", "'ll"]),
    ("$3.88 (roughly 3,36 euros)", ["$", "3.88", "(", "roughly", "3,36", "euros", ")"]),
    ('he said "no". yes', ["he", "said", "``", "no", "''", ".", "yes"]),
    ("50% of at&t, inc. and more...", ["50", "%", "of", "at", "&", "t", ",", "inc.", "and", "more", "..."]),
    ("mr. smith vs. dr. who? yes!", ["mr.", "smith", "vs.", "dr.", "who", "?", "yes", "!"]),
    ("e.g. this, i.e. that", ["e.g", ".", "this", ",", "i.e", ".", "that"]),
    ("cannot gonna wanna go", ["can", "not", "gon", "na", "wan", "na", "go"]),
    ("in 1975. it went", ["in", "1975.", "it", "went"]),
    ("'tis dogs' «bones»—[x]{y}", ["'", "tis", "dogs", "'", "«", "bones", "»", "—", "[", "x", "]", "{", "y", "}"]),
    ("j. r. r. tolkien. the end.", ["j.", "r.", "r.", "tolkien", ".", "the", "end", "."]),
    ("", []),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words_are_those_of_nltk(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_segments_of_cmrc() -> None:
    # Punctuation goes without ending a word; Chinese characters stand alone; what else there is, is words.
    assert segment("  光荣和ω-Force。") == ("光", "荣", "和", "ωforce")
    assert segment("《Windows 7》，约3,000元") == ("windows", "7", "约", "3,000", "元")
    assert segment("……·、") == ("……",)  # the script's two dots are one entry that no single character equals
    assert segment("６８００日圆😀") == ("６８００", "日", "圆", "😀")


def test_scores_of_cmrc_by_hand() -> None:
    # All nine segments of the answer, in a row, among ten of the prediction.
    assert cmrc2018("于2009年12月3日", ["2009年12月3日"]).f1 == pytest.approx(2 * 6 / (7 + 6))
    # Longest common substring, not subsequence: 武田 of 武田信玄 and 武田大信玄.
    assert cmrc2018("武田大信玄", ["武田信玄"]).f1 == pytest.approx(2 * 2 / (5 + 4))
    assert cmrc2018("长江", ["黄河"]) == cmrc2018("", ["黄河"])
    assert cmrc2018("", ["黄河"]).f1 == 0
    assert cmrc2018("《战国无双３》。", ["战国无双３"]).exact
    assert not cmrc2018("战国无双3", ["战国无双３"]).exact
    best = cmrc2018("光荣", ["索尼", "光荣公司", "光荣"])
    assert (best.exact, best.f1) == (True, 1.0)
    # Answers that are the same but for white space inside are not exact, and share all segments.
    assert cmrc2018("windows 7", ["windows  7"]).exact is False
    assert cmrc2018("windows 7", ["windows  7"]).f1 == 1.0


def longest_common_substring(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    return max(
        (
            size
            for size in range(1, len(first) + 1)
            for start in range(len(first) - size + 1)
            for other in range(len(second) - size + 1)
            if first[start : start + size] == second[other : other + size]
        ),
        default=0,
    )


@given(st.text("武田信a b，.", max_size=9), st.lists(st.text("武田信a b，.", max_size=9), min_size=1, max_size=3))
@settings(deadline=None, max_examples=150)
@example("武田武田", ["田武田武"])
def test_f1_of_cmrc_is_that_of_the_longest_common_substring(prediction: str, answers: list[str]) -> None:
    best = 0.0
    for answer in answers:
        given, wanted = segment(prediction), segment(answer)
        common = longest_common_substring(given, wanted)
        if common:
            precision, recall = common / len(given), common / len(wanted)
            best = max(best, 2 * precision * recall / (precision + recall))
    assert cmrc2018(prediction, answers).f1 == pytest.approx(best)


def test_scores_of_a_cmrc_file(registry: Registry, cmrc: Path, examples_of: Any, tmp_path: Path) -> None:
    task = registry.task("cmrc2018")
    examples = examples_of("cmrc2018", cmrc)
    file = tmp_path / "predictions.json"
    answers = ["光荣和ω-force", "于2009年12月3日", "６８００日圆", "6,397公里。"]
    file.write_text(json.dumps(dict(zip([e.identifier for e in examples], answers, strict=True))), encoding="utf-8")
    result = task.score(examples, (), file, task.data_config())
    assert result.metrics["exact_match"] == 75
    assert result.metrics["f1"] == pytest.approx(100 * (3 + 12 / 13) / 4)
    assert result.total == 4


# Damaged files

DAMAGED = [
    ('["a"]', "a list instead of a JSON object"),
    ('{"a":\n 1', ":2: column 3 is no JSON: Expecting"),
    ('{"a": "x", "b": "y", "a": "z"}', "a second prediction for question a"),
    ("Café".encode("latin-1"), ":1: byte 3 is not UTF-8"),
    ('{"a": 7, "b": "x"}', "the prediction of question a is no text"),
    ('{"someone": "else"}', "no prediction for any of the 2 questions, the first is a"),
]


@pytest.mark.parametrize(("content", "cause"), DAMAGED)
def test_damaged_predictions(
    registry: Registry, own_questions: Path, examples_of: Any, tmp_path: Path, content: str | bytes, cause: str
) -> None:
    file = tmp_path / "predictions.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    task = registry.task("qa")
    examples = examples_of("qa", own_questions)
    with pytest.raises(DataError) as caught:
        task.score(examples, (), file, task.data_config())
    assert str(file) in caught.value.cause
    assert cause in caught.value.cause
    assert caught.value.remedy
    with pytest.raises(DataError, match="No such file"):
        task.score(examples, (), tmp_path / "absent.json", task.data_config())


def test_predictions_of_a_run_are_scored_too(
    registry: Registry, own_questions: Path, examples_of: Any, tmp_path: Path
) -> None:
    task = registry.task("qa")
    examples = examples_of("qa", own_questions)
    file = tmp_path / "predictions.jsonl"
    lines = [{"id": "b", "prediction": "The Normans"}, {"id": "a", "prediction": "in France"}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    metrics = task.score(examples, (), file, task.data_config()).metrics
    assert metrics == {"exact_match": 50.0, "f1": pytest.approx(100 * (1 + 2 / 3) / 2)}
    file.write_text(json.dumps(lines[0]) + "\n" + json.dumps(lines[0]) + "\n")
    with pytest.raises(DataError, match=r"predictions\.jsonl:2: a second prediction for question b"):
        task.score(examples, (), file, task.data_config())
    file.write_text(json.dumps(lines[0]) + '\n{"id": "a", "label": "France"}\n')
    with pytest.raises(DataError, match=r"predictions\.jsonl:2: the field 'prediction' is missing"):
        task.score(examples, (), file, task.data_config())


def test_two_questions_of_one_name_cannot_be_told_apart(registry: Registry, examples_of: Any, tmp_path: Path) -> None:
    line = json.dumps({"id": "x", "question": "Who?", "context": "Ada.", "answers": [{"text": "Ada"}]})
    (tmp_path / "dev.jsonl").write_text(f"{line}\n{line}\n")
    (tmp_path / "predictions.json").write_text('{"x": "Ada"}')
    task = registry.task("qa")
    with pytest.raises(DataError, match=r"dev\.jsonl:2: a second question is called x"):
        task.score(examples_of("qa", tmp_path), (), tmp_path / "predictions.json", task.data_config())
