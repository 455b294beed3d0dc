"""RoBERTa and ELECTRA on torch: outputs, gradients and trainings equal those of transformers, and folders open there.

The weights are random: there are no real ones of these families here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from bertcore_torch.dropout import Dropout, MaskSeed
from bertcore_torch.heads import SequenceClassificationHead
from bertcore_torch.objectives import Forward
from bertcore_torch.session import TorchSession
from solvable_choices import SETTINGS, write_solvable

import bertcore
from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.training_step import StepContext
from bertcore.errors import ModelError
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.numerics import randomness
from bertcore.plugins.registry import Registry
from bertcore.testing.gradients import gradients_of, showing_gradients
from bertcore.weights.opening import open_model

FAMILIES = ["roberta", "electra"]
CLASSIFICATION = SequenceClassification(("a", "b", "c"))
HEADS: dict[str, Head] = {
    "classification": CLASSIFICATION,
    "several labels": SequenceClassification(("a", "b", "c"), multi_label=True),
    "regression": Regression(),
    "token": TokenClassification(("a", "b", "c")),
    "span": SpanExtraction(),
}
LENGTHS = (9, 1, 40, 17, 3, 3, 28, 2, 31)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, registry: Registry) -> ModelFamily:
    return registry.family(request.param)


@pytest.fixture(params=list(HEADS))
def head(request: pytest.FixtureRequest) -> Head:
    return HEADS[request.param]


def rows_of(head: Head) -> Batch:
    """Rows of mixed lengths with token types 0 and 1, and the columns that the head reads."""
    generator = np.random.default_rng(1)
    ids = [generator.integers(5, 120, length).tolist() for length in LENGTHS]
    types = [[int(2 * position >= length) for position in range(length)] for length in LENGTHS]
    columns: dict[str, Column] = {}
    positions = None
    if isinstance(head, SpanExtraction):
        # transformers ignores a position equal to the length of the longest row.
        starts = np.array([length // 3 for length in LENGTHS])
        columns = {"start_positions": Column(starts, "row"), "end_positions": Column(np.array(LENGTHS) - 1, "row")}
    elif isinstance(head, TokenClassification):
        positions = [list(range(0, length, 2)) for length in LENGTHS]
        columns = {"labels": Column(generator.integers(0, 3, sum(map(len, positions))), "label")}
    elif isinstance(head, Regression):
        columns = {"labels": Column(generator.normal(size=len(LENGTHS)).astype(np.float32), "row")}
    elif head.multi_label:
        columns = {"labels": Column(generator.integers(0, 2, (len(LENGTHS), 3)).astype(np.float32), "row")}
    else:
        columns = {"labels": Column(generator.integers(0, 3, len(LENGTHS)), "row")}
    return from_rows(ids, types, columns, label_positions=positions)


def oracle_of(build: Callable[..., Any], family: str, head: Head) -> Any:
    labels = {} if isinstance(head, SpanExtraction) else {"num_labels": head.output_size}
    problem = head.config_entries().get("problem_type")
    return build(family, head.architecture, **labels, **({} if problem is None else {"problem_type": problem}))


@pytest.fixture
def open_oracle(open_session: Callable[..., TorchSession], canonical: Any) -> Callable[..., TorchSession]:
    """Opens a session with the parameters of a model of transformers."""

    def open_one(
        family: ModelFamily, oracle: Any, head: Head, training: TrainingSpecification | None = None
    ) -> TorchSession:
        config = family.parse_config(oracle.config.to_dict())
        table = family.parameter_table(config, head)
        session = open_session(config, head, training, table=table)
        session.load(canonical(oracle, table))
        return session

    return open_one


def oracle_row(oracle: Any, head: Head, batch: Batch, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of one row, unpadded, and its loss sum, by transformers' own loss."""
    tokens = slice(batch.offsets[row], batch.offsets[row + 1])
    inputs = {"input_ids": torch.from_numpy(batch.input_ids[tokens]).long()[None]}
    if oracle.config.type_vocab_size > 1:
        inputs["token_type_ids"] = torch.from_numpy(batch.token_type_ids[tokens]).long()[None]
    if isinstance(head, SpanExtraction):
        targets = {name: torch.from_numpy(column.values[row : row + 1]) for name, column in batch.columns.items()}
        outputs = oracle(**inputs, **targets)
        return torch.stack([outputs.start_logits[0], outputs.end_logits[0]], 1), outputs.loss
    labels = torch.from_numpy(batch.columns["labels"].values)
    if isinstance(head, TokenClassification):
        chosen = slice(batch.label_offsets[row], batch.label_offsets[row + 1])
        positions = torch.from_numpy(batch.label_positions[chosen]).long()
        everywhere = torch.full((1, len(inputs["input_ids"][0])), -100)
        everywhere[0, positions] = labels[chosen]
        outputs = oracle(**inputs, labels=everywhere)
        return outputs.logits[0, positions], outputs.loss * len(positions)
    outputs = oracle(**inputs, labels=labels[row : row + 1])
    return outputs.logits, outputs.loss


def oracle_batch(oracle: Any, head: Head, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [oracle_row(oracle, head, batch, row) for row in range(len(batch))]
    return torch.cat([logits for logits, _ in rows]), torch.stack([loss for _, loss in rows])


def norm(arrays: Any) -> float:
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def test_outputs_losses_and_gradients_equal_those_of_transformers(
    family: ModelFamily, head: Head, family_model: Any, open_oracle: Any, groups: Any
) -> None:
    oracle = oracle_of(family_model, family.name, head)
    session = open_oracle(family, oracle, head, showing_gradients(TrainingSpecification(groups, dropout=False)))
    batch = rows_of(head)
    logits, losses = oracle_batch(oracle, head, batch)
    outputs = session.predict(batch, (*head.outputs, "loss"))
    if isinstance(head, SpanExtraction):
        outputs["logits"] = np.stack([outputs["start_logits"], outputs["end_logits"]], 1)
    np.testing.assert_allclose(outputs["logits"], logits.detach().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["loss"], losses.detach().numpy(), rtol=1e-5, atol=1e-5)

    losses.sum().backward()
    found = dict(oracle.named_parameters())
    gradients = gradients_of(session, [batch], StepContext(0, 11, (5e-5, 5e-5), 1.0))
    expected = {name: found[name].grad.numpy() for name in gradients}
    total = norm(expected.values())
    for name, value in gradients.items():
        assert norm([value - expected[name]]) <= 5e-5 * norm([expected[name]]) + 1e-7 * total, name


def test_five_steps_equal_those_of_a_plain_transformers_loop(
    family: ModelFamily, family_model: Any, open_oracle: Any, groups: Any
) -> None:
    oracle = oracle_of(family_model, family.name, CLASSIFICATION)
    session = open_oracle(family, oracle, CLASSIFICATION, TrainingSpecification(groups, dropout=False))
    batch = rows_of(CLASSIFICATION)
    named = dict(oracle.named_parameters())
    spared = {name for name in named if name.endswith("bias") or "LayerNorm" in name}
    optimizer = torch.optim.AdamW(
        [
            {"params": [named[name] for name in named if name in spared], "weight_decay": 0.0},
            {"params": [named[name] for name in named if name not in spared], "weight_decay": 0.01},
        ],
        lr=1e-3,
    )
    losses = []
    for step in range(5):
        result = session.train_step([batch], StepContext(step, 11, (1e-3, 1e-3), len(batch)))
        loss = oracle_batch(oracle, CLASSIFICATION, batch)[1].mean()
        losses.append(loss.item())
        assert result.loss_sum / len(batch) == pytest.approx(loss.item(), rel=1e-4)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        optimizer.step()
    assert losses[-1] < losses[0] - 0.1, "the losses must move for this to say anything"


def test_a_dense_head_drops_at_its_two_sites(family: ModelFamily, family_model: Any) -> None:
    """Against transformers' layers with the masks of both sites between them."""
    oracle = oracle_of(family_model, family.name, CLASSIFICATION)
    config = dataclasses.replace(family.parse_config(oracle.config.to_dict()), classifier_dropout=0.4)
    head = SequenceClassificationHead(config, CLASSIFICATION)
    head.classifier.load_state_dict(oracle.classifier.state_dict())
    hidden = torch.randn(9, config.hidden_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        actual = head.outputs(hidden, None, Dropout(MaskSeed(seed=11, step=3, micro_batch=1, rank=0)))["logits"]
        expected = hidden
        activation = torch.tanh if family.name == "roberta" else torch.nn.functional.gelu
        layers = {
            randomness.HEAD_DENSE: (oracle.classifier.dense, activation),
            randomness.HEAD: (oracle.classifier.out_proj,),
        }
        for site, behind in layers.items():
            generator = randomness.mask_generator(11, 3, 1, 0, site)
            mask = torch.from_numpy(randomness.keep_mask(generator, expected.shape, 0.4))
            expected = expected * mask * randomness.keep_scale(0.4)
            for layer in behind:
                expected = layer(expected)
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), atol=1e-5)
    assert len({randomness.HEAD, randomness.HEAD_DENSE, randomness.EMBEDDINGS, randomness.FOREIGN_ENCODER}) == 4


def test_a_perturbed_embedding_has_the_width_of_the_embeddings(
    registry: Registry, family_model: Any, open_oracle: Any, groups: Any
) -> None:
    """FGM and the like: the gradient with respect to a zero offset is that of the embeddings' sum."""
    family = registry.family("electra")
    oracle = oracle_of(family_model, "electra", CLASSIFICATION)
    session = open_oracle(family, oracle, CLASSIFICATION, TrainingSpecification(groups, dropout=False))
    batch = rows_of(CLASSIFICATION)
    forward = Forward(session._model("fp32"), torch.device("cpu"), None)
    offset = forward.zero_embedding_offset(batch)
    assert offset.shape == (len(batch.input_ids), 24)
    forward.loss_sum(forward(batch, embedding_offset=offset), batch).backward()
    oracle_batch(oracle, CLASSIFICATION, batch)[1].sum().backward()
    expected = oracle.electra.embeddings.token_type_embeddings.weight.grad
    for token_type in (0, 1):
        summed = offset.grad[torch.from_numpy(batch.token_type_ids == token_type)].sum(0)
        np.testing.assert_allclose(summed.numpy(), expected[token_type].numpy(), atol=2e-5)


# Whole runs, with the tokenizer of RoBERTa


@pytest.fixture(scope="module")
def roberta_folder(family_model: Any, bpe_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa as transformers saves it before fine-tuning, with a byte-level BPE."""
    folder = tmp_path_factory.mktemp("roberta")
    family_model("roberta", "ForMaskedLM", vocab_size=600, max_position_embeddings=130).save_pretrained(folder)
    shutil.copy(bpe_tokenizer / "tokenizer.json", folder)
    return folder


@pytest.fixture(scope="module")
def electra_folder(family_model: Any, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ELECTRA as transformers saves it before fine-tuning, with word pieces."""
    folder = tmp_path_factory.mktemp("electra")
    family_model("electra", "ForPreTraining", vocab_size=30522, max_position_embeddings=128).save_pretrained(folder)
    shutil.copy(tiny_en / "vocab.txt", folder)
    return folder


@pytest.fixture(params=FAMILIES)
def model_folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(f"{request.param}_folder")


def test_a_run_leaves_a_folder_that_transformers_opens_with_the_same_predictions(
    model_folder: Path, small_rte: Path, tmp_path: Path
) -> None:
    result = bertcore.run(
        task="rte",
        backend="torch",
        model=model_folder,
        data=small_rte,
        output=tmp_path / "run",
        settings={"train.max_steps": 4, "train.batch_size": 8, "train.learning_rate": 1e-3},
    )
    best = result.folder / "best"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(best, dtype=torch.float32).eval()
    assert isinstance(
        model, (transformers.RobertaForSequenceClassification, transformers.ElectraForSequenceClassification)
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(best)
    lines = (small_rte / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    for line, text in zip(lines, (result.folder / "predictions.jsonl").read_text().splitlines(), strict=True):
        _, first, second, _ = line.split("\t")
        inputs = tokenizer(first, second, truncation=True, max_length=128)
        with torch.no_grad():
            logits = model(**{name: torch.tensor([value]) for name, value in inputs.items()}).logits[0]
        probabilities = list(json.loads(text)["probabilities"].values())
        np.testing.assert_allclose(probabilities, logits.softmax(0).numpy(), atol=1e-5)


def test_a_run_of_multiple_choice_leaves_a_folder_that_transformers_opens(model_folder: Path, tmp_path: Path) -> None:
    """With RoBERTa's pooler and ELECTRA's summary, which its other heads have not."""
    result = bertcore.run(
        task="multiple_choice",
        backend="torch",
        model=model_folder,
        data=write_solvable(tmp_path),
        output=tmp_path / "run",
        settings={**SETTINGS, "train.max_steps": 4},
    )
    model = transformers.AutoModelForMultipleChoice.from_pretrained(result.folder / "best", dtype=torch.float32).eval()
    assert isinstance(model, (transformers.RobertaForMultipleChoice, transformers.ElectraForMultipleChoice))
    tokenizer = transformers.AutoTokenizer.from_pretrained(result.folder / "best")
    for line in (result.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()[:12]:
        entry = json.loads(line)
        seconds = [f"{entry['question']} {entry[name]}" for name in entry if re.fullmatch(r"choice\d", name)]
        firsts = [entry["context"]] * len(seconds)
        inputs = tokenizer(firsts, seconds, truncation="only_first", max_length=24, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**{name: values[None] for name, values in inputs.items()}).logits[0]
        np.testing.assert_allclose(entry["probabilities"], logits.softmax(0).numpy(), atol=1e-5)


def test_the_tokenizer_of_roberta_is_saved_as_what_it_is(
    roberta_folder: Path, rte_dir: Path, registry: Registry, tmp_path: Path
) -> None:
    tokenizer = open_model(str(roberta_folder), registry).tokenizer()
    (tmp_path / "saved").mkdir()
    shutil.copy(roberta_folder / "config.json", tmp_path / "saved")
    tokenizer.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "vocab.txt").exists()
    assert "BertTokenizer" not in (tmp_path / "saved" / "tokenizer_config.json").read_text()
    oracle = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    rows = [line.split("\t")[1:3] for line in (rte_dir / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:80]]
    rows += [("", "."), ("  two  spaces", "\ttab"), ("emoji 😀 é e\u0301", "漢字"), ("<s> </s> <mask>", "a<pad>b")]
    encoded = tokenizer.encode([first for first, _ in rows], [second for _, second in rows], 128)
    for ids, (first, second) in zip(encoded.input_ids, rows, strict=True):
        assert ids == oracle(first, second, truncation=True, max_length=128)["input_ids"], (first, second)
        assert ids[0] == 0
        assert ids[-1] == 2


def test_lower_casing_is_for_word_pieces(roberta_folder: Path, registry: Registry) -> None:
    with pytest.raises(ModelError, match=r"data\.lowercase is for word pieces, and this is BPE"):
        open_model(str(roberta_folder), registry).tokenizer(lowercase=True)
