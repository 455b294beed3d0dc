"""Outputs and losses of the heads against transformers, on real models and rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_torch.devices import KINDS
from bertcore_torch.encoder import PackedModel
from bertcore_torch.heads import HeadModule
from bertcore_torch.rows import head_batch
from head_outputs import CORE, random_logits

from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.bert_config import BertConfig
from bertcore.errors import ModelError
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.testing.backend_suite.samples import CONFIG, rows_of
from bertcore.testing.heads import reference_of


def with_columns(batch: Batch, **columns: Column) -> Batch:
    return dataclasses.replace(batch, columns=columns)


def test_one_label(tiny_model: Any, padded: Any) -> None:
    head = SequenceClassification(("a", "b", "c"))
    oracle = tiny_model.oracle(head)
    labels = np.array([2, 0, -100, 1, 1])
    batch = with_columns(tiny_model.batch(5), labels=Column(labels, "row", ignore=-100))
    losses = tiny_model.open(oracle, head).predict(batch, ["loss"])["loss"]
    expected = oracle(**padded(batch), labels=torch.from_numpy(labels)).loss.item()
    assert losses[2] == 0
    assert losses.sum() / head.loss_count(batch) == pytest.approx(expected, rel=1e-5)


def test_several_labels(tiny_model: Any, padded: Any) -> None:
    head = SequenceClassification(("a", "b", "c"), multi_label=True)
    oracle = tiny_model.oracle(head)
    labels = np.random.default_rng(0).integers(0, 2, (5, 3)).astype(np.float32)
    batch = with_columns(tiny_model.batch(5), labels=Column(labels, "row"))
    losses = tiny_model.open(oracle, head).predict(batch, ["loss"])["loss"]
    expected = oracle(**padded(batch), labels=torch.from_numpy(labels)).loss.item()
    assert losses.sum() / head.loss_count(batch) == pytest.approx(expected, rel=1e-5)


def test_regression(tiny_model: Any, padded: Any) -> None:
    head = Regression()
    oracle = tiny_model.oracle(head)
    labels = np.array([0.5, 2.0, 4.75, 0.0, 5.0], dtype=np.float32)
    batch = with_columns(tiny_model.batch(5), labels=Column(labels, "row"))
    losses = tiny_model.open(oracle, head).predict(batch, ["loss"])["loss"]
    expected = oracle(**padded(batch), labels=torch.from_numpy(labels)).loss.item()
    assert losses.sum() / head.loss_count(batch) == pytest.approx(expected, rel=1e-5)


def test_tags_at_label_positions(tiny_model: Any, padded: Any) -> None:
    head = TokenClassification(("a", "b", "c"))
    oracle = tiny_model.oracle(head)
    batch = tiny_model.batch(5)
    positions = [np.arange(1, length - 1, 2, dtype=np.int32) for length in batch.lengths]
    labels = np.concatenate(positions) % 3
    labels[::5] = -100
    batch = dataclasses.replace(
        batch,
        columns={"labels": Column(labels, "label", ignore=-100)},
        label_offsets=np.concatenate([[0], np.cumsum([len(row) for row in positions])]),
        label_positions=np.concatenate(positions),
    )
    everywhere = torch.full((5, int(batch.lengths.max())), -100)
    rows = np.repeat(np.arange(5), np.diff(batch.label_offsets))
    everywhere[rows, batch.label_positions] = torch.from_numpy(labels).long()
    with torch.no_grad():
        expected = oracle(**padded(batch), labels=everywhere)
    outputs = tiny_model.open(oracle, head).predict(batch, ["logits", "tags", "loss"])
    logits = expected.logits[rows, batch.label_positions].numpy()
    np.testing.assert_allclose(outputs["logits"], logits, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(outputs["tags"], outputs["logits"].argmax(axis=1))
    assert outputs["tags"].dtype == np.int32
    assert outputs["loss"].sum() / head.loss_count(batch) == pytest.approx(expected.loss.item(), rel=1e-5)


def test_spans(tiny_model: Any, padded: Any) -> None:
    """One row at a time, for transformers lets padding take part in the softmax over a row."""
    head = SpanExtraction()
    oracle = tiny_model.oracle(head)
    batch = tiny_model.batch(5)
    starts, ends = batch.lengths // 3, batch.lengths - 1
    batch = with_columns(batch, start_positions=Column(starts, "row"), end_positions=Column(ends, "row"))
    outputs = tiny_model.open(oracle, head).predict(batch, ["start_logits", "end_logits", "loss"])
    for row in range(5):
        one = batch.select([row])
        with torch.no_grad():
            expected = oracle(
                **padded(one),
                start_positions=torch.from_numpy(starts[row : row + 1]),
                end_positions=torch.from_numpy(ends[row : row + 1]),
            )
        # transformers ignores a position equal to the length; the last token is one before it.
        tokens = slice(batch.offsets[row], batch.offsets[row + 1])
        np.testing.assert_allclose(outputs["start_logits"][tokens], expected.start_logits[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(outputs["end_logits"][tokens], expected.end_logits[0].numpy(), atol=1e-5)
        assert outputs["loss"][row] == pytest.approx(expected.loss.item(), rel=1e-5)


def test_a_head_that_needs_a_pooler_is_refused_where_there_is_none() -> None:
    class Pooled(HeadModule):
        reads = "pooled"

    config = BertConfig(20, 8, 1, 2, 8, head_variant="dense", family="roberta")
    with pytest.raises(ModelError, match="reads a pooler, and models of the family roberta have none") as caught:
        PackedModel(config, KINDS["cpu"], Pooled())
    assert "\n" not in caught.value.cause


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("head", list(CORE.values()), ids=list(CORE))
def test_divergence_of_outputs_from_others(head: Any, temperature: float) -> None:
    """Each row's part equals the reference, is nothing between equals, and has a gradient towards both."""
    batch, generator = rows_of(head), np.random.default_rng(8)
    first, second = random_logits(head, batch, generator), random_logits(head, batch, generator)
    expected = reference_of(head).divergence(head, batch, first, second, temperature)
    code: HeadModule = Registry().code_of("torch", head)(CONFIG, head)
    outputs, towards = (
        {name: torch.tensor(value, dtype=torch.float32, requires_grad=True) for name, value in values.items()}
        for values in (first, second)
    )
    columns = head_batch(batch, torch.device("cpu"))
    found = code.divergence(outputs, towards, columns, temperature)
    assert found.dtype == torch.float32
    rows = found if code.loss_per == "row" else torch.zeros(len(batch)).index_add(0, columns.label_rows, found)
    np.testing.assert_allclose(rows.detach().numpy(), expected, rtol=1e-4, atol=1e-6)
    assert expected.max() > 0.1
    assert not code.divergence(outputs, outputs, columns, temperature).any()
    found.sum().backward()
    assert all(value.grad.any() for value in (*outputs.values(), *towards.values()))
