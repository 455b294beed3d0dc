"""One model of MNLI on torch: both development sets, the diagnostic sentences, and three files for the leaderboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import bertcore
from bertcore.errors import DataError, ModelError

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def mnli_run(official: Callable[[str], Path], tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps on six pairs."""
    return bertcore.run(
        task="mnli",
        backend="torch",
        model=tiny_en,
        data=official("mnli"),
        output=tmp_path_factory.mktemp("mnli") / "run",
        settings={"train.max_steps": 4, "train.batch_size": 3, "train.learning_rate": 1e-3},
    ).folder


def gold(file: Path) -> list[str]:
    return [line.split("\t")[-1] for line in file.read_text(encoding="utf-8").splitlines()[1:]]


def test_both_development_sets_and_the_diagnostic_sentences_are_scored(
    mnli_run: Path, official: Callable[[str], Path]
) -> None:
    matthews = pytest.importorskip("sklearn.metrics").matthews_corrcoef
    report = json.loads((mnli_run / "report.json").read_text())
    assert report["total"] == 6
    for arguments, file in (
        ({"split": "dev_matched"}, official("mnli") / "dev_matched.tsv"),
        ({"split": "dev_mismatched"}, official("mnli") / "dev_mismatched.tsv"),
        ({"task": "ax", "data": official("ax")}, official("ax") / "diagnostic-full.tsv"),
    ):
        result = bertcore.evaluate(mnli_run, **arguments)  # type: ignore[arg-type]
        assert result.folder is not None
        lines = (result.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        given = [json.loads(line)["prediction"] for line in lines]
        correct = sum(one == other for one, other in zip(gold(file), given, strict=True))
        assert result.summary.startswith(f"acc_num {correct}, total_num 6, accuracy {correct / 6:.6f}")
        if "task" in arguments:
            assert result.evaluation.metrics["matthews"] == pytest.approx(matthews(gold(file), given))


def test_three_files_are_submitted(mnli_run: Path, official: Callable[[str], Path], tmp_path: Path) -> None:
    result = bertcore.submit([mnli_run], tmp_path / "out")
    assert [file.path.name for file in result.files] == ["MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"]
    first, second, third = [file.path.read_text().splitlines() for file in result.files]
    assert first[0] == second[0] == third[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in first[1:]] == [str(number) for number in range(6)]
    assert [line.split("\t")[0] for line in second[1:]] == [str(9796 + number) for number in range(6)]
    labels = {line.split("\t")[1] for line in first[1:] + second[1:] + third[1:]}
    assert labels <= {"entailment", "neutral", "contradiction"}
    evaluated = bertcore.evaluate(mnli_run, task="ax", data=official("ax"))
    assert evaluated.folder == mnli_run / "evaluations" / "ax-full-torch"
    expected = [entry["prediction"] for entry in evaluated.evaluation.predictions]
    assert [line.split("\t")[1] for line in third[1:]] == expected


def test_a_run_is_evaluated_by_a_task_with_other_options(tiny_en: Path, tmp_path: Path) -> None:
    """What the run's own task was told is nothing to the other one."""
    for split in ("train", "dev"):
        (tmp_path / f"{split}.csv").write_text("text,label\ngood,1\nbad,0\nfine,1\n", encoding="utf-8")
    official = tmp_path / "SST-2"
    official.mkdir()
    (official / "dev.tsv").write_text("sentence\tlabel\ngood\t1\nbad\t0\n", encoding="utf-8")
    settings = {"train.max_steps": 1, "data.header": "true", "data.text": "text"}
    run = bertcore.run(
        task="classification", backend="torch", model=tiny_en, data=tmp_path, output=tmp_path / "run", settings=settings
    )
    result = bertcore.evaluate(run.folder, task="sst2", data=official)
    assert result.evaluation.total == 2
    assert result.folder == run.folder / "evaluations" / "sst2-dev-torch"


def test_ax_alone_cannot_be_trained_on(official: Callable[[str], Path], tiny_en: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the data has no split train, only full, test"):
        bertcore.run(task="ax", backend="torch", model=tiny_en, data=official("ax"), output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_of_other_labels_is_not_scored_on_ax(mnli_run: Path, official: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="its head has 3 labels, the task has 2"):
        bertcore.evaluate(mnli_run, task="qnli", data=official("qnli"))
