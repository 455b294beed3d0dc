"""The numpy reference against transformers, torch autograd, torch's optimizer and finite differences."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tokenizers import BertWordPieceTokenizer

from bertcore.contracts.bert_config import BertConfig
from bertcore.testing import reference
from bertcore.testing.reference import ReferenceModel

SMALL = BertConfig(vocab_size=5, hidden_size=2, num_hidden_layers=0, num_attention_heads=1, intermediate_size=2)
REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = ["minilm", "tiny_en", "chinese_l12"]
Sequence = tuple[list[int], list[int]]  # input_ids, token_type_ids


def canonical(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The three real files' names, made one: `bert.` in front, `LayerNorm.weight`/`bias`, no pre-training head."""
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith("cls.") or name.endswith("position_ids"):
            continue
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        renamed[name if name.startswith("bert.") else f"bert.{name}"] = tensor
    return renamed


def reference_of(parameters: dict[str, np.ndarray], config: Any, **options: Any) -> ReferenceModel:
    sizes = {field.name: getattr(config, field.name) for field in fields(BertConfig) if hasattr(config, field.name)}
    return ReferenceModel(parameters, BertConfig(**{**sizes, **options}))


def reference_of_module(model: torch.nn.Module, **options: Any) -> ReferenceModel:
    return reference_of({name: value.numpy() for name, value in model.state_dict().items()}, model.config, **options)


def real_texts(name: str, shared: Path) -> list[tuple[str, str | None]]:
    """Texts of mixed lengths, the shortest and the longest of the split among them."""
    if name == "chinese_l12":
        lines = (shared / "data" / "tnews" / "dev.json").read_text(encoding="utf-8").splitlines()
        texts = [(json.loads(line)["sentence"], None) for line in lines]
    else:
        with (shared / "data" / "glue" / "RTE" / "dev.tsv").open(encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            texts = [(row["sentence1"], row["sentence2"]) for row in rows]
    texts.sort(key=lambda pair: len("".join(filter(None, pair))))
    return [texts[round(position * (len(texts) - 1))] for position in (0, 0.3, 0.5, 0.8, 1)]


def real_sequences(name: str, folder: Path, shared: Path) -> list[Sequence]:
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    encodings = [tokenizer.encode(text, pair) for text, pair in real_texts(name, shared)]
    return [(encoding.ids, encoding.type_ids) for encoding in encodings]


def as_batch(sequence: Sequence) -> dict[str, torch.Tensor]:
    input_ids, token_type_ids = sequence
    return {"input_ids": torch.tensor([input_ids]), "token_type_ids": torch.tensor([token_type_ids])}


# Forward, on real weights and texts


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_hidden_states_equal_transformers(name, dtype, tolerance, shared, request):
    folder = request.getfixturevalue(name)
    oracle = transformers.BertModel.from_pretrained(folder, dtype=torch.float32).to(dtype).eval()
    model = reference_of(canonical(load_file(folder / "model.safetensors")), oracle.config)
    lengths = set()
    for sequence in real_sequences(name, folder, shared):
        lengths.add(len(sequence[0]))
        with torch.no_grad():
            expected = oracle(**as_batch(sequence), output_hidden_states=True).hidden_states
        actual = model.hidden_states(*sequence)
        assert len(actual) == len(expected) == oracle.config.num_hidden_layers + 1
        for ours, theirs in zip(actual, expected, strict=True):
            np.testing.assert_allclose(ours, theirs[0].numpy(), rtol=0, atol=tolerance)
    assert len(lengths) > 3


def test_pooled_output_equals_transformers(minilm, shared):
    oracle = transformers.BertModel.from_pretrained(minilm, dtype=torch.float32).double().eval()
    model = reference_of(canonical(load_file(minilm / "model.safetensors")), oracle.config)
    for sequence in real_sequences("minilm", minilm, shared):
        with torch.no_grad():
            expected = oracle(**as_batch(sequence)).pooler_output[0].numpy()
        np.testing.assert_allclose(model.pooled(*sequence), expected, rtol=0, atol=1e-10)


# Heads and gradients, on the tiny real encoder with new heads


def tiny_with_head(head: str, folder: Path, **changes: Any) -> torch.nn.Module:
    torch.manual_seed(7)
    head_class = {
        "sequence": transformers.BertForSequenceClassification,
        "token": transformers.BertForTokenClassification,
        "span": transformers.BertForQuestionAnswering,
    }[head]
    labels = 2 if head == "span" else 5
    model = head_class.from_pretrained(folder, dtype=torch.float32, num_labels=labels, **changes).double().eval()
    classifier = model.qa_outputs if head == "span" else model.classifier
    torch.nn.init.normal_(classifier.weight)
    torch.nn.init.normal_(classifier.bias)
    return model


def oracle_logits(model: torch.nn.Module, head: str, sequence: Sequence) -> torch.Tensor:
    output = model(**as_batch(sequence))
    return torch.stack([output.start_logits[0], output.end_logits[0]], 1) if head == "span" else output.logits[0]


@pytest.mark.parametrize("head", ["sequence", "token", "span"])
def test_logits_equal_transformers(head, tiny_en, shared):
    oracle = tiny_with_head(head, tiny_en)
    model = reference_of_module(oracle)
    for sequence in real_sequences("tiny_en", tiny_en, shared):
        expected = oracle_logits(oracle, head, sequence).detach().numpy()
        np.testing.assert_allclose(model.logits(*sequence, head), expected, rtol=0, atol=1e-10)


def assert_gradients_equal_autograd(
    oracle: torch.nn.Module, head: str, model: ReferenceModel, sequence: Sequence
) -> None:
    logits = oracle_logits(oracle, head, sequence)
    logits_gradient = torch.from_numpy(np.random.default_rng(3).normal(size=tuple(logits.shape)))
    oracle.zero_grad()
    logits.backward(logits_gradient)
    expected = {name: value.grad.numpy() for name, value in oracle.named_parameters() if value.grad is not None}
    actual = model.gradients(*sequence, logits_gradient.numpy(), head)
    assert actual.keys() == expected.keys()
    # A key's bias moves all scores of a row alike and has a gradient of zero: only noise is there to compare.
    noise = 1e-14 * np.sqrt(sum((gradient**2).sum() for gradient in expected.values()))
    for name, gradient in expected.items():
        assert actual[name].shape == gradient.shape
        assert np.linalg.norm(actual[name] - gradient) <= 1e-9 * np.linalg.norm(gradient) + noise, name


@pytest.mark.parametrize("head", ["sequence", "token", "span"])
def test_gradients_equal_autograd(head, tiny_en, shared):
    oracle = tiny_with_head(head, tiny_en)
    model = reference_of_module(oracle)
    for sequence in real_sequences("tiny_en", tiny_en, shared)[::2]:
        assert_gradients_equal_autograd(oracle, head, model, sequence)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_activations_equal_transformers(activation, tiny_en, shared):
    assert set(reference.ACTIVATIONS) == {"gelu", "gelu_new", "relu"}
    oracle = tiny_with_head("sequence", tiny_en, hidden_act=activation)
    model = reference_of_module(oracle)
    sequence = real_sequences("tiny_en", tiny_en, shared)[2]
    expected = oracle_logits(oracle, "sequence", sequence).detach().numpy()
    np.testing.assert_allclose(model.logits(*sequence), expected, rtol=0, atol=1e-10)
    assert_gradients_equal_autograd(oracle, "sequence", model, sequence)


def test_prefix_and_position_offset_describe_roberta():
    config = transformers.RobertaConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=20,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        num_labels=5,
        initializer_range=0.5,
    )
    torch.manual_seed(0)
    oracle = transformers.RobertaForTokenClassification(config).double().eval()
    model = reference_of_module(oracle, prefix="roberta.", position_offset=2)
    for length in (1, 9, 18):
        sequence = (list(range(4, 4 + length)), [0] * length)
        expected = oracle_logits(oracle, "token", sequence).detach().numpy()
        np.testing.assert_allclose(model.logits(*sequence, "token"), expected, rtol=0, atol=1e-10)
        assert_gradients_equal_autograd(oracle, "token", model, sequence)
    with pytest.raises(IndexError):
        model.logits([5] * 19, [0] * 19, "token")


# Gradients, by the definition of a derivative


@st.composite
def random_models(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], BertConfig, Sequence, np.random.Generator]:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    heads = draw(st.integers(1, 3))
    hidden, intermediate = heads * draw(st.integers(4, 6)), draw(st.integers(1, 9))
    tokens = draw(st.integers(1, 6))
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (11, hidden),
        "bert.embeddings.position_embeddings.weight": (8, hidden),
        "bert.embeddings.token_type_embeddings.weight": (2, hidden),
        "bert.embeddings.LayerNorm": (hidden,),
        "bert.pooler.dense": (hidden, hidden),
        "classifier": (3, hidden),
        "qa_outputs": (2, hidden),
    }
    layers = draw(st.integers(0, 2))
    for index in range(layers):
        layer = f"bert.encoder.layer.{index}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes[f"{layer}.{name}"] = (hidden, hidden)
        shapes[f"{layer}.intermediate.dense"] = (intermediate, hidden)
        shapes[f"{layer}.output.dense"] = (hidden, intermediate)
        shapes[f"{layer}.attention.output.LayerNorm"] = shapes[f"{layer}.output.LayerNorm"] = (hidden,)
    parameters = {}
    for name, shape in shapes.items():
        if name.endswith("embeddings.weight"):
            parameters[name] = generator.normal(size=shape)
        else:
            parameters[f"{name}.weight"] = generator.normal(size=shape) * (1 if len(shape) == 1 else shape[1] ** -0.5)
            parameters[f"{name}.bias"] = generator.normal(size=shape[0])
    config = BertConfig(
        vocab_size=11,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        max_position_embeddings=8,
        hidden_act=draw(st.sampled_from(["gelu", "gelu_new"])),  # relu has a kink
        layer_norm_eps=draw(st.sampled_from([1e-12, 1e-5])),
        position_offset=draw(st.integers(0, 2)),
    )
    # Few different ids, so that some occur twice.
    sequence = (generator.integers(3, size=tokens).tolist(), generator.integers(2, size=tokens).tolist())
    return parameters, config, sequence, generator


@settings(deadline=None, max_examples=50)
@given(random=random_models(), head=st.sampled_from(["sequence", "token", "span"]), data=st.data())
def test_gradients_are_the_slopes_of_the_loss(random, head, data):
    parameters, config, sequence, generator = random
    labels = generator.integers(2, size=() if head == "sequence" else len(sequence[0]))

    def loss(changed: dict[str, np.ndarray]) -> float:
        logits = ReferenceModel(changed, config).logits(*sequence, head)
        return reference.softmax_cross_entropy(logits, labels)

    model = ReferenceModel(parameters, config)
    logits_gradient = reference.softmax_cross_entropy_gradient(model.logits(*sequence, head), labels)
    gradients = model.gradients(*sequence, logits_gradient, head)
    for name in data.draw(st.lists(st.sampled_from(sorted(parameters)), min_size=3, max_size=3, unique=True)):
        coordinate = tuple(generator.integers(parameters[name].shape))
        step = 1e-5
        beside = []
        for change in (step, -step):
            changed = parameters[name].copy()
            changed[coordinate] += change
            beside.append(loss(parameters | {name: changed}))
        slope = (beside[0] - beside[1]) / (2 * step)
        analytic = gradients[name][coordinate] if name in gradients else 0.0
        assert analytic == pytest.approx(slope, rel=1e-5, abs=1e-7), name


# What a caller can get wrong


def test_parameters_are_copied():
    parameters = {"classifier.weight": np.ones((2, 2))}
    model = ReferenceModel(parameters, SMALL)
    parameters["classifier.weight"][:] = 0
    assert model.parameters["classifier.weight"].sum() == 4


def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="'swish' is none of gelu, gelu_new, relu"):
        ReferenceModel({}, replace(SMALL, hidden_act="swish"))


def test_missing_parameter_is_named(tiny_en):
    config = transformers.BertConfig.from_pretrained(tiny_en)
    model = reference_of(canonical(load_file(tiny_en / "model.safetensors")), config)
    with pytest.raises(KeyError, match=r"bert\.pooler\.dense\.weight"):
        model.pooled([101, 102], [0, 0])


def test_gradient_of_the_wrong_head_is_refused(tiny_en):
    model = reference_of_module(tiny_with_head("sequence", tiny_en))
    with pytest.raises(ValueError, match=r"sequence logits has the shape \(2, 5\), not \(5,\)"):
        model.gradients([101, 102], [0, 0], np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"token logits has the shape \(5,\), not \(2, 5\)"):
        model.gradients([101, 102], [0, 0], np.zeros(5), "token")
    with pytest.raises(ValueError, match="'crf' is none of"):
        model.gradients([101, 102], [0, 0], np.zeros(5), "crf")


# Losses


def assert_loss_equals_torch(loss: float, gradient: np.ndarray, expected: torch.Tensor, logits: torch.Tensor) -> None:
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(gradient, logits.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("scale", [1, 1000])
def test_softmax_cross_entropy_equals_torch_and_skips_ignored_labels(scale):
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 4)) * scale).requires_grad_()
    labels = torch.tensor([0, 3, -1, 2, 2, -1, 1, 0, 3])
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="sum", ignore_index=-1)
    arguments = (logits.detach().numpy(), labels.numpy(), -1)
    gradient = reference.softmax_cross_entropy_gradient(*arguments)
    assert not gradient[[2, 5]].any()
    assert_loss_equals_torch(reference.softmax_cross_entropy(*arguments), gradient, expected, logits)


@pytest.mark.parametrize("label", [-1, 4])
def test_softmax_cross_entropy_refuses_a_label_that_is_no_class(label):
    with pytest.raises(ValueError, match="neither from 0 to 3 nor -100"):
        reference.softmax_cross_entropy(np.zeros((2, 4)), [0, label])


@pytest.mark.parametrize("scale", [1, 1000])
def test_binary_cross_entropy_equals_torch(scale):
    generator = np.random.default_rng(1)
    logits = torch.from_numpy(generator.normal(size=(5, 3)) * scale).requires_grad_()
    labels = generator.integers(2, size=(5, 3))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(labels).double(), reduction="sum"
    )
    arguments = (logits.detach().numpy(), labels)
    gradient = reference.binary_cross_entropy_gradient(*arguments)
    assert_loss_equals_torch(reference.binary_cross_entropy(*arguments), gradient, expected, logits)


def test_squared_error_equals_torch():
    generator = np.random.default_rng(2)
    predictions = torch.from_numpy(generator.normal(size=7)).requires_grad_()
    labels = generator.uniform(0, 5, size=7)
    expected = torch.nn.functional.mse_loss(predictions, torch.from_numpy(labels), reduction="sum")
    arguments = (predictions.detach().numpy(), labels)
    gradient = reference.squared_error_gradient(*arguments)
    assert_loss_equals_torch(reference.squared_error(*arguments), gradient, expected, predictions)


@pytest.mark.parametrize("kind", ["softmax", "binary"])
def test_divergences_equal_torch(kind):
    generator = np.random.default_rng(6)
    logits, towards = (torch.from_numpy(generator.normal(0, 2, (5, 3))).requires_grad_() for _ in range(2))
    distribution = torch.distributions.Categorical if kind == "softmax" else torch.distributions.Bernoulli
    expected = torch.distributions.kl_divergence(distribution(logits=towards), distribution(logits=logits)).sum()
    expected.backward()
    arguments = (logits.detach().numpy(), towards.detach().numpy())
    assert getattr(reference, f"{kind}_divergence")(*arguments) == pytest.approx(expected.item(), rel=1e-12)
    gradients = getattr(reference, f"{kind}_divergence_gradient")(*arguments)
    for gradient, leaf in zip(gradients, (logits, towards), strict=True):
        np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "loss", [reference.softmax_cross_entropy, reference.binary_cross_entropy, reference.squared_error]
)
def test_losses_refuse_shapes_that_would_broadcast(loss):
    with pytest.raises(ValueError, match=r"of shape \(4, 1\) do not fit labels of shape \(1,\)"):
        loss(np.zeros((4, 1)), np.zeros(1, dtype=int))


# The update


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_adamw_update_equals_torch(weight_decay):
    generator = np.random.default_rng(4)
    parameter = generator.normal(size=(6, 5))
    rule = reference.AdamW(betas=(0.85, 0.99), eps=1e-6, weight_decay=weight_decay)
    oracle = torch.nn.Parameter(torch.from_numpy(parameter.copy()))
    optimizer = torch.optim.AdamW([oracle], betas=rule.betas, eps=rule.eps, weight_decay=weight_decay)
    first_moment, second_moment = np.zeros_like(parameter), np.zeros_like(parameter)
    for step in range(1, 31):
        # From gradients about the size of eps to large ones; a coordinate without any moves by decay alone.
        gradient = generator.normal(size=parameter.shape) * 10.0 ** generator.integers(-7, 3)
        gradient[0, 0] = 0
        learning_rate = 0.03 / step
        optimizer.param_groups[0]["lr"] = learning_rate
        oracle.grad = torch.from_numpy(gradient)
        optimizer.step()
        parameter, first_moment, second_moment = rule.update(
            parameter, gradient, first_moment, second_moment, step, learning_rate
        )
        np.testing.assert_allclose(parameter, oracle.detach().numpy(), rtol=0, atol=1e-12)
    state = optimizer.state[oracle]
    np.testing.assert_allclose(first_moment, state["exp_avg"].numpy(), rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(second_moment, state["exp_avg_sq"].numpy(), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("scale", [0.0, 1e-7, 1e-3, 50.0])
def test_clipping_equals_torch(scale):
    generator = np.random.default_rng(5)
    gradients = {"a": generator.normal(size=(4, 3)) * scale, "b": generator.normal(size=6) * scale}
    parameters = [torch.nn.Parameter(torch.zeros(gradient.shape).double()) for gradient in gradients.values()]
    for parameter, gradient in zip(parameters, gradients.values(), strict=True):
        parameter.grad = torch.from_numpy(gradient.copy())
    expected_norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0).item()
    clipped, norm = reference.clip_by_global_norm(gradients, 1.0)
    assert norm == pytest.approx(expected_norm, rel=1e-14)
    for parameter, gradient in zip(parameters, clipped.values(), strict=True):
        np.testing.assert_allclose(gradient, parameter.grad.numpy(), rtol=1e-13, atol=0)


def test_import_needs_numpy_and_the_standard_library_only():
    unwanted = ["pytest", "torch", "mindspore", "transformers", "scipy", "pydantic"]
    script = f"import sys, bertcore.testing.reference; print([name for name in {unwanted} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
