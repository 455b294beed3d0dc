"""Multiple choice on torch: logits, losses and gradients equal those of transformers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_torch.rows import head_batch
from questions import FAMILIES, assert_as_transformers, questions, session_parts

from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.loss_options import LossOptions
from bertcore.contracts.training_step import StepContext
from bertcore.heads import MultipleChoice
from bertcore.plugins.registry import Registry
from bertcore.testing.backend_suite.samples import CONFIG
from bertcore.testing.gradients import gradients_of, showing_gradients

HEAD = MultipleChoice()


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_losses_and_gradients_equal_those_of_transformers(
    family: str, family_model: Callable[..., Any], open_session: Callable[..., Any], groups: Any
) -> None:
    oracle = family_model(family, "ForMultipleChoice")
    config, table, parameters = session_parts(Registry().family(family), oracle)
    training = showing_gradients(TrainingSpecification(groups, dropout=False))
    session = open_session(config, HEAD, training, table=table)
    session.load(parameters)
    gradients = gradients_of(session, [questions()], StepContext(0, 11, (5e-5, 5e-5), 1.0))
    session.load(parameters)
    assert_as_transformers(session, oracle, gradients, 5e-5)


def test_losses_follow_no_order_of_rows() -> None:
    """The choices say which row is which, wherever it stands."""
    code: Any = Registry().code_of("torch", HEAD)(CONFIG, HEAD)
    batch, generator = questions(), np.random.default_rng(2)
    logits, device = generator.normal(size=(len(batch), 1)).astype(np.float32), torch.device("cpu")
    losses = code.losses({"logits": torch.from_numpy(logits)}, head_batch(batch, device)).numpy()
    order = generator.permutation(len(batch))
    shuffled = code.losses({"logits": torch.from_numpy(logits[order])}, head_batch(batch.select(order), device)).numpy()
    np.testing.assert_allclose(shuffled, losses[order], rtol=1e-6)
    assert (losses > 0).sum() == len(batch.columns["labels"].values)


def test_smoothed_losses_are_those_of_torch() -> None:
    """Question by question, for torch knows no classes of differing number."""
    head = MultipleChoice(loss=LossOptions(label_smoothing=0.3))
    code: Any = Registry().code_of("torch", head)(CONFIG, head)
    batch = questions()
    logits = torch.from_numpy(np.random.default_rng(2).normal(0, 2, (len(batch), 1)).astype(np.float32))
    found = code.losses({"logits": logits}, head_batch(batch, torch.device("cpu"))).numpy()
    for group, label in enumerate(batch.columns["labels"].values.tolist()):
        rows = np.flatnonzero(batch.groups == group)
        scores = logits[torch.from_numpy(rows), 0][None]
        expected = torch.nn.functional.cross_entropy(scores, torch.tensor([label]), label_smoothing=0.3)
        assert found[rows].sum() == pytest.approx(expected.item(), rel=1e-5)


def test_a_label_that_is_no_choice_is_a_problem_of_its_first_row() -> None:
    batch = questions()
    assert HEAD.find_problem(batch) is None
    assert HEAD.find_problem(batch.without("labels")) is None
    labels = Column(np.array([2, 2, 4, 1]), "group")
    problem = HEAD.find_problem(_with_labels(batch, labels))
    assert problem == (3, "the label 2 is none of 2 choices")
    assert HEAD.find_problem(_with_labels(batch, Column(labels.values, "group", ignore=2))) is None


def _with_labels(batch: Batch, labels: Column) -> Batch:
    return dataclasses.replace(batch, columns={**batch.columns, "labels": labels})
