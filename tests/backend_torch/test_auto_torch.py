"""Encoders of transformers that bertcore does not compute itself: chosen by the folder, trained and used as any other.

The weights are random, the texts are RTE's own.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from bertcore_torch.objectives import Forward
from bertcore_torch.session import TorchSession

import bertcore
from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.head import Head
from bertcore.contracts.training_step import StepContext
from bertcore.errors import ModelError
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.heads import SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.testing.gradients import gradients_of, showing_gradients
from bertcore.weights.opening import ModelSource, open_model

CONFIGS: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "albert": {
        "embedding_size": 24,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "hidden_dropout_prob": 0.1,
    },
    "deberta-v2": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "type_vocab_size": 0,
        "relative_attention": True,
        "position_buckets": 16,
        "pos_att_type": "p2c|c2p",
    },
    "modernbert": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "pad_token_id": 0,
        "max_position_embeddings": 256,
    },
    "mpnet": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
}
# Positions of MPNet count as RoBERTa's do.
LONGEST = {"distilbert": 512, "albert": 512, "deberta-v2": 512, "modernbert": 256, "mpnet": 510}
TAGS = TokenClassification(("a", "b", "c"))
CLASSES = SequenceClassification(("entailment", "not_entailment"))
LENGTHS = (9, 1, 17, 3, 3, 28, 2)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def make(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a folder as transformers saves it, with a tokenizer of word pieces; each one once."""
    made: dict[tuple[str, str], Path] = {}

    def make_one(model_type: str, auto_class: str = "AutoModelForMaskedLM", **entries: Any) -> Path:
        if (model_type, auto_class) not in made:
            config = transformers.AutoConfig.for_model(
                model_type, **{"vocab_size": 30522, **CONFIGS[model_type], **entries}
            )
            torch.manual_seed(0)
            model = getattr(transformers, auto_class).from_config(config)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter += torch.randn_like(parameter) * 0.05
            folder = tmp_path_factory.mktemp(model_type)
            model.save_pretrained(folder)
            shutil.copy(tiny_en / "vocab.txt", folder)
            made[model_type, auto_class] = folder
        return made[model_type, auto_class]

    return make_one


def rows(labels: int = 3) -> Batch:
    generator = np.random.default_rng(1)
    ids = [generator.integers(5, 30000, length).tolist() for length in LENGTHS]
    types = [[int(2 * position >= length) for position in range(length)] for length in LENGTHS]
    positions = [list(range(length)) for length in LENGTHS]
    columns = {"labels": Column(generator.integers(0, labels, sum(LENGTHS)), "label")}
    return from_rows(ids, types, columns, label_positions=positions)


@pytest.fixture
def open_source(open_session: Callable[..., TorchSession]) -> Callable[..., TorchSession]:
    """Opens a session with the weights of a folder."""

    def open_one(source: ModelSource, head: Head, training: TrainingSpecification | None = None) -> TorchSession:
        table = source.family.parameter_table(source.config, head)
        session = open_session(source.config, head, training, table=table)
        session.load(source.fit(head, seed=3)[0])
        return session

    return open_one


def inputs_of(model: Any, batch: Batch, row: int) -> dict[str, torch.Tensor]:
    tokens = slice(batch.offsets[row], batch.offsets[row + 1])
    inputs = {"input_ids": torch.from_numpy(batch.input_ids[tokens]).long()[None]}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = torch.from_numpy(batch.token_type_ids[tokens]).long()[None]
    return inputs


# What is read from the folder


@pytest.mark.parametrize("model_type", list(CONFIGS))
def test_the_folder_chooses_the_model(model_type: str, make: Any, registry: Registry) -> None:
    folder = make(model_type)
    source = open_model(str(folder), registry, backend="torch")
    oracle = transformers.AutoModel.from_pretrained(folder)
    assert source.family.name == model_type
    assert (source.config.num_hidden_layers, source.config.hidden_size) == (oracle.config.num_hidden_layers, 32)
    assert source.config.max_length == LONGEST[model_type]
    parameters, report = source.fit(TAGS, seed=0)
    for name, value in oracle.named_parameters():
        if not name.startswith("pooler."):
            np.testing.assert_array_equal(parameters[source.family.prefix + name], value.detach().numpy(), err_msg=name)
    assert set(report.initialized) == {"classifier.weight", "classifier.bias"}
    assert not any(name.startswith(source.family.prefix) for name in report.skipped)


def test_a_file_of_the_bare_encoder(make: Any, registry: Registry) -> None:
    bare = open_model(str(make("albert", "AutoModel")), registry)
    assert bare.fit(CLASSES, seed=0)[1].initialized.keys() == {"classifier.weight", "classifier.bias"}
    assert (
        "the file holds no pooler"
        in open_model(str(make("albert")), registry).fit(CLASSES, seed=0)[1].initialized.values()
    )


# What is computed


@pytest.mark.parametrize("model_type", list(CONFIGS))
def test_tokens_equal_those_of_the_module(
    model_type: str, make: Any, registry: Registry, open_source: Any, groups: Any
) -> None:
    """Outputs and gradients of a linear layer on transformers' own encoder, row by row and without padding."""
    source = open_model(str(make(model_type)), registry)
    session = open_source(source, TAGS, showing_gradients(TrainingSpecification(groups, dropout=False)))
    parameters = session.parameters()
    encoder = transformers.AutoModel.from_pretrained(source.folder, dtype=torch.float32).eval()
    classifier = torch.nn.Linear(32, 3)
    classifier.load_state_dict(
        {name: torch.from_numpy(parameters[f"classifier.{name}"]) for name in ("weight", "bias")}
    )
    batch = rows()
    logits = torch.cat(
        [classifier(encoder(**inputs_of(encoder, batch, row)).last_hidden_state[0]) for row in range(len(batch))]
    )
    outputs = session.predict(batch, ["logits"])["logits"]
    np.testing.assert_allclose(outputs, logits.detach().numpy(), rtol=1e-5, atol=2e-5)

    labels = torch.from_numpy(batch.columns["labels"].values)
    torch.nn.functional.cross_entropy(logits, labels, reduction="sum").backward()
    gradients = gradients_of(session, [batch], StepContext(0, 1, (1e-5, 1e-5), 1.0))
    total = np.sqrt(sum(float((value.astype(np.float64) ** 2).sum()) for value in gradients.values()))
    compared = 0
    for name, value in encoder.named_parameters():
        if value.grad is not None:
            difference = np.linalg.norm(gradients[source.family.prefix + name] - value.grad.numpy())
            assert difference <= 1e-4 * np.linalg.norm(value.grad.numpy()) + 1e-6 * total, name
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("model_type", ["distilbert", "albert"])
def test_heads_on_the_first_token(model_type: str, make: Any, registry: Registry, open_source: Any) -> None:
    """ALBERT makes a pooler and has BERT's head; DistilBERT makes none and has RoBERTa's."""
    source = open_model(str(make(model_type)), registry)
    session = open_source(source, CLASSES)
    parameters = {name: torch.from_numpy(value) for name, value in session.parameters().items()}
    batch = rows()
    if model_type == "albert":
        oracle = transformers.AutoModelForSequenceClassification.from_pretrained(source.folder, num_labels=2).eval()
        oracle.load_state_dict(parameters, strict=True)
        expected = [oracle(**inputs_of(oracle, batch, row)).logits[0] for row in range(len(batch))]
    else:
        encoder = transformers.AutoModel.from_pretrained(source.folder).eval()
        assert "classifier.dense.weight" in parameters
        expected = []
        for row in range(len(batch)):
            first = encoder(**inputs_of(encoder, batch, row)).last_hidden_state[0, 0]
            dense = torch.tanh(parameters["classifier.dense.weight"] @ first + parameters["classifier.dense.bias"])
            logits = parameters["classifier.out_proj.weight"] @ dense + parameters["classifier.out_proj.bias"]
            expected.append(logits)
    logits = session.predict(batch.without("labels"), ["logits"])["logits"]
    np.testing.assert_allclose(logits, torch.stack(expected).detach().numpy(), rtol=1e-5, atol=2e-5)
    assert session.predict(batch.select([]).without("labels"), ["logits"])["logits"].shape == (0, 2)


def test_spans(make: Any, registry: Registry, open_source: Any) -> None:
    source = open_model(str(make("distilbert")), registry)
    session = open_source(source, SpanExtraction())
    oracle = transformers.AutoModelForQuestionAnswering.from_pretrained(source.folder).eval()
    oracle.load_state_dict({name: torch.from_numpy(value) for name, value in session.parameters().items()}, strict=True)
    batch = rows().without("labels")
    outputs = session.predict(batch, ["start_logits", "end_logits"])
    for row in range(len(batch)):
        expected = oracle(**inputs_of(oracle, batch, row))
        tokens = slice(batch.offsets[row], batch.offsets[row + 1])
        np.testing.assert_allclose(outputs["start_logits"][tokens], expected.start_logits[0].detach(), atol=2e-5)
        np.testing.assert_allclose(outputs["end_logits"][tokens], expected.end_logits[0].detach(), atol=2e-5)


def test_bfloat16_is_near_float32(make: Any, registry: Registry, open_source: Any) -> None:
    for model_type in ("albert", "modernbert"):
        source = open_model(str(make(model_type)), registry)
        session = open_source(source, TAGS)
        full = session.predict(rows(), ["logits"])["logits"]
        low = TorchSession(dataclasses.replace(session._specification, prediction_precision="bf16"))
        low.load(session.parameters())
        np.testing.assert_allclose(low.predict(rows(), ["logits"])["logits"], full, atol=0.1)


def test_the_embeddings_can_be_moved(make: Any, registry: Registry, open_source: Any) -> None:
    """A zero offset changes nothing, and its gradient is that of the embedding of each token."""
    source = open_model(str(make("albert")), registry)
    session = open_source(source, TAGS)
    batch = rows()
    forward = Forward(session._model("fp32"), torch.device("cpu"), None)
    offset = forward.zero_embedding_offset(batch)
    assert offset.shape == (len(batch.input_ids), 24)
    moved = forward(batch, embedding_offset=offset)
    torch.testing.assert_close(moved["logits"], forward(batch)["logits"])
    forward.loss_sum(moved, batch).backward()
    assert (offset.grad.norm(dim=1) > 0).all()


def test_dropout_of_the_module_depends_on_its_place_alone(
    make: Any, registry: Registry, open_source: Any, groups: Any
) -> None:
    source = open_model(str(make("albert")), registry)
    session = open_source(source, TAGS, showing_gradients(TrainingSpecification(groups)))
    batch = rows()
    before = torch.get_rng_state()

    def gradient(step: int = 3, seed: int = 11, micro_batches: int = 1) -> np.ndarray:
        parts = [batch.select([])] * (micro_batches - 1) + [batch]
        context = StepContext(step, seed, (1e-5, 1e-5), 1.0)
        return gradients_of(session, parts, context)["albert.encoder.embedding_hidden_mapping_in.weight"]

    first = gradient()
    torch.rand(5)
    np.testing.assert_array_equal(gradient(), first)
    for other in (gradient(step=4), gradient(seed=12), gradient(micro_batches=2)):
        assert not np.array_equal(other, first)
    torch.set_rng_state(before)
    session.train_step([batch], StepContext(0, 1, (1e-5, 1e-5), 1.0))
    assert torch.equal(torch.get_rng_state(), before), "the user's generator is left alone"
    evaluated = session.predict(batch, ["logits"])["logits"]
    np.testing.assert_array_equal(session.predict(batch, ["logits"])["logits"], evaluated)


# Whole runs


@pytest.fixture(scope="module")
def eight(small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs of RTE, to be learned by heart, and judged by them."""
    folder = tmp_path_factory.mktemp("eight")
    lines = (small_rte / "train.tsv").read_text(encoding="utf-8").splitlines()[:9]
    for split in ("train", "dev"):
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("model_type", ["distilbert", "albert"])
def test_a_run_learns_and_leaves_a_folder_that_transformers_opens(
    model_type: str, make: Any, eight: Path, tmp_path: Path, bertcore_command: Any
) -> None:
    folder = make(model_type)
    settings = {
        "train.max_steps": 40,
        "train.batch_size": 8,
        "train.learning_rate": 1e-2,
        "train.log_steps": 1,
        "train.evaluate_steps": 40,
    }
    result = bertcore.run(
        task="rte", backend="torch", model=folder, data=eight, output=tmp_path / "run", settings=settings
    )
    lines = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "train"]
    assert losses[0] > 0.5
    assert np.mean(losses[-3:]) < 0.1
    assert result.metrics["accuracy"] == 1.0

    best = result.folder / "best"
    original = json.loads((folder / "config.json").read_text())
    written = json.loads((best / "config.json").read_text())
    changed = {"architectures", "id2label", "label2id", "problem_type", "bertcore"}
    assert {name: value for name, value in written.items() if name not in changed} == {
        name: value for name, value in original.items() if name not in changed
    }
    tensors = read_safetensors(best / "model.safetensors")
    encoder, info = transformers.AutoModel.from_pretrained(best, output_loading_info=True)
    assert not info["missing_keys"]
    assert all(name.startswith("classifier.") for name in info["unexpected_keys"])
    for name, value in encoder.named_parameters():
        np.testing.assert_array_equal(tensors[f"{encoder.base_model_prefix}.{name}"], value.detach().numpy())

    outcome = bertcore_command("evaluate", result.folder)
    assert outcome.last_line == result.summary
    if model_type == "albert":  # whose head is transformers' own
        model = transformers.AutoModelForSequenceClassification.from_pretrained(best).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(best)
        predictions = [json.loads(line) for line in (result.folder / "predictions.jsonl").read_text().splitlines()]
        for line, entry in zip((eight / "dev.tsv").read_text().splitlines()[1:], predictions, strict=True):
            _, first, second, _ = line.split("\t")
            probabilities = model(**tokenizer(first, second, return_tensors="pt")).logits[0].softmax(0)
            np.testing.assert_allclose(list(entry["probabilities"].values()), probabilities.detach(), atol=1e-5)


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(make: Any, small_rte: Path, tmp_path: Path) -> None:
    settings = {"train.max_steps": 6, "train.batch_size": 8, "train.accumulation": 2, "train.learning_rate": 1e-3}

    def start(name: str, **changes: Any) -> Path:
        return bertcore.run(
            task="rte",
            backend="torch",
            model=make("distilbert"),
            data=small_rte,
            output=tmp_path / name,
            seed=3,
            settings={**settings, **changes},
        ).folder

    whole = start("whole")
    resumed = bertcore.resume(start("stopped", **{"train.stop_after": 4})).folder
    for file in ("checkpoint/model/model.safetensors", "checkpoint/optimizer.safetensors"):
        expected, found = read_safetensors(whole / file), read_safetensors(resumed / file)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


# What is refused, and how


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2' is not known as an encoder of text"),
        ({"model_type": "t5"}, "model_type 't5' is not known as an encoder of text"),
        ({"model_type": "bart"}, "model_type 'bart' is not known as an encoder of text"),
        ({"model_type": "perceiver", "d_latents": 16, "d_model": 16}, "PerceiverModel embeds no tokens"),
        ({"model_type": "ibert", "hidden_size": 12}, "beside its parameters"),
        ({"model_type": "no-such-model"}, "model_type 'no-such-model' is not known, nor is it to transformers"),
        ({"model_type": "distilbert", "n_heads": 5, "dim": 32}, "config.json: "),
        ({"model_type": "distilbert", "n_layers": "six"}, "config.json: "),
    ],
)
def test_what_is_no_encoder_is_refused_in_one_line(
    entries: dict[str, Any], words: str, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(entries))
    with pytest.raises(ModelError) as caught:
        open_model(str(tmp_path), registry, tensors=False)
    assert words in caught.value.cause
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy


def test_a_backend_that_does_not_compute_it_says_what_it_computes(make: Any, registry: Registry) -> None:
    with pytest.raises(ModelError) as caught:
        open_model(str(make("distilbert")), registry, backend="mindspore")
    assert caught.value.cause.endswith("and mindspore computes bert, camembert, electra, roberta, xlm-roberta")
    assert caught.value.remedy == "use --backend torch"


def test_without_transformers_one_line_says_so(
    make: Any, registry: Registry, tiny_en: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ModelError, match="'distilbert' is computed by transformers, which cannot be imported"
    ) as caught:
        open_model(str(make("distilbert")), registry)
    assert "\n" not in caught.value.cause
    assert caught.value.remedy == "pip install 'transformers>=5'"
    assert open_model(str(tiny_en), registry).family.name == "bert"


def test_a_head_of_transformers_is_not_taken_for_ours(make: Any, registry: Registry) -> None:
    """DistilBERT's classification head has other layers: evaluating it with a new one would say nothing."""
    source = open_model(str(make("distilbert", "AutoModelForSequenceClassification")), registry)
    with pytest.raises(ModelError, match=r"classifier\.weight: unexpected") as caught:
        source.fit(CLASSES, seed=0)
    assert "model.new_head=true" in caught.value.remedy
    report = source.fit(CLASSES, seed=0, new_head=True)[1]
    assert set(report.skipped) == {
        f"{layer}.{kind}" for layer in ("pre_classifier", "classifier") for kind in ("weight", "bias")
    }


def test_a_bert_needs_no_transformers() -> None:
    code = (
        "import sys, bertcore_torch.session\nfrom bertcore.plugins.registry import Registry\nRegistry().gather_all()\n"
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
