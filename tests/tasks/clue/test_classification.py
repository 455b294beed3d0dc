"""TNEWS, AFQMC and OCNLI: what is read of CLUE's files, and what its leaderboard takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bertcore.commands.convert_data import convert_data
from bertcore.commands.score import score
from bertcore.config import gather_settings
from bertcore.contracts.dataset import Dataset, Example, LeftOut
from bertcore.engine.preparation import open_data
from bertcore.engine.settings import resolve_run
from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry
from bertcore.testing import TaskConformance

TNEWS = Path(__file__).resolve().parents[4] / "shared" / "data" / "tnews"
real = pytest.mark.skipif(not TNEWS.is_dir(), reason="needs ../shared/data/tnews beside the repository's root")

AFQMC_ROWS = [
    {"sentence1": "双十一花呗提额在哪", "sentence2": "里可以提花呗额度", "label": "0"},
    {"sentence1": "花呗支持高铁票支付吗", "sentence2": "为什么友付宝不支持花呗付款", "label": "0"},
    {
        "sentence1": "我的蚂蚁花呗支付金额怎么会有限制",
        "sentence2": "我到支付宝实体店消费用花呗支付受金额限制",
        "label": "1",
    },
    {"sentence1": "为什么有花呗额度不能分期付款", "sentence2": "花呗分期额度不足", "label": "0"},
]
OCNLI_ROWS = [
    ("身上裹一件工厂发的棉大衣,手插在袖筒里", "身上至少一件衣服", "entailment", "lit"),
    ("一些地方财政收支矛盾较大", "有的地方财政困难", "-", "gov"),
    ("嗯,今天星期六我们这儿,嗯哼.", "昨天是星期天", "contradiction", "phone"),
    ("二是农民收入稳步增加", "农民收入有很大的增长", "neutral", "gov"),
    ("月亮在云里", "月亮看不见", "neutral", "lit"),
]


def write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def afqmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("afqmc_public")
    for split in ("train", "dev"):
        write(folder / f"{split}.json", AFQMC_ROWS)
    texts = [{key: value for key, value in row.items() if key != "label"} for row in AFQMC_ROWS]
    write(folder / "test.json", [{"id": number, **row} for number, row in enumerate(texts)])
    return folder


@pytest.fixture(scope="module")
def ocnli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ocnli_public")
    rows: list[dict[str, Any]] = [
        {
            "level": "medium",
            "sentence1": one,
            "sentence2": two,
            "label": label,
            **{f"label{annotator}": label for annotator in range(5)},
            "genre": genre,
            "prem_id": f"{genre}_{number}",
            "id": number,
        }
        for number, (one, two, label, genre) in enumerate(OCNLI_ROWS)
    ]
    write(folder / "train.50k.json", rows)
    write(folder / "train.3k.json", rows[:1])
    write(folder / "dev.json", rows)
    write(folder / "test.json", [{key: value for key, value in row.items() if "label" not in key} for row in rows])
    return folder


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def opened(registry: Registry, name: str, path: Path, **options: Any) -> Dataset:
    task = registry.task(name)
    return task.open(task.data_config(path=str(path), **options))


def examples_of(dataset: Dataset, split: str) -> list[Example]:
    return list(dataset.split(split))


class ClueConformance(TaskConformance):
    examples = 60
    test_a_task_needs_no_framework = None  # type: ignore[assignment]  # tests/tasks/test_frameworks.py


@real
class TestTnews(ClueConformance):
    plugin = "bertcore_tasks.plugins:tnews"
    data = TNEWS


@real
class TestTnewsWithKeywords(ClueConformance):
    plugin = "bertcore_tasks.plugins:tnews"
    data = TNEWS
    data_options: ClassVar[dict[str, Any]] = {"keywords": True}


class OnSmallFiles(ClueConformance):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, request: pytest.FixtureRequest) -> None:
        cls.data = request.getfixturevalue(cls.plugin.rpartition(":")[2])


class TestAfqmc(OnSmallFiles):
    plugin = "bertcore_tasks.plugins:afqmc"


class TestOcnli(OnSmallFiles):
    plugin = "bertcore_tasks.plugins:ocnli"


@real
def test_tnews_is_read_whole(registry: Registry) -> None:
    dataset = opened(registry, "tnews", TNEWS)
    lines = (TNEWS / "labels.json").read_text(encoding="utf-8").splitlines()
    assert dataset.labels == tuple(json.loads(line)["label"] for line in lines)
    assert len(dataset.labels) == 15
    for split, size in (("train", 53360), ("dev", 10000), ("test", 10000)):
        rows = [json.loads(line) for line in (TNEWS / f"{split}.json").read_text(encoding="utf-8").splitlines()]
        examples = examples_of(dataset, split)
        assert len(examples) == len(rows) == size
        names = [str(row.get("id", number)) for number, row in enumerate(rows)]
        assert examples == [
            Example(name, {"sentence": row["sentence"]}, row.get("label"), Origin(f"{TNEWS / split}.json", line))
            for line, (name, row) in enumerate(zip(names, rows, strict=True), 1)
        ]
        assert dataset.split(split).notes == dataset.split(split).left_out == ()
    assert dataset.notes == ()


@real
def test_keywords_of_tnews_are_a_second_text(registry: Registry) -> None:
    dataset = opened(registry, "tnews", TNEWS, keywords=True)
    first = examples_of(dataset, "dev")[0]
    assert list(first.texts) == ["sentence", "keywords"]
    assert first.texts["keywords"] == "江疏影,美少女,经纪人,甜甜圈"
    assert dataset.split("dev").notes == ("dev.json: 2765 of 10000 examples have no keywords",)


def test_labels_of_tnews_must_be_there(registry: Registry, tmp_path: Path) -> None:
    write(tmp_path / "dev.json", [{"label": "100", "sentence": "故事", "keywords": ""}])
    with pytest.raises(DataError, match=r"labels\.json: No such file"):
        opened(registry, "tnews", tmp_path)
    write(tmp_path / "labels.json", [{"label": "100"}, {"label": "101"}, {"label": "100"}])
    with pytest.raises(DataError, match=r"labels\.json:3: the field 'label' is '100' again"):
        opened(registry, "tnews", tmp_path)
    write(tmp_path / "labels.json", [{"label": "101", "label_desc": "news_culture"}, {"label": "102"}])
    with pytest.raises(DataError, match=r"dev\.json:1: unknown label '100' in the field 'label'"):
        opened(registry, "tnews", tmp_path).split("dev")


def test_both_test_files_of_tnews_have_their_own_name(registry: Registry, tmp_path: Path) -> None:
    write(tmp_path / "labels.json", [{"label": "100"}, {"label": "101"}])
    for name in ("test.json", "test1.0.json"):
        write(tmp_path / name, [{"id": 0, "sentence": name, "keywords": ""}])
    dataset = opened(registry, "tnews", tmp_path)
    task = registry.task("tnews")
    assert {task.leaderboard[split]: examples_of(dataset, split)[0].texts["sentence"] for split in dataset.files} == {
        "tnews11_predict.json": "test.json",
        "tnews10_predict.json": "test1.0.json",
    }
    assert task.optional_submissions == {"test1.0"}


def test_afqmc(registry: Registry, afqmc: Path) -> None:
    dataset = opened(registry, "afqmc", afqmc)
    assert dataset.labels == ("0", "1")
    dev = examples_of(dataset, "dev")
    assert [example.label for example in dev] == ["0", "0", "1", "0"]
    assert dev[2].texts == {key: value for key, value in AFQMC_ROWS[2].items() if key != "label"}
    assert [example.identifier for example in examples_of(dataset, "test")] == ["0", "1", "2", "3"]
    # As in CLUE's notes on submissions: one object a line, the identifier a number, the label a text.
    task = registry.task("afqmc")
    assert task.leaderboard == {"test": "afqmc_predict.json"}
    predictions = [{"id": "0", "prediction": "0"}, {"id": "1", "prediction": "1"}]
    assert task.submission("test", predictions) == '{"id": 0, "label": "0"}\n{"id": 1, "label": "1"}\n'


def test_examples_without_an_agreed_label_are_left_out_and_counted(registry: Registry, ocnli: Path) -> None:
    dataset = opened(registry, "ocnli", ocnli)
    assert dataset.files["train"] == (ocnli / "train.50k.json",)
    # The order of ids of the data set clue/ocnli on the hub.
    assert dataset.labels == ("neutral", "entailment", "contradiction")
    dev = examples_of(dataset, "dev")
    assert [example.identifier for example in dev] == ["0", "2", "3", "4"]
    assert [str(example.origin) for example in dev][:2] == [f"{ocnli}/dev.json:1", f"{ocnli}/dev.json:3"]
    assert dataset.notes == (
        "the training file is train.50k.json; not read: train.3k.json (--set data.training_file=NAME chooses)",
    )
    assert dataset.split("dev").notes == (
        "dev.json: 1 of 5 examples are left out, because their label is '-': the annotators did not agree; "
        f"the first is {ocnli}/dev.json:2",
    )
    (left_out,) = dataset.split("dev").left_out
    assert left_out == LeftOut("1", Origin(f"{ocnli}/dev.json", 2), "'-': the annotators did not agree")
    assert len(examples_of(dataset, "test")) == 5
    assert registry.task("ocnli").leaderboard == {"test": "ocnli_50k_predict.json"}


def test_every_training_file_of_ocnli_can_be_read(registry: Registry, ocnli: Path, tmp_path: Path) -> None:
    small = opened(registry, "ocnli", ocnli, training_file="train.3k.json")
    assert [example.identifier for example in examples_of(small, "train")] == ["0"]
    assert small.notes == (
        "the training file is train.3k.json; not read: train.50k.json (--set data.training_file=NAME chooses)",
    )
    for name in ("train.1k.json", "train.10k.json"):
        (tmp_path / name).write_bytes((ocnli / "dev.json").read_bytes())
    largest = opened(registry, "ocnli", tmp_path)
    assert largest.files["train"] == (tmp_path / "train.10k.json",)
    with pytest.raises(DataError, match=r"train\.30k\.json: no such file"):
        opened(registry, "ocnli", ocnli, training_file="train.30k.json")
    assert list(opened(registry, "ocnli", ocnli / "train.3k.json").files) == ["train"]


def test_a_file_with_all_examples_is_scored_on_those_with_a_label(
    registry: Registry, ocnli: Path, tmp_path: Path
) -> None:
    task = registry.task("ocnli")
    data = task.data_config(path=str(ocnli))
    dataset = task.open(data)
    examples = dataset.split("dev")
    file = tmp_path / "ocnli_50k_predict.json"
    write(file, [{"id": number, "label": "neutral"} for number in range(5)])
    result = task.score(examples, dataset.labels, file, data)
    assert result.total == 4
    assert result.metrics == {"accuracy": 0.5}
    assert result.summary == "acc_num 2, total_num 4, accuracy 0.500000"
    write(file, [{"id": number, "label": "neutral"} for number in range(6)])
    with pytest.raises(DataError, match="a prediction for '5', which is no example"):
        task.score(examples, dataset.labels, file, data)
    write(file, [{"id": number, "label": "neutral"} for number in (0, 1, 2, 3)])
    with pytest.raises(DataError, match=r"no prediction for 1 of 4 examples, the first is '4' \(.*/dev\.json:5\)"):
        task.score(examples, dataset.labels, file, data)
    write(file, [{"id": number, "prediction": "neutral", "label": "entailment"} for number in (0, 2, 3, 4)])
    assert task.score(examples, dataset.labels, file, data).metrics == result.metrics, "a label is not read beside it"
    write(file, [{"id": number, "label": "neutral"} for number in (0, 2, 3, 4)])
    assert task.score(examples, dataset.labels, file, data).total == 4


def test_records_know_what_reading_left_out_and_score_the_same_files(
    registry: Registry, ocnli: Path, tiny_en: Path, tmp_path: Path
) -> None:
    options = {"task": "ocnli", "data.path": str(ocnli), "model.path": str(tiny_en), "data.max_length": 48}
    config = resolve_run(gather_settings(environment={}, options=options), registry).config
    converted = convert_data(config, registry, "jsonl", tmp_path / "records")
    assert any("not read: train.3k.json" in note for note in converted.notes), "what opening the data says, too"
    texts = registry.task("ocnli").open(config.data)
    settings = gather_settings(environment={}, options={**options, "data.path": str(tmp_path / "records")})
    records = open_data(registry.task("ocnli"), resolve_run(settings, registry).config, registry)
    assert records.notes == texts.notes
    for split in texts.files:
        assert records.split(split).left_out == texts.split(split).left_out
        assert records.split(split).notes == texts.split(split).notes
    file = tmp_path / "ocnli_50k_predict.json"
    write(file, [{"id": number, "label": "neutral"} for number in range(5)])
    assert score(settings, file, registry).evaluation.metrics == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"sentence1": "a", "label": "0"}', "dev.json:2: the field 'sentence2' is missing"),
        ('{"sentence1": "a", "sentence2": 3, "label": "0"}', "dev.json:2: the field 'sentence2' is no text"),
        ('{"sentence1": "a", "sentence2": "b"}', "dev.json:2: the field 'label' is missing"),
        ('{"sentence1": "a", "sentence2": "b", "label": "2"}', "dev.json:2: unknown label '2'"),
        ('{"sentence1": "a", "sentence2": "b", "label": null}', "dev.json:2: unknown label None"),
        ('["a", "b"]', "dev.json:2: a list instead of a JSON object"),
        ('{"sentence1": "a"', "dev.json:2: "),
    ],
)
def test_a_wrong_line_is_named(registry: Registry, tmp_path: Path, line: str, words: str) -> None:
    good = '{"sentence1": "a", "sentence2": "b", "label": 1}'  # some copies write numbers
    (tmp_path / "dev.json").write_text(f"{good}\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        opened(registry, "afqmc", tmp_path).split("dev")
    assert caught.value.cause.startswith(f"{tmp_path}/{words}")
    assert caught.value.remedy
