"""What the suite feeds a backend, the same in every run."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification
from bertcore.contracts.batch import Batch
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import OptimizerState, StepContext
from bertcore.testing.gradients import showing_gradients
from bertcore.testing.heads import reference_of

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=34,
)
# What a family may vary about the encoder.
VARIANTS = {
    "names, positions and head of RoBERTa": {
        "prefix": "other.",
        "position_offset": 2,
        "token_types": False,
        "head_variant": "dense",
    },
    "embeddings and head of ELECTRA": {
        "embedding_size": 24,
        "head_variant": "dense",
        "head_activation": "gelu",
        "hidden_act": "gelu_new",
    },
    "summary of ELECTRA's multiple choice": {"head_variant": "summary", "head_activation": "gelu"},
    "relu and another epsilon": {"hidden_act": "relu", "layer_norm_eps": 1e-2},
}
LENGTHS = (1, 7, 32, 2, 13, 31, 5, 20)  # one token alone, the longest that fits, and what lies between
MAX_LENGTH = 32

ONE_GROUP = (ParameterGroup("all", ".", 1e-3, 0.0),)
GRADIENTS = showing_gradients(TrainingSpecification(ONE_GROUP, dropout=False))
FOUR_GROUPS = (
    ParameterGroup("frozen", r"word_embeddings", 0.0, 0.1),
    ParameterGroup("head", rf"^(?!{re.escape(CONFIG.prefix)})", 1e-2, 0.1),
    ParameterGroup("no decay", r"bias$|LayerNorm", 1e-3, 0.0),
    ParameterGroup("decay", r".", 1e-3, 0.1),
)
UPDATES = TrainingSpecification(FOUR_GROUPS, betas=(0.8, 0.95), eps=1e-6, clip_norm=0.5, dropout=False)
DROPOUT = dataclasses.replace(UPDATES, dropout=True)


def rows_of(head: Head) -> Batch:
    """One row for each of :data:`LENGTHS`, or a group of rows, with the columns that the head reads."""
    generator = np.random.default_rng(5)
    input_ids = [generator.integers(1, CONFIG.vocab_size, length).tolist() for length in LENGTHS]
    token_type_ids = [[int(2 * position >= length) for position in range(length)] for length in LENGTHS]
    return reference_of(head).batch(head, input_ids, token_type_ids, generator)


def of_head(parameters: Parameters) -> list[str]:
    """The names of a head's own parameters among those of a model."""
    return [name for name in parameters if not name.startswith(CONFIG.prefix)]


def random_parameters(specification: SessionSpecification) -> Parameters:
    """Values of which none is zero or one by habit, so that no bias or LayerNorm can be left out unnoticed."""
    generator = np.random.default_rng(17)
    return {
        name: (generator.normal(0, 0.15, spec.shape) + (spec.initializer == "ones")).astype(np.float32)
        for name, spec in specification.table.items()
    }


def random_state(parameters: Parameters) -> OptimizerState:
    """The state of an optimizer that has done some updates."""
    generator = np.random.default_rng(23)
    first = {name: generator.normal(0, 0.01, value.shape).astype(np.float32) for name, value in parameters.items()}
    second = {name: generator.uniform(1e-5, 1e-3, value.shape).astype(np.float32) for name, value in parameters.items()}
    return OptimizerState(first, second, updates=3)


def context_of(training: TrainingSpecification, denominator: float = 8.0, step: int = 0) -> StepContext:
    """A step at the peak rates of the groups."""
    return StepContext(step, 11, tuple(group.learning_rate for group in training.groups), denominator)
