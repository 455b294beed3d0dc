"""Averages of the weights on torch, step by step against torch's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bertcore.contracts.backend import ParameterGroup, TrainingSpecification
from bertcore.contracts.bert_config import BertConfig
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.testing.backend_suite.samples import context_of, rows_of

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=34,
)
DECAY = 0.9
TRAINING = TrainingSpecification(
    (
        ParameterGroup("frozen", r"layer\.0\.attention\.self\.key|embeddings", 0, 0),
        ParameterGroup("all", ".", 1e-2, 0.1),
    ),
    ema=DECAY,
)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_averages_are_those_of_torch(open_session: Callable[..., Any], precision: str) -> None:
    """``AveragedModel`` follows a module that is given the session's weights after each step."""
    head = SequenceClassification(("a", "b"))
    session = open_session(CONFIG, head, TRAINING, precision=precision)
    module = torch.nn.ParameterDict(
        {_key(name): torch.nn.Parameter(_tensor(v)) for name, v in session.parameters().items()}
    )
    oracle = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(DECAY))
    for step in range(5):
        session.train_step([rows_of(head)], context_of(TRAINING, step=step))
        for name, value in session.parameters().items():
            module[_key(name)].data.copy_(torch.from_numpy(value))
        oracle.update_parameters(module)
        averages = session.state().averages
        assert len(averages) < len(module)
        for name, value in session.predicting_parameters().items():
            np.testing.assert_allclose(value, oracle.module[_key(name)].detach(), rtol=0, atol=1e-7, err_msg=name)
            assert name not in averages or np.array_equal(averages[name], value)


def test_a_head_that_is_always_float32_predicts_with_its_averages(open_session: Callable[..., Any]) -> None:
    """The CRF beside an encoder in bf16: as a session to which the averages were given as ordinary weights."""
    head = TokenClassification(("O", "B-X", "I-X"), crf=True)
    training = dataclasses.replace(TRAINING, groups=(ParameterGroup("all", ".", 3e-2, 0.0),))
    session = open_session(CONFIG, head, training, precision="bf16", prediction_precision="bf16")
    for step in range(4):
        session.train_step([rows_of(head)], context_of(training, step=step))
        session.predict(rows_of(head), ["loss"])
    plain = open_session(CONFIG, head, None, precision="bf16", prediction_precision="bf16")
    plain.load(session.predicting_parameters())
    found, expected = (one.predict(rows_of(head), ["loss"])["loss"] for one in (session, plain))
    np.testing.assert_array_equal(found, expected)
    plain.load(session.parameters())
    assert not np.array_equal(found, plain.predict(rows_of(head), ["loss"])["loss"])


def test_without_averages_there_is_no_second_model(open_session: Callable[..., Any]) -> None:
    head = SequenceClassification(("a", "b"))
    session = open_session(CONFIG, head, dataclasses.replace(TRAINING, ema=None))
    session.train_step([rows_of(head)], context_of(TRAINING))
    session.predict(rows_of(head), ["loss"])
    assert len(session._models) == 1
    assert session._averages is None


def _key(name: str) -> str:
    return name.replace(".", "/")


def _tensor(value: Any) -> torch.Tensor:
    return torch.from_numpy(value.copy())
