"""Training steps: gradients, accumulation, whole trainings against transformers, resuming, precisions, guards."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from bertcore.contracts.backend import ParameterGroup, TrainingSpecification
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.objective import HeadLoss, Pass
from bertcore.contracts.training_step import StepContext
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.testing.gradients import gradients_of, showing_gradients

HEAD = SequenceClassification(("a", "b"))
TAGS = TokenClassification(("a", "b", "c"))

# Biases shorter than the alignment of the parameters.
SMALL = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=8,
)


def context(step: int = 0, denominator: float = 1.0, rate: float = 5e-5) -> StepContext:
    return StepContext(step, 11, (rate, rate), denominator)


def norm(arrays: Any) -> float:
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def tagged(batch: Batch) -> Batch:
    """Every second token carries a tag, one in seven of them to be ignored."""
    positions = [np.arange(1, length, 2, dtype=np.int32) for length in batch.lengths]
    labels = np.concatenate(positions) % 3
    labels[::7] = -100
    return dataclasses.replace(
        batch,
        columns={"labels": Column(labels, "label", ignore=-100)},
        label_offsets=np.concatenate([[0], np.cumsum([len(row) for row in positions])]),
        label_positions=np.concatenate(positions),
    )


def test_gradients_equal_those_of_transformers(real_model: Any, groups: Any, padded: Any, canonical: Any) -> None:
    oracle = real_model.oracle()
    session = real_model.open(oracle, HEAD, showing_gradients(TrainingSpecification(groups, dropout=False)))
    batch = real_model.batch(9)
    oracle(**padded(batch), labels=torch.from_numpy(batch.columns["labels"].values)).loss.backward()
    gradients = gradients_of(session, [batch], context(denominator=len(batch)))
    expected = canonical(oracle, gradients, gradients=True)
    total = norm(expected.values())
    for name, value in gradients.items():
        assert norm([value - expected[name]]) <= 5e-5 * norm([expected[name]]) + 1e-7 * total, name


def test_accumulation_over_unequal_micro_batches_equals_one_batch(minilm_model: Any, groups: Any) -> None:
    training = showing_gradients(TrainingSpecification(groups, dropout=False))
    for head, batch in ((HEAD, minilm_model.batch(11)), (TAGS, tagged(minilm_model.batch(11)))):
        session = minilm_model.open(minilm_model.oracle(head), head, training)
        counts = context(denominator=head.loss_count(batch))
        parts = [batch.select(rows) for rows in ([3, 0, 8, 10, 1, 6], [9], [], [2, 4, 5, 7])]
        assert len({head.loss_count(part) for part in parts}) == 4
        whole, summed = gradients_of(session, [batch], counts), gradients_of(session, parts, counts)
        total = norm(whole.values())
        for name, value in whole.items():
            assert norm([summed[name] - value]) <= 1e-6 * (norm([value]) + total), name


def test_twenty_steps_equal_those_of_a_plain_transformers_loop(minilm_model: Any, groups: Any, padded: Any) -> None:
    steps, rows, rate = 20, 6, 5e-5
    oracle = minilm_model.oracle()
    session = minilm_model.open(oracle, HEAD, TrainingSpecification(groups, dropout=False))
    everything = minilm_model.batch(steps * rows, max_length=48)
    named = dict(oracle.named_parameters())
    spared = {name for name in named if name.endswith("bias") or "LayerNorm" in name}
    optimizer = torch.optim.AdamW(
        [
            {"params": [named[name] for name in named if name in spared], "weight_decay": 0.0},
            {"params": [named[name] for name in named if name not in spared], "weight_decay": 0.01},
        ],
        lr=rate,
    )
    losses, expected = [], []
    for step in range(steps):
        batch = everything.select(range(step * rows, (step + 1) * rows))
        current = rate * min(1.0, (step + 1) / 5)
        result = session.train_step([batch], context(step, rows, current))
        losses.append(result.loss_sum / rows)

        loss = oracle(**padded(batch), labels=torch.from_numpy(batch.columns["labels"].values)).loss
        optimizer.zero_grad()
        loss.backward()
        gradient_norm = torch.nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = current
        optimizer.step()
        expected.append(loss.item())
        assert result.gradient_norm == pytest.approx(gradient_norm.item(), rel=2e-3)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert np.ptp(expected) > 0.05, "the losses must move for this to say anything"


def test_resumed_training_goes_on_to_the_bit(minilm_model: Any, groups: Any) -> None:
    """With dropout, through a new session."""
    training = TrainingSpecification(groups)
    oracle = minilm_model.oracle()
    batch = minilm_model.batch(8, max_length=40)
    parts = [batch.select([0, 3, 6, 1, 2]), batch.select([7, 5, 4])]

    def train(session: Any, steps: range) -> list[float]:
        return [session.train_step(parts, context(step, 8.0)).loss_sum for step in steps]

    session = minilm_model.open(oracle, HEAD, training)
    losses = train(session, range(4))
    half = minilm_model.open(oracle, HEAD, training)
    resumed = train(half, range(2))
    continued = minilm_model.open(oracle, HEAD, training)
    continued.load(half.parameters())
    continued.restore(half.state())
    half.close()
    resumed += train(continued, range(2, 4))
    assert resumed == losses
    for name, value in session.parameters().items():
        np.testing.assert_array_equal(continued.parameters()[name], value, err_msg=name)


def test_dropout_depends_on_the_step_alone(minilm_model: Any, groups: Any) -> None:
    training = showing_gradients(TrainingSpecification(groups))
    session = minilm_model.open(minilm_model.oracle(), HEAD, training)
    batch = minilm_model.batch(4, max_length=40)
    first, again, other = (
        gradients_of(session, [batch], context(step, 4.0))["classifier.weight"] for step in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()


def test_bf16_learns_what_fp32_learns(minilm_model: Any, groups: Any) -> None:
    batch = minilm_model.batch(8, max_length=40)
    losses = {}
    for precision in ("fp32", "bf16"):
        session = minilm_model.open(minilm_model.oracle(), HEAD, TrainingSpecification(groups), precision=precision)
        losses[precision] = [
            session.train_step([batch], context(step, 8.0, rate=2e-4)).loss_sum / 8 for step in range(8)
        ]
        assert {value.dtype for value in session.parameters().values()} == {np.dtype(np.float32)}
    assert losses["bf16"] != losses["fp32"]
    assert losses["fp32"][-1] < losses["fp32"][0] - 0.1
    np.testing.assert_allclose(losses["bf16"], losses["fp32"], atol=0.03)


def test_predictions_come_from_the_masters(tiny_model: Any, groups: Any) -> None:
    """A session that trains in bf16 predicts in fp32, and one that trains in fp32 can predict in bf16."""
    oracle = tiny_model.oracle()
    batch = tiny_model.batch(8)
    step = context(0, 8.0, rate=1e-3)
    trained = tiny_model.open(oracle, HEAD, TrainingSpecification(groups), precision="bf16")
    trained.train_step([batch], step)
    reader = tiny_model.open(oracle)
    reader.load(trained.parameters())
    expected = reader.predict(batch, ["logits"])["logits"]
    np.testing.assert_array_equal(trained.predict(batch, ["logits"])["logits"], expected)

    low = tiny_model.open(oracle, HEAD, TrainingSpecification(groups), prediction_precision="bf16")
    before = low.predict(batch, ["logits"])["logits"]
    low.load(trained.parameters())
    after = low.predict(batch, ["logits"])["logits"]
    assert not np.array_equal(before, after), "the copy was not made anew"
    assert not np.array_equal(after, expected)
    np.testing.assert_allclose(after, expected, atol=0.02)


def test_a_copy_of_lower_precision_follows_what_is_trained_and_what_is_loaded(tiny_model: Any) -> None:
    """Of a frozen encoder only what is trained is copied after an update; loading others copies all of it."""
    batch = tiny_model.batch(8)
    groups = (ParameterGroup("head", r"^classifier\.", 1e-2, 0.0), ParameterGroup("frozen", ".*", 0.0, 0.0))
    low = {"precision": "bf16", "prediction_precision": "bf16"}
    session = tiny_model.open(tiny_model.oracle(), HEAD, TrainingSpecification(groups), **low)

    def logits_of_a_new_session() -> Any:
        reader = tiny_model.open(tiny_model.oracle(), HEAD, TrainingSpecification(groups), **low)
        reader.load(session.parameters())
        return reader.predict(batch, ["logits"])["logits"]

    seen = [session.predict(batch, ["logits"])["logits"]]
    session.train_step([batch], context(0, 8.0, rate=1e-2))
    seen.append(session.predict(batch, ["logits"])["logits"])
    np.testing.assert_array_equal(seen[-1], logits_of_a_new_session())
    session.load({name: value * np.float32(1.25) for name, value in session.parameters().items()})
    seen.append(session.predict(batch, ["logits"])["logits"])
    np.testing.assert_array_equal(seen[-1], logits_of_a_new_session())
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_loss_of_each_row_adds_up_to_the_loss_sum(tiny_model: Any, groups: Any) -> None:
    for head, batch in ((HEAD, tiny_model.batch(7)), (TAGS, tagged(tiny_model.batch(7)))):
        session = tiny_model.open(tiny_model.oracle(head), head, TrainingSpecification(groups, dropout=False))
        losses = session.predict(batch, ["loss"])["loss"]
        assert losses.shape == (7,)
        result = session.train_step([batch], context(0, 7.0))
        assert result.loss_sum == pytest.approx(float(losses.sum()), rel=1e-5)


def test_an_empty_batch_gives_empty_outputs_and_no_gradient(tiny_model: Any, groups: Any) -> None:
    for head, batch in ((HEAD, tiny_model.batch(3)), (TAGS, tagged(tiny_model.batch(3)))):
        training = showing_gradients(TrainingSpecification(groups))
        session = tiny_model.open(tiny_model.oracle(head), head, training)
        outputs = session.predict(batch.select([]), ["logits", "loss"])
        assert outputs["logits"].shape == (0, head.output_size)
        assert outputs["loss"].shape == (0,)
        assert norm(gradients_of(session, [batch.select([])], context()).values()) == 0.0


@pytest.mark.parametrize(
    "objective",
    [HeadLoss(), HeadLoss((Pass(), Pass(1), Pass(2, 0.3, 0.0, 1.0), Pass(3, 0.3, 1.0, 1.0)), agreement=4.0)],
    ids=["one pass", "R-Drop and PGD"],
)
def test_a_step_fetches_nothing_from_the_device(
    tiny_model: Any, groups: Any, monkeypatch: pytest.MonkeyPatch, objective: HeadLoss
) -> None:
    # By the operators of an accelerator; the fused kernels of a CPU have nothing to wait for.
    training = TrainingSpecification(groups, objective=objective)
    session = tiny_model.open(tiny_model.oracle(), HEAD, training, kernels="reference")
    batch = tiny_model.batch(4)
    fetched: list[str] = []
    for name in ("item", "__bool__", "__float__", "tolist", "cpu", "numpy"):
        original = getattr(torch.Tensor, name)

        def noted(self: Any, *args: Any, name: str = name, original: Any = original, **kwargs: Any) -> Any:
            fetched.append(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, noted)
    result = session.train_step([batch, batch], context(0, 8.0))
    assert fetched == []
    assert math.isfinite(result.loss_sum)
    assert fetched, "reading the result is what fetches it"


class TwoPasses:
    """An objective as a third party writes one: both passes, and the distance between their logits."""

    def __init__(self, objective: Any) -> None:
        pass

    def loss_sum(self, forward: Any, batch: Any) -> torch.Tensor:
        first, second, again = forward(batch), forward(batch, forward_pass=1), forward(batch, forward_pass=1)
        assert torch.equal(second["logits"], again["logits"])
        distance = (first["logits"] - second["logits"]).square().sum()
        assert distance > 0
        return forward.loss_sum(first, batch) + distance


class Adversary:
    """FGM (Miyato et al. 2017): the loss at the embeddings moved along their gradient."""

    def __init__(self, objective: Any) -> None:
        pass

    def loss_sum(self, forward: Any, batch: Any) -> torch.Tensor:
        offset = forward.zero_embedding_offset(batch)
        plain = forward.loss_sum(forward(batch, embedding_offset=offset), batch)
        (gradient,) = torch.autograd.grad(plain, offset, retain_graph=True)
        assert gradient.shape == (len(batch.input_ids), offset.shape[1])
        moved = forward.loss_sum(forward(batch, embedding_offset=1e-2 * gradient / gradient.norm()), batch)
        expected = plain + 1e-2 * gradient.norm()
        assert moved > plain
        torch.testing.assert_close(moved, expected, rtol=0, atol=0.2 * (expected - plain).item())
        return plain + moved


@pytest.mark.parametrize("objective", [TwoPasses, Adversary])
def test_objectives_with_a_second_pass(
    tiny_model: Any, groups: Any, monkeypatch: pytest.MonkeyPatch, objective: Any
) -> None:
    monkeypatch.setattr("bertcore_torch.objectives.HeadLossObjective", objective)
    session = tiny_model.open(tiny_model.oracle(), HEAD, TrainingSpecification(groups))
    batch = tiny_model.batch(6).select([5, 0, 3, 1])
    assert session.train_step([batch], context(0, 4.0)).finite


@pytest.mark.parametrize("part", ["query", "key", "value"])
def test_a_frozen_part_of_a_joined_weight_stays(open_session: Any, part: str) -> None:
    """One of three in the same joined matrix is frozen, another has a rate of its own."""
    groups = (
        ParameterGroup("frozen", rf"\.{part}\.|position_embeddings", 0.0, 0.5),
        ParameterGroup("keys", r"\.key\.", 1e-3, 0.1),
        ParameterGroup("rest", ".", 1e-3, 0.1),
    )
    session = open_session(SMALL, HEAD, showing_gradients(TrainingSpecification(groups, dropout=False)))
    before = session.parameters()
    rates = StepContext(0, 1, (1e-3, 1e-3, 1e-3), 4.0)
    rows = [[1, 2, 3], [4, 5], [6]]
    batch = from_rows(rows, rows_of_zeros(rows), {"labels": Column(np.array([0, 1, 1]), "row")})
    gradients = gradients_of(session, [batch], rates)
    result = session.train_step([batch], rates)
    after = session.parameters()
    frozen = {name for name in before if f".{part}." in name or "position_embeddings" in name}
    assert len(frozen) == 5
    assert not any(gradients[name].any() for name in frozen)
    assert result.gradient_norm == pytest.approx(norm(gradients.values()), rel=1e-5)
    for name in before:
        assert np.array_equal(before[name], after[name]) == (name in frozen), name


def rows_of_zeros(rows: list[list[int]]) -> list[list[int]]:
    return [[0] * len(row) for row in rows]
