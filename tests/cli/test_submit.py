"""``bertcore submit``: what leaderboards take, written whole or not at all."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bertcore_tasks.benchmarks import CLUE, GLUE

import bertcore
from bertcore.errors import UsageError
from bertcore.plugins.registry import Registry

pytest.importorskip("torch")
Command = Callable[..., Any]
FEW_STEPS = {"train.max_steps": 2, "train.batch_size": 8, "train.learning_rate": 5e-4, "data.max_length": 48}


def shortened(source: Path, target: Path, header: bool, count: int) -> None:
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(lines[: count + header]), encoding="utf-8")


@pytest.fixture(scope="module")
def runs(shared: Path, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of two steps on RTE and one on CoLA, each beside its official files, shortened."""
    root = tmp_path_factory.mktemp("submit")
    made: dict[str, Path] = {}
    for task, name in (("rte", "RTE"), ("cola", "CoLA")):
        for split, count in (("train", 24), ("dev", 12), ("test", 20)):
            official = shared / "data" / "glue" / name / f"{split}.tsv"
            shortened(official, root / name / f"{split}.tsv", header=task == "rte" or split == "test", count=count)
        made[task] = bertcore.run(
            task=task, backend="torch", model=tiny_en, data=root / name, output=root / f"{task}-run", settings=FEW_STEPS
        ).folder
    return made


def test_each_file_holds_what_the_best_checkpoint_predicts(
    bertcore_command: Command, runs: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "new" / "submission"
    outcome = bertcore_command("submit", runs["rte"], runs["cola"], "--output", output)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-2:] == [
        f"{output / 'RTE.tsv'}: 20 predictions of test by {runs['rte']}",
        f"{output / 'CoLA.tsv'}: 20 predictions of test by {runs['cola']}",
    ]
    assert sorted(file.name for file in output.iterdir()) == ["CoLA.tsv", "RTE.tsv"]
    for task, name in (("rte", "RTE"), ("cola", "CoLA")):
        header, *lines = (runs[task].parent / name / "test.tsv").read_text(encoding="utf-8").splitlines()
        records = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
        expected = bertcore.predict(runs[task], records)
        rows = [f"{record['index']}\t{entry['prediction']}" for record, entry in zip(records, expected, strict=True)]
        assert (output / f"{name}.tsv").read_text() == "\n".join(["index\tprediction", *rows]) + "\n"


def test_from_python(runs: dict[str, Path], tmp_path: Path) -> None:
    result = bertcore.submit([runs["rte"]], tmp_path / "out", backend="torch")
    (file,) = result.files
    assert (file.path, file.run, file.split, file.predictions) == (
        tmp_path / "out" / "RTE.tsv",
        runs["rte"],
        "test",
        20,
    )
    assert file.path.read_text().startswith("index\tprediction\n0\t")
    with pytest.raises(UsageError, match="no run"):
        bertcore.submit([], tmp_path / "other")


def test_an_archive_holds_the_same_files_and_says_what_is_missing(
    bertcore_command: Command, runs: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "submission"
    outcome = bertcore_command("submit", runs["rte"], runs["cola"], "--output", output, "--zip")
    assert outcome.code == 0, outcome.err
    with zipfile.ZipFile(output / "GLUE.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["RTE.tsv", "CoLA.tsv"], "and no folder"
        for name in archive.namelist():
            assert archive.read(name) == (output / name).read_bytes()
    assert outcome.out.splitlines()[-2:] == [
        f"{output / 'GLUE.zip'}: 2 files, 2 of the 11 of GLUE",
        "missing, from a run of the task: AX.tsv (mnli), MNLI-m.tsv (mnli), MNLI-mm.tsv (mnli), MRPC.tsv (mrpc), "
        "QNLI.tsv (qnli), QQP.tsv (qqp), SST-2.tsv (sst2), STS-B.tsv (stsb), WNLI.tsv (wnli)",
    ]
    again = bertcore.submit([runs["rte"], runs["cola"]], tmp_path / "again", archive=True).archive
    assert again is not None
    assert again.path.read_bytes() == (output / "GLUE.zip").read_bytes(), "whenever it is made"
    assert again.missing["STS-B.tsv"] == "stsb"


def test_each_file_of_a_benchmark_is_named_once_and_made_by_its_tasks() -> None:
    """GLUE's eleven all come from its tasks; bertcore has no task for four of CLUE's nine."""
    registry = Registry()
    made: dict[str, set[str]] = {}
    for name in registry.tasks:
        task = registry.task(name)
        if task.benchmark is not None:
            made.setdefault(task.benchmark.name, set()).update((task.leaderboard or {}).values())
    assert len(GLUE.files) == len(set(GLUE.files)) == 11
    assert made["GLUE"] == set(GLUE.files)
    assert len(CLUE.files) == len(set(CLUE.files)) == 9
    assert made["CLUE"] - set(CLUE.files) == {
        "c310_predict.json",
        "cluener_predict.json",
        "tnews10_predict.json",
    }
    assert set(CLUE.files) - made["CLUE"] == {
        "chid11_predict.json",
        "cluewsc11_predict.json",
        "csl_predict.json",
        "iflytek_predict.json",
    }


def test_two_leaderboards_or_one_without_an_archive(
    bertcore_command: Command, runs: dict[str, Path], tmp_path: Path
) -> None:
    other = Path(shutil.copytree(runs["rte"], tmp_path / "other"))
    config = (other / "config.toml").read_text()
    pairs = [{"id": 0, "sentence1": "一", "sentence2": "二"}, {"id": 1, "sentence1": "三", "sentence2": "四"}]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.json").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    data = str(runs["rte"].parent / "RTE")
    (other / "config.toml").write_text(
        config.replace('task = "rte"', 'task = "afqmc"').replace(data, str(tmp_path / "data"))
    )
    code, cause = fails(bertcore_command, tmp_path, runs["rte"], other, "--zip")
    assert (code, cause) == (2, f"error: {runs['rte']} is of GLUE and {other} of CLUE: two leaderboards")
    questions = [{"id": "q", "question": "Who?", "context": "Ada.", "answers": [{"text": "Ada", "answer_start": 0}]}]
    (tmp_path / "data" / "dev.json").write_text(json.dumps(questions))
    (other / "config.toml").write_text(
        config.replace('task = "rte"', 'task = "squad"').replace(data, str(tmp_path / "data" / "dev.json"))
    )
    code, cause = fails(bertcore_command, tmp_path, other, "--zip")
    assert (code, cause) == (2, f"error: {other}: the leaderboard of squad takes no archive")


def copied(run: Path, folder: Path) -> tuple[Path, Path]:
    """A copy of a run and of its data, which it then names."""
    name = {"rte": "RTE", "cola": "CoLA"}[run.name.removesuffix("-run")]
    data = Path(shutil.copytree(run.parent / name, folder / name))
    new = Path(shutil.copytree(run, folder / run.name))
    config = (new / "config.toml").read_text()
    assert str(run.parent / name) in config
    (new / "config.toml").write_text(config.replace(str(run.parent / name), str(data)))
    return new, data


def fails(bertcore_command: Command, folder: Path, *arguments: object) -> tuple[int, str]:
    output = folder / "out"
    outcome = bertcore_command("submit", *arguments, "--output", output)
    assert not output.exists(), "nothing is written"
    assert not list(folder.glob(".*")), "and nothing left beside it"
    cause, remedy = outcome.err.splitlines()
    assert cause.startswith("error: ")
    assert remedy.startswith("remedy: ")
    return outcome.code, cause


def test_two_runs_for_one_file(bertcore_command: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    other, _ = copied(runs["rte"], tmp_path)
    code, cause = fails(bertcore_command, tmp_path, runs["rte"], other)
    assert (code, cause) == (2, f"error: RTE.tsv would come from {runs['rte']} and from {other}")
    code, cause = fails(bertcore_command, tmp_path, runs["rte"], runs["rte"])
    assert (code, cause) == (2, f"error: RTE.tsv would come from {runs['rte']} and from {runs['rte']}")


def test_a_missing_test_file(bertcore_command: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    run, data = copied(runs["cola"], tmp_path)
    (data / "test.tsv").unlink()
    code, cause = fails(bertcore_command, tmp_path, runs["rte"], run)
    assert (code, cause) == (4, f"error: {run}: CoLA.tsv needs the split test, and {data} has only train, dev")


def test_a_damaged_test_file_of_the_second_run(
    bertcore_command: Command, runs: dict[str, Path], tmp_path: Path
) -> None:
    run, data = copied(runs["cola"], tmp_path)
    with (data / "test.tsv").open("a") as file:
        file.write("20\ttoo\tmany\n")
    code, cause = fails(bertcore_command, tmp_path, runs["rte"], run)
    assert code == 4
    assert "test.tsv:22: 3 fields instead of 2" in cause


def test_a_task_without_leaderboard(bertcore_command: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    run, _ = copied(runs["rte"], tmp_path)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace('task = "rte"', 'task = "classification"'))
    code, cause = fails(bertcore_command, tmp_path, run)
    assert (code, cause) == (2, f"error: {run}: the task classification has no leaderboard")


def test_what_is_no_run(bertcore_command: Command, tmp_path: Path) -> None:
    code, cause = fails(bertcore_command, tmp_path, tmp_path / "absent")
    assert code == 2
    assert cause.endswith("absent: no run folder, it does not exist")


def test_an_output_that_holds_something(bertcore_command: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    outcome = bertcore_command("submit", runs["rte"], "--output", tmp_path)
    assert (outcome.code, outcome.err.splitlines()[0]) == (8, f"error: {tmp_path}: it holds something already")
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
