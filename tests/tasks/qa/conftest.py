"""Small files in the official layouts of SQuAD v2.0 and CMRC 2018, and the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcore.contracts.dataset import Example
from bertcore.plugins.registry import Registry

NORMANS = (
    "The Normans (Norman: Nourmands; French: Normands; Latin: Normanni) were the people who in the 10th and 11th "
    'centuries gave their name to Normandy, a region in France. They were descended from Norse ("Norman" comes from '
    '"Norseman") raiders and pirates from Denmark, Iceland and Norway.'
)
COMPUTERS = "Ada Lovelace wrote the first program in 1843. Café owners paid her $5.50; she said “why not?” 😀 twice."

SCULPTOR = (
    "《战国无双3》（）是由光荣和ω-force开发的战国无双系列的正统第三续作。本作以三大故事为主轴，分别是以武田信玄等人为主的"
    "《关东三国志》，织田信长等人为主的《战国三杰》，石田三成等人为主的《关原的年轻武者》。于2009年12月3日发售，售价６８００日圆😀。"
)
RIVER = "长江全长6,397公里，是亚洲第一长河，流经11个省级行政区，最后在上海市注入东海。"


def question(identifier: str, text: str, context: str, *answers: str) -> dict[str, Any]:
    """A question of SQuAD's form, each answer at its first occurrence."""
    return {
        "id": identifier,
        "question": text,
        "answers": [{"text": answer, "answer_start": context.index(answer)} for answer in answers],
    }


def squad_json(version: str, *paragraphs: tuple[str, list[dict[str, Any]]]) -> str:
    return json.dumps(
        {
            "version": version,
            "data": [{"title": "one", "paragraphs": [{"context": text, "qas": qas}]} for text, qas in paragraphs],
        },
        ensure_ascii=False,
    )


@pytest.fixture(scope="session")
def squad2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train-v2.0.json` and `dev-v2.0.json`, with plausible answers to questions that have none."""
    folder = tmp_path_factory.mktemp("squad-v2")
    impossible = {
        "id": "5ad39d53604f3c001a3fe8d1",
        "question": "Who gave their name to Normandy in the 1000's and 1100's",
        "answers": [],
        "is_impossible": True,
        "plausible_answers": [{"text": "Normans", "answer_start": 4}],
    }
    normans = [
        question("56ddde6b9a695914005b9628", "In what country is Normandy located?", NORMANS, "France", "a region"),
        question("56ddde6b9a695914005b9629", "When were the Normans in Normandy?", NORMANS, "10th and 11th centuries"),
        impossible,
    ]
    ada = [
        question("q1", "Who wrote the first program?", COMPUTERS, "Ada Lovelace", "Lovelace"),
        question("q2", "What did the owners pay?", COMPUTERS, "$5.50"),
        question("q3", "What did she say?", COMPUTERS, "“why not?”", "why not"),
        {**impossible, "id": "q4", "question": "Who owned the café?", "plausible_answers": []},
    ]
    for questions in (normans, ada):
        for entry in questions:
            entry.setdefault("is_impossible", False)
    (folder / "dev-v2.0.json").write_text(squad_json("v2.0", (NORMANS, normans), (COMPUTERS, ada)), encoding="utf-8")
    (folder / "train-v2.0.json").write_text(squad_json("v2.0", (COMPUTERS, ada)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def cmrc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CMRC 2018's SQuAD-like files, and the `test.json` of CLUE without answers."""
    folder = tmp_path_factory.mktemp("cmrc2018")
    paragraphs = [
        {
            "id": "DEV_0",
            "context": SCULPTOR,
            "qas": [
                question("DEV_0_QUERY_0", "《战国无双3》是由哪两个公司合作开发的？", SCULPTOR, "光荣和ω-force"),
                question("DEV_0_QUERY_1", "什么时候发售？", SCULPTOR, "2009年12月3日", "12月3日"),
                question("DEV_0_QUERY_2", "售价是多少？", SCULPTOR, "６８００日圆", "６８００日圆😀"),
            ],
        },
        {
            "id": "DEV_1",
            "context": RIVER,
            "qas": [question("DEV_1_QUERY_0", "长江有多长？", RIVER, "6,397公里", "全长6,397公里")],
        },
    ]
    data = [{"paragraphs": [paragraph], "id": paragraph["id"], "title": "题"} for paragraph in paragraphs]
    for split in ("train", "dev", "trial"):
        text = json.dumps({"version": "v1.0", "data": data}, ensure_ascii=False)
        (folder / f"cmrc2018_{split}.json").write_text(text, encoding="utf-8")
    unanswered = [
        {key: value for key, value in entry.items() if key != "answers"} for entry in paragraphs[0]["qas"][:2]
    ]
    test = {"data": [{"paragraphs": [{"context": SCULPTOR, "qas": unanswered}]}]}
    (folder / "test.json").write_text(json.dumps(test, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def own_questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JSON lines to train on, SQuAD JSON to evaluate on."""
    folder = tmp_path_factory.mktemp("own")
    lines = [
        {**question("", "Who wrote it?", COMPUTERS, "Ada Lovelace"), "context": COMPUTERS, "id": 7},
        {
            "question": "When?",
            "context": COMPUTERS,
            "answers": {"text": ["1843"], "answer_start": [COMPUTERS.index("1843")]},
        },
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "train.jsonl").write_text(text, encoding="utf-8")
    dev = [question("a", "In what country is Normandy?", NORMANS, "France"), question("b", "Who?", NORMANS, "Normans")]
    (folder / "dev.json").write_text(squad_json("1.1", (NORMANS, dev)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="session")
def examples_of(registry: Registry) -> Callable[..., list[Example]]:
    """Reads a split of a task's files."""

    def read(name: str, path: Path, split: str = "dev", **options: Any) -> list[Example]:
        task = registry.task(name)
        return list(task.open(task.data_config(path=str(path), **options)).split(split))

    return read


@pytest.fixture(scope="session")
def squad_dir() -> Path:
    """SQuAD v1.1: the whole dev split and the first articles of train."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data" / "squad"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/squad beside the repository's root")
    return folder


@pytest.fixture(scope="session")
def squad_dev(examples_of: Callable[..., list[Example]], squad_dir: Path) -> list[Example]:
    return examples_of("squad", squad_dir)
