"""TensorFlow 1 checkpoints of BERT and ELECTRA, as google-research wrote them, without TensorFlow.

Names: https://github.com/google-research/bert, `modeling.py`, `optimization.py`, `run_classifier.py`, `run_squad.py`,
and https://github.com/google-research/electra. A dense layer's `kernel` is `[in, out]`; `output_weights` are
`[out, in]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bertcore.contracts.converter import KeyReport, ModelParts, WeightConverter, WeightSet
from bertcore.contracts.parameters import SkipRule
from bertcore.errors import ModelError, Origin, OutputError
from bertcore.formats.tensor_bundle import find_index, read_tensor_bundle
from bertcore.weights.converters.model_folder import config_beside
from bertcore.weights.converters.rules import RenameRule, Tensors, left_out, refuse_unknown, to_canonical


def _dense(foreign: str, canonical: str) -> tuple[RenameRule, ...]:
    return (
        RenameRule(f"{foreign}/kernel", f"{canonical}.weight", transpose=True),
        RenameRule(f"{foreign}/bias", f"{canonical}.bias"),
    )


def _norm(foreign: str, canonical: str) -> tuple[RenameRule, ...]:
    return (
        RenameRule(f"{foreign}/gamma", f"{canonical}.weight"),
        RenameRule(f"{foreign}/beta", f"{canonical}.bias"),
    )


def _encoder(family: str) -> tuple[RenameRule, ...]:
    layer, layer_c = f"{family}/encoder/layer_{{layer}}", f"{family}.encoder.layer.{{layer}}"
    return (
        *(
            RenameRule(f"{family}/embeddings/{name}", f"{family}.embeddings.{name}.weight")
            for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")
        ),
        *_norm(f"{family}/embeddings/LayerNorm", f"{family}.embeddings.LayerNorm"),
        *_dense(f"{family}/embeddings_project", f"{family}.embeddings_project"),
        *(
            rule
            for name in ("query", "key", "value")
            for rule in _dense(f"{layer}/attention/self/{name}", f"{layer_c}.attention.self.{name}")
        ),
        *_dense(f"{layer}/attention/output/dense", f"{layer_c}.attention.output.dense"),
        *_norm(f"{layer}/attention/output/LayerNorm", f"{layer_c}.attention.output.LayerNorm"),
        *_dense(f"{layer}/intermediate/dense", f"{layer_c}.intermediate.dense"),
        *_dense(f"{layer}/output/dense", f"{layer_c}.output.dense"),
        *_norm(f"{layer}/output/LayerNorm", f"{layer_c}.output.LayerNorm"),
        *_dense(f"{family}/pooler/dense", f"{family}.pooler.dense"),
    )


RULES = (
    *_encoder("bert"),
    *_encoder("electra"),
    *_dense("cls/predictions/transform/dense", "cls.predictions.transform.dense"),
    *_norm("cls/predictions/transform/LayerNorm", "cls.predictions.transform.LayerNorm"),
    RenameRule("cls/predictions/output_bias", "cls.predictions.bias"),
    RenameRule("cls/seq_relationship/output_weights", "cls.seq_relationship.weight"),
    RenameRule("cls/seq_relationship/output_bias", "cls.seq_relationship.bias"),
    RenameRule("cls/squad/output_weights", "qa_outputs.weight"),
    RenameRule("cls/squad/output_bias", "qa_outputs.bias"),
    RenameRule("output_weights", "classifier.weight"),
    RenameRule("output_bias", "classifier.bias"),
)

SKIP_RULES = (
    SkipRule(r".*(^|/)(adam|lamb)_[mv](_\d+)?", "optimizer state"),
    SkipRule(r".*/(Adam|AdamWeightDecayOptimizer|LAMB)(_\d+)?", "optimizer state"),
    SkipRule(r"global_step|beta[12]_power|learning_rate|good_steps|(current_)?loss_scale.*", "training state"),
    SkipRule(r"(discriminator_predictions|generator_predictions|generator|generator_lm_head)/.*", "pre-training head"),
)


class TensorFlow1Converter(WeightConverter):
    """A TensorFlow 1 checkpoint: the folder, its prefix (`bert_model.ckpt`, which is no file), or its `.index`.

    Google's `bert_config.json` and `vocab.txt` beside it are used.
    """

    name: ClassVar[str] = "tensorflow1"
    description: ClassVar[str] = "TensorFlow 1 checkpoint (reads only)"
    writes: ClassVar[bool] = False

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        try:
            return find_index(path) is not None
        except ModelError:
            return True  # several in one folder, as reading will say

    def read(self, path: Path) -> WeightSet:
        """Reads the weights; the optimizer's variables are skipped.

        Raises:
            ModelError: a file is missing or damaged, there are several checkpoints, or a variable is unknown.
        """
        index = _index(path)
        stored = read_tensor_bundle(index)
        tensors, report = to_canonical(stored, RULES, SKIP_RULES, origin=str(index))
        refuse_unknown(tensors, ("bert/", "electra/"), str(index))
        return WeightSet(tensors, config_beside(index), index.parent, report, left_out(stored, report))

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes nothing.

        Raises:
            OutputError: always.
        """
        raise OutputError(
            "TensorFlow checkpoints are read, not written",
            "choose another layout with --to",
            origin=Origin(str(path)),
            code="writer-missing",
        )

    def parts(self, path: Path) -> ModelParts:  # noqa: D102
        index = _index(path)
        return tensorflow_parts(read_tensor_bundle(index), str(index))


def tensorflow_parts(tensors: Tensors, origin: str) -> ModelParts:
    """What google-research's graphs take the variables for; independent of the rules above.

    `tf.layers.dense` is `x @ kernel`; the heads multiply with `transpose_b=True`.

    Raises:
        ModelError: there is no encoder.
    """
    family = next((name for name in ("bert", "electra") if f"{name}/embeddings/word_embeddings" in tensors), None)
    if family is None:
        raise ModelError(
            "holds no BERT encoder",
            "take a checkpoint of google-research/bert",
            origin=Origin(origin),
            code="encoder-missing",
        )
    layer = f"{family}/encoder/layer_{{layer}}"

    def dense(name: str) -> list[str | tuple[str, str]]:
        return [(f"{name}/kernel", f"{name}/bias")]

    def norm(name: str) -> list[str | tuple[str, str]]:
        return [(f"{name}/gamma", f"{name}/beta")]

    return ModelParts(
        tensors,
        {
            "word": [f"{family}/embeddings/word_embeddings"],
            "position": [f"{family}/embeddings/position_embeddings"],
            "token_type": [f"{family}/embeddings/token_type_embeddings"],
            "embedding_norm": norm(f"{family}/embeddings/LayerNorm"),
            "embedding_projection": dense(f"{family}/embeddings_project"),
            "query": dense(f"{layer}/attention/self/query"),
            "key": dense(f"{layer}/attention/self/key"),
            "value": dense(f"{layer}/attention/self/value"),
            "attention_output": dense(f"{layer}/attention/output/dense"),
            "attention_norm": norm(f"{layer}/attention/output/LayerNorm"),
            "intermediate": dense(f"{layer}/intermediate/dense"),
            "output": dense(f"{layer}/output/dense"),
            "output_norm": norm(f"{layer}/output/LayerNorm"),
            "pooler": dense(f"{family}/pooler/dense"),
            "classifier": [("output_weights", "output_bias")],
            "spans": [("cls/squad/output_weights", "cls/squad/output_bias")],
        },
        in_out=frozenset(
            {
                "embedding_projection",
                "query",
                "key",
                "value",
                "attention_output",
                "intermediate",
                "output",
                "pooler",
            }
        ),
    )


def _index(path: Path) -> Path:
    index = find_index(path)
    if index is None:
        raise ModelError(
            "no TensorFlow checkpoint",
            "give its folder, its prefix as bert_model.ckpt, or its .index file, with all .data files beside it",
            origin=Origin(str(path)),
            code="weights-missing",
        )
    return index
