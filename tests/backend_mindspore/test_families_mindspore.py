"""RoBERTa and ELECTRA on MindSpore: as transformers computes them, and as torch does, from one checkpoint.

The weights are random: there are no real ones of these families here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_mindspore.backend import MindSporeBackend

import bertcore
from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.head import Head
from bertcore.contracts.training_step import StepContext
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.numerics import randomness
from bertcore.plugins.registry import Registry
from bertcore.testing.gradients import gradients_of, showing_gradients

pytestmark = pytest.mark.mindspore

FAMILIES = ["roberta", "electra"]
CLASSIFICATION = SequenceClassification(("a", "b", "c"))
GROUPS = (ParameterGroup("all", ".", 1e-3, 0.0),)
LENGTHS = (9, 1, 31, 17, 3, 28, 2)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def rows_of(labels: int = 3, lengths: tuple[int, ...] = LENGTHS) -> Batch:
    """Rows of mixed lengths with token types 0 and 1; every token is a label position."""
    generator = np.random.default_rng(1)
    ids = [generator.integers(5, 120, length).tolist() for length in lengths]
    types = [[int(2 * position >= length) for position in range(length)] for length in lengths]
    columns = {"labels": Column(generator.integers(0, labels, len(lengths)), "row")}
    return from_rows(ids, types, columns, label_positions=[list(range(length)) for length in lengths])


def oracle_of(build: Callable[..., Any], family: str, head: Head) -> Any:
    labels = {} if isinstance(head, SpanExtraction) else {"num_labels": head.output_size}
    return build(family, head.architecture, num_hidden_layers=1, **labels)


def open_session(
    registry: Registry,
    family: str,
    oracle: Any,
    head: Head,
    training: TrainingSpecification | None = None,
    **changes: Any,
) -> Any:
    described = registry.family(family)
    config = dataclasses.replace(described.parse_config(oracle.config.to_dict()), **changes)
    table = described.parameter_table(config, head)
    lengths = np.array(LENGTHS, dtype=np.int64)
    session = MindSporeBackend().open(
        SessionSpecification(
            config=config,
            head=head,
            table=table,
            device="cpu",
            precision="fp32",
            prediction_precision="fp32",
            workload=Workload(lengths if training else lengths[:0], lengths, len(lengths), len(lengths), max(LENGTHS)),
            code_of=partial(registry.code_of, "mindspore"),
            training=training,
        )
    )
    found = dict(oracle.named_parameters())
    session.load({name: found[name].detach().numpy().copy() for name in table})
    return session


def oracle_outputs(oracle: Any, batch: Batch) -> list[Any]:
    """What transformers gives for each row, unpadded; RoBERTa gets no token types, as from its tokenizers."""
    outputs = []
    for row in range(len(batch)):
        tokens = slice(batch.offsets[row], batch.offsets[row + 1])
        inputs = {"input_ids": torch.from_numpy(batch.input_ids[tokens]).long()[None]}
        if oracle.config.type_vocab_size > 1:
            inputs["token_type_ids"] = torch.from_numpy(batch.token_type_ids[tokens]).long()[None]
        outputs.append(oracle(**inputs))
    return outputs


def norm(arrays: Any) -> float:
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


@pytest.mark.parametrize("family", FAMILIES)
def test_classification_and_its_gradients_equal_those_of_transformers(
    registry: Registry, family: str, family_model: Any
) -> None:
    oracle = oracle_of(family_model, family, CLASSIFICATION)
    training = showing_gradients(TrainingSpecification(GROUPS, dropout=False))
    session = open_session(registry, family, oracle, CLASSIFICATION, training)
    batch = rows_of()
    logits = torch.cat([outputs.logits for outputs in oracle_outputs(oracle, batch)])
    labels = torch.from_numpy(batch.columns["labels"].values)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    outputs = session.predict(batch, ("logits", "loss"))
    np.testing.assert_allclose(outputs["logits"], logits.detach().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["loss"], losses.detach().numpy(), rtol=1e-5, atol=1e-5)

    losses.sum().backward()
    found = dict(oracle.named_parameters())
    gradients = gradients_of(session, [batch], StepContext(0, 11, (1e-3,), 1.0))
    expected = {name: found[name].grad.numpy() for name in gradients}
    total = norm(expected.values())
    for name, value in gradients.items():
        assert norm([value - expected[name]]) <= 5e-5 * norm([expected[name]]) + 1e-6 * total, name


@pytest.mark.parametrize(
    ("family", "head"),
    [
        ("roberta", Regression()),
        ("roberta", SpanExtraction()),
        ("electra", TokenClassification(("a", "b", "c"))),
    ],
    ids=["roberta-regression", "roberta-span", "electra-token"],
)
def test_other_heads_equal_those_of_transformers(
    registry: Registry, family: str, head: Head, family_model: Any
) -> None:
    oracle = oracle_of(family_model, family, head)
    batch = rows_of()
    expected = oracle_outputs(oracle, batch)
    outputs = open_session(registry, family, oracle, head).predict(batch.without("labels"), tuple(head.outputs))
    names = ("start_logits", "end_logits") if isinstance(head, SpanExtraction) else ("logits",)
    for name in names:
        values = [getattr(one, name) if head.outputs[name] == "row" else getattr(one, name)[0] for one in expected]
        np.testing.assert_allclose(outputs[name], torch.cat(values).detach().numpy(), rtol=1e-5, atol=1e-5)


def test_a_dense_head_drops_at_its_two_sites(registry: Registry, family_model: Any) -> None:
    """One row, no dropout in the encoder, and the head written out with the masks of both sites."""
    oracle = oracle_of(family_model, "roberta", CLASSIFICATION)
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.4}
    session = open_session(registry, "roberta", oracle, CLASSIFICATION, TrainingSpecification(GROUPS), **rates)
    batch = rows_of(lengths=(13,))
    with torch.no_grad():
        hidden = oracle.roberta(torch.from_numpy(batch.input_ids).long()[None]).last_hidden_state[0, 0]
        for step in (3, 4):
            masks = []
            for site in (randomness.HEAD_DENSE, randomness.HEAD):
                generator = randomness.mask_generator(11, step, 0, 0, site)
                mask = randomness.keep_mask(generator, (1, len(hidden)), 0.4)[0]
                masks.append(torch.from_numpy(mask) * randomness.keep_scale(0.4))
            dense = torch.tanh(oracle.classifier.dense(hidden * masks[0]))
            logits = oracle.classifier.out_proj(dense * masks[1])
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(batch.columns["labels"].values[0]))
            result = session.train_step([batch], StepContext(step, 11, (0.0,), 1.0))
            assert result.loss_sum == pytest.approx(loss.item(), abs=1e-5)


# From one backend to the other


@pytest.fixture(scope="module")
def tiny_rte(small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pairs of RTE, short ones."""
    folder = tmp_path_factory.mktemp("tiny-rte")
    for split in ("train", "dev"):
        header, *lines = (small_rte / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
        (folder / f"{split}.tsv").write_text("\n".join([header, *lines[:24]]) + "\n", encoding="utf-8")
    return folder


def predictions_of(folder: Path, evaluation: str = "") -> list[dict[str, Any]]:
    file = folder / "evaluations" / evaluation / "predictions.jsonl" if evaluation else folder / "predictions.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def assert_same_predictions(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    assert len(first) == len(second) == 24
    for one, other in zip(first, second, strict=True):
        probabilities = sorted(one["probabilities"].values())
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
        if probabilities[-1] - probabilities[-2] > 1e-4:
            assert one["prediction"] == other["prediction"]


SETTINGS = {
    "train.max_steps": 6,
    "train.batch_size": 8,
    "train.learning_rate": 1e-3,
    "train.dropout": False,
    "train.log_steps": 1,
    "train.evaluate_steps": 6,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_goes_on_and_is_evaluated_on_the_other_backend(
    family: str, family_model: Any, bpe_tokenizer: Path, tiny_en: Path, tiny_rte: Path, tmp_path: Path
) -> None:
    """ELECTRA is trained on torch and used on MindSpore; RoBERTa is begun there and ended on torch."""
    model = tmp_path / "model"
    if family == "roberta":
        sizes = {"vocab_size": 600, "max_position_embeddings": 130, "num_hidden_layers": 1}
        family_model("roberta", "ForMaskedLM", **sizes).save_pretrained(model)
        shutil.copy(bpe_tokenizer / "tokenizer.json", model)
    else:
        family_model("electra", "ForPreTraining", vocab_size=30522).save_pretrained(model)
        shutil.copy(tiny_en / "vocab.txt", model)

    def start(name: str, backend: str, **changes: Any) -> Path:
        return bertcore.run(
            task="rte",
            backend=backend,
            model=model,
            data=tiny_rte,
            output=tmp_path / name,
            seed=3,
            settings={**SETTINGS, **changes},
        ).folder

    on_torch = start("torch", "torch")
    if family == "electra":
        bertcore.evaluate(on_torch, backend="mindspore")
        assert_same_predictions(predictions_of(on_torch, "dev-mindspore"), predictions_of(on_torch))
        return
    mixed = start("mixed", "mindspore", **{"train.stop_after": 3})
    bertcore.resume(mixed, settings={"backend": "torch"})
    losses = []
    for folder in (on_torch, mixed):
        entries = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        losses.append([entry["loss"] for entry in entries if entry["kind"] == "train"])
    assert len(losses[0]) == len(losses[1]) == 6
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    bertcore.evaluate(mixed, backend="mindspore")
    assert_same_predictions(predictions_of(mixed, "dev-mindspore"), predictions_of(mixed))


def test_a_model_of_another_kind_is_refused_with_what_is_computed(
    bertcore_command: Any, tiny_rte: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "distilbert"}))
    outcome = bertcore_command(
        *("run", "--task", "rte", "--backend", "mindspore", "--model", tmp_path / "model"),
        *("--data", tiny_rte, "--output", tmp_path / "run"),
    )
    assert outcome.code == 5
    assert "mindspore computes bert, camembert, electra, roberta, xlm-roberta" in outcome.err
    assert "use --backend torch" in outcome.err
    assert not (tmp_path / "run").exists()
