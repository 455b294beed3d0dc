"""The user's own named entities: which file must hold some."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcore.errors import DataError
from bertcore.registry import Registry


def test_only_a_training_file_must_hold_entities(tmp_path: Path) -> None:
    task = Registry().task("ner")
    file = tmp_path / "none.bio"
    file.write_text("小\tO\n明\tO\n", encoding="utf-8")
    for named in ({"path": str(file)}, {"dev": str(file)}):
        (sentence,) = task.open(task.data_config(**named)).split("dev")
        assert sentence.label == ()
    with pytest.raises(DataError, match=r"none\.bio: no entity in 1 texts"):
        task.open(task.data_config(train=str(file), dev=str(file)))
