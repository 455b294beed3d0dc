"""The reference of GlobalPointer: its gradients are finite differences, and a wrong label is named with its row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bertcore.contracts.batch import Batch, Column
from bertcore.errors import ModelError
from bertcore.families.bert import BertFamily
from bertcore.heads import GlobalPointer
from bertcore.testing.backend_suite.samples import CONFIG, rows_of
from bertcore.testing.heads import reference_of
from bertcore.testing.reference import ReferenceModel

HEAD = GlobalPointer(("a", "b", "c"), head_size=8)


@pytest.mark.parametrize("head", [HEAD, replace(HEAD, efficient=True)], ids=["plain", "efficient"])
def test_gradients_are_finite_differences(head: GlobalPointer) -> None:
    """Of each parameter of the head at two places, and of one below it."""
    generator = np.random.default_rng(1)
    parameters = {
        name: generator.normal(0, 0.15, spec.shape) + (spec.initializer == "ones")
        for name, spec in BertFamily().parameter_table(CONFIG, head).items()
    }
    batch, reference = rows_of(head).select([1, 3, 4]), reference_of(head)
    gradients = reference.gradients(head, ReferenceModel(parameters, CONFIG), batch)

    def loss(name: str, place: tuple[int, ...], change: float) -> float:
        changed = parameters[name].copy()
        changed[place] += change
        model = ReferenceModel({**parameters, name: changed}, CONFIG)
        return float(reference.outputs(head, model, batch)["loss"].sum())

    names = [name for name in parameters if name.startswith("global_pointer.")] * 2
    for name in (*names, "bert.encoder.layer.1.output.dense.weight"):
        place = tuple(int(generator.integers(0, size)) for size in parameters[name].shape)
        expected = (loss(name, place, 1e-5) - loss(name, place, -1e-5)) / 2e-5
        assert gradients[name][place] == pytest.approx(expected, rel=1e-5, abs=1e-8), name


def with_spans(batch: Batch, *spans: tuple[int, int, int]) -> Batch:
    """All of them in row 1."""
    column = Column(np.array(spans, dtype=np.int32), "span")
    offsets = np.array([0, 0, *[len(spans)] * (len(batch) - 1)])
    return replace(batch, columns={"spans": column}, ragged={"span": offsets})


@pytest.mark.parametrize(
    ("span", "problem"),
    [
        ((3, 0, 0), "the type 3 of a span is none of 3"),
        ((-1, 0, 0), "the type -1 of a span is none of 3"),
        ((0, 2, 1), "the span from 2 to 1 does not lie among 3 words"),
        ((0, 1, 3), "the span from 1 to 3 does not lie among 3 words"),
    ],
)
def test_a_span_that_cannot_be_is_found_with_its_row(span: tuple[int, int, int], problem: str) -> None:
    batch = rows_of(HEAD)
    assert batch.label_offsets is not None
    assert np.diff(batch.label_offsets)[1] == 3
    assert HEAD.find_problem(with_spans(batch, (2, 0, 2), (0, 1, 1))) is None
    assert HEAD.find_problem(with_spans(batch, (2, 0, 2), span)) == (1, problem)


@pytest.mark.parametrize("size", ["64", 7, 0, True, None])
def test_a_config_with_another_size_of_the_head_is_refused(size: object) -> None:
    config = {"architectures": ["BertForGlobalPointer"], **HEAD.config_entries(), "head_size": size}
    with pytest.raises(ModelError, match="no even number above 0"):
        GlobalPointer.from_config(config, "config.json")
