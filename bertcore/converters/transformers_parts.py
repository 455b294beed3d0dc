"""What transformers' BERT, RoBERTa and ELECTRA classes take the tensors of a file for.

Source: https://github.com/huggingface/transformers, the modules and `nn.Linear` (`x @ W.T`) of `modeling_bert.py`,
`modeling_roberta.py` and `modeling_electra.py`. Independent of the rules of conversion, which it is there to prove.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bertcore.converter import ModelParts
from bertcore.errors import ModelError

_WORDS = "embeddings.word_embeddings.weight"


def transformers_parts(tensors: Mapping[str, NDArray[np.generic]], origin: str) -> ModelParts:
    """The parts of a model under the names of transformers, with or without the family's prefix.

    Raises:
        ModelError: there is no table of word embeddings, or more than one.
    """
    found = [name.removesuffix(_WORDS) for name in tensors if name.endswith(_WORDS)]
    if len(found) != 1:
        raise ModelError(f"{origin}: has {len(found)} tables {_WORDS}, not one", "verify a file of one BERT encoder")
    encoder = found[0]
    head = encoder[: encoder.rstrip(".").rfind(".") + 1]  # a head stands beside the encoder: module.bert., module.
    layer = f"{encoder}encoder.layer.{{layer}}."
    return ModelParts(
        tensors,
        {
            "word": [f"{encoder}{_WORDS}"],
            "position": [f"{encoder}embeddings.position_embeddings.weight"],
            "token_type": [f"{encoder}embeddings.token_type_embeddings.weight"],
            "embedding_norm": _norm(f"{encoder}embeddings.LayerNorm"),
            "embedding_projection": _linear(f"{encoder}embeddings_project"),
            "query": _linear(f"{layer}attention.self.query"),
            "key": _linear(f"{layer}attention.self.key"),
            "value": _linear(f"{layer}attention.self.value"),
            "attention_output": _linear(f"{layer}attention.output.dense"),
            "attention_norm": _norm(f"{layer}attention.output.LayerNorm"),
            "intermediate": _linear(f"{layer}intermediate.dense"),
            "output": _linear(f"{layer}output.dense"),
            "output_norm": _norm(f"{layer}output.LayerNorm"),
            "pooler": _linear(f"{encoder}pooler.dense"),
            "classifier": _linear(f"{head}classifier"),
            "classifier_dense": _linear(f"{head}classifier.dense"),
            "classifier_out": _linear(f"{head}classifier.out_proj"),
            "spans": _linear(f"{head}qa_outputs"),
            "transitions": [f"{head}crf.transitions"],
            "start": [f"{head}crf.start_transitions"],
            "end": [f"{head}crf.end_transitions"],
        },
    )


def _linear(name: str) -> list[str | tuple[str, str]]:
    return [(f"{name}.weight", f"{name}.bias")]


def _norm(name: str) -> list[str | tuple[str, str]]:
    return [(f"{name}.weight", f"{name}.bias"), (f"{name}.gamma", f"{name}.beta")]
