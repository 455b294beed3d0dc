"""Checkpoints of mindformers' BERT, `.ckpt` and `.safetensors`, without mindformers and without MindSpore.

Names: https://github.com/mindspore-lab/mindformers, `mindformers/models/bert/bert.py` of releases 0.2 to 1.2, and
`mindtransformer/models/bert` of release 0.1. Two traps: `layernorm2` is the one after the attention and `layernorm1`
the one after the feed-forward; and `projection` and `mapping` are stored `[in, out]`, while `dense1`, `dense2`,
`dense3` and the pooler `dense` are `[out, in]`. (The converter of release 0.1 transposed the pooler, too, which its
model does not expect.)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from bertcore.contracts.converter import KeyReport, ModelParts, WeightConverter, WeightSet
from bertcore.contracts.parameters import SkipRule
from bertcore.errors import ModelError, Origin
from bertcore.formats.names import tensor_names
from bertcore.weights.converters.layouts import MINDFORMERS, prefixes, take_encoder
from bertcore.weights.converters.mindspore_ckpt import SKIP_RULES as TRAINING_STATE
from bertcore.weights.converters.model_folder import config_beside
from bertcore.weights.converters.rules import RenameRule, Tensors, left_out, refuse_unknown, to_canonical, to_foreign
from bertcore.weights.converters.tensor_files import read_tensors, write_tensors

_SUFFIXES = (".ckpt", ".safetensors")
_WHAT = "BERT of mindformers"
_PREFIXES = ("bert.bert.bert_encoder.", "bert.bert_encoder.", "bert_encoder.")
"""What stands before an encoder's blocks in release 0.1, since 0.2, and in a file of the encoder alone."""

_LAYER, _CANONICAL_LAYER = "bert.bert_encoder.encoder.blocks.{layer}.", "bert.encoder.layer.{layer}."

_ENCODER = (
    RenameRule("bert.word_embedding.embedding_table", "bert.embeddings.word_embeddings.weight"),
    RenameRule(
        "bert.embedding_postprocessor.full_position_embedding.embedding_table",
        "bert.embeddings.position_embeddings.weight",
    ),
    RenameRule(
        "bert.embedding_postprocessor.token_type_embedding.embedding_table",
        "bert.embeddings.token_type_embeddings.weight",
    ),
    RenameRule("bert.embedding_postprocessor.layernorm.gamma", "bert.embeddings.LayerNorm.weight"),
    RenameRule("bert.embedding_postprocessor.layernorm.beta", "bert.embeddings.LayerNorm.bias"),
    RenameRule(f"{_LAYER}attention.dense1.{{kind}}", f"{_CANONICAL_LAYER}attention.self.query.{{kind}}"),
    RenameRule(f"{_LAYER}attention.dense2.{{kind}}", f"{_CANONICAL_LAYER}attention.self.key.{{kind}}"),
    RenameRule(f"{_LAYER}attention.dense3.{{kind}}", f"{_CANONICAL_LAYER}attention.self.value.{{kind}}"),
    RenameRule(
        f"{_LAYER}attention.projection.weight", f"{_CANONICAL_LAYER}attention.output.dense.weight", transpose=True
    ),
    RenameRule(f"{_LAYER}attention.projection.bias", f"{_CANONICAL_LAYER}attention.output.dense.bias"),
    RenameRule(f"{_LAYER}layernorm2.gamma", f"{_CANONICAL_LAYER}attention.output.LayerNorm.weight"),
    RenameRule(f"{_LAYER}layernorm2.beta", f"{_CANONICAL_LAYER}attention.output.LayerNorm.bias"),
    RenameRule(f"{_LAYER}output.mapping.weight", f"{_CANONICAL_LAYER}intermediate.dense.weight", transpose=True),
    RenameRule(f"{_LAYER}output.mapping.bias", f"{_CANONICAL_LAYER}intermediate.dense.bias"),
    RenameRule(f"{_LAYER}output.projection.weight", f"{_CANONICAL_LAYER}output.dense.weight", transpose=True),
    RenameRule(f"{_LAYER}output.projection.bias", f"{_CANONICAL_LAYER}output.dense.bias"),
    RenameRule(f"{_LAYER}layernorm1.gamma", f"{_CANONICAL_LAYER}output.LayerNorm.weight"),
    RenameRule(f"{_LAYER}layernorm1.beta", f"{_CANONICAL_LAYER}output.LayerNorm.bias"),
    RenameRule("bert.dense.{kind}", "bert.pooler.dense.{kind}"),
)

_BARE = tuple(
    RenameRule(f"{name}{{rest}}", f"bert.{name}{{rest}}", written=False)
    for name in ("word_embedding.", "embedding_postprocessor.", "bert_encoder.", "dense.")
)
"""Files of the encoder alone: their names begin where the others have `bert.`."""

_OF_0_1 = (
    RenameRule("bert.dense_1.{kind}", "classifier.{kind}"),
    RenameRule("bert.dense1.{kind}", "qa_outputs.{kind}"),
    RenameRule("bert.bert.{rest}", "bert.{rest}"),
)
"""What is special in 0.1: heads `dense_1` and (SQuAD) `dense1`, and `bert.bert.` before the encoder's names."""

RULES = (*(replace(rule, written=False) for rule in _OF_0_1), *_BARE, *_ENCODER)
"""Reads the names of every release, and writes those of 0.2 to 1.2, where heads have their canonical names."""

RULES_0_1 = (*_OF_0_1, *_BARE, *_ENCODER)
"""The same, and writes those of 0.1."""

_HEADS = r"(bert\.)*(mlmloss|nsploss)\..*"
READ_SKIP_RULES = (SkipRule(_HEADS, "pre-training head"), *TRAINING_STATE)
WRITE_SKIP_RULES = (
    SkipRule(r"cls\..*", "pre-training head"),
    SkipRule(r".*\.(position_ids|token_type_ids)", "a buffer that mindformers does not have"),
)


class MindFormersConverter(WeightConverter):
    """A `.ckpt` or `.safetensors` of mindformers, releases 0.2 to 1.2; with --from, the names of every release."""

    name: ClassVar[str] = "mindformers"
    description: ClassVar[str] = "mindformers .ckpt, .safetensors, 0.2 to 1.2"
    rules: ClassVar[tuple[RenameRule, ...]] = RULES

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        found = _prefixes(path)
        return bool(found) and not _is_0_1(found)

    def read(self, path: Path) -> WeightSet:
        """Reads the weights of any release; a head for pre-training and what training leaves are skipped.

        Raises:
            ModelError: the file is missing or damaged, holds no encoder of mindformers, or unknown names.
        """
        stored, report = read_tensors(path)
        prefix, tensors, copies, skipped = take_encoder(stored, MINDFORMERS, path, _WHAT)
        wrapper = prefix.removesuffix(next(known for known in _PREFIXES if prefix.endswith(known)))
        rules = (*([RenameRule(f"{wrapper}{{rest}}", "{rest}")] if wrapper else []), *self.rules)
        canonical, renamed = to_canonical(tensors, rules, READ_SKIP_RULES, origin=str(path))
        refuse_unknown(canonical, ("bert_encoder.", "embedding_postprocessor."), str(path))
        beside = {**copies, **left_out(tensors, renamed)}
        return WeightSet(canonical, config_beside(path), path.parent, (*report, *skipped, *renamed), beside)

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes one file that ``mindspore.load_checkpoint`` opens, by its suffix.

        Raises:
            OutputError: the file cannot be written, or has another suffix.
            ModelError: the model is none of mindformers: another family, or a tensor that its BERT does not have; or
                two tensors would have the same name.
        """
        foreign = [name for name in weights.tensors if name.startswith(("roberta.", "electra.", "embeddings_project."))]
        if foreign:
            raise ModelError(
                f"mindformers has no place for {foreign[0]}: it has BERT, no other family",
                "choose another layout with --to NAME",
                origin=Origin(str(path)),
                code="layout-lacks",
            )
        tensors, report = to_foreign(weights.tensors, self.rules, WRITE_SKIP_RULES, origin=str(path))
        refuse_unknown((entry.source for entry in report if entry.target is not None), (), str(path))
        write_tensors(path, tensors, self.name, _SUFFIXES)
        return report

    def parts(self, path: Path) -> ModelParts:  # noqa: D102
        prefix, tensors, _, _ = take_encoder(read_tensors(path)[0], MINDFORMERS, path, _WHAT)
        return mindformers_parts(tensors, prefix.removesuffix("bert_encoder."))


class MindFormers01Converter(MindFormersConverter):
    """A `.ckpt` or `.safetensors` of mindformers 0.1 (`mindtransformer`), whose names begin with `bert.bert.`."""

    name: ClassVar[str] = "mindformers_0_1"
    description: ClassVar[str] = "mindformers .ckpt, .safetensors, 0.1"
    rules: ClassVar[tuple[RenameRule, ...]] = RULES_0_1

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        return _is_0_1(_prefixes(path))


def mindformers_parts(tensors: Tensors, prefix: str) -> ModelParts:
    """What mindformers' cells take the tensors for; independent of the rules above, which it is there to prove.

    `Linear(transpose_b=False)` is `x @ W`: the attention's `projection` and the feed-forward's `mapping` and
    `projection`. `nn.Dense` and `Linear` by default are `x @ W.T`. With `post_layernorm_residual`, a block is
    `layernorm1(x + ffn(x))` of `x = layernorm2(y + attention(y))`.

    Args:
        tensors: the tensors of the file.
        prefix: what stands before `bert_encoder` in it.
    """
    block = f"{prefix}bert_encoder.encoder.blocks.{{layer}}."
    post = f"{prefix}embedding_postprocessor."
    outside = prefix.removesuffix("bert.")

    def dense(*names: str) -> list[str | tuple[str, str]]:
        return [(f"{name}.weight", f"{name}.bias") for name in names]

    def norm(name: str) -> list[str | tuple[str, str]]:
        return [(f"{name}.gamma", f"{name}.beta")]

    return ModelParts(
        tensors,
        {
            "word": [f"{prefix}word_embedding.embedding_table"],
            "position": [f"{post}full_position_embedding.embedding_table"],
            "token_type": [f"{post}token_type_embedding.embedding_table"],
            "embedding_norm": norm(f"{post}layernorm"),
            "query": dense(f"{block}attention.dense1"),
            "key": dense(f"{block}attention.dense2"),
            "value": dense(f"{block}attention.dense3"),
            "attention_output": dense(f"{block}attention.projection"),
            "attention_norm": norm(f"{block}layernorm2"),
            "intermediate": dense(f"{block}output.mapping"),
            "output": dense(f"{block}output.projection"),
            "output_norm": norm(f"{block}layernorm1"),
            "pooler": dense(f"{prefix}dense"),
            "classifier": dense(f"{outside}dense_1", f"{outside}classifier"),
            "spans": dense(f"{outside}dense1", f"{outside}qa_outputs"),
            "transitions": ["crf.transitions"],
            "start": ["crf.start_transitions"],
            "end": ["crf.end_transitions"],
        },
        in_out=frozenset({"attention_output", "intermediate", "output"}),
    )


def _prefixes(path: Path) -> list[str]:
    return prefixes(tensor_names(path), MINDFORMERS) if path.suffix in _SUFFIXES else []


def _is_0_1(found: list[str]) -> bool:
    return any(prefix.startswith("bert.bert.") for prefix in found)
