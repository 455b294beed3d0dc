"""A run that the commands are tried on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished_run(tiny_en: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run on torch; copy it before changing it."""
    pytest.importorskip("torch")
    import bertcore

    return bertcore.run(
        task="rte",
        backend="torch",
        model=tiny_en,
        data=small_rte,
        output=tmp_path_factory.mktemp("cli") / "finished",
        seed=2,
        settings={"train.max_steps": 4, "train.batch_size": 8, "train.learning_rate": 5e-4},
    ).folder


@pytest.fixture
def copied_model(tiny_en: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_en, tmp_path / "model", copy_function=shutil.copyfile))


@pytest.fixture
def copied_run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "copied-run"))
