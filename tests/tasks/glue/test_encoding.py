"""How examples of GLUE are encoded, and the smallest declaration of a task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bertcore_tasks.glue.base import GlueTask

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.dataset import Example
from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer


@pytest.fixture
def rte(registry: Registry) -> GlueTask:
    task = registry.task("rte")
    assert isinstance(task, GlueTask)
    return task


def test_labels_are_encoded_by_the_ids_of_run_glue(rte: GlueTask, rte_dir: Path, tiny_en: Path) -> None:
    # transformers' run_glue and the GLUE data set on the hub: 0 is entailment, 1 is not_entailment.
    dataset = rte.open(DataConfig(path=str(rte_dir)))
    assert dataset.labels == ("entailment", "not_entailment")
    examples = dataset.split("dev")
    head = rte.head(dataset.labels, HeadConfig())
    encoding = rte.encode(examples, Tokenizer.load(tiny_en), head, 128, DataConfig())
    expected = [0 if example.label == "entailment" else 1 for example in examples]
    np.testing.assert_array_equal(encoding.batch.columns["labels"].values, expected)


def test_pairs_are_encoded_as_transformers_does(rte: GlueTask, rte_dir: Path, tiny_en: Path) -> None:
    transformers = pytest.importorskip("transformers")
    dataset = rte.open(DataConfig(path=str(rte_dir)))
    examples = dataset.split("dev")
    ours = rte.encode(examples, Tokenizer.load(tiny_en), rte.head(dataset.labels, HeadConfig()), 64, DataConfig())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_en)
    pairs = [tuple(example.texts.values()) for example in examples]
    theirs = tokenizer(*map(list, zip(*pairs, strict=True)), truncation=True, max_length=64)
    whole = tokenizer(*map(list, zip(*pairs, strict=True)))
    assert ours.truncated.tolist() == [number for number, ids in enumerate(whole["input_ids"]) if len(ids) > 64]
    for number in range(len(examples)):
        row = slice(ours.batch.offsets[number], ours.batch.offsets[number + 1])
        assert ours.batch.input_ids[row].tolist() == theirs["input_ids"][number]
        assert ours.batch.token_type_ids[row].tolist() == theirs["token_type_ids"][number]


def test_the_sample_is_read_like_the_real_files(rte: GlueTask) -> None:
    folder = rte.sample_folder()
    assert folder is not None
    dataset = rte.open(DataConfig(path=str(folder)))
    assert set(dataset.files) >= {"train", "dev"}
    assert len(dataset.split("train")) > 100


def test_another_task_is_a_few_lines(tmp_path: Path) -> None:
    """One text a line, other columns and labels, and a file without identifiers."""
    task = GlueTask("sentiment", "x", ("sentence",), ("0", "1"))
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\na fine film\t1\nno\t0\n")
    dataset = task.open(DataConfig(path=str(tmp_path)))
    assert set(dataset.files) == {"dev"}
    assert list(dataset.split("dev")) == [
        Example("0", {"sentence": "a fine film"}, "1", Origin(f"{tmp_path}/dev.tsv", 2)),
        Example("1", {"sentence": "no"}, "0", Origin(f"{tmp_path}/dev.tsv", 3)),
    ]
    assert task.sample_folder() is None
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\na fine film\t2\n")
    with pytest.raises(DataError, match=r"dev\.tsv:2: unknown label '2' in the field 'label'"):
        dataset.split("dev")
