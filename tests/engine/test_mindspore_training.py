"""Training on MindSpore: against a plain transformers loop, to the bit across a stop, and to and from torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import RunResult, resume
from bertcore.formats.safetensors_file import read_safetensors

pytestmark = pytest.mark.mindspore

pytest.importorskip("mindspore")
pytest.importorskip("torch")

LossesOf = Callable[[Path], list[float]]
ReadMetrics = Callable[[Path], list[dict[str, Any]]]


# 20 steps without dropout, in one go or with a change of the backend after 10


@pytest.fixture(scope="module")
def halfway(
    tiny_with_head: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory, loop_settings: dict[str, Any]
) -> dict[str, Path]:
    """Runs of each backend, stopped after 10 of 20 steps."""
    parent = tmp_path_factory.mktemp("halfway")
    return {
        backend: bertcore.run(
            task="rte",
            backend=backend,
            model=tiny_with_head,
            data=small_rte,
            output=parent / backend,
            seed=7,
            settings={**loop_settings, "train.stop_after": 10},
        ).folder
        for backend in ("torch", "mindspore")
    }


@pytest.mark.parametrize(
    ("first", "second"), [("mindspore", "mindspore"), ("torch", "mindspore"), ("mindspore", "torch")]
)
def test_20_steps_equal_a_plain_transformers_loop(
    halfway: dict[str, Path], oracle: Any, losses_of: LossesOf, tmp_path: Path, first: str, second: str
) -> None:
    folder = Path(shutil.copytree(halfway[first], tmp_path / "run"))
    result = resume(folder, settings={"backend": second})
    assert result.finished
    assert result.steps == 20
    assert losses_of(folder) == pytest.approx(oracle.losses, rel=1e-4)
    parameters = read_safetensors(folder / "checkpoint" / "model" / "model.safetensors")
    for name, value in parameters.items():
        np.testing.assert_allclose(value, oracle.parameters[name], atol=5e-5, err_msg=name)
    # The weight file beside best/ is that of the backend that wrote it.
    names = {path.name for path in folder.glob("best_model.*")}
    assert names == {"best_model.ckpt" if second == "mindspore" else "best_model.pt"}


def test_rules_mean_the_same_on_both_backends(
    tiny_with_head: Path,
    small_rte: Path,
    tmp_path: Path,
    rule_settings: dict[str, Any],
    oracle_of_rules: Any,
    losses_of: LossesOf,
) -> None:
    """Layer-wise decay, frozen embeddings and rules: ten steps on MindSpore and ten on torch."""
    folder = bertcore.run(
        task="rte",
        backend="mindspore",
        model=tiny_with_head,
        data=small_rte,
        output=tmp_path / "run",
        seed=7,
        settings={**rule_settings, "train.stop_after": 10},
    ).folder
    resume(folder, settings={"backend": "torch"})
    assert losses_of(folder) == pytest.approx(oracle_of_rules.losses, rel=1e-4)
    for name, value in read_safetensors(folder / "checkpoint" / "model" / "model.safetensors").items():
        np.testing.assert_allclose(value, oracle_of_rules.parameters[name], atol=5e-5, err_msg=name)


def test_unfreezing_means_the_same_on_both_backends(
    tiny_with_head: Path,
    small_rte: Path,
    tmp_path: Path,
    unfreezing_settings: dict[str, Any],
    oracle_of_unfreezing: Any,
    losses_of: LossesOf,
) -> None:
    """Ten steps on MindSpore, in which three of four parts begin, and ten on torch."""
    folder = bertcore.run(
        task="rte",
        backend="mindspore",
        model=tiny_with_head,
        data=small_rte,
        output=tmp_path / "run",
        seed=7,
        settings={**unfreezing_settings, "train.stop_after": 10},
    ).folder
    resume(folder, settings={"backend": "torch"})
    assert losses_of(folder) == pytest.approx(oracle_of_unfreezing.losses, rel=1e-4)
    for name, value in read_safetensors(folder / "checkpoint" / "model" / "model.safetensors").items():
        np.testing.assert_allclose(value, oracle_of_unfreezing.parameters[name], atol=5e-5, err_msg=name)


def test_a_shaped_loss_means_the_same_on_both_backends(
    tiny_with_head: Path,
    small_rte: Path,
    tmp_path: Path,
    loss_settings: dict[str, Any],
    oracle_of_losses: Any,
    losses_of: LossesOf,
) -> None:
    """Smoothed labels and balanced weights: ten steps on MindSpore and ten on torch, with the numbers of the first."""
    folder = bertcore.run(
        task="rte",
        backend="mindspore",
        model=tiny_with_head,
        data=small_rte,
        output=tmp_path / "run",
        seed=7,
        settings={**loss_settings, "train.stop_after": 10},
    ).folder
    resume(folder, settings={"backend": "torch"})
    assert losses_of(folder) == pytest.approx(oracle_of_losses.losses, rel=1e-4)
    for name, value in read_safetensors(folder / "checkpoint" / "model" / "model.safetensors").items():
        np.testing.assert_allclose(value, oracle_of_losses.parameters[name], atol=5e-5, err_msg=name)


def test_a_student_on_mindspore_learns_from_a_teacher_on_torch(
    tiny_with_head: Path, tiny_en: Path, small_rte: Path, tmp_path: Path, losses_of: LossesOf
) -> None:
    """Two steps: the losses are those of the same student on torch."""
    common = {"task": "rte", "model": tiny_with_head, "data": small_rte, "seed": 7}
    settings = {"train.max_steps": 2, "train.batch_size": 6, "train.dropout": False, "train.log_steps": 1}
    teacher = bertcore.run(
        **{**common, "model": tiny_en}, backend="torch", output=tmp_path / "teacher", settings=settings
    )
    runs = {
        backend: bertcore.run(
            **common,
            backend=backend,
            output=tmp_path / backend,
            teacher=teacher.folder,
            settings={**settings, "train.learning_rate": 1e-3, "train.distill.weight": 0.7},
        ).folder
        for backend in ("torch", "mindspore")
    }
    assert losses_of(runs["mindspore"]) == pytest.approx(losses_of(runs["torch"]), rel=1e-4)
    kept = [(folder / "teacher" / "outputs.safetensors").read_bytes() for folder in runs.values()]
    assert kept[0] == kept[1]


# Stopping and going on with dropout

WITH_DROPOUT = {
    "train.max_steps": 8,
    "train.batch_size": 6,
    "train.accumulation": 2,
    "train.learning_rate": 3e-4,
    "train.log_steps": 3,
    "train.evaluate_steps": 4,
}


@pytest.fixture(scope="module")
def start(tiny_en: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunResult]:
    parent = tmp_path_factory.mktemp("runs")

    def run(name: str, **changes: Any) -> RunResult:
        return bertcore.run(
            task="rte",
            backend="mindspore",
            model=tiny_en,
            data=small_rte,
            output=parent / name,
            seed=3,
            settings={**WITH_DROPOUT, **{f"train.{key}": value for key, value in changes.items()}},
        )

    return run


def weights_of(folder: Path) -> dict[str, bytes]:
    """Bytes of every tensor of a run: best model, last model, moments."""
    return {
        f"{file}:{name}": np.asarray(value).tobytes()
        for file in ("best/model.safetensors", "checkpoint/model/model.safetensors", "checkpoint/optimizer.safetensors")
        for name, value in read_safetensors(folder / file).items()
    }


@pytest.fixture(scope="module")
def uninterrupted(start: Callable[..., RunResult]) -> RunResult:
    return start("uninterrupted")


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    start: Callable[..., RunResult], uninterrupted: RunResult, read_metrics: ReadMetrics
) -> None:
    stopped = start("stopped", stop_after=5)
    assert not stopped.finished
    resumed = resume(stopped.folder)
    assert (resumed.summary, resumed.best_step) == (uninterrupted.summary, uninterrupted.best_step)
    assert weights_of(resumed.folder) == weights_of(uninterrupted.folder)
    assert read_metrics(resumed.folder) == read_metrics(uninterrupted.folder)
    for name in ("predictions.jsonl", "best_model.ckpt"):
        assert (resumed.folder / name).read_bytes() == (uninterrupted.folder / name).read_bytes(), name


def test_compilation_is_reported_apart(uninterrupted: RunResult) -> None:
    entries = [json.loads(line) for line in (uninterrupted.folder / "metrics.jsonl").read_text().splitlines()]
    assert entries[0]["compile_seconds"] > 0
    assert entries[-1]["compile_seconds"] == 0  # the second evaluation compiles nothing
    log = (uninterrupted.folder / "run.log").read_text()
    assert f", compiled {entries[0]['compile_seconds']:.1f} s" in log


def test_weight_file_is_read_by_mindspore(uninterrupted: RunResult) -> None:
    import mindspore

    expected = read_safetensors(uninterrupted.folder / "best" / "model.safetensors")
    loaded = mindspore.load_checkpoint(str(uninterrupted.folder / "best_model.ckpt"))
    assert set(loaded) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(loaded[name].asnumpy(), value, err_msg=name)


# One checkpoint, one set of predictions


@pytest.fixture(scope="module")
def trained(tiny_en: Path, rte_with_full_dev: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A few steps on torch, evaluated on the whole dev split."""
    return bertcore.run(
        task="rte",
        backend="torch",
        model=tiny_en,
        data=rte_with_full_dev,
        output=tmp_path_factory.mktemp("runs") / "trained",
        seed=5,
        settings={"train.max_steps": 12, "train.batch_size": 8, "train.learning_rate": 5e-4},
    )


@pytest.mark.parametrize("batch_size", [1, 32, 1000])
def test_predictions_equal_those_of_torch_and_of_transformers(
    trained: RunResult,
    rte_dir: Path,
    bertcore_command: Callable[..., Any],
    transformers_logits: Callable[[Path, Path], Any],
    compare_predictions: Callable[[list[dict[str, Any]], Any], None],
    batch_size: int,
) -> None:
    command = ["evaluate", trained.folder, "--backend", "mindspore", "--set", f"evaluate.batch_size={batch_size}"]
    outcome = bertcore_command(*command)
    assert outcome.code == 0, outcome.err
    assert outcome.last_line == trained.summary
    assert "total_num 277" in outcome.last_line
    lines = (trained.folder / "evaluations" / "dev-mindspore" / "predictions.jsonl").read_text().splitlines()
    predictions = [json.loads(line) for line in lines]
    compare_predictions(predictions, transformers_logits(trained.folder / "best", rte_dir / "dev.tsv"))
    on_torch = [json.loads(line) for line in (trained.folder / "predictions.jsonl").read_text().splitlines()]
    compare_predictions(predictions, np.log([list(entry["probabilities"].values()) for entry in on_torch]))


def test_odd_texts_are_predicted_as_on_torch(trained: RunResult) -> None:
    pairs = [("", ""), ("  ", "a NUL \0"), ("emoji 😀", '"quoted\ttab"'), ("word " * 700, "other " * 900)]
    records = [{"sentence1": first, "sentence2": second} for first, second in pairs]
    ours, theirs = (bertcore.predict(trained.folder, records, backend=name) for name in ("mindspore", "torch"))
    for one, other in zip(ours, theirs, strict=True):
        assert one.pop("probabilities") == pytest.approx(other.pop("probabilities"), abs=1e-5)
        assert one == other
    assert [entry.get("truncated", False) for entry in ours] == [False, False, False, True]
    assert bertcore.predict(trained.folder, [], backend="mindspore") == []


def test_an_open_model_compiles_nothing_twice_and_predicts_as_on_torch(trained: RunResult) -> None:
    pairs = [("A cat sleeps.", "An animal sleeps."), ("A dog barks.", "Nothing barks."), ("word " * 300, "other")]
    with (
        bertcore.open(trained.folder, backend="mindspore") as model,
        bertcore.open(trained.folder, backend="torch") as oracle,
    ):
        spent = []
        for pair in (*pairs, *pairs):
            (ours,), (theirs,) = model.predict([pair]), oracle.predict([pair])
            assert ours.pop("probabilities") == pytest.approx(theirs.pop("probabilities"), abs=1e-5)
            assert ours == theirs
            assert model._loaded is not None
            spent.append(model._loaded.session.compile_seconds)
    assert 0 < spent[0] == spent[1], "the second short text is computed by what the first one compiled"
    assert spent[3:] == [spent[2]] * 3, "nothing is compiled again"


def test_an_empty_split(trained: RunResult, tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("index\tsentence1\tsentence2\tlabel\n")
    result = bertcore.evaluate(trained.folder, backend="mindspore", data=tmp_path)
    assert result.summary == "acc_num 0, total_num 0, accuracy nan"
