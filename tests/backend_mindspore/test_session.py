"""Sessions on real models and real texts, with transformers on torch as the oracle."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from bertcore_mindspore.backend import MindSporeBackend
from mindspore import nn

from bertcore.contracts.backend import ParameterGroup, Session, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import StepContext
from bertcore.errors import ConfigError
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.testing.gradients import gradients_of, showing_gradients
from bertcore.tokenization.tokenizer import Tokenizer

pytestmark = pytest.mark.mindspore

HEAD = SequenceClassification(("entailment", "not_entailment"))
TAGS = TokenClassification(("a", "b", "c"))
CODE_OF = partial(Registry().code_of, "mindspore")
GROUPS = (ParameterGroup("no decay", r"bias$|LayerNorm", 5e-5, 0.0), ParameterGroup("rest", ".", 5e-5, 0.01))
NO_DROPOUT = TrainingSpecification(GROUPS, dropout=False)
GRADIENTS = showing_gradients(NO_DROPOUT)


class TwoPasses(nn.Cell):
    """The head's loss, and the squared distance between the logits of two passes with dropout masks of their own."""

    forward_passes = (0, 1)

    def __init__(self, objective: Any) -> None:
        super().__init__(auto_prefix=False)

    def loss_sum(self, forward: Any, batch: Any) -> Any:
        first = forward(batch)
        second = forward(batch, forward_pass=1)
        difference = first["logits"] - second["logits"]
        return forward.loss_sum(first, batch) + (difference * difference).sum()


class MovedEmbeddings(nn.Cell):
    """The head's loss at embeddings that were moved."""

    forward_passes = (0,)

    def __init__(self, objective: Any) -> None:
        super().__init__(auto_prefix=False)

    def loss_sum(self, forward: Any, batch: Any) -> Any:
        return forward.loss_sum(forward(batch, embedding_offset=batch["word_vectors"] * 0.5), batch)


def context(step: int = 0, denominator: float = 1.0, rate: float = 5e-5) -> StepContext:
    return StepContext(step, 11, (rate, rate), denominator)


def norm(arrays: Any) -> float:
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


class RealModel:
    """A real model with some real texts in its language."""

    def __init__(self, folder: Path, texts: Sequence[tuple[str, str]]) -> None:
        self.folder = folder
        self.texts = texts
        self.tokenizer = Tokenizer.load(folder)
        self.config = BertFamily().parse_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))

    def oracle(self, head: Head = HEAD) -> Any:
        torch.manual_seed(3)
        model_class = getattr(transformers, f"Bert{head.architecture}")
        return model_class.from_pretrained(
            self.folder, dtype=torch.float32, attn_implementation="eager", num_labels=head.output_size
        ).eval()

    def batch(self, rows: Sequence[int], max_length: int = 512) -> Batch:
        texts = [self.texts[row] for row in rows]
        encoded = self.tokenizer.encode([text for text, _ in texts], [pair for _, pair in texts], max_length)
        labels = np.array(rows, dtype=np.int64) * 7 % 5 % 2
        return from_rows(encoded.input_ids, encoded.token_type_ids, {"labels": Column(labels, "row")})

    def open(
        self, oracle: Any, lengths: Any, training: TrainingSpecification | None, head: Head = HEAD, **changes: Any
    ) -> Any:
        table = BertFamily().parameter_table(self.config, head)
        specification = SessionSpecification(
            config=self.config,
            head=head,
            table=table,
            device="cpu",
            precision="fp32",
            prediction_precision="fp32",
            workload=Workload(lengths, lengths, 32, 64, self.config.max_length),
            code_of=CODE_OF,
            training=training,
        )
        session = MindSporeBackend().open(dataclasses.replace(specification, **changes))
        session.load(parameters_of(oracle, table))
        return session


def parameters_of(module: Any, names: Any, gradients: bool = False) -> Parameters:
    found = dict(module.named_parameters())
    return {name: (found[name].grad if gradients else found[name].detach()).numpy().copy() for name in names}


def run_oracle(oracle: Any, batch: Batch) -> Any:
    padded = batch.padded(len(batch), int(batch.lengths.max()))
    return oracle(
        input_ids=torch.from_numpy(padded.input_ids).long(),
        token_type_ids=torch.from_numpy(padded.token_type_ids).long(),
        attention_mask=torch.from_numpy(padded.attention_mask).long(),
        labels=torch.from_numpy(batch.columns["labels"].values),
    )


@pytest.fixture(scope="module")
def rte_texts(rte_dir: Path) -> list[tuple[str, str]]:
    with (rte_dir / "dev.tsv").open(encoding="utf-8") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["sentence1"], row["sentence2"]) for row in rows]


@pytest.fixture(scope="module")
def minilm_model(minilm: Path, rte_texts: list[tuple[str, str]]) -> RealModel:
    return RealModel(minilm, rte_texts)


@pytest.fixture(scope="module")
def tiny_model(tiny_en: Path, rte_texts: list[tuple[str, str]]) -> RealModel:
    return RealModel(tiny_en, rte_texts)


@pytest.fixture(scope="module")
def chinese_model(chinese_l12: Path, shared: Path) -> RealModel:
    with (shared / "data" / "tnews" / "dev.json").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(32), strict=False)]
    return RealModel(chinese_l12, [(row["sentence"], row["keywords"]) for row in rows])


@pytest.fixture(scope="module")
def trained(minilm_model: RealModel) -> tuple[Session, Any]:
    """A session that trains MiniLM on RTE's lengths without dropout, and its oracle."""
    oracle = minilm_model.oracle()
    lengths = minilm_model.batch(range(len(minilm_model.texts))).lengths
    return minilm_model.open(oracle, lengths, GRADIENTS), oracle


@pytest.fixture(scope="module")
def tiny_session(tiny_model: RealModel) -> Callable[..., Any]:
    """Opens a session on the small model for rows of up to 48 tokens."""

    def open_tiny(training: TrainingSpecification | None, head: Head = HEAD, **changes: Any) -> Any:
        lengths = np.array([12, 25, 30, 48], dtype=np.int64)
        return tiny_model.open(tiny_model.oracle(head), lengths, training, head, **changes)

    return open_tiny


def compiled_graphs() -> int:
    """Graphs that MindSpore itself says it compiled in this process."""
    from mindspore.graph import api

    return len(api.ms_compile_cache)


def test_the_working_directory_and_the_standard_output_stay_clean(
    tiny_model: RealModel,
    tiny_session: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The first test, since MindSpore prints some things once in a process."""
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    session = tiny_session(NO_DROPOUT)
    session.train_step([tiny_model.batch(range(4), max_length=40)], context(0, 4.0))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == "", "it belongs to what a command prints for other programs"


@pytest.mark.parametrize("name", ["minilm_model", "tiny_model", "chinese_model"])
def test_logits_and_losses_equal_those_of_transformers(request: pytest.FixtureRequest, name: str) -> None:
    model = request.getfixturevalue(name)
    oracle = model.oracle()
    batch = model.batch(range(24))
    assert np.ptp(batch.lengths) > 20, "the rows must differ in length"
    session = model.open(oracle, batch.lengths, None)
    outputs = session.predict(batch, ["logits", "loss"])
    with torch.no_grad():
        expected = run_oracle(oracle, batch)
    np.testing.assert_allclose(outputs["logits"], expected.logits.numpy(), rtol=0, atol=2e-5)
    assert outputs["loss"].mean() == pytest.approx(expected.loss.item(), abs=2e-5)


def test_gradients_equal_those_of_transformers(minilm_model: RealModel, trained: tuple[Any, Any]) -> None:
    session, oracle = trained
    batch = minilm_model.batch(range(12))
    run_oracle(oracle, batch).loss.backward()
    gradients = gradients_of(session, [batch], context(denominator=12.0))
    expected = parameters_of(oracle, gradients, gradients=True)
    oracle.zero_grad()
    total = norm(expected.values())
    for name, value in gradients.items():
        assert norm([value - expected[name]]) <= 5e-5 * norm([expected[name]]) + 1e-7 * total, name


def test_free_positions_leave_no_gradient(minilm_model: RealModel, trained: tuple[Any, Any]) -> None:
    session, _ = trained
    batch = minilm_model.batch([3])
    gradients = gradients_of(session, [batch], context())
    words = gradients["bert.embeddings.word_embeddings.weight"]
    positions = gradients["bert.embeddings.position_embeddings.weight"]
    absent = np.setdiff1d(np.arange(len(words)), batch.input_ids)
    assert minilm_model.config.pad_token_id in absent
    assert not words[absent].any()
    assert not positions[len(batch.input_ids) :].any()
    assert positions[: len(batch.input_ids)].any(axis=1).all()


def test_twenty_steps_equal_those_of_a_plain_transformers_loop(tiny_model: RealModel, tiny_session: Any) -> None:
    steps, rows, rate = 20, 6, 5e-4
    session, oracle = tiny_session(NO_DROPOUT), tiny_model.oracle()
    everything = tiny_model.batch(range(steps * rows), max_length=48)
    named = dict(oracle.named_parameters())
    spared = {name for name in named if name.endswith("bias") or "LayerNorm" in name}
    optimizer = torch.optim.AdamW(
        [
            {"params": [named[name] for name in named if name in spared], "weight_decay": 0.0},
            {"params": [named[name] for name in named if name not in spared], "weight_decay": 0.01},
        ],
        lr=rate,
    )
    losses, expected = [], []
    for step in range(steps):
        batch = everything.select(range(step * rows, (step + 1) * rows))
        current = rate * min(1.0, (step + 1) / 5)
        losses.append(session.train_step([batch], context(step, rows, current)).loss_sum / rows)
        loss = run_oracle(oracle, batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = current
        optimizer.step()
        expected.append(loss.item())
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert np.ptp(expected) > 0.05, "the losses must move for this to say anything"


def test_one_compilation_for_each_shape_and_none_later(minilm_model: RealModel, trained: tuple[Any, Any]) -> None:
    """Over the longest and the shortest rows of RTE's dev, and a second run on the same session.

    Peak memory of all this, with the oracle beside it, stays below 8 GB.
    """
    session, oracle = trained
    dev = minilm_model.batch(range(len(minilm_model.texts)))
    order = np.argsort(dev.lengths)
    batches = [dev.select(order[:32]), dev.select(order[-8:])]

    def run() -> None:
        for step, batch in enumerate(batches):
            assert session.train_step([batch], context(step, len(batch))).finite
            assert len(session.predict(batch, ["logits"])["logits"]) == len(batch)

    run()
    compiled, seconds, shapes = compiled_graphs(), session.compile_seconds, set(session._compiled)
    names = [name for name, _ in shapes]
    assert names.count("gradient") <= 2
    assert names.count("prediction") <= 2
    assert seconds > 0
    session.load(parameters_of(oracle, session.parameters()))
    run()
    assert compiled_graphs() == compiled
    assert (session.compile_seconds, session._compiled) == (seconds, shapes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak:.1f} GB")
    assert peak < 8


def test_the_calling_thread_sleeps_while_the_device_computes(minilm_model: RealModel, trained: tuple[Any, Any]) -> None:
    """MindSpore's own way of waiting for a graph takes a whole core from its operators."""
    session, _ = trained
    batch = minilm_model.batch(range(32))
    assert session.train_step([batch], context(0, 32)).finite
    own, process = time.thread_time(), time.process_time()
    for step in (1, 2):
        assert session.train_step([batch], context(step, 32)).finite
    share = (time.thread_time() - own) / (time.process_time() - process)
    print(f"the calling thread took {share:.0%} of the processor time")
    assert share < 0.15


def test_a_longer_row_compiles_one_further_shape(tiny_model: RealModel, tiny_session: Any) -> None:
    session = tiny_session(None)
    session.predict(tiny_model.batch(range(6), max_length=40), ["logits"])
    compiled, seconds = compiled_graphs(), session.compile_seconds
    long = tiny_model.batch(range(277))
    longest = long.select(np.argsort(-long.lengths)[:3])
    assert longest.lengths.min() > 48
    for rows in ([0], [1, 2], [2, 0, 1]):
        session.predict(longest.select(rows), ["logits"])
    assert compiled_graphs() == compiled + 1
    assert session.compile_seconds > seconds


def test_a_token_loss_accumulates_over_unequal_counts(tiny_model: RealModel, tiny_session: Any) -> None:
    batch = tiny_model.batch(range(9), max_length=40)
    positions = [np.arange(1, length, 2, dtype=np.int32) for length in batch.lengths]
    labels = np.concatenate(positions) % 3
    labels[::7] = -100
    tagged = dataclasses.replace(
        batch,
        columns={"labels": Column(labels, "label", ignore=-100)},
        label_offsets=np.concatenate([[0], np.cumsum([len(row) for row in positions])]),
        label_positions=np.concatenate(positions),
    )
    session = tiny_session(GRADIENTS, TAGS)
    counts = context(denominator=TAGS.loss_count(tagged))
    whole = gradients_of(session, [tagged], counts)
    parts = [tagged.select(rows) for rows in ([3, 0, 8, 1], [7], [], [2, 4, 5, 6])]
    summed = gradients_of(session, parts, counts)
    total = norm(whole.values())
    for name, value in whole.items():
        assert norm([summed[name] - value]) <= 1e-6 * (norm([value]) + total), name


def test_odd_batches(tiny_model: RealModel, tiny_session: Any) -> None:
    """One row, one token, nothing at all, and more short rows than one call takes."""
    session = tiny_session(GRADIENTS)
    token = from_rows([[101]], [[0]], {"labels": Column(np.array([1]), "row")})
    many = from_rows([[101, 102]] * 200, [[0, 0]] * 200, {"labels": Column(np.arange(200) % 2, "row")})
    empty = token.select([])
    logits = session.predict(many, ["logits"])["logits"]
    assert logits.shape == (200, 2)
    np.testing.assert_allclose(logits, np.broadcast_to(logits[0], logits.shape), rtol=0, atol=1e-6)
    assert session.predict(token, ["logits"])["logits"].shape == (1, 2)
    assert session.predict(empty, ["logits", "loss"])["logits"].shape == (0, 2)
    assert norm(gradients_of(session, [empty], context()).values()) == 0.0
    expected = session.predict(many, ["loss"])["loss"].sum() + session.predict(token, ["loss"])["loss"].sum()
    assert session.train_step([many, empty, token], context(0, 201.0)).loss_sum == pytest.approx(expected, rel=1e-5)


def test_a_frozen_group_and_an_unmatched_parameter(tiny_model: RealModel, tiny_session: Any) -> None:
    frozen = ParameterGroup("frozen", r"embeddings", 0.0, 0.5)
    session = tiny_session(showing_gradients(TrainingSpecification((frozen, *GROUPS), dropout=False)))
    before = session.parameters()
    rates = StepContext(0, 1, (0.0, 1e-3, 1e-3), 4.0)
    batch = tiny_model.batch(range(4), max_length=40)
    gradients = gradients_of(session, [batch], rates)
    result = session.train_step([batch], rates)
    after = session.parameters()
    names = {name for name in before if "embeddings" in name}
    assert not any(gradients[name].any() for name in names)
    assert result.gradient_norm == pytest.approx(norm(gradients.values()), rel=1e-5)
    for name in before:
        assert np.array_equal(before[name], after[name]) == (name in names), name
    with pytest.raises(ConfigError, match="classifier"):
        tiny_session(TrainingSpecification((ParameterGroup("encoder", r"^bert\.", 1e-3, 0.0),)))


def test_an_objective_with_a_second_pass_and_moved_embeddings(tiny_model: RealModel, tiny_session: Any) -> None:
    batch = tiny_model.batch(range(5), max_length=40)

    def loss(objective: str, training: TrainingSpecification) -> float:
        session = tiny_session(
            training, code_of=lambda asked: globals()[objective] if asked.kind == "objective" else CODE_OF(asked)
        )
        return session.train_step([batch], context(0, 5.0)).loss_sum

    plain = tiny_session(NO_DROPOUT).train_step([batch], context(0, 5.0)).loss_sum
    assert loss("TwoPasses", NO_DROPOUT) == pytest.approx(plain, rel=1e-6), "without dropout both passes agree"
    assert loss("TwoPasses", TrainingSpecification(GROUPS)) > 0.0
    assert loss("MovedEmbeddings", NO_DROPOUT) != pytest.approx(plain, rel=1e-4)


def test_as_many_layers_as_the_largest_bert_has(tiny_model: RealModel, tmp_path: Path) -> None:
    """MindSpore compiles no more than 1000 nested calls, and 24 layers have 400 parameters to update."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 24, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=tiny_model.config.vocab_size, **sizes)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    shutil.copyfile(tiny_model.folder / "vocab.txt", tmp_path / "vocab.txt")
    model = RealModel(tmp_path, tiny_model.texts)
    oracle = model.oracle()
    batch = model.batch(range(4), max_length=40)
    session = model.open(oracle, batch.lengths, NO_DROPOUT)
    before = session.parameters()
    result = session.train_step([batch], context(0, 4.0, rate=1e-3))
    assert result.loss_sum == pytest.approx(4 * run_oracle(oracle, batch).loss.item(), rel=1e-5)
    changed = {name for name, values in session.parameters().items() if not np.array_equal(values, before[name])}
    assert {f"bert.encoder.layer.{layer}.output.dense.weight" for layer in range(24)} <= changed
