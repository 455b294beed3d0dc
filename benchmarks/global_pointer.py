"""GlobalPointer on one CPU: the head alone beside bert4torch's, and a training step beside the other heads of entities.

The head with its loss, forward and backward, is compared with bert4torch's layer and loss on the same rows, padded as
its script pads them; the largest differences of losses and gradients are printed. A step is one of a whole session.
Every round computes once with each candidate, in turn; ratios are medians over the rounds of that within a round.

    pip install --no-deps --target THEIRS bert4torch torch4keras
    PYTHONPATH=THEIRS python -m benchmarks.global_pointer --rows 16 --types 10 --rounds 9
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bertcore_torch.dropout import Dropout
from bertcore_torch.rows import head_batch

from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.head import Head
from bertcore.contracts.tagging import Span, scheme_tags, spans_to_tags
from bertcore.contracts.training_step import StepContext
from bertcore.families.bert import BertFamily
from bertcore.heads import GlobalPointer, TokenClassification
from bertcore.plugins.registry import Registry

_SPEC = importlib.util.find_spec("bert4torch")
BERT4TORCH = None if _SPEC is None or _SPEC.origin is None else Path(_SPEC.origin).parent

Candidates = dict[str, Callable[[], Any]]


def rows_of(rows: int, longest: int, kinds: tuple[str, ...]) -> Batch:
    """Rows of a fifth to all of the positions, every one a label position, with an entity of three in every ten."""
    generator = np.random.default_rng(1)
    lengths = generator.integers(longest // 5, longest + 1, rows)
    lengths[0] = longest
    spans = [
        [(int(generator.integers(len(kinds))), int(start), int(start) + 2) for start in range(0, length - 3, 10)]
        for length in lengths
    ]
    scheme, labels = "BIO", {tag: index for index, tag in enumerate(scheme_tags("BIO", kinds))}
    tags = [
        labels[tag]
        for of_row, length in zip(spans, lengths, strict=True)
        for tag in spans_to_tags([Span(a, b + 1, kinds[k]) for k, a, b in of_row], int(length), scheme)
    ]
    tokens = [generator.integers(1, 2000, length).tolist() for length in lengths]
    columns = {
        "spans": Column(np.array([span for of_row in spans for span in of_row], dtype=np.int32), "span"),
        "labels": Column(np.array(tags, dtype=np.int32), "label"),
    }
    positions = [list(range(length)) for length in lengths]
    batch = from_rows(tokens, [[0] * length for length in lengths], columns, label_positions=positions)
    return replace(batch, ragged={"span": np.cumsum([0, *map(len, spans)])})


def steps_of(heads: dict[str, Head], batch: Batch, layers: int) -> Candidates:
    """A training step with each head, of a model of so many layers."""
    config = BertConfig(2000, 384, layers, 12, 1536, 512)
    training = TrainingSpecification((ParameterGroup("all", ".", 1e-5, 0.01),))
    found: Candidates = {}
    for name, head in heads.items():
        table = BertFamily().parameter_table(config, head)
        workload = Workload(batch.lengths, batch.lengths, len(batch), len(batch), 512)
        registry = Registry()
        backend = registry.backend("torch")
        specification = SessionSpecification(
            config,
            head,
            table,
            "cpu",
            "fp32",
            "fp32",
            workload,
            lambda what, r=registry: r.code_of("torch", what),
            training,
        )
        session = backend.open(specification)
        generator = np.random.default_rng(2)
        session.load({key: generator.normal(0, 0.02, spec.shape).astype(np.float32) for key, spec in table.items()})
        context = StepContext(0, 1, (1e-5,), head.loss_count(batch))
        found[name] = lambda s=session, c=context: s.train_step([batch], c).loss_sum
    return found


def heads_alone(head: GlobalPointer, batch: Batch) -> Candidates:
    """Loss and gradients of the head on random hidden states, ours and bert4torch's with the same parameters."""
    width = 384
    torch.manual_seed(0)
    ours = Registry().code_of("torch", head)(BertConfig(9, width, 1, 12, 8), head)
    hidden = torch.randn(len(batch.input_ids), width, requires_grad=True)
    silent, device = Dropout(), torch.device("cpu")

    def our_step() -> tuple[torch.Tensor, torch.Tensor]:
        columns = head_batch(batch, device)  # what the host lays out is part of it
        hidden.grad = None
        ours.zero_grad()
        loss = ours.losses(ours.outputs(hidden, columns, silent), columns).mean()
        loss.backward()
        return loss.detach(), hidden.grad

    found: Candidates = {"bertcore": our_step}
    if BERT4TORCH is not None:
        layer, loss_of = bert4torch_layer(head, width)
        layer.load_state_dict(
            {name.removeprefix("global_pointer."): value for name, value in ours.state_dict().items()}
        )
        lengths = batch.lengths.tolist()
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        gold = torch.zeros(len(lengths), len(head.labels), max(lengths), max(lengths))
        rows = np.repeat(np.arange(len(lengths)), np.diff(batch.ragged["span"]))
        kinds, starts, ends = batch.columns["spans"].values.T
        gold[rows, kinds, starts, ends] = 1

        def their_step() -> tuple[torch.Tensor, torch.Tensor]:
            hidden.grad = None
            layer.zero_grad()
            padded = torch.nn.utils.rnn.pad_sequence(hidden.split(lengths), batch_first=True)
            logits = layer(padded, mask.long())
            loss = loss_of(logits.flatten(2), gold.flatten(2))
            loss.backward()
            return loss.detach(), hidden.grad

        found["bert4torch"] = their_step
    return found


def bert4torch_layer(head: GlobalPointer, width: int) -> tuple[Any, Any]:
    """Its layer and its loss, without what its package imports beside them (torchvision, and so on)."""
    assert BERT4TORCH is not None
    for name, folder in (("bert4torch", BERT4TORCH), ("bert4torch.layers", BERT4TORCH / "layers")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from bert4torch.layers.global_point import EfficientGlobalPointer
    from bert4torch.layers.global_point import GlobalPointer as Plain
    from bert4torch.losses import MultilabelCategoricalCrossentropy

    kind = EfficientGlobalPointer if head.efficient else Plain
    return kind(width, len(head.labels), head.head_size), MultilabelCategoricalCrossentropy()


def compare(title: str, candidates: Candidates, rounds: int) -> None:
    """Prints the median seconds of each candidate, and how many times as fast it is as the first, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, function in candidates.items():
            started = time.perf_counter()
            function()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    first = next(iter(candidates))
    print(title)
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(taken, seconds[first], strict=True))
        print(f"  {name:<28}{1000 * statistics.median(taken):9.1f} ms   {ratio:5.2f} times {first}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--positions", default="50,256", help="label positions of the longest row, comma-separated")
    parser.add_argument("--types", type=int, default=10)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kinds = tuple(f"T{number}" for number in range(arguments.types))
    for longest in map(int, arguments.positions.split(",")):
        batch = rows_of(arguments.rows, longest, kinds)
        said = f"{arguments.rows} rows of up to {longest} positions, {arguments.types} types"
        for efficient in (False, True):
            form = "efficient" if efficient else "plain"
            alone = heads_alone(GlobalPointer(kinds, efficient=efficient), batch)
            compare(f"{form} head alone, forward and backward, {said}", alone, arguments.rounds)
            if len(alone) == 2:
                (loss, gradient), (their_loss, their_gradient) = (
                    (value, grad.clone()) for value, grad in (function() for function in alone.values())
                )
                difference = (gradient - their_gradient).abs().max() / their_gradient.abs().max()
                print(f"  difference to bert4torch: loss {(loss - their_loss).abs():.1e}, gradient {difference:.1e}")
        heads = {
            "softmax": TokenClassification(scheme_tags("BIO", kinds), scheme="BIO"),
            "CRF": TokenClassification(scheme_tags("BIO", kinds), crf=True, scheme="BIO"),
            "efficient global pointer": GlobalPointer(kinds, efficient=True),
            "global pointer": GlobalPointer(kinds),
        }
        title = f"training step, {arguments.layers} layers of 384, {said}"
        compare(title, steps_of(heads, batch, arguments.layers), arguments.rounds)


if __name__ == "__main__":
    main()
