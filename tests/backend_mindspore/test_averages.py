"""Averages of the weights in the update graph: step by step against torch's own, and from one backend to the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bertcore.contracts.parameters import Parameters
from bertcore.heads import SequenceClassification
from bertcore.testing.backend_suite.bench import Bench
from bertcore.testing.backend_suite.samples import UPDATES, context_of, rows_of

pytestmark = pytest.mark.mindspore

DECAY = 0.9
TRAINING = dataclasses.replace(UPDATES, ema=DECAY)
HEAD = SequenceClassification(("a", "b"))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench(["bertcore_mindspore.plugin"], "", "cpu", ())
    yield bench
    bench.close()


def test_averages_are_those_of_torch(bench: Bench) -> None:
    """``AveragedModel`` follows a module that is given the session's weights after each step."""
    session, parameters = bench.session(HEAD, TRAINING)
    module = torch.nn.ParameterDict({_key(name): torch.nn.Parameter(_tensor(v)) for name, v in parameters.items()})
    oracle = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(DECAY))
    for step in range(4):
        session.train_step([rows_of(HEAD)], context_of(TRAINING, step=step))
        for name, value in session.parameters().items():
            module[_key(name)].data.copy_(torch.from_numpy(value))
        oracle.update_parameters(module)
        for name, value in session.predicting_parameters().items():
            np.testing.assert_allclose(value, oracle.module[_key(name)].detach(), rtol=0, atol=3e-7, err_msg=name)


@pytest.mark.parametrize(("first", "second"), [("mindspore", "torch"), ("torch", "mindspore")])
def test_averages_go_on_upon_the_other_backend(bench: Bench, first: str, second: str) -> None:
    """Two steps each; equal to four steps on either, but for their arithmetic."""
    benches = {"mindspore": bench, "torch": Bench(["bertcore_torch.plugin"], "", "cpu", ())}
    expected = _averages_after_four_steps(benches["torch"])
    session, _ = benches[first].session(HEAD, TRAINING)
    for step in range(2):
        session.train_step([rows_of(HEAD)], context_of(TRAINING, step=step))
    parameters, state = session.parameters(), session.state()
    other, _ = benches[second].session(HEAD, TRAINING)
    other.load(parameters)
    other.restore(state)
    for step in range(2, 4):
        other.train_step([rows_of(HEAD)], context_of(TRAINING, step=step))
    found = other.state().averages
    assert found.keys() == expected.keys()
    for name, value in found.items():
        scale = float(np.abs(expected[name]).max())
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-5 * scale, err_msg=name)
    benches["torch"].close()


def _averages_after_four_steps(bench: Bench) -> Parameters:
    session, _ = bench.session(HEAD, TRAINING)
    for step in range(4):
        session.train_step([rows_of(HEAD)], context_of(TRAINING, step=step))
    return session.state().averages


def _key(name: str) -> str:
    return name.replace(".", "/")


def _tensor(value: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(value.copy())
