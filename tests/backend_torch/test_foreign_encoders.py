"""Every kind of encoder in transformers: computed as transformers computes each row alone, or refused in a line."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from bertcore_torch.session import TorchSession

from bertcore.contracts.batch import Batch, from_rows
from bertcore.errors import ModelError
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.weights.opening import open_model

TAGS = TokenClassification(("a", "b", "c"))
LENGTHS = (9, 2, 17, 3, 3, 28, 2)
SIZES = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
GROUPS = {f"{part}_groups": 2 for part in ("q", "k", "v", "intermediate", "output")}
XLM = {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "n_words": 120, "pad_index": 0}
CONFIGS: dict[str, dict[str, Any]] = {
    "big_bird": {"attention_type": "original_full"},
    "data2vec-text": {},
    "deberta": {"relative_attention": True, "pos_att_type": "p2c|c2p", "type_vocab_size": 0},
    "ernie": {},
    "esmc": {},
    "eurobert": {"num_key_value_heads": 4},
    "flaubert": XLM,
    "layoutlm": {"max_2d_position_embeddings": 64},
    "longformer": {"attention_window": 4},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 16},
    "megatron-bert": {},
    "mra": {"block_per_row": 1},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "roc_bert": {"pronunciation_vocab_size": 10, "shape_vocab_size": 10},
    "roformer": {"embedding_size": 32},
    "squeezebert": {"embedding_size": 32, **GROUPS},
    "xlm": XLM,
    "xlm-roberta-xl": {},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
}
# In these, padded places take part in what the others become.
MIXING: dict[str, dict[str, Any]] = {
    "convbert": {"embedding_size": 32, "conv_kernel_size": 3},
    "fnet": {},
    "mobilebert": {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
    "nystromformer": {"num_landmarks": 8, "segment_means_seq_len": 8, "conv_kernel_size": 3},
    "yoso": {"use_expectation": True},
}
REFORMER = {
    "attention_head_size": 8,
    "feed_forward_size": 48,
    "attn_layers": ["local", "lsh"],
    "local_attn_chunk_length": 4,
    "lsh_attn_chunk_length": 4,
    "axial_pos_shape": [8, 8],
    "axial_pos_embds_dim": [16, 16],
    "num_buckets": 2,
}
# With what is said of each.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "reformer": (REFORMER, "ReformerModel of transformers gives hidden states of the shape [1, 2, 64] for 2 tokens"),
    "nystromformer": (
        {"num_landmarks": 4, "segment_means_seq_len": 16, "conv_kernel_size": 3},
        "NystromformerModel of transformers does not compute short rows of text: RuntimeError",
    ),
    "funnel": (
        {"num_hidden_layers": None, "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48, "block_sizes": [1, 1, 1]},
        "FunnelModel of transformers does not compute short rows of text",
    ),
    "perceiver": ({"d_latents": 32, "d_model": 32, "num_latents": 8}, "embeds no tokens"),
    "ibert": ({}, "keeps 143 tensors beside its parameters"),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def saved(folder: Path, model_type: str, entries: dict[str, Any]) -> Path:
    """A folder with random weights, as transformers saves it; a size that is None does not exist there."""
    sizes = {name: size for name, size in {**SIZES, **entries}.items() if size is not None}
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    config.architectures = []  # of which transformers runs through none where there is no list
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.05
    model.save_pretrained(folder)
    return folder


def rows() -> Batch:
    generator = np.random.default_rng(1)
    ids = [generator.integers(5, 110, length).tolist() for length in LENGTHS]
    types = [[int(2 * position >= length) for position in range(length)] for length in LENGTHS]
    return from_rows(ids, types, {}, label_positions=[list(range(length)) for length in LENGTHS])


@pytest.fixture
def opened(registry: Registry, open_session: Callable[..., TorchSession]) -> Callable[..., Any]:
    def open_one(folder: Path, head: Any) -> tuple[Any, TorchSession]:
        source = open_model(str(folder), registry, backend="torch")
        session = open_session(source.config, head, None, table=source.family.parameter_table(source.config, head))
        session.load(source.fit(head, seed=3)[0])
        return source, session

    return open_one


@pytest.mark.parametrize(("model_type", "entries"), {**CONFIGS, **MIXING}.items(), ids=[*CONFIGS, *MIXING])
def test_each_row_is_computed_as_transformers_computes_it_alone(
    model_type: str, entries: dict[str, Any], opened: Callable[..., Any], tmp_path: Path
) -> None:
    source, session = opened(saved(tmp_path, model_type, entries), TAGS)
    batch = rows()
    weight, bias = (session.parameters()[f"classifier.{name}"] for name in ("weight", "bias"))
    oracle = transformers.AutoModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    takes_types = "token_type_ids" in inspect.signature(oracle.forward).parameters and source.config.reads_token_types
    expected = []
    for row in range(len(batch)):
        tokens = slice(batch.offsets[row], batch.offsets[row + 1])
        inputs = {"input_ids": torch.from_numpy(batch.input_ids[tokens]).long()[None]}
        if takes_types:
            inputs["token_type_ids"] = torch.from_numpy(batch.token_type_ids[tokens]).long()[None]
        with torch.no_grad():
            expected.append(oracle(**inputs).last_hidden_state[0].numpy() @ weight.T + bias)
    logits = session.predict(batch, ["logits"])["logits"]
    np.testing.assert_allclose(logits, np.concatenate(expected), atol=2e-6)


@pytest.mark.parametrize("model_type", ["convbert", "fnet"])
def test_a_prediction_does_not_depend_on_the_texts_beside_it(
    model_type: str, opened: Callable[..., Any], tmp_path: Path
) -> None:
    """FNet makes a pooler, ConvBERT makes none."""
    _, session = opened(saved(tmp_path, model_type, MIXING[model_type]), SequenceClassification(("a", "b")))
    batch = rows()
    together = session.predict(batch, ["logits"])["logits"]
    alone = [session.predict(batch.select([row]), ["logits"])["logits"][0] for row in range(len(batch))]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("model_type", REFUSED)
def test_what_cannot_be_trained_is_refused_in_a_line(
    model_type: str, opened: Callable[..., Any], tmp_path: Path
) -> None:
    entries, words = REFUSED[model_type]
    with pytest.raises(ModelError) as caught:
        opened(saved(tmp_path, model_type, entries), TAGS)[1].predict(rows(), ["logits"])
    assert words in caught.value.cause
    assert "\n" not in caught.value.cause
    assert caught.value.remedy


@pytest.mark.parametrize("model_type", ["bert-generation", "canine", "gpt2", "t5", "xlnet"])
def test_what_is_no_encoder_is_refused_by_its_config(model_type: str, registry: Registry, tmp_path: Path) -> None:
    transformers.AutoConfig.for_model(model_type).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=f"model_type '{model_type}' is not known as an encoder of text"):
        open_model(str(tmp_path), registry, backend="torch", tensors=False)


def test_a_run_refuses_a_reformer_without_a_traceback(
    tiny_en: Path, small_rte: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    model = saved(tmp_path / "model", "reformer", {**REFORMER, "vocab_size": 30522})
    shutil.copy(tiny_en / "vocab.txt", model)
    arguments = ("--task", "rte", "--backend", "torch", "--model", model, "--data", small_rte)
    outcome = bertcore_command("run", *arguments, "--output", tmp_path / "run", "--set", "data.max_length=64")
    assert outcome.code == 5
    assert outcome.err.startswith("error: model_type 'reformer': ReformerModel of transformers gives hidden states")
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "run").exists()
