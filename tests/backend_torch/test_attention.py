"""Attention over packed rows: given masks against autograd, and jagged tensors against buckets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_torch import devices
from bertcore_torch.attention import bucket_attention, first_token_attention
from bertcore_torch.dropout import Dropout, MaskSeed
from bertcore_torch.rows import pack

from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.training_step import StepContext
from bertcore.heads import SequenceClassification
from bertcore.numerics import randomness
from bertcore.testing.gradients import gradients_of, showing_gradients

HEADS, SIZE, RATE, SITE = 3, 4, 0.25, 8
HIDDEN = HEADS * SIZE
LENGTHS = [5, 1, 12, 3, 3, 9, 12, 2, 7]


def packed_of(lengths: list[int]) -> Any:
    rows = [[1] * length for length in lengths]
    return pack(from_rows(rows, rows), 0, torch.device("cpu"))


def dropout() -> Dropout:
    return Dropout(MaskSeed(seed=1, step=2, micro_batch=0, rank=0))


def row_by_row(query_key_value: torch.Tensor, packed: Any, masked: bool) -> torch.Tensor:
    """Attention written once more, a row at a time, with the masks that the buckets draw."""
    masks = dropout()
    contexts = []
    row = 0
    for bucket in packed.buckets:
        shape = (bucket.rows * HEADS, bucket.length, bucket.length)
        keep = masks.keep(shape, SITE, RATE, query_key_value).view(bucket.rows, HEADS, *shape[1:])
        for number in range(bucket.rows):
            start, stop = packed.offsets[row], packed.offsets[row + 1]
            length = int(stop - start)
            query, key, value = query_key_value[start:stop].view(length, 3, HEADS, SIZE).permute(1, 2, 0, 3)
            probabilities = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(SIZE), dim=-1)
            if masked:
                probabilities = probabilities * keep[number, :, :length, :length] * randomness.keep_scale(RATE)
            contexts.append((probabilities @ value).transpose(0, 1).reshape(length, HIDDEN))
            row += 1
    return torch.cat(contexts)


@pytest.mark.parametrize("masked", [True, False], ids=["dropout", "no dropout"])
@pytest.mark.parametrize("lengths", [LENGTHS, [4, 4, 4, 4, 4], [1], [6]], ids=str)
def test_buckets_equal_one_row_after_the_other(lengths: list[int], masked: bool) -> None:
    packed = packed_of(lengths)
    x = torch.randn(sum(lengths), 3 * HIDDEN, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(sum(lengths), HIDDEN, dtype=torch.float64)
    expected = row_by_row(x, packed, masked)
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), x)
    actual = bucket_attention(x, packed, HEADS, dropout() if masked else Dropout(), SITE, RATE)
    (gradient,) = torch.autograd.grad((actual * weight).sum(), x)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_a_gradient_of_the_gradient_is_refused_under_dropout() -> None:
    """It would lack what goes through the probabilities, and nobody would see it."""
    x = torch.randn(sum(LENGTHS), 3 * HIDDEN, requires_grad=True)
    context = bucket_attention(x, packed_of(LENGTHS), HEADS, dropout(), SITE, RATE)
    (gradient,) = torch.autograd.grad(context.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


def test_first_tokens_alone_attend_as_they_do_among_all() -> None:
    packed = packed_of(LENGTHS)
    x = torch.randn(sum(LENGTHS), 3 * HIDDEN, dtype=torch.float64, requires_grad=True)
    first = packed.offsets[:-1]
    weight = torch.randn(len(LENGTHS), HIDDEN, dtype=torch.float64)
    expected = bucket_attention(x, packed, HEADS, Dropout(), SITE, RATE)[first]
    actual = first_token_attention(x[first, :HIDDEN], x[:, HIDDEN:], packed, HEADS, Dropout(), SITE, RATE)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(
        torch.autograd.grad((actual * weight).sum(), x), torch.autograd.grad((expected * weight).sum(), x)
    )


def test_probabilities_of_first_tokens_are_dropped_too() -> None:
    packed = packed_of(LENGTHS)
    x = torch.randn(sum(LENGTHS), 3 * HIDDEN)
    masks, expected, row = dropout(), [], 0
    for bucket in packed.buckets:
        keep = masks.keep((bucket.rows, HEADS, 1, bucket.length), SITE, RATE, x) * randomness.keep_scale(RATE)
        for number in range(bucket.rows):
            query, key, value = x[packed.offsets[row] : packed.offsets[row + 1]].view(-1, 3, HEADS, SIZE).unbind(1)
            scores = (query[:1].transpose(0, 1) @ key.permute(1, 2, 0)) / math.sqrt(SIZE)
            probabilities = torch.softmax(scores, dim=-1) * keep[number, :, :, : len(key)]
            expected.append((probabilities @ value.transpose(0, 1)).reshape(HIDDEN))
            row += 1
    first = packed.offsets[:-1]
    actual = first_token_attention(x[first, :HIDDEN], x[:, HIDDEN:], packed, HEADS, dropout(), SITE, RATE)
    torch.testing.assert_close(actual, torch.stack(expected))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_jagged_tensors_give_what_buckets_give(
    open_session: Callable[..., Any], groups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The building block of CUDA, here through its slow path on a CPU, without dropout."""
    config = BertConfig(
        vocab_size=30,
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=20,
        max_position_embeddings=16,
    )
    generator = np.random.default_rng(0)
    rows = [generator.integers(0, 30, length).tolist() for length in LENGTHS]
    labels = {"labels": Column(np.arange(len(rows)) % 2, "row")}
    batch = from_rows(rows, [[0] * len(row) for row in rows], labels)
    results = []
    for attention in ("buckets", "nested"):
        kind = devices.DeviceKind(("fp32",), attention, masks="host", fused_adamw=True)  # type: ignore[arg-type]
        monkeypatch.setattr(devices, "KINDS", {"cpu": kind})
        training = showing_gradients(TrainingSpecification(groups, dropout=False))
        session = open_session(config, SequenceClassification(("a", "b")), training, kernels="reference")
        gradients = gradients_of(session, [batch], StepContext(0, 0, (0.0, 0.0), 1.0))
        results.append({**gradients, **session.predict(batch, ["logits"])})
    for name, value in results[0].items():
        np.testing.assert_allclose(results[1][name], value, rtol=1e-4, atol=1e-5, err_msg=name)
