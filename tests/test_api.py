"""The Python interface: the same as the command line, with typed results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import bertcore
from bertcore import api
from bertcore.commands.check_data.presentation import report_json
from bertcore.config import gather_settings
from bertcore.contracts.evaluation import Evaluation
from bertcore.errors import BertcoreError, ConfigError, DataError, ModelError, UsageError
from bertcore.files.writing import json_text

pytest.importorskip("torch")

OPTIONS = {"train.max_steps": 3, "train.batch_size": 8}


@pytest.fixture(scope="module")
def result(tiny_en: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> api.RunResult:
    return bertcore.run(
        task="rte",
        backend="torch",
        model=str(tiny_en),
        data=small_rte,
        output=tmp_path_factory.mktemp("api") / "run",
        seed=1,
        settings=OPTIONS,
    )


def test_a_run_gives_a_typed_result(result: api.RunResult) -> None:
    assert isinstance(result, api.RunResult)
    assert (result.task, result.backend, result.seed) == ("rte", "torch", 1)
    assert (result.steps, result.total, result.finished) == (3, 30, True)
    assert result.summary == f"acc_num {result.metrics['accuracy'] * 30:.0f}, total_num 30, accuracy " + format(
        result.metrics["accuracy"], ".6f"
    )
    assert result.seconds > 0
    assert result.examples_per_second > 0
    assert (result.folder / "best").is_dir()
    for name, kind in get_type_hints(api.RunResult).items():
        expected = getattr(kind, "__origin__", kind)
        assert isinstance(getattr(result, name), expected), name


def test_it_does_what_the_command_line_does(
    result: api.RunResult,
    tiny_en: Path,
    small_rte: Path,
    tmp_path: Path,
    bertcore_command: Callable[..., Any],
) -> None:
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte, "--seed", 1]
    options = [part for key, value in OPTIONS.items() for part in ("--set", f"{key}={value}")]
    outcome = bertcore_command("run", *place, "--output", tmp_path / "run", *options)
    assert outcome.last_line == result.summary
    for name in ("best/model.safetensors", "predictions.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (result.folder / name).read_bytes()


def test_evaluate(result: api.RunResult) -> None:
    evaluated = bertcore.evaluate(result.folder)
    assert isinstance(evaluated, api.EvaluationResult)
    assert isinstance(evaluated.evaluation, Evaluation)
    assert evaluated.summary == result.summary
    assert evaluated.evaluation.metrics == result.metrics
    assert evaluated.folder == result.folder / "evaluations" / "dev-torch"
    labels, counts = evaluated.evaluation.confusion or ((), None)
    assert labels == ("entailment", "not_entailment")
    assert counts is not None
    assert counts.sum() == 30
    on_train = bertcore.evaluate(str(result.folder), split="train", settings={"evaluate.batch_size": 5})
    assert on_train.evaluation.total == 72


def test_predict(result: api.RunResult) -> None:
    records = [{"sentence1": "It rains.", "sentence2": "The street is wet."}, {"sentence1": "", "sentence2": ""}]
    predictions = bertcore.predict(result.folder, iter(records))
    assert [entry["sentence1"] for entry in predictions] == ["It rains.", ""]
    for entry in predictions:
        assert entry["prediction"] in ("entailment", "not_entailment")
        assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    with pytest.raises(DataError, match=r"inputs\[1\]: the field 'sentence2' is missing"):
        bertcore.predict(result.folder, [records[0], {"sentence1": "a"}])


def test_mistakes_are_errors_with_cause_and_remedy(tiny_en: Path, small_rte: Path, tmp_path: Path) -> None:
    place: dict[str, Any] = {"task": "rte", "backend": "torch", "model": tiny_en, "data": small_rte}
    for changes, kind in (
        ({"task": "nothing"}, UsageError),
        ({"data": tmp_path / "none"}, DataError),
        ({"model": tmp_path / "none"}, ModelError),
        ({"settings": {"train.epoch": 1}}, ConfigError),
        ({"seed": -1}, ConfigError),
    ):
        with pytest.raises(kind) as caught:
            bertcore.run(**{**place, **changes}, output=tmp_path / "run")
        assert isinstance(caught.value, BertcoreError)
        assert caught.value.cause
        assert caught.value.remedy
        assert "\n" not in caught.value.cause + caught.value.remedy
        assert not (tmp_path / "run").exists()


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTCORE_TRAIN__EPOCHS", "9")
    assert gather_settings(environment={}) == []
    assert [setting.key for setting in gather_settings()] == ["train.epochs"]


def test_everything_of_the_interface_is_a_public_name() -> None:
    assert set(api.__all__) <= set(dir(bertcore))
    public = {name for name in dir(bertcore) if not name.startswith("_")}
    assert public == {*bertcore.__all__, "open"} - {"__version__"}
    for name in public:
        assert getattr(bertcore, name)
    with pytest.raises(AttributeError, match="nothing"):
        bertcore.nothing  # noqa: B018


def test_data_is_checked_and_converted_as_on_the_command_line(
    tiny_en: Path, small_rte: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    place = ["--task", "rte", "--model", tiny_en, "--data", small_rte]
    length = {"data.max_length": 32}
    report = bertcore.check_data(task="rte", model=tiny_en, data=small_rte, settings=length)
    shown = bertcore_command("data", "check", *place, "--set", "data.max_length=32", "--json")
    assert json.loads(json_text(report_json(report))) == json.loads(shown.out)
    assert report.splits["train"].truncated > 0
    made = bertcore.convert_data(
        task="rte", model=tiny_en, data=small_rte, to_name="jsonl", output=tmp_path / "a", settings=length
    )
    bertcore_command(
        *("data", "convert", *place, "--set", "data.max_length=32", "--to", "jsonl", "--output", tmp_path / "b")
    )
    written = {file.name: file.read_bytes() for file in (tmp_path / "b").iterdir()}
    assert {file.name: file.read_bytes() for file in made.folder.iterdir()} == written
    assert made.splits["train"].truncated == report.splits["train"].truncated
    with pytest.raises(DataError, match="nowhere"):
        bertcore.check_data(task="rte", data=tmp_path / "nowhere")
