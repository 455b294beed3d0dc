"""Real models and real texts for the tests of the torch backend, and transformers as the oracle."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from bertcore_torch.session import TorchSession

from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer

GROUPS = (ParameterGroup("no decay", r"bias$|LayerNorm", 5e-5, 0.0), ParameterGroup("rest", ".", 5e-5, 0.01))


def specification_of(
    config: BertConfig, head: Head, training: TrainingSpecification | None, **changes: Any
) -> SessionSpecification:
    lengths = np.zeros(0, dtype=np.int64)
    specification = SessionSpecification(
        config=config,
        head=head,
        table=dataclasses.replace(BertFamily(), prefix=config.prefix).parameter_table(config, head),
        device="cpu",
        precision="fp32",
        prediction_precision="fp32",
        workload=Workload(lengths, lengths, 32, 32, config.max_length),
        code_of=partial(Registry().code_of, "torch"),
        training=training,
    )
    return dataclasses.replace(specification, **changes)


@dataclasses.dataclass(frozen=True)
class RealModel:
    """A real model, its tokenizer, and some real texts in its language."""

    folder: Path
    config: BertConfig
    tokenizer: Tokenizer
    texts: Sequence[tuple[str, str]]

    def oracle(self, head: Head = SequenceClassification(("a", "b"))) -> Any:  # noqa: B008
        """transformers' model with a new head, in float32, without dropout."""
        torch.manual_seed(3)
        model_class = getattr(transformers, f"Bert{head.architecture}")
        kind = {} if head.name == "span_extraction" else {"num_labels": head.output_size}
        return model_class.from_pretrained(
            self.folder, dtype=torch.float32, attn_implementation="eager", **kind, **head_config(head)
        ).eval()

    def open(
        self,
        oracle: Any,
        head: Head = SequenceClassification(("a", "b")),  # noqa: B008
        training: TrainingSpecification | None = None,
        **changes: Any,
    ) -> TorchSession:
        """A session with the parameters of transformers' model."""
        session = TorchSession(specification_of(self.config, head, training, **changes))
        session.load(parameters_of(oracle, BertFamily().parameter_table(self.config, head)))
        return session

    def batch(self, rows: int, max_length: int = 128) -> Batch:
        """The first texts, with labels 0 and 1."""
        texts = self.texts[:rows]
        encoded = self.tokenizer.encode([text for text, _ in texts], [pair for _, pair in texts], max_length)
        labels = np.arange(rows, dtype=np.int64) * 7 % 5 % 2
        return from_rows(encoded.input_ids, encoded.token_type_ids, {"labels": Column(labels, "row")})


def head_config(head: Head) -> dict[str, Any]:
    """What tells transformers which loss it computes."""
    problem = head.config_entries().get("problem_type")
    return {} if problem is None else {"problem_type": problem}


def parameters_of(module: torch.nn.Module, names: Any, gradients: bool = False) -> Parameters:
    """Parameters of a transformers model, or their gradients, as copies."""
    found = dict(module.named_parameters())
    return {name: (found[name].grad if gradients else found[name].detach()).numpy().copy() for name in names}


def padded_inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """A batch as transformers takes it, padded to its longest row."""
    padded = batch.padded(len(batch), int(batch.lengths.max()))
    return {
        "input_ids": torch.from_numpy(padded.input_ids).long(),
        "token_type_ids": torch.from_numpy(padded.token_type_ids).long(),
        "attention_mask": torch.from_numpy(padded.attention_mask).long(),
    }


@pytest.fixture(scope="session")
def rte_texts(rte_dir: Path) -> list[tuple[str, str]]:
    with (rte_dir / "dev.tsv").open(encoding="utf-8") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["sentence1"], row["sentence2"]) for row in rows]


@pytest.fixture(scope="session")
def tnews_texts(shared: Path) -> list[tuple[str, str]]:
    with (shared / "data" / "tnews" / "dev.json").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(64), strict=False)]
    return [(row["sentence"], row["keywords"]) for row in rows]


def read_model(folder: Path, texts: Sequence[tuple[str, str]]) -> RealModel:
    config = BertFamily().parse_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    return RealModel(folder, config, Tokenizer.load(folder), texts)


@pytest.fixture(scope="session")
def minilm_model(minilm: Path, rte_texts: list[tuple[str, str]]) -> RealModel:
    return read_model(minilm, rte_texts)


@pytest.fixture(scope="session")
def tiny_model(tiny_en: Path, rte_texts: list[tuple[str, str]]) -> RealModel:
    return read_model(tiny_en, rte_texts)


@pytest.fixture(scope="session", params=["minilm", "tiny_en", "chinese_l12"])
def real_model(request: pytest.FixtureRequest) -> RealModel:
    """Each of the three real models."""
    texts = request.getfixturevalue("tnews_texts" if request.param == "chinese_l12" else "rte_texts")
    return read_model(request.getfixturevalue(request.param), texts)


@pytest.fixture(scope="session")
def open_session() -> Callable[..., TorchSession]:
    """Opens a session from a configuration, with new parameters of which none is zero or one by habit."""

    def open_new(
        config: BertConfig, head: Head, training: TrainingSpecification | None = None, **changes: Any
    ) -> TorchSession:
        specification = specification_of(config, head, training, **changes)
        session = TorchSession(specification)
        generator = np.random.default_rng(17)
        session.load(
            {
                name: (generator.normal(0, 0.1, spec.shape) + (spec.initializer == "ones")).astype(np.float32)
                for name, spec in specification.table.items()
            }
        )
        return session

    return open_new


@pytest.fixture
def groups() -> tuple[ParameterGroup, ...]:
    return GROUPS


@pytest.fixture(scope="session")
def padded() -> Callable[[Batch], dict[str, torch.Tensor]]:
    return padded_inputs


@pytest.fixture(scope="session")
def canonical() -> Callable[..., Parameters]:
    return parameters_of


@pytest.fixture(autouse=True)
def _deterministic() -> None:
    torch.manual_seed(0)
