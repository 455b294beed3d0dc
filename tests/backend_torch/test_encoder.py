"""The packed encoder gives what transformers and its own plain form give, and computes no padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_torch.heads import SequenceClassificationHead, SpanExtractionHead, TokenClassificationHead
from plain_encoder import PlainModel
from torch.utils._python_dispatch import TorchDispatchMode

from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.training_step import StepContext
from bertcore.heads import SequenceClassification, SpanExtraction, TokenClassification

TINY = BertConfig(
    vocab_size=60,
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=48,
    max_position_embeddings=42,
)
VARIANTS: dict[str, dict[str, Any]] = {
    "bert": {},
    "gelu_new": {"hidden_act": "gelu_new"},
    "relu": {"hidden_act": "relu"},
    "one token type": {"type_vocab_size": 1},
    "roberta": {
        "prefix": "other.",
        "position_offset": 2,
        "layer_norm_eps": 1e-5,
        "token_types": False,
        "head_variant": "dense",
    },
    "electra": {"embedding_size": 12, "head_variant": "dense", "head_activation": "gelu"},
}
HEADS = {
    "sequence": (SequenceClassification(("a", "b", "c")), SequenceClassificationHead),
    "token": (TokenClassification(("a", "b", "c")), TokenClassificationHead),
    "span": (SpanExtraction(), SpanExtractionHead),
}


def ragged(config: BertConfig, lengths: list[int]) -> Batch:
    generator = np.random.default_rng(1)
    rows = [generator.integers(0, config.vocab_size, length).tolist() for length in lengths]
    types = [generator.integers(0, config.type_vocab_size, length).tolist() for length in lengths]
    positions = [sorted(generator.permutation(length)[: length // 2].tolist()) for length in lengths]
    labels = {"labels": Column(np.zeros(len(lengths), dtype=np.int64), "row")}
    return from_rows(rows, types, labels, label_positions=positions)


@pytest.mark.parametrize("rows", [1, 7, 32])
def test_logits_equal_those_of_transformers(real_model: Any, padded: Any, rows: int) -> None:
    oracle = real_model.oracle()
    session = real_model.open(oracle)
    batch = real_model.batch(rows)
    assert rows == 1 or len(set(batch.lengths)) > 3
    with torch.no_grad():
        expected = oracle(**padded(batch)).logits.numpy()
    np.testing.assert_allclose(session.predict(batch, ["logits"])["logits"], expected, rtol=0, atol=1e-5)


def test_hidden_states_of_all_tokens_equal_those_of_transformers(real_model: Any, padded: Any) -> None:
    head = TokenClassification(("a", "b", "c"))
    oracle = real_model.oracle(head)
    session = real_model.open(oracle, head)
    batch = real_model.batch(9)
    everywhere = [list(range(length)) for length in batch.lengths]
    rows = [batch.input_ids[a:b].tolist() for a, b in zip(batch.offsets, batch.offsets[1:], strict=False)]
    types = [batch.token_type_ids[a:b].tolist() for a, b in zip(batch.offsets, batch.offsets[1:], strict=False)]
    batch = from_rows(rows, types, label_positions=everywhere)
    inputs = padded(batch)
    with torch.no_grad():
        expected = oracle(**inputs).logits[inputs["attention_mask"].bool()].numpy()
    np.testing.assert_allclose(session.predict(batch, ["logits"])["logits"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("head", list(HEADS.values()), ids=list(HEADS))
@pytest.mark.parametrize("changes", list(VARIANTS.values()), ids=list(VARIANTS))
@pytest.mark.parametrize("lengths", [[1], [1, 1], [5, 5, 5], [9, 1, 40, 17, 3, 3, 28, 2, 31]], ids=str)
def test_packed_equals_plain(
    open_session: Callable[..., Any], head: Any, changes: dict[str, Any], lengths: list[int]
) -> None:
    description, implementation = head
    config = BertConfig(**{**vars(TINY), **changes})
    session = open_session(config, description)
    plain = PlainModel(config, implementation(config, description)).eval()
    state = {name: torch.from_numpy(value) for name, value in session.parameters().items()}
    assert set(plain.state_dict()) == set(state)
    plain.load_state_dict(state)
    batch = ragged(config, lengths)
    with torch.no_grad():
        expected = {name: value.numpy() for name, value in plain(batch).items()}
    for name, value in session.predict(batch, list(expected)).items():
        if name != "tags":
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


class MatrixProducts(TorchDispatchMode):
    """Records the rows of what is multiplied, for every product of a matrix with a matrix, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name in ("mm", "addmm", "linear", "_linear_pointwise"):
            matrix = args[1] if name == "addmm" else args[0]
            assert matrix.dim() == 2
            self.rows.append(matrix.shape[0])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("train", [False, True], ids=["predict", "train"])
@pytest.mark.parametrize("head", ["sequence", "token"])
def test_no_padding_enters_a_linear_layer(
    open_session: Callable[..., Any], groups: Any, head: str, train: bool
) -> None:
    """A prediction with torch's own operators, since the fused kernels multiply without torch."""
    description, _ = HEADS[head]
    batch = ragged(TINY, [9, 1, 40, 17, 3, 3, 28, 2, 31])
    tokens = len(batch.input_ids)
    assert tokens > 3 * TINY.hidden_size, "so that no gradient of weights has as many rows"
    labels = np.zeros(len(batch.label_positions) if head == "token" else len(batch), dtype=np.int64)
    batch.columns["labels"] = Column(labels, "label" if head == "token" else "row")
    session = open_session(TINY, description, TrainingSpecification(groups), kernels="fused" if train else "reference")
    with MatrixProducts() as products:
        if train:
            session.train_step([batch], StepContext(0, 1, (1e-5, 1e-5), 1.0))
        else:
            session.predict(batch, ["logits"])
    assert products.rows[0] == tokens
    assert products.rows.count(tokens) >= 4 * (TINY.num_hidden_layers - 1)
    assert max(products.rows) == tokens
