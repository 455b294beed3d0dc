"""Multiple choice on MindSpore: logits, losses and gradients equal those of transformers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from bertcore_mindspore.backend import MindSporeBackend
from questions import FAMILIES, assert_as_transformers, questions, session_parts

from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.training_step import StepContext
from bertcore.heads import MultipleChoice
from bertcore.plugins.registry import Registry
from bertcore.testing.gradients import gradients_of, showing_gradients

pytestmark = pytest.mark.mindspore

GROUPS = (ParameterGroup("all", ".", 1e-3, 0.0),)


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_losses_and_gradients_equal_those_of_transformers(
    family: str, family_model: Callable[..., Any]
) -> None:
    oracle = family_model(family, "ForMultipleChoice", num_hidden_layers=1)
    registry = Registry()
    config, table, parameters = session_parts(registry.family(family), oracle)
    batch = questions()
    session = MindSporeBackend().open(
        SessionSpecification(
            config=config,
            head=MultipleChoice(),
            table=table,
            device="cpu",
            precision="fp32",
            prediction_precision="fp32",
            workload=Workload(batch.lengths, batch.lengths, len(batch), len(batch), int(np.max(batch.lengths))),
            code_of=partial(registry.code_of, "mindspore"),
            training=showing_gradients(TrainingSpecification(GROUPS, dropout=False)),
        )
    )
    session.load(parameters)
    gradients = gradients_of(session, [batch], StepContext(0, 11, (1e-3,), 1.0))
    session.load(parameters)
    assert_as_transformers(session, oracle, gradients, 2e-4)
    session.close()
