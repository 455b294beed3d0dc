"""Scores of pairs and their loss against bert4torch's padded form, written anew, and what only this form has."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_torch.dropout import Dropout
from bertcore_torch.rows import head_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.heads import GlobalPointer
from bertcore.plugins.registry import Registry

CONFIG = BertConfig(vocab_size=9, hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
LABELS = ("a", "b", "c", "d")
SILENT = Dropout(None, "host")
CPU = torch.device("cpu")


def turned(vectors: Tensor, positions: Tensor) -> Tensor:
    """Neighbouring values as one complex number, which is turned; ``[..., positions, size]``."""
    size = vectors.shape[-1]
    rates = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = positions[:, None].double() * rates
    pairs = torch.view_as_complex(vectors.reshape(*vectors.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def padded_logits(head: GlobalPointer, values: dict[str, Tensor], hidden: Tensor, mask: Tensor, first: int) -> Tensor:
    """bert4torch's ``GlobalPointer`` and ``EfficientGlobalPointer``: ``[rows, types, length, length]``.

    What is no pair has -1e12, as there. ``first`` is the position of the first token.
    """
    size, types, positions = head.head_size, len(head.labels), torch.arange(hidden.shape[1]) + first
    if head.efficient:
        shared = hidden @ values["p_dense.weight"].T + values["p_dense.bias"]
        query, key = (turned(part, positions) for part in (shared[..., :size], shared[..., size:]))
        logits = torch.einsum("bmd,bnd->bmn", query, key)[:, None] / size**0.5
        biases = (shared @ values["q_dense.weight"].T + values["q_dense.bias"]).chunk(types, dim=-1)
        added = torch.stack(biases, dim=1) / 2
        logits = logits + added[..., :1] + added[..., 1:].transpose(2, 3)
    else:
        projected = hidden @ values["dense.weight"].T + values["dense.bias"]
        by_type = torch.stack(projected.chunk(types, dim=-1), dim=1)
        query, key = (turned(part, positions) for part in (by_type[..., :size], by_type[..., size:]))
        logits = torch.einsum("bhmd,bhnd->bhmn", query, key) / size**0.5
    pairs = (mask[:, :, None] & mask[:, None, :]).triu()
    return logits.masked_fill(~pairs[:, None], -1e12)


def multi_label_loss(gold: Tensor, scores: Tensor) -> Tensor:
    """``MultilabelCategoricalCrossentropy`` of ``[..., classes]``, without the mean."""
    scores = (1 - 2 * gold) * scores
    zero = torch.zeros_like(scores[..., :1])
    spans, others = scores - (1 - gold) * 1e12, scores - gold * 1e12
    return torch.logsumexp(torch.cat([spans, zero], -1), -1) + torch.logsumexp(torch.cat([others, zero], -1), -1)


def batch_of(lengths: list[int], spans: list[set[tuple[int, int, int]]]) -> Batch:
    """Rows of which every token is a label position."""
    tokens = [[1] * length for length in lengths]
    values = np.array([span for row in spans for span in sorted(row)], dtype=np.int32).reshape(-1, 3)
    batch = from_rows(
        tokens, tokens, {"spans": Column(values, "span")}, label_positions=[list(range(n)) for n in lengths]
    )
    return replace(batch, ragged={"span": np.cumsum([0, *map(len, spans)])})


@st.composite
def some_rows(draw: st.DrawFn) -> tuple[list[int], list[set[tuple[int, int, int]]]]:
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=9))
    spans = []
    for length in lengths:
        place = st.integers(0, length - 1)
        drawn = draw(st.sets(st.tuples(st.integers(0, len(LABELS) - 1), place, place), max_size=6))
        spans.append({(kind, min(pair), max(pair)) for kind, *pair in drawn})
    return lengths, spans


def code_of(head: GlobalPointer) -> Any:
    torch.manual_seed(3)
    return Registry().code_of("torch", head)(CONFIG, head)


@settings(deadline=None, max_examples=30)
@given(some_rows(), st.booleans(), st.integers(0, 2))
def test_scores_and_loss_are_those_of_bert4torch(
    rows: tuple[list[int], list[set[tuple[int, int, int]]]], efficient: bool, first: int
) -> None:
    """In float64, with gradients; from which position one counts makes no difference."""
    lengths, spans = rows
    head = GlobalPointer(LABELS, efficient=efficient, head_size=6)
    code = code_of(head)
    batch = batch_of(lengths, spans)
    hidden = torch.randn(sum(lengths), CONFIG.hidden_size, requires_grad=True)
    columns = head_batch(batch, CPU)
    outputs = code.outputs(hidden, columns, SILENT)
    losses = code.losses(outputs, columns)
    losses.sum().backward()

    values = {
        name.removeprefix("global_pointer."): value.detach().double().requires_grad_()
        for name, value in code.named_parameters()
    }
    leaf = hidden.detach().double().requires_grad_()
    padded = torch.nn.utils.rnn.pad_sequence(leaf.split(lengths), batch_first=True)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    logits = padded_logits(head, values, padded, mask, first)
    gold = torch.zeros_like(logits)
    for row, of_row in enumerate(spans):
        for kind, start, end in of_row:
            gold[row, kind, start, end] = 1
    of_types = multi_label_loss(gold.flatten(2), logits.flatten(2))
    of_types.sum().backward()

    upper = torch.ones(max(lengths), max(lengths)).triu().bool()
    expected = torch.cat([of_row[:, upper & real & real[:, None]].T for of_row, real in zip(logits, mask, strict=True)])
    torch.testing.assert_close(outputs["logits"].double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses.double(), of_types.mean(dim=1), rtol=1e-4, atol=1e-5)
    # Summed over rows and divided by what loss_count says, it is bert4torch's mean over the batch and the types.
    torch.testing.assert_close(losses.double().sum() / head.loss_count(batch), of_types.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(hidden.grad.double() * len(LABELS), leaf.grad, rtol=1e-3, atol=1e-5)
    for name, value in code.named_parameters():
        found = values[name.removeprefix("global_pointer.")].grad
        torch.testing.assert_close(value.grad.double() * len(LABELS), found, rtol=1e-3, atol=1e-5)


def test_scores_of_any_size_give_a_finite_loss() -> None:
    """A model that is very sure, right or wrong, overflows nothing."""
    head = GlobalPointer(LABELS, head_size=4)
    code = code_of(head)
    columns = head_batch(batch_of([3, 2], [{(0, 0, 1)}, set()]), CPU)
    logits = torch.full((9, len(LABELS)), 1e4)
    logits[1::2] = -1e4
    logits.requires_grad_()
    losses = code.losses({"logits": logits}, columns)
    assert losses.isfinite().all()
    # The span is pair 1 of type 0, at -1e4; every other pair with 1e4 is wrong by as much.
    assert losses[0].item() == pytest.approx((1e4 + 4 * 1e4) / 4, rel=1e-3)
    losses.sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("efficient", [False, True])
def test_rows_without_label_positions_have_no_pairs_and_no_loss(efficient: bool) -> None:
    """A text of nothing but special tokens, beside others and alone."""
    head = GlobalPointer(LABELS, efficient=efficient, head_size=4)
    code = code_of(head)
    tokens, positions = [[1, 1], [1, 1, 1], [1]], [[], [1], []]
    spans = Column(np.array([[2, 0, 0]], dtype=np.int32), "span")
    batch = replace(
        from_rows(tokens, tokens, {"spans": spans}, label_positions=positions), ragged={"span": np.array([0, 0, 1, 1])}
    )
    for part, pairs in ((batch, 1), (batch.select([0, 2]), 0), (batch.select([]), 0)):
        hidden = torch.randn(len(part.input_ids), CONFIG.hidden_size, requires_grad=True)
        columns = head_batch(part, CPU)
        outputs = code.outputs(hidden, columns, SILENT)
        assert outputs["logits"].shape == (pairs, len(LABELS))
        losses = code.losses(outputs, columns)
        assert (losses != 0).tolist() == (part.ragged["span"][1:] > part.ragged["span"][:-1]).tolist()
        losses.sum().backward()
    # One pair of four types: log(1 + e^-s) where the span is, log(1 + e^s) elsewhere.
    logits = torch.tensor([[0.5, -1.0, 2.0, 0.0]])
    (loss,) = code.losses({"logits": logits}, head_batch(batch.select([1]), CPU)).tolist()
    expected = (math.log1p(math.exp(0.5)) + math.log1p(math.exp(-1)) + math.log1p(math.exp(-2)) + math.log(2)) / 4
    assert loss == pytest.approx(expected)
