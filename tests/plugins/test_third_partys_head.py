"""A head of a third party, written with public names alone, does all that a head of bertcore does."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stars import SAMPLE, SETTINGS, example_registry, small_model

import bertcore
from bertcore.errors import BertcoreError, DataError, ModelError, PluginError
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.weights.opening import open_model
from bertcore.weights.stored_head import head_from_config

pytest.importorskip("bertcore_torch")

TEXTS = ["excellent , i love it and use it every day", "awful , it broke at once , the worst lamp ever"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return example_registry()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "bert")


def stars(registry: Registry, model: Path, **changes: Any) -> dict[str, Any]:
    """Arguments of a run."""
    settings = {**SETTINGS, **changes.pop("settings", {})}
    return {
        "task": "stars",
        "backend": "torch",
        "model": model,
        "data": "sample",
        "settings": settings,
        "registry": registry,
        **changes,
    }


@pytest.fixture(scope="module")
def trained(registry: Registry, model: Path, tmp_path_factory: pytest.TempPathFactory) -> bertcore.RunResult:
    folder = tmp_path_factory.mktemp("runs") / "stars"
    longer = {"train.max_steps": 60, "train.evaluate_steps": 15, "train.save_steps": 15}
    return bertcore.run(**stars(registry, model, output=folder, test=SAMPLE / "dev.tsv", settings=longer))


def losses(folder: Path) -> list[float]:
    events = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [event["loss"] for event in events if "loss" in event and "step" in event]


def weights(folder: Path) -> dict[str, np.ndarray]:
    return dict(read_safetensors(folder / "model.safetensors"))


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_it_learns_and_is_named_in_the_model_folder(trained: bertcore.RunResult) -> None:
    assert trained.metrics["mean_absolute_error"] < trained.baseline["mean_absolute_error"]
    config = json.loads((trained.folder / "best" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertForOrdinalRegression"]
    assert list(config["id2label"].values()) == ["1", "2", "3", "4", "5"]
    thresholds = weights(trained.folder / "best")["thresholds"]
    assert (np.diff(thresholds) < 0).all(), "the higher a rank, the harder to exceed"


def test_new_thresholds_are_the_logits_of_the_training_splits_frequencies(
    registry: Registry, model: Path, tmp_path: Path
) -> None:
    run = bertcore.run(**stars(registry, model, output=tmp_path / "run", settings={"train.learning_rate": 1e-9}))
    # Six reviews of each number of stars: 24, 18, 12 and 6 of 30 are beyond; one more is added on either side.
    beyond = np.array([24, 18, 12, 6])
    expected = np.log((beyond + 1) / (30 - beyond + 1))
    np.testing.assert_allclose(weights(run.folder / "best")["thresholds"], expected, rtol=1e-5)


def test_a_test_file_is_scored_after_training(trained: bertcore.RunResult) -> None:
    assert trained.test is not None
    assert trained.test.total == 10
    assert trained.test.metrics == pytest.approx(dict(trained.metrics))


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
import bertcore
from stars import example_registry
from bertcore import StepDone, TrackerFactory, hookimpl

class Murderer:
    def __init__(self, run):
        pass

    def on_event(self, event):
        if isinstance(event, StepDone) and event.step == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self):
        pass

class Plugin:
    @hookimpl
    def bertcore_register_trackers(self):
        return [TrackerFactory("murderer", "ends the process", Murderer)]

registry = example_registry()
registry.plugins.register(Plugin(), "murderer")
arguments = {arguments!r}
arguments["settings"]["run.trackers"] = ["metrics_jsonl", "murderer"]
bertcore.run(**arguments, registry=registry)
"""


@pytest.mark.parametrize("rate", [3e-3, 1e-9], ids=["scores change", "no score is better than the first"])
def test_a_killed_run_goes_on_to_the_bit(registry: Registry, model: Path, tmp_path: Path, rate: float) -> None:
    arguments = stars(registry, model, settings={"train.learning_rate": rate})
    whole = bertcore.run(**arguments, output=tmp_path / "whole")
    del arguments["registry"]
    given = {**arguments, "model": str(model), "output": str(tmp_path / "run")}
    code = KILLED.format(path=sys.path, arguments=given)
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = bertcore.resume(tmp_path / "run", settings={"run.trackers": ["metrics_jsonl"]}, registry=registry)
    assert (again.steps, again.finished) == (12, True)
    assert (again.metrics, again.best_step) == (whole.metrics, whole.best_step)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert_equal(weights(tmp_path / "run" / "best"), weights(tmp_path / "whole" / "best"))
    if rate < 1e-6:
        assert again.best_step == 4


def test_it_is_evaluated_and_predicts(registry: Registry, trained: bertcore.RunResult, tmp_path: Path) -> None:
    result = bertcore.evaluate(trained.folder, registry=registry)
    assert result.evaluation.metrics == pytest.approx(dict(trained.metrics))
    found = bertcore.predict(trained.folder, TEXTS, registry=registry)
    assert [row["text"] for row in found] == TEXTS
    assert found[0]["mean"] > found[1]["mean"], "praise and blame"
    assert all(row["prediction"] in "12345" for row in found)


def test_best_is_opened_alone(registry: Registry, trained: bertcore.RunResult, tmp_path: Path) -> None:
    best = Path(shutil.copytree(trained.folder / "best", tmp_path / "best"))
    result = bertcore.evaluate(best, task="stars", backend="torch", data="sample", registry=registry)
    assert result.evaluation.metrics == pytest.approx(dict(trained.metrics))
    further = bertcore.run(**stars(registry, best, output=tmp_path / "run", settings={"train.max_steps": 1}))
    assert further.metrics["mean_absolute_error"] < trained.baseline["mean_absolute_error"], "its head was kept"


@pytest.mark.parametrize("name", ["weights.pt", "weights.ckpt", "weights.safetensors"])
def test_its_folder_is_converted_and_comes_back(
    registry: Registry, trained: bertcore.RunResult, tmp_path: Path, name: str
) -> None:
    best = trained.folder / "best"
    bertcore.convert(best, tmp_path / "there" / name, registry=registry)
    bertcore.convert(tmp_path / "there" / name, tmp_path / "back", config=best / "config.json", registry=registry)
    assert_equal(weights(tmp_path / "back"), weights(best))
    assert open_model(str(tmp_path / "back"), registry).head().labels == ("1", "2", "3", "4", "5")


def test_a_family_without_pooler_puts_its_own_layers_before_it(registry: Registry, tmp_path: Path) -> None:
    model = small_model(tmp_path / "roberta", "roberta")
    run = bertcore.run(**stars(registry, model, output=tmp_path / "run"))
    names = {name for name in weights(run.folder / "best") if not name.startswith("roberta.")}
    parts = ("dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias")
    assert names == {"thresholds", *(f"classifier.{part}" for part in parts)}
    result = bertcore.evaluate(run.folder, registry=registry)
    assert result.evaluation.metrics == pytest.approx(dict(run.metrics))


def test_its_rows_go_through_records(registry: Registry, model: Path, tmp_path: Path) -> None:
    expected = bertcore.run(**stars(registry, model, output=tmp_path / "plain"))
    records = tmp_path / "records"
    bertcore.convert_data(task="stars", data="sample", model=model, to_name="jsonl", output=records, registry=registry)
    run = bertcore.run(**stars(registry, model, data=records, output=tmp_path / "run"))
    assert losses(run.folder) == losses(expected.folder)
    lines = (records / "train.jsonl").read_text(encoding="utf-8").splitlines()
    damaged = {**json.loads(lines[4]), "label_ids": [7]}
    (records / "train.jsonl").write_text("\n".join([*lines[:4], json.dumps(damaged), *lines[5:]]) + "\n")
    with pytest.raises(DataError, match="record 5: the label 7 is none of 5"):
        bertcore.run(**stars(registry, model, data=records, output=tmp_path / "damaged"))


def test_a_model_with_it_is_refused_for_another_task(
    registry: Registry, trained: bertcore.RunResult, tmp_path: Path
) -> None:
    source = open_model(str(trained.folder / "best"), registry)
    with pytest.raises(ModelError, match="its head is for ordinal regression, the task is sequence classification"):
        source.fit(SequenceClassification(("a", "b")), seed=0)


def test_without_its_plugin_the_model_says_what_it_is(trained: bertcore.RunResult) -> None:
    with pytest.raises(ModelError, match=r"BertForOrdinalRegression.* names no fine-tuned head") as caught:
        open_model(str(trained.folder / "best"), Registry()).head()
    assert "plugin" in caught.value.remedy


def test_two_heads_that_take_one_file_for_theirs_are_named(registry: Registry) -> None:
    (ordinal,) = (head for head in registry.heads if head.name == "ordinal_regression")
    double = type("Double", (ordinal,), {"name": "double"})
    config = {"architectures": ["BertForOrdinalRegression"], "id2label": {"0": "a", "1": "b"}}
    assert head_from_config(config, registry.heads) == ordinal(("a", "b"))
    with pytest.raises(PluginError, match="'ordinal_regression' and 'double' both take") as caught:
        head_from_config(config, (*registry.heads, double))
    assert isinstance(caught.value, BertcoreError)
