"""The conditional random field on torch: both ways to compute it against the reference, and the head around it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchcrf
import transformers
from bertcore_torch import crf

import bertcore
from bertcore.contracts.backend import ParameterGroup, TrainingSpecification
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.tagging import LegalTransitions, legal_transitions, transition_scores
from bertcore.contracts.training_step import StepContext
from bertcore.families.bert import BertFamily
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.heads import TokenClassification
from bertcore.numerics.crf import reference

BIO = ("O", "B-X", "I-X", "B-Y", "I-Y")
LENGTHS = [5, 0, 1, 33, 2, 0, 12]
HEAD = TokenClassification(BIO, crf=True, scheme="BIO", crf_learning_rate=0.01)
WAYS = {"host": (crf.losses_on_host, crf.decode_on_host), "doubling": (crf.losses_by_doubling, crf.decode_by_doubling)}


def sequences_of(lengths: Any, kept: Any = None) -> crf.Sequences:
    rows = torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths))
    return crf.Sequences(np.array(lengths, dtype=np.int64), rows, None if kept is None else torch.from_numpy(kept))


def random_case(lengths: Any, emission_scale: float, score_scale: float) -> tuple[Any, ...]:
    generator = np.random.default_rng(8)
    emissions = (generator.normal(size=(sum(lengths), 5)) * emission_scale).astype(np.float32)
    tags = generator.integers(0, 5, sum(lengths))
    scores = [(generator.normal(size=shape) * score_scale).astype(np.float32) for shape in ((5, 5), 5, 5)]
    return emissions, tags, scores


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["", "BIO"])
@pytest.mark.parametrize(("emission_scale", "score_scale"), [(2, 1), (1e4, 1), (1e4, 1e4)])
@pytest.mark.parametrize("lengths", [LENGTHS, [1, 1], [0, 2]], ids=["mixed", "single", "short"])
def test_both_ways_equal_the_reference(
    way: str, scheme: str, emission_scale: float, score_scale: float, lengths: list[int]
) -> None:
    legal = legal_transitions(BIO, scheme) if scheme else None
    emissions, tags, scores = random_case(lengths, emission_scale, score_scale)
    kept = np.ones(len(tags), dtype=bool)
    kept[::4] = False  # absent from their sequences
    assert_equals_reference(way, emissions, tags, scores, lengths, kept, legal)
    assert_equals_reference(way, emissions, tags, scores, lengths, None, legal)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wall", [-1e4, -np.inf])
def test_hard_constraints_as_scores(way: str, wall: float) -> None:
    """A wall of scores around what the scheme allows, which random gold tags run into."""
    legal = legal_transitions(BIO, "BIO")
    emissions, tags, scores = random_case(LENGTHS, 100, 1)
    masks = (legal.pairs, legal.start, legal.end)
    walled = [np.where(mask, part, np.float32(wall)) for part, mask in zip(scores, masks, strict=True)]
    assert_equals_reference(way, emissions, tags, walled, LENGTHS, None, None)


def assert_equals_reference(
    way: str, emissions: Any, tags: Any, scores: Any, lengths: Any, kept: Any, legal: LegalTransitions | None
) -> None:
    compute, decode = WAYS[way]
    arguments = (torch.from_numpy(emissions), tuple(torch.from_numpy(part) for part in scores))
    found = compute(*arguments, torch.from_numpy(tags), sequences_of(lengths, kept), legal)
    assert all(part.dtype == torch.float32 and part.isfinite().all() for part in found)
    decoded = decode(*arguments, sequences_of(lengths), legal)
    assert decoded.dtype == torch.int32
    of_reference = reference.Scores(*scores)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for row in range(len(lengths)):
        positions = np.arange(starts[row], starts[row + 1])
        present = positions if kept is None else positions[kept[positions]]
        expected = reference.gradients(emissions[present], tags[present], of_reference, legal)
        of_emissions = np.zeros((len(positions), 5))
        of_emissions[present - starts[row]] = expected.emissions
        loss = reference.loss(emissions[present], tags[present], of_reference, legal)
        assert found[0][row].item() == pytest.approx(loss, rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(found[1][positions].numpy(), of_emissions, atol=1e-5)
        others = (expected.transitions, expected.start, expected.end)
        for part, wanted in zip(found[2:], others, strict=True):
            np.testing.assert_allclose(part[row].numpy(), wanted, atol=1e-5)
        best = reference.viterbi(emissions[positions], of_reference, legal)
        np.testing.assert_array_equal(decoded[positions].numpy(), best)


@pytest.mark.parametrize("way", WAYS)
def test_autograd_gives_the_gradients_of_pytorch_crf(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a weight of its own for each row, from bfloat16 emissions, and inside of autocast."""
    monkeypatch.setattr("bertcore_torch.crf.layer.losses_on_host", WAYS[way][0])
    lengths = [4, 9, 1]
    emissions, tags, scores = random_case(lengths, 2, 1)
    field = crf.ConditionalRandomField(TokenClassification(BIO, crf=True))
    oracle = torchcrf.CRF(5, batch_first=True).double()
    with torch.no_grad():
        for name, part in zip(("transitions", "start_transitions", "end_transitions"), scores, strict=True):
            getattr(field, name).copy_(torch.from_numpy(part))
            getattr(oracle, name).copy_(torch.from_numpy(part))
    leaf = torch.from_numpy(emissions).bfloat16().requires_grad_()
    weights = torch.tensor([0.5, -2.0, 3.0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = field.losses(leaf, torch.from_numpy(tags), sequences_of(lengths))
        (losses * weights).sum().backward()
    assert losses.dtype == torch.float32

    inside = torch.from_numpy(np.arange(9) < np.array(lengths)[:, None])
    padded, padded_tags = torch.zeros(3, 9, 5, dtype=torch.float64), torch.zeros(3, 9, dtype=torch.int64)
    padded[inside], padded_tags[inside] = leaf.detach().double(), torch.from_numpy(tags)
    padded.requires_grad_()
    expected = -oracle(padded, padded_tags, inside, reduction="none")
    (expected * weights).sum().backward()
    np.testing.assert_allclose(losses.detach().numpy(), expected.detach().numpy(), rtol=1e-5)
    assert leaf.grad is not None
    assert leaf.grad.dtype == torch.bfloat16
    np.testing.assert_allclose(leaf.grad.float().numpy(), padded.grad[inside].numpy(), atol=0.01)
    for name in ("transitions", "start_transitions", "end_transitions"):
        found, wanted = getattr(field, name).grad, getattr(oracle, name).grad
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-5)


def test_a_gradient_of_the_gradient_is_refused() -> None:
    """Marginals are handed on as constants: their own gradient would be missing, and nobody would see it."""
    emissions, tags, scores = random_case([4, 2], 2, 1)
    field = crf.ConditionalRandomField(TokenClassification(BIO, crf=True))
    with torch.no_grad():
        for parameter, part in zip(field.parameters(), scores, strict=True):
            parameter.copy_(torch.from_numpy(part))
    leaf = torch.from_numpy(emissions).requires_grad_()
    loss = field.losses(leaf, torch.from_numpy(tags), sequences_of([4, 2])).square().sum()
    (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


def test_doubling_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on devices without float64, over 300 positions."""
    monkeypatch.setattr("bertcore_torch.crf.tree._WIDE", ())
    emissions, tags, scores = random_case([300, 7], 3, 1)
    arguments = (torch.from_numpy(emissions), tuple(torch.from_numpy(part) for part in scores))
    found = crf.losses_by_doubling(*arguments, torch.from_numpy(tags), sequences_of([300, 7]), None)
    expected = crf.losses_on_host(*arguments, torch.from_numpy(tags), sequences_of([300, 7]), None)
    for part, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(part.numpy(), wanted.numpy(), rtol=1e-5, atol=2e-5)


# The head, on real models and texts


def tagged(batch: Batch) -> Batch:
    positions = [np.arange(1, length - 1, dtype=np.int32) for length in batch.lengths]
    labels = np.random.default_rng(4).integers(0, 5, sum(map(len, positions)))
    return dataclasses.replace(
        batch,
        columns={"labels": Column(labels, "label", ignore=-100)},
        label_offsets=np.concatenate([[0], np.cumsum([len(row) for row in positions])]),
        label_positions=np.concatenate(positions),
    )


def training_with(crf_learning_rate: float) -> TrainingSpecification:
    groups = (ParameterGroup("crf", r"^crf\.", crf_learning_rate, 0.0), ParameterGroup("rest", ".", 1e-3, 0.01))
    return TrainingSpecification(groups, dropout=False)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_the_crf_learns_with_a_rate_of_its_own_or_not_at_all(
    tiny_model: Any, open_session: Any, precision: str, rate: float
) -> None:
    session = open_session(tiny_model.config, HEAD, training_with(rate), precision=precision)
    batch = tagged(tiny_model.batch(8, max_length=40))
    before = session.parameters()
    losses = [
        session.train_step([batch], StepContext(step, 1, (rate, 1e-3), float(len(batch)))).loss_sum for step in range(6)
    ]
    after = session.parameters()
    assert losses[-1] < losses[0]
    assert np.abs(after["classifier.weight"] - before["classifier.weight"]).max() < 0.01
    for name in ("crf.transitions", "crf.start_transitions", "crf.end_transitions"):
        moved = np.abs(after[name] - before[name]).max()
        assert moved == 0 if rate == 0 else moved > 0.1, name


def test_bf16_leaves_the_crf_in_float32(tiny_model: Any, open_session: Any) -> None:
    """Transitions that bfloat16 cannot hold, and emissions of zero: the loss is that of the transitions as they are."""
    session = open_session(tiny_model.config, HEAD, training_with(0.05), precision="bf16", prediction_precision="bf16")
    parameters = session.parameters()
    parameters["classifier.weight"][:] = 0
    parameters["classifier.bias"][:] = 0
    parameters["crf.transitions"] += np.float32(3.0137)
    session.load(parameters)
    batch = tagged(tiny_model.batch(3))
    names = ("crf.transitions", "crf.start_transitions", "crf.end_transitions")
    scores = reference.Scores(*(parameters[name] for name in names))
    labels = np.split(batch.columns["labels"].values, batch.label_offsets[1:-1])
    expected = [reference.loss(np.zeros((len(row), 5)), row, scores) for row in labels]
    np.testing.assert_allclose(session.predict(batch, ["loss"])["loss"], expected, rtol=1e-6)
    step = session.train_step([batch], StepContext(0, 1, (0.05, 1e-3), 3.0))
    assert step.loss_sum == pytest.approx(sum(expected), rel=1e-6)


def test_a_training_step_decodes_nothing(tiny_model: Any, open_session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(tiny_model.config, HEAD, training_with(0.05))
    batch = tagged(tiny_model.batch(3))
    monkeypatch.setattr("bertcore_torch.crf.layer.decode_on_host", None)
    assert session.train_step([batch], StepContext(0, 1, (0.05, 1e-3), 3.0)).finite
    with pytest.raises(TypeError):
        session.predict(batch, ["tags"])


def test_a_run_with_a_frozen_crf_opens_in_transformers(
    tiny_en: Path, shared: Path, tmp_path: Path, open_session: Any, padded: Any
) -> None:
    """Frequencies of the training set as transitions, kept to the bit; transformers gives the same emissions."""
    data = tmp_path / "data"
    data.mkdir()
    texts = (shared / "data" / "people_daily_ner" / "example.dev").read_text(encoding="utf-8").split("\n\n")
    short = [text for text in texts if 5 < len(text.splitlines()) < 30]
    for split, rows in (("train", short[:24]), ("dev", short[24:32])):
        (data / f"example.{split}").write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    settings = {
        "head.crf": True,
        "head.transitions": "data",
        "head.crf_learning_rate": 0.0,
        "train.max_steps": 3,
        "train.batch_size": 8,
    }
    result = bertcore.run(
        task="people_daily", backend="torch", model=tiny_en, data=data, output=tmp_path / "run", settings=settings
    )
    best = result.folder / "best"
    config = json.loads((best / "config.json").read_text(encoding="utf-8"))
    assert config["crf"] is True
    stored = read_safetensors(best / "model.safetensors")
    tag_ids: dict[str, int] = config["label2id"]
    rows = [[tag_ids[line.split()[1]] for line in text.splitlines() if line] for text in short[:24]]
    expected = transition_scores(
        np.concatenate(rows), np.concatenate([[0], np.cumsum([len(row) for row in rows])]), len(tag_ids)
    )
    np.testing.assert_array_equal(stored["crf.transitions"], expected.pairs)
    np.testing.assert_array_equal(stored["crf.start_transitions"], expected.start)
    np.testing.assert_array_equal(stored["crf.end_transitions"], expected.end)

    model_config = BertFamily().parse_config(config)
    head = TokenClassification(tuple(tag_ids), crf=True, scheme="BIO")
    session = open_session(model_config, head)
    session.load({name: np.array(stored[name]) for name in BertFamily().parameter_table(model_config, head)})
    ids = [[101, 2023, 2003, 102], [101, 1037, 2062, 2146, 3793, 102]]
    batch = from_rows(ids, [[0] * len(row) for row in ids], label_positions=[list(range(len(row))) for row in ids])
    oracle = transformers.AutoModelForTokenClassification.from_pretrained(best).eval()
    with torch.no_grad():
        emissions = oracle(**padded(batch)).logits
    expected_logits = emissions[padded(batch)["attention_mask"].bool()].numpy()
    np.testing.assert_allclose(session.predict(batch, ["logits"])["logits"], expected_logits, atol=1e-5)
