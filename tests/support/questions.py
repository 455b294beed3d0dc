"""Questions with choices of mixed lengths and numbers, and what transformers makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.family import ModelFamily
from bertcore.heads import MultipleChoice

FAMILIES = ("bert", "roberta", "electra")
QUESTIONS = ((9, 1, 31), (17, 3), (28, 2, 12, 6, 20), (5, 5, 7, 30))
"""Tokens of the choices of each."""
LABELS = (2, 0, 4, 1)


def questions() -> Batch:
    """The questions, with token types 0 and 1."""
    generator = np.random.default_rng(1)
    lengths = [length for question in QUESTIONS for length in question]
    groups = [number for number, question in enumerate(QUESTIONS) for _ in question]
    columns = {
        "labels": Column(np.array(LABELS, dtype=np.int32), "group"),
        "choices": Column(np.array([n for question in QUESTIONS for n in range(len(question))], dtype=np.int32), "row"),
    }
    ids = [generator.integers(5, 120, length).tolist() for length in lengths]
    types = [[int(2 * position >= length) for position in range(length)] for length in lengths]
    return from_rows(ids, types, columns, groups, groups=groups)


def session_parts(family: ModelFamily, oracle: Any) -> tuple[Any, dict[str, Any], dict[str, NDArray[np.float32]]]:
    """What a session is opened with: configuration, table and parameters of a model of transformers."""
    head = MultipleChoice()
    config = family.config_for(family.parse_config(oracle.config.to_dict()), head)
    table = family.parameter_table(config, head)
    found = dict(oracle.named_parameters())
    assert set(table) == {name for name in found if not (family.name == "electra" and ".pooler." in name)}
    return config, table, {name: found[name].detach().numpy().copy() for name in table}


def oracle_outputs(oracle: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``[rows]`` and losses ``[groups]``, question by question and padded as transformers wants it."""
    logits, losses = [], []
    for group, label in enumerate(batch.columns["labels"].values.tolist()):
        padded = batch.select_units([group])
        form = padded.padded(len(padded), int(padded.lengths.max()), oracle.config.pad_token_id)
        inputs = {"input_ids": torch.from_numpy(form.input_ids).long()[None]}
        inputs["attention_mask"] = torch.from_numpy(form.attention_mask).long()[None]
        if oracle.config.type_vocab_size > 1:
            inputs["token_type_ids"] = torch.from_numpy(form.token_type_ids).long()[None]
        outputs = oracle(**inputs, labels=torch.tensor([label]))
        logits.append(outputs.logits[0])
        losses.append(outputs.loss)
    return torch.cat(logits), torch.stack(losses)


def assert_as_transformers(session: Any, oracle: Any, gradients: dict[str, NDArray[Any]], tolerance: float) -> None:
    """Logits, losses and the gradient of their sum, of a session that has these parameters."""
    batch = questions()
    logits, losses = oracle_outputs(oracle, batch)
    outputs = session.predict(batch, ("logits", "loss"))
    np.testing.assert_allclose(outputs["logits"][:, 0], logits.detach().numpy(), rtol=1e-5, atol=1e-5)
    assert batch.groups is not None
    np.testing.assert_allclose(
        np.bincount(batch.groups, outputs["loss"]), losses.detach().numpy(), rtol=1e-5, atol=1e-5
    )
    losses.sum().backward()
    found = dict(oracle.named_parameters())
    total = _norm([found[name].grad.numpy() for name in gradients])
    for name, value in gradients.items():
        expected = found[name].grad.numpy()
        assert _norm([value - expected]) <= tolerance * _norm([expected]) + 1e-7 * total, name


def _norm(arrays: list[NDArray[Any]]) -> float:
    return float(np.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays)))
