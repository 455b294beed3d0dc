"""FGM and PGD against bert4torch's, and R-Drop against the paper's loss, on real models with transformers."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.objective import HeadLoss, Pass
from bertcore.contracts.training_step import StepContext
from bertcore.heads import SequenceClassification
from bertcore.numerics import randomness
from bertcore.plugins.registry import Registry
from bertcore.testing.gradients import gradients_of, showing_gradients
from bertcore.weights.opening import open_model

HEAD = SequenceClassification(("a", "b"))
FGM = HeadLoss((Pass(), Pass(1, perturbed=1.0)))
# Of four steps of 0.3, the last is drawn back to the radius.
PGD = HeadLoss((Pass(), Pass(1, 0.3, 0.0, 1.0), Pass(2, 0.3, 0.0, 1.0), Pass(3, 0.3, 0.0, 1.0), Pass(4, 0.3, 1.0, 1.0)))
Backward = Callable[[], Tensor]
"""Computes the loss, adds its gradient to the parameters, and returns it."""


def rewritten(model: Any, backward: Backward, steps: int, alpha: float, epsilon: float) -> list[float]:
    """The same as bert4torch's classes do, written anew: PGD, and with one step of the whole length FGM."""
    words = model.get_input_embeddings().weight
    start = words.detach().clone()
    losses = [backward().item()]
    clean = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    for _ in range(steps):
        gradient = words.grad.clone()
        moved = words.detach() - start + alpha * gradient / gradient.square().sum().sqrt()
        length = moved.square().sum().sqrt()
        words.data.copy_(start + moved * min(1.0, epsilon / length.item()))
        model.zero_grad()
        losses.append(backward().item())
    words.data.copy_(start)
    for name, value in model.named_parameters():
        if name in clean:
            value.grad += clean[name]
    return [losses[0], losses[-1]]


def bert4torchs(model: Any, backward: Backward, steps: int, alpha: float, epsilon: float) -> list[float]:
    """Their own classes in the order of their ``AdversarialTraining.train_step``."""
    found = find_spec("bert4torch")
    if found is None:
        pytest.skip("bert4torch is not installed")
    # Only the two classes: the module imports far more than they need.
    tree = ast.parse((Path(found.submodule_search_locations[0]) / "callbacks.py").read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in ("FGM", "PGD")]
    theirs: dict[str, Any] = {"torch": torch}
    exec(compile(ast.Module(classes, []), "bert4torch", "exec"), theirs)
    options = {"epsilon": epsilon, "alpha": alpha, "emb_name": "word_embeddings"}
    losses = [backward().item()]
    if steps == 1:
        attack = theirs["FGM"](model)
        attack.attack(**options)
        losses.append(backward().item())
        attack.restore(**options)
        return losses
    attack = theirs["PGD"](model)
    attack.backup_grad()
    for step in range(steps):
        attack.attack(**options, is_first_attack=step == 0)
        if step != steps - 1:
            model.zero_grad()
        else:
            attack.restore_grad()
        last = backward().item()
    attack.restore(**options)
    return [*losses, last]


@pytest.mark.parametrize("theirs", [rewritten, bert4torchs])
@pytest.mark.parametrize(("objective", "steps", "alpha"), [(FGM, 1, 1.0), (PGD, 4, 0.3)], ids=["FGM", "PGD"])
def test_steps_equal_bert4torchs(
    request: pytest.FixtureRequest, objective: HeadLoss, steps: int, alpha: float, theirs: Any
) -> None:
    """Three updates on real texts: losses of the clean and the last pass, and all parameters."""
    model, groups, padded, canonical = map(request.getfixturevalue, ("tiny_model", "groups", "padded", "canonical"))
    oracle = model.oracle()
    session = model.open(oracle, HEAD, TrainingSpecification(groups, dropout=False, objective=objective))
    plain, decayed = [], []
    for name, value in oracle.named_parameters():
        (plain if name.endswith("bias") or "LayerNorm" in name else decayed).append(value)
    optimizer = torch.optim.AdamW(
        [{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.01}], lr=5e-5
    )
    whole = model.batch(18, max_length=48)
    for step in range(3):
        batch = whole.select(range(6 * step, 6 * step + 6))
        inputs = {**padded(batch), "labels": torch.from_numpy(batch.columns["labels"].values)}
        expected = sum(theirs(oracle, partial(_backward, oracle, inputs), steps, alpha, 1.0))
        torch.nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        result = session.train_step([batch.select([0, 3]), batch.select([1, 2, 4, 5])], _context(6.0, step))
        assert result.loss_sum / 6 == pytest.approx(expected, rel=2e-5)
    found = session.parameters()
    for name, value in canonical(oracle, found).items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=5e-6, err_msg=name)


def test_foreign_encoders_are_perturbed_too(tmp_path: Path, open_session: Any, groups: Any) -> None:
    """One of transformers that bertcore has no code for, with embeddings of a width of their own."""
    sizes = {"vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.AlbertConfig(**sizes, embedding_size=16, intermediate_size=48, num_labels=2)
    config.attention_probs_dropout_prob = config.hidden_dropout_prob = 0.0
    torch.manual_seed(5)
    oracle = transformers.AlbertForSequenceClassification(config).eval()
    oracle.save_pretrained(tmp_path)
    source = open_model(str(tmp_path), Registry(), backend="torch")
    training = showing_gradients(TrainingSpecification(groups, dropout=False, objective=FGM))
    table = source.family.parameter_table(source.config, HEAD)
    session = open_session(source.config, HEAD, training, table=table)
    session.load(source.fit(HEAD, seed=3)[0])
    rows = [[2, 7, 9, 7, 3], [2, 9, 3]]
    labels = np.array([1, 0])
    batch = from_rows(rows, [[0] * len(row) for row in rows], {"labels": Column(labels, "row")})

    def backward() -> Tensor:
        total = torch.zeros(())
        for row, label in zip(rows, labels, strict=True):
            logits = oracle(input_ids=torch.tensor([row])).logits
            total = total + F.cross_entropy(logits, torch.tensor([label]), reduction="sum")
        total.backward()
        return total

    expected = sum(rewritten(oracle, backward, 1, 1.0, 1.0))
    assert session.train_step([batch], _context(1.0)).loss_sum == pytest.approx(expected, rel=1e-5)


def test_r_drop_is_the_papers_loss(tiny_model: Any, groups: Any, padded: Any, canonical: Any) -> None:
    """In float64: both cross entropies, and alpha times half the divergence both ways (Liang et al. 2021, section 2).

    The one site that drops is before the classifier, where the masks of both passes are known.
    """
    rate, alpha, seed, step = 0.4, 4.0, 11, 3
    changes = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": rate}
    model = dataclasses.replace(tiny_model, config=dataclasses.replace(tiny_model.config, **changes))
    objective = HeadLoss((Pass(0), Pass(1)), agreement=alpha)
    oracle = model.oracle()
    oracle.classifier.weight.data *= 20  # so that the masks matter
    session = model.open(oracle, HEAD, showing_gradients(TrainingSpecification(groups, objective=objective)))
    batch = model.batch(7)
    result = session.train_step([batch], StepContext(step, seed, (5e-5, 5e-5), 1.0))

    oracle = oracle.double()
    pooled = oracle.bert(**padded(batch)).pooler_output
    masks = [
        randomness.keep_mask(
            randomness.mask_generator(seed, step, 0, 0, randomness.HEAD, number), tuple(pooled.shape), rate
        )
        for number in (0, 1)
    ]
    logits = [
        oracle.classifier(pooled * torch.from_numpy(mask).double() * randomness.keep_scale(rate)) for mask in masks
    ]
    labels = torch.from_numpy(batch.columns["labels"].values)
    p, q = (torch.softmax(values, dim=-1) for values in logits)
    cross_entropy = -(p.log() + q.log())[torch.arange(7), labels].sum()
    divergence = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
    loss = cross_entropy + alpha * divergence / 2
    loss.backward()
    assert result.loss_sum == pytest.approx(loss.item(), rel=1e-6)
    assert alpha * divergence > 0.1 * cross_entropy
    found = session.state().first_moment
    expected = canonical(oracle, found, gradients=True)
    total = np.sqrt(sum(float(np.square(value).sum()) for value in expected.values()))
    for name, value in expected.items():
        assert np.linalg.norm(found[name] - value) <= 5e-5 * np.linalg.norm(value) + 1e-7 * total, name


class Kernels(TorchDispatchMode):
    """Notes the name of every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


class OneLoss:
    """The smallest objective there is."""

    def __init__(self, objective: Any) -> None:
        pass

    def loss_sum(self, forward: Any, batch: Any) -> Tensor:
        return forward.loss_sum(forward(batch), batch)


def test_one_pass_costs_what_a_plain_loss_costs(tiny_model: Any, groups: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same operations in the same order; a pass that only shows the way computes no gradient of weights."""
    batch = tiny_model.batch(4)

    def kernels(objective: HeadLoss) -> list[str]:
        training = TrainingSpecification(groups, objective=objective)
        session = tiny_model.open(tiny_model.oracle(), HEAD, training)
        with Kernels() as kernels:
            session.train_step([batch], _context(4.0))
        return kernels.names

    def products(names: list[str]) -> int:
        return sum(any(part in name for part in ("mm", "linear", "weight_gradient")) for name in names)

    one_pass = kernels(HeadLoss())
    way = PGD.passes[1]
    two, three = (products(kernels(HeadLoss((Pass(), *[way] * count, PGD.passes[-1])))) for count in (0, 1))
    assert three - two <= products(one_pass) - 4 * tiny_model.config.num_hidden_layers
    monkeypatch.setattr("bertcore_torch.objectives.HeadLossObjective", OneLoss)
    assert kernels(HeadLoss()) == one_pass


def test_an_objective_of_a_third_party_may_be_followed_by_perturbed_passes(
    tiny_model: Any, groups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own loss gives the direction, whatever it is."""
    batch = tiny_model.batch(4)
    training = showing_gradients(TrainingSpecification(groups, dropout=False, objective=FGM))

    def gradients() -> Any:
        return gradients_of(tiny_model.open(tiny_model.oracle(), HEAD, training), [batch], _context(4.0))

    expected = gradients()
    monkeypatch.setattr("bertcore_torch.objectives.HeadLossObjective", OneLoss)
    for name, value in gradients().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def _backward(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    loss = model(**inputs).loss
    loss.backward()
    return loss


def _context(denominator: float, step: int = 0) -> StepContext:
    return StepContext(step, 11, (5e-5, 5e-5), denominator)
