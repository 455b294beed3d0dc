"""Which masks the heads take, and that their last layer computes in float32 whatever the encoder computes in."""

from __future__ import annotations

import dataclasses
from typing import Any

import mindspore
import numpy as np
import pytest
import torch
from bertcore_mindspore import heads
from bertcore_mindspore.devices import DEVICES, configure
from bertcore_mindspore.dropout import DropoutPlan
from bertcore_mindspore.rows import pack
from bertcore_mindspore.shapes import Shape
from bertcore_torch.rows import head_batch
from head_outputs import CORE, random_logits
from mindspore import Parameter, Tensor, nn

from bertcore.contracts.batch import from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.families.bert import BertFamily
from bertcore.heads import SpanExtraction, TokenClassification
from bertcore.numerics.randomness import EMBEDDINGS, HEAD, HEAD_DENSE
from bertcore.plugins.registry import Registry
from bertcore.testing.backend_suite.samples import CONFIG as SAMPLE
from bertcore.testing.backend_suite.samples import rows_of
from bertcore.testing.heads import reference_of

pytestmark = pytest.mark.mindspore

CONFIG = BertConfig(20, 16, 1, 2, 16, max_position_embeddings=24, classifier_dropout=0.3)
SHAPE = Shape(length=24, bins=2)
ROWS = pack(from_rows([[1, 2, 3], [4, 5]], [[0, 0, 0], [0, 0]], {}), [SHAPE])[0]


@pytest.mark.parametrize(
    ("head", "variant", "sites"),
    [
        (heads.SequenceClassificationHead, "pooler", {HEAD: (SHAPE.rows, 16)}),
        (heads.RegressionHead, "dense", {HEAD: (SHAPE.rows, 16), HEAD_DENSE: (SHAPE.rows, 16)}),
        (heads.TokenClassificationHead, "pooler", {HEAD: (SHAPE.tokens, 16)}),
        (heads.TokenClassificationHead, "dense", {HEAD: (SHAPE.tokens, 16)}),
        (heads.SpanExtractionHead, "dense", {}),
    ],
)
def test_a_step_takes_the_masks_that_its_head_applies(head: Any, variant: Any, sites: dict[int, Any]) -> None:
    plan = DropoutPlan(dataclasses.replace(CONFIG, head_variant=variant), head.dropout_per, active=True)
    assert {site: plan.mask_shape(site, ROWS) for site in plan.rates if site in (HEAD, HEAD_DENSE)} == sites
    assert plan.mask_shape(EMBEDDINGS, ROWS) == (SHAPE.tokens, 16)


@pytest.mark.parametrize(
    ("implementation", "head", "name"),
    [
        (heads.TokenClassificationHead, TokenClassification(("a", "b", "c")), "logits"),
        (heads.SpanExtractionHead, SpanExtraction(), "start_logits"),
    ],
)
def test_logits_of_half_precision_states_are_float32(implementation: Any, head: Any, name: str) -> None:
    configure(mindspore, "cpu")
    generator = np.random.default_rng(3)
    values = {
        name: generator.normal(size=spec.shape).astype(np.float32) for name, spec in head.parameter_table(16).items()
    }
    parameters = {name: Parameter(Tensor(value), name=name) for name, value in values.items()}
    silent = DropoutPlan(CONFIG, None, active=False)
    hidden = generator.normal(size=(48, 16)).astype(np.float16)
    found = implementation(CONFIG, head, parameters, DEVICES["cpu"], silent)(Tensor(hidden), {"masks": ()}, 0)[name]
    weight, bias = values.values()
    expected = hidden.astype(np.float64) @ weight.T + bias
    assert found.dtype == mindspore.float32
    np.testing.assert_allclose(found.asnumpy(), expected if name == "logits" else expected[:, 0], atol=1e-5)


class _Divergence(nn.Cell):
    """What is compiled, with its gradient towards the logits of both."""

    def __init__(self, head: Any, names: tuple[str, ...], temperature: float) -> None:
        super().__init__(auto_prefix=False)
        self.head, self.names, self.temperature = head, names, temperature
        self.columns = ("row_weights", *head.column_names)
        self.gradient = mindspore.grad(self.total, tuple(range(2 * len(names))))

    def of_rows(self, *arrays: Any) -> Any:
        batch, outputs, towards = {}, {}, {}
        for index in range(len(self.names)):
            outputs[self.names[index]] = arrays[index]
            towards[self.names[index]] = arrays[len(self.names) + index]
        for index in range(len(self.columns)):
            batch[self.columns[index]] = arrays[2 * len(self.names) + index]
        return self.head.divergence(outputs, towards, batch, self.temperature)

    def total(self, *arrays: Any) -> Any:
        return self.of_rows(*arrays).sum()

    def construct(self, *arrays: Any) -> Any:
        return self.of_rows(*arrays), self.gradient(*arrays)


@pytest.mark.parametrize("head", list(CORE.values()), ids=list(CORE))
def test_divergence_of_outputs_from_others(head: Any) -> None:
    """Each row's part equals the reference, and the gradient towards both that of torch."""
    configure(mindspore, "cpu")
    temperature = 2.5
    batch, generator = rows_of(head), np.random.default_rng(8)
    (rows,) = pack(batch, (Shape(length=32, bins=8),))
    first, second = random_logits(head, rows.batch, generator), random_logits(head, rows.batch, generator)
    registry = Registry()
    parameters = {
        name: Parameter(Tensor(np.zeros(spec.shape, np.float32)), name=name)
        for name, spec in BertFamily().parameter_table(SAMPLE, head).items()
    }
    silent = DropoutPlan(SAMPLE, None, active=False)
    code = registry.code_of("mindspore", head)(SAMPLE, head, parameters, DEVICES["cpu"], silent)
    columns = {**rows.inputs(SAMPLE), **code.columns(rows)}

    def placed(name: str, value: Any) -> Tensor:
        shape = rows.shape
        if head.outputs[name] == "pair":
            array = np.zeros((shape.bins, *value.shape[1:], shape.length, shape.length), dtype=np.float32)
        else:
            size = shape.rows if head.outputs[name] == "row" else shape.tokens
            array = np.zeros((size, *value.shape[1:]), dtype=np.float32)
        array[_places(rows, head.outputs[name])] = value
        return Tensor(array)

    graph = mindspore.jit(_Divergence(code, tuple(first), temperature), jit_level="O0", backend="ms_backend")
    arrays = [Tensor(columns[name]) for name in ("row_weights", *code.column_names)]
    logits = [placed(name, value) for values in (first, second) for name, value in values.items()]
    found, gradients = graph(*logits, *arrays)
    sums = rows.row_sums(found.asnumpy(), code.loss_per)[: len(batch)]
    expected = reference_of(head).divergence(head, rows.batch, first, second, temperature)
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-6)

    torch_code = registry.code_of("torch", head)(SAMPLE, head)
    leaves = [
        {name: torch.tensor(value, dtype=torch.float32, requires_grad=True) for name, value in values.items()}
        for values in (first, second)
    ]
    torch_code.divergence(*leaves, head_batch(rows.batch, torch.device("cpu")), temperature).sum().backward()
    of_torch = [(name, leaf.grad.numpy()) for of_side in leaves for name, leaf in of_side.items()]
    for gradient, (name, right) in zip(gradients, of_torch, strict=True):
        places = _places(rows, head.outputs[name])
        np.testing.assert_allclose(gradient.asnumpy()[places], right, rtol=1e-4, atol=1e-6)


def _places(rows: Any, per: str) -> Any:
    return {
        "row": lambda: np.arange(len(rows.batch)),
        "token": lambda: rows.token_positions,
        "label": lambda: rows.label_positions,
        "pair": lambda: _pair_places(rows),
    }[per]()


def _pair_places(rows: Any) -> Any:
    """Bin, start and end of each pair, around the types."""
    of_rows = np.split(rows.label_positions, rows.batch.label_offsets[1:-1])
    starts = np.array([start for row in of_rows for index, start in enumerate(row) for _ in row[index:]])
    ends = np.array([end for row in of_rows for index in range(len(row)) for end in row[index:]])
    length = rows.shape.length
    return starts // length, slice(None), starts % length, ends % length
