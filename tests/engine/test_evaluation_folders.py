"""Each evaluation of a run has a folder of its own, and only the same evaluation again takes its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bertcore
from bertcore.api import EvaluationResult
from bertcore.engine.evaluations import folder_name

pytest.importorskip("torch")
FEW_STEPS = {"train.max_steps": 2, "train.batch_size": 8, "data.max_length": 48}


@pytest.fixture
def run(tiny_en: Path, copied_rte: Path, tmp_path: Path) -> Path:
    return bertcore.run(
        task="rte", backend="torch", model=tiny_en, data=copied_rte, output=tmp_path / "run", settings=FEW_STEPS
    ).folder


def name_of(result: EvaluationResult, run: Path) -> str:
    assert result.folder is not None
    assert result.folder.parent == run / "evaluations"
    report = json.loads((result.folder / "report.json").read_text(encoding="utf-8"))
    assert report["summary"] == result.summary
    return result.folder.name


def test_other_settings_and_other_data_have_folders_of_their_own(run: Path, copied_rte: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(copied_rte, tmp_path / "other reviews"))
    lines = (other / "dev.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (other / "dev.tsv").write_text("".join(lines[:11]), encoding="utf-8")

    def evaluated(**arguments: Any) -> str:
        return name_of(bertcore.evaluate(run, **arguments), run)

    first = evaluated()
    assert first == "dev-torch"
    before = {file.name: file.read_bytes() for file in (run / "evaluations" / first).iterdir()}
    assert evaluated(split="train") == "train-torch"
    assert evaluated(settings={"data.max_length": 24}) == "dev-torch-max_length=24"
    assert evaluated(data=other) == "dev-torch-other_reviews"
    assert evaluated(data=other, settings={"data.max_length": 24}) == "dev-torch-other_reviews-max_length=24"
    assert {file.name: file.read_bytes() for file in (run / "evaluations" / first).iterdir()} == before
    # The same once more, if only faster, is no other evaluation.
    assert evaluated() == evaluated(settings={"evaluate.batch_size": 3, "data.cache": False}) == first
    assert len(list((run / "evaluations").iterdir())) == 5


def test_data_that_changed_and_a_model_that_changed_are_other_evaluations(run: Path, copied_rte: Path) -> None:
    assert name_of(bertcore.evaluate(run), run) == "dev-torch"
    file = copied_rte / "dev.tsv"
    official = file.read_text(encoding="utf-8")
    file.write_text("".join(official.splitlines(keepends=True)[:6]), encoding="utf-8")
    assert name_of(bertcore.evaluate(run), run) == "dev-torch-2"
    file.write_text(official, encoding="utf-8")
    assert name_of(bertcore.evaluate(run), run) == "dev-torch"
    bertcore.resume(run, settings={"train.max_steps": 6, "train.learning_rate": 1e-3})
    assert name_of(bertcore.evaluate(run), run) in ("dev-torch", "dev-torch-3")
    reports = {
        json.loads((folder / "report.json").read_text(encoding="utf-8"))["identity"]["examples"]
        for folder in (run / "evaluations").iterdir()
    }
    assert len(reports) == 2


def test_a_folder_of_an_earlier_bertcore_or_a_damaged_one_stays(run: Path) -> None:
    bertcore.evaluate(run)
    file = run / "evaluations" / "dev-torch" / "report.json"
    report = json.loads(file.read_text(encoding="utf-8"))
    for number, text in enumerate((json.dumps({**report, "identity": None}), "{", "[]"), 2):
        file.write_text(text, encoding="utf-8")
        assert name_of(bertcore.evaluate(run), run) == f"dev-torch-{min(number, 2)}"
        assert file.read_text(encoding="utf-8") == text


@given(st.text(max_size=60), st.text(max_size=60))
def test_names_are_readable_and_no_paths(data: str, value: str) -> None:
    changed = {"data.path": f"/somewhere/{data}", "data.text": value}
    name = folder_name(["dev", "torch"], changed, names_data=True)
    assert name.startswith("dev-torch-")
    assert not set(name) & set('/\\:*?"<>| \n\0')
    assert len(name) <= 120
