"""What transformers' BERT, RoBERTa and ELECTRA classes take the tensors of a file for.

Source: https://github.com/huggingface/transformers, the modules and `nn.Linear` (`x @ W.T`) of `modeling_bert.py`,
`modeling_roberta.py` and `modeling_electra.py`. Independent of the rules of conversion, which it is there to prove.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.converter import ModelParts
from bertcore.errors import ModelError, Origin
from bertcore.weights.converters.wrappers import one_encoder, parents

_WORDS = "embeddings.word_embeddings.weight"


def transformers_parts(tensors: Mapping[str, NDArray[np.generic]], origin: str) -> ModelParts:
    """The parts of a model under the names of transformers, with or without the family's prefix.

    Raises:
        ModelError: there is no table of word embeddings, or there are several that are no copies of one.
    """
    found = [name.removesuffix(_WORDS) for name in tensors if name.endswith(_WORDS)]
    if not found:
        raise ModelError(
            f"has no table {_WORDS}", "verify a file of one BERT encoder", origin=Origin(origin), code="encoder-missing"
        )
    encoder = one_encoder(dict.fromkeys(found, 1), origin)
    heads = dict.fromkeys([*parents(encoder)[:-1], encoder, ""])  # beside the encoder, further out, or inside
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
            "classifier": _linear(*(f"{head}classifier" for head in heads)),
            "classifier_dense": _linear(*(f"{head}classifier.dense" for head in heads)),
            "summary": _linear(*(f"{head}sequence_summary.summary" for head in heads)),
            "classifier_out": _linear(*(f"{head}classifier.out_proj" for head in heads)),
            "spans": _linear(*(f"{head}qa_outputs" for head in heads)),
            "transitions": [f"{head}crf.transitions" for head in heads],
            "start": [f"{head}crf.start_transitions" for head in heads],
            "end": [f"{head}crf.end_transitions" for head in heads],
        },
    )


def _linear(*names: str) -> list[str | tuple[str, str]]:
    return [(f"{name}.weight", f"{name}.bias") for name in names]


def _norm(name: str) -> list[str | tuple[str, str]]:
    return [(f"{name}.weight", f"{name}.bias"), (f"{name}.gamma", f"{name}.beta")]
