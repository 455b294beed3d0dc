"""Files of questions as their repositories ship them, and their scores by the official formulas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from bertcore_tasks.qa.answers import Gold
from bertcore_tasks.qa.metrics import cmrc2018
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.dataset import Example, Split
from bertcore.contracts.evaluation import Evaluation
from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry

CASE = (
    "经审理查明:原告李x1与被告王x2于2009年6月1日登记结婚,2014年协议离婚,"
    "女儿随原告生活,被告每月支付500元,NOKIA手机一部归原告"
)
"""A case of our own, in the manner of CAIL 2019's: without full stops, with ``NO`` inside a word."""


def three(*texts: str) -> list[dict[str, Any]]:
    """The answers of three annotators, as CAIL 2019 writes those of its development set."""
    return [{"answer_start": CASE.find(text) if text not in ("", "YES", "NO") else -1, "text": text} for text in texts]


def asked(identifier: str, answers: list[dict[str, Any]], is_impossible: Any) -> dict[str, Any]:
    return {"question": f"问{identifier}？", "answers": answers, "id": identifier, "is_impossible": is_impossible}


CAIL = [
    asked("1_1", three("2009年6月1日", "于2009年6月1日", "2009年6月1日"), "false"),
    asked("1_2", three("500元", "每月支付500元", "500元"), "false"),
    asked("1_3", three("NO", "NO", "NO"), "false"),
    asked("1_4", three("", "", ""), "true"),
    asked("1_5", three("原告", "", "随原告生活"), "false"),
    asked("1_6", three("2014年", "2014年", "2014年"), "true"),
]
GOLD = {question["id"]: [answer["text"] for answer in question["answers"]] for question in CAIL}


def write_cail(file: Path, questions: Sequence[dict[str, Any]]) -> Path:
    paragraph = {"context": CASE, "casename": "离婚纠纷", "qas": list(questions)}
    content = {"data": [{"paragraphs": [paragraph], "caseid": "1", "domain": "civil"}], "version": "1.0"}
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return file


def opened(registry: Registry, file: Path, task: str = "qa", **options: Any) -> Split:
    found = registry.task(task)
    dataset = found.open(found.data_config(path=str(file), **options))
    return dataset.split("dev")


def scored(registry: Registry, file: Path, predictions: Any, scoring: str) -> Evaluation:
    task = registry.task("qa")
    examples = opened(registry, file, scoring=scoring)
    stored = file.with_name("predictions.json")
    stored.write_text(json.dumps(predictions, ensure_ascii=False), encoding="utf-8")
    return task.score(examples, (), stored, task.data_config(scoring=scoring))


def test_cail_2019_is_read_as_its_repository_ships_it(registry: Registry, tmp_path: Path) -> None:
    examples = opened(registry, write_cail(tmp_path / "dev_ground_truth.json", CAIL))
    labels = {example.identifier: example.label for example in examples}
    for identifier in ("1_1", "1_2", "1_6"):
        assert labels[identifier].answers == tuple(GOLD[identifier])
        assert CASE[slice(*labels[identifier].span)] == GOLD[identifier][0]
    assert labels["1_3"] == Gold(("NO", "NO", "NO"), None), "the letters NO in NOKIA are no answer"
    assert labels["1_3"].is_lost
    assert labels["1_4"] == Gold(())
    assert labels["1_5"] == Gold(("原告", "随原告生活"), (CASE.find("原告"), CASE.find("原告") + 2), blanks=1)
    assert examples.notes == (
        "dev_ground_truth.json: 1 question with is_impossible and answers; the answers count (first: 1_6)",
        "dev_ground_truth.json: 1 question answered by YES, NO or UNKNOWN, which no span is; scored, but not trained "
        "on (first: 1_3)",
    )
    task = registry.task("qa")
    assert list(task.open(task.data_config(path=str(tmp_path))).files) == ["dev"], "found in its folder"


def cail_formula(gold: Sequence[str], prediction: str) -> tuple[float, float]:
    """CAIL 2019's ``evaluate.py`` written anew: each annotator is left out once, and the best of the others counts."""
    bags = [Counter(c for c in text.lower() if c.isalpha() or c.isdigit()) for text in gold]
    own = Counter(c for c in prediction.lower() if c.isalpha() or c.isdigit())
    strings = ["".join(c for c in text.lower() if c.isalpha() or c.isdigit()) for text in [*gold, prediction]]

    def f1(bag: Counter[str]) -> float:
        if not bag or not own:
            return 1.0 if bag == own else 0.0
        same = (bag & own).total()
        precision, recall = same / own.total(), same / bag.total()
        return 2 * precision * recall / (precision + recall) if same else 0.0

    groups = [[j for j in range(len(gold)) if j != i] for i in range(len(gold))] if len(gold) > 1 else [[0]]
    exact = sum(max(strings[j] == strings[-1] for j in group) for group in groups) / len(groups)
    return exact, sum(max(f1(bags[j]) for j in group) for group in groups) / len(groups)


@pytest.mark.parametrize(
    "answers",
    [
        {identifier: texts[0] for identifier, texts in GOLD.items()},
        {identifier: texts[1] for identifier, texts in GOLD.items()},
        dict.fromkeys(GOLD, ""),
        {"1_1": "2009", "1_2": "每月500元。", "1_3": "YES", "1_4": "。", "1_5": "", "1_6": "2014"},
    ],
)
def test_scores_of_cail_2019_are_those_of_its_script(
    registry: Registry, tmp_path: Path, answers: dict[str, str]
) -> None:
    file = write_cail(tmp_path / "dev.json", CAIL)
    pairs = [cail_formula(GOLD[identifier], answers[identifier]) for identifier in GOLD]
    as_object = scored(registry, file, answers, "cjrc")
    as_official_list = scored(registry, file, [{"id": name, "answer": text} for name, text in answers.items()], "cjrc")
    for result in (as_object, as_official_list):
        assert result.metrics["exact_match"] == pytest.approx(100 * sum(exact for exact, _ in pairs) / len(pairs))
        assert result.metrics["f1"] == pytest.approx(100 * sum(f1 for _, f1 in pairs) / len(pairs))


@given(st.lists(st.text("aB1。 法", max_size=4), min_size=1, max_size=4), st.text("aB1。 法", max_size=4))
@settings(max_examples=300, deadline=None)
def test_every_answer_is_judged_as_cail_2019_does(gold: list[str], prediction: str) -> None:
    from bertcore_tasks.qa.cjrc import cjrc

    score = cjrc(prediction, gold)
    assert (score.exact, score.f1) == pytest.approx(cail_formula(gold, prediction))


def test_empty_answers_score_as_in_squad_2(registry: Registry, tmp_path: Path) -> None:
    """``evaluate-v2.0.py`` keeps the accepted texts that hold something, and else accepts the empty one."""
    file = write_cail(tmp_path / "dev.json", CAIL)
    answers = {identifier: texts[0] for identifier, texts in GOLD.items()}
    assert scored(registry, file, answers, "squad").metrics["f1"] == 100
    silent = scored(registry, file, dict.fromkeys(GOLD, ""), "squad").metrics
    kept = [[text for text in texts if text] or [""] for texts in GOLD.values()]
    assert silent["f1"] == silent["exact_match"] == pytest.approx(100 * sum("" in texts for texts in kept) / len(kept))
    assert silent["unanswerable_accuracy"] == 100


@pytest.mark.parametrize(
    ("answers", "is_impossible", "answered"),
    [
        ([{"text": "500元", "answer_start": str(CASE.find("500元"))}], "false", True),
        ([{"text": "500元", "answer_start": float(CASE.find("500元"))}], "False", True),
        ([{"text": "500元", "answer_start": CASE.find("500元")}], 0, True),
        ([{"text": "500元", "answer_start": None}], "0", True),
        ({"text": "500元", "answer_start": CASE.find("500元")}, None, True),
        ({"text": ["500元"], "answer_start": [str(CASE.find("500元"))]}, None, True),
        (["500元"], None, True),
        ([], "true", False),
        ([], "True", False),
        ([], 1, False),
        ([], "1", False),
        ([{"text": "", "answer_start": "-1"}], True, False),
        ({"text": [], "answer_start": []}, "true", False),
    ],
)
def test_numbers_and_truth_values_may_be_texts(
    registry: Registry, tmp_path: Path, answers: Any, is_impossible: Any, answered: bool
) -> None:
    others = [asked("other", three("原告"), "false")]
    examples = opened(registry, write_cail(tmp_path / "dev.json", [asked("q", answers, is_impossible), *others]))
    start = CASE.find("500元")
    assert examples[0].label == (Gold(("500元",), (start, start + 4)) if answered else Gold(()))
    assert examples.notes == ()


@pytest.mark.parametrize(
    "answers",
    [
        three("", "", ""),
        [{"text": "FAKE_1", "answer_start": -1}, {"text": "FAKE_2", "answer_start": -1}],
        [],
        {"text": [], "answer_start": []},
    ],
    ids=["empty", "made up", "none", "none, as the datasets library"],
)
def test_placeholders_of_a_test_file_are_no_labels(registry: Registry, tmp_path: Path, answers: Any) -> None:
    file = write_cail(tmp_path / "dev.json", [asked("a", answers, False), asked("b", answers, None)])
    examples = opened(registry, file)
    assert [example.label for example in examples] == [None, None]
    assert examples.notes == (
        "dev.json: the answers of 2 questions are empty or stand nowhere, as in a test file: read as unlabeled; what "
        "has no answer needs is_impossible true (first: a)",
    )


def test_cail_2019s_secret_test_file_is_unlabeled(registry: Registry, tmp_path: Path) -> None:
    """Its README says that ``is_impossible`` is "" there, and ``answers`` an empty list."""
    examples = opened(registry, write_cail(tmp_path / "data.json", [asked("a", [], ""), asked("b", [], "")]))
    assert [example.label for example in examples] == [None, None]
    assert examples.notes == ()


def test_one_question_that_says_to_be_impossible_makes_the_others_count(registry: Registry, tmp_path: Path) -> None:
    file = write_cail(tmp_path / "dev.json", [asked("a", three("", "", ""), None), asked("b", [], True)])
    examples = opened(registry, file)
    assert [example.label for example in examples] == [Gold(()), Gold(())]
    assert examples.notes == (
        "dev.json: the answers of 1 question are empty, but is_impossible is not true; read as having none (first: a)",
    )


@pytest.mark.parametrize("start", [{"answer_start": CASE.find("500元")}, {"answer_start": str(CASE.find("500元"))}, {}])
def test_a_single_answer_may_stand_beside_the_question(
    registry: Registry, tmp_path: Path, start: dict[str, Any]
) -> None:
    file = tmp_path / "dev.jsonl"
    line = {"question": "多少？", "context": CASE, "answer": "500元", **start}
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    (example,) = opened(registry, file)
    assert example.label == Gold(("500元",), (CASE.find("500元"), CASE.find("500元") + 4))


CMRC_FIRST = [
    {
        "context_id": "DEV_0",
        "context_text": "青岛啤酒厂建于1903年，英文名Tsingtao。",
        "qas": [
            {"query_text": "何时建厂？", "query_id": "DEV_0_QUERY_0", "answers": ["1903年", "建于1903年"]},
            {"query_text": "英文名？", "query_id": "DEV_0_QUERY_1", "answers": ["Tsingtao"]},
        ],
        "title": "青岛啤酒",
    }
]
"""CMRC 2018's first layout (``data/`` of its repository), with a text of our own."""


def test_cmrc_2018s_first_layout_is_read_and_scored_as_the_later_one(registry: Registry, tmp_path: Path) -> None:
    first = tmp_path / "cmrc2018_dev.json"
    first.write_text(json.dumps(CMRC_FIRST), encoding="utf-8")
    (context,) = CMRC_FIRST
    text = str(context["context_text"])
    qas = [
        {
            "question": query["query_text"],  # type: ignore[index]
            "id": query["query_id"],  # type: ignore[index]
            "answers": [{"text": a, "answer_start": text.find(a)} for a in query["answers"]],  # type: ignore[index]
        }
        for query in context["qas"]
    ]
    later = tmp_path / "later.json"
    later.write_text(json.dumps({"data": [{"paragraphs": [{"context": text, "qas": qas}]}]}), encoding="utf-8")
    examples = opened(registry, tmp_path, "cmrc2018")
    as_later = opened(registry, later, "cmrc2018")
    assert examples.notes == ()
    assert [(e.identifier, e.texts, e.label) for e in examples] == [(e.identifier, e.texts, e.label) for e in as_later]
    task = registry.task("cmrc2018")
    stored = tmp_path / "predictions.json"
    stored.write_text(json.dumps({"DEV_0_QUERY_0": "1903", "DEV_0_QUERY_1": "Tsingtao。"}), encoding="utf-8")
    result = task.score(examples, (), stored, task.data_config())
    # By the script: "1903年" is the segments 1903 and 年, of which 1903 is shared: 2*1/(1+2); the other one is exact.
    assert result.metrics == {"exact_match": 50.0, "f1": pytest.approx(100 * (2 / 3 + 1) / 2)}
    assert cmrc2018("1903", ["1903年"]).f1 == pytest.approx(2 / 3)


FLAT = [
    {
        "id": "x1",
        "title": "t",
        "context": CASE,
        "question": "多少？",
        "answers": {"text": ["500元"], "answer_start": [0]},
    },
    {"id": "x2", "title": "t", "context": CASE, "question": "谁？", "answers": {"text": ["李x1"], "answer_start": [0]}},
]
DRCD = {
    "version": "1.3",
    "data": [
        {
            "title": "t",
            "id": "1147",
            "paragraphs": [
                {
                    "context": CASE,
                    "id": "1147-5",
                    "qas": [
                        {
                            "id": f"1147-5-{number}",
                            "question": flat["question"],
                            "answers": [{"id": "1", "text": flat["answers"]["text"][0], "answer_start": 0}],  # type: ignore[index]
                        }
                        for number, flat in enumerate(FLAT)
                    ],
                }
            ],
        }
    ],
}
DUREADER = {"data": [{"title": "", "paragraphs": DRCD["data"][0]["paragraphs"]}]}  # type: ignore[index]
LINES = "".join(json.dumps(flat, ensure_ascii=False) + "\n" for flat in FLAT)
MRQA = (
    json.dumps({"header": {"dataset": "Own", "split": "dev"}})
    + "\n"
    + json.dumps(
        {
            "id": "",
            "context": CASE,
            "qas": [
                {"qid": flat["id"], "question": flat["question"], "answers": flat["answers"]["text"]}  # type: ignore[index]
                for flat in FLAT
            ],
        }
    )
    + "\n"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dev.jsonl", LINES),
        ("dev.json", LINES),
        ("dev.json", json.dumps(FLAT)),
        ("dev.json", json.dumps(FLAT, indent=1)),
        ("dev.jsonl", json.dumps(FLAT, indent=1)),
        ("dev.json", json.dumps({"version": "0.1", "data": FLAT})),
        ("DRCD_dev.json", json.dumps(DRCD)),
        ("dev.json", json.dumps(DUREADER, indent=4)),
        ("dev.json", json.dumps(DUREADER["data"])),
        ("dev.json", json.dumps(DRCD["data"][0]["paragraphs"])),  # type: ignore[index]
        ("validation.jsonl", MRQA),
    ],
    ids=[
        "lines",
        "lines called json",
        "a list",
        "a list on many lines",
        "a list called jsonl",
        "run_qa's field data",
        "DRCD",
        "DuReader-robust",
        "a list of articles",
        "a list of paragraphs",
        "MRQA",
    ],
)
def test_the_content_decides_about_the_form(registry: Registry, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    examples = opened(registry, tmp_path)
    assert [example.texts["question"] for example in examples] == ["多少？", "谁？"]
    assert {example.texts["context"] for example in examples} == {CASE}
    assert [CASE[slice(*example.label.span)] for example in examples] == ["500元", "李x1"]
    assert len({example.identifier for example in examples}) == 2


def test_questions_without_answers_among_others_are_refused_with_their_place(
    registry: Registry, tmp_path: Path, examples_of: Callable[..., list[Example]]
) -> None:
    file = tmp_path / "dev.jsonl"
    lines = [*FLAT, {key: value for key, value in FLAT[0].items() if key != "answers"} | {"id": "x3"}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        opened(registry, file)
    assert caught.value.cause == f"{file}:3: no answers, as other questions of the file have"
    assert '"answers": []' in caught.value.remedy
    # A test file is predicted, whatever it has; a file of questions alone, too.
    file.rename(tmp_path / "test.jsonl")
    assert [example.label is None for example in examples_of("qa", tmp_path, "test")] == [False, False, True]
    (tmp_path / "test.jsonl").write_text(json.dumps(lines[-1]) + "\n", encoding="utf-8")
    assert [example.label for example in opened(registry, tmp_path / "test.jsonl")] == [None]


def test_scoring_names_a_question_that_has_no_answers(registry: Registry, tmp_path: Path) -> None:
    task = registry.task("qa")
    examples = [
        Example("a", {"question": "q", "context": "c d"}, Gold(("c",), (0, 1)), Origin("dev.jsonl", 1)),
        Example("b", {"question": "q", "context": "c d"}, None, Origin("dev.jsonl", 2)),
    ]
    stored = tmp_path / "predictions.json"
    stored.write_text('{"a": "c", "b": "d"}')
    with pytest.raises(DataError, match=r"dev\.jsonl:2: no answers to score by"):
        task.score(examples, (), stored, task.data_config())
