"""Checkpoints of the BERT in MindSpore's model zoo, `.ckpt` and `.safetensors`, without MindSpore.

Names: https://github.com/mindspore-ai/models, `official/nlp/Bert/src`: `bert_model.py`, `bert_for_pre_training.py`,
`finetune_eval_model.py` (the heads), `CRF.py`. Every `nn.Dense` is `[out, in]`, as in Hugging Face. Before 2021 two
tables of embeddings had other names.

Its CRF has two tags more than there are labels, `<START>` and `<STOP>`, and holds scores `[to, from]`; so `dense_1` has
two rows more, which nothing reaches: what leads to `<START>` or from `<STOP>` scores -10000.

                from  label    <START>   <STOP>
    to  label         A, turned   s      -10000        A `[from, to]`: crf.transitions
        <START>       -10000   -10000    -10000        s: crf.start_transitions
        <STOP>        f        -10000    -10000        f: crf.end_transitions
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.converter import MADE, KeyReport, ModelParts, WeightConverter, WeightSet
from bertcore.contracts.parameters import SkipRule
from bertcore.errors import ModelError, Origin
from bertcore.formats.names import tensor_names
from bertcore.weights.converters.layouts import MINDSPORE_ZOO, prefixes, take_encoder
from bertcore.weights.converters.mindspore_ckpt import SKIP_RULES as TRAINING_STATE
from bertcore.weights.converters.model_folder import config_beside
from bertcore.weights.converters.rules import RenameRule, Tensors, left_out, refuse_unknown, to_canonical, to_foreign
from bertcore.weights.converters.tensor_files import read_tensors, write_tensors

_SUFFIXES = (".ckpt", ".safetensors")
_WHAT = "BERT of MindSpore's model zoo"
_PREFIXES = ("bert.bert.", "bert.", "")
"""What stands before the encoder in a network for training or its checkpoint, in one for evaluation, and alone."""

_CRF, _TRANSITIONS, _START, _END = "loss.transitions", "crf.transitions", "crf.start_transitions", "crf.end_transitions"
_NEVER = -10000.0
_CRF_NOTE = (
    "the model zoo's CRF was trained over [CLS], [SEP] and padding, too; here it reads the words of a text alone, so "
    "train it on before you use it"
)

_LAYER, _CANONICAL_LAYER = "bert.bert_encoder.layers.{layer}.", "bert.encoder.layer.{layer}."


def _norm(foreign: str, canonical: str) -> tuple[RenameRule, ...]:
    return (
        RenameRule(f"{foreign}.gamma", f"{canonical}.weight"),
        RenameRule(f"{foreign}.beta", f"{canonical}.bias"),
    )


_POST, _EMBEDDINGS = "bert.bert_embedding_postprocessor.", "bert.embeddings."
_ENCODER = (
    RenameRule("bert.bert_embedding_lookup.embedding_table", f"{_EMBEDDINGS}word_embeddings.weight"),
    RenameRule(f"{_POST}full_position_embedding.embedding_table", f"{_EMBEDDINGS}position_embeddings.weight"),
    RenameRule(f"{_POST}token_type_embedding.embedding_table", f"{_EMBEDDINGS}token_type_embeddings.weight"),
    RenameRule(f"{_POST}full_position_embeddings", f"{_EMBEDDINGS}position_embeddings.weight", written=False),
    RenameRule(f"{_POST}embedding_table", f"{_EMBEDDINGS}token_type_embeddings.weight", written=False),
    *_norm(f"{_POST}layernorm", f"{_EMBEDDINGS}LayerNorm"),
    *(
        RenameRule(
            f"{_LAYER}attention.attention.{name}_layer.{{kind}}", f"{_CANONICAL_LAYER}attention.self.{name}.{{kind}}"
        )
        for name in ("query", "key", "value")
    ),
    RenameRule(f"{_LAYER}attention.output.dense.{{kind}}", f"{_CANONICAL_LAYER}attention.output.dense.{{kind}}"),
    *_norm(f"{_LAYER}attention.output.layernorm", f"{_CANONICAL_LAYER}attention.output.LayerNorm"),
    RenameRule(f"{_LAYER}intermediate.{{kind}}", f"{_CANONICAL_LAYER}intermediate.dense.{{kind}}"),
    RenameRule(f"{_LAYER}output.dense.{{kind}}", f"{_CANONICAL_LAYER}output.dense.{{kind}}"),
    *_norm(f"{_LAYER}output.layernorm", f"{_CANONICAL_LAYER}output.LayerNorm"),
    RenameRule("bert.dense.{kind}", "bert.pooler.dense.{kind}"),
)
_HEADS = (
    ("dense_1.{kind}", "classifier.{kind}"),
    ("dense1.{kind}", "qa_outputs.{kind}"),
    ("cls1.dense.{kind}", "cls.predictions.transform.dense.{kind}"),
    ("cls1.layernorm.gamma", "cls.predictions.transform.LayerNorm.weight"),
    ("cls1.layernorm.beta", "cls.predictions.transform.LayerNorm.bias"),
    ("cls1.output_bias", "cls.predictions.bias"),
    ("cls2.dense.{kind}", "cls.seq_relationship.{kind}"),
)
_BARE = tuple(
    RenameRule(f"{name}{{rest}}", f"bert.{name}{{rest}}", written=False)
    for name in ("bert_embedding_lookup.", "bert_embedding_postprocessor.", "bert_encoder.", "dense.")
)
RULES = (
    *(RenameRule(foreign, canonical, written=False) for foreign, canonical in _HEADS),
    *(RenameRule(f"bert.{foreign}", canonical) for foreign, canonical in _HEADS),
    RenameRule("bert.lstm.{rest}", "lstm.{rest}", written=False),  # run_ner.py's with_lstm, beside the encoder
    RenameRule("bert.bert.{rest}", "bert.{rest}"),
    *_BARE,
    *_ENCODER,
)
"""Reads every form, and writes that of a network for training, which ModelCheckpoint saves."""

_WRITE_SKIP_RULES = (
    SkipRule(r".*\.(position_ids|token_type_ids)", "a buffer that the model zoo does not have"),
    SkipRule(r"cls\.predictions\.decoder\..*", "tied to the embeddings in the model zoo"),
)


class MindSporeZooConverter(WeightConverter):
    """A `.ckpt` or `.safetensors` of the BERT in MindSpore's model zoo, for pre-training, texts, tags or SQuAD."""

    name: ClassVar[str] = "mindspore_zoo"
    description: ClassVar[str] = "MindSpore model zoo's BERT, .ckpt, .safetensors"

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        return path.suffix in _SUFFIXES and bool(prefixes(tensor_names(path), MINDSPORE_ZOO))

    def read(self, path: Path) -> WeightSet:
        """Reads the weights; what training leaves is skipped, and a CRF becomes that of bertcore.

        Raises:
            ModelError: the file is missing or damaged, holds no encoder of the model zoo, or unknown names, as one with
                relative positions does.
        """
        stored, report = read_tensors(path)
        prefix, tensors, copies, skipped = take_encoder(stored, MINDSPORE_ZOO, path, _WHAT)
        wrapper = prefix.removesuffix(next(known for known in _PREFIXES if prefix.endswith(known)))
        rules = (*([RenameRule(f"{wrapper}{{rest}}", "{rest}")] if wrapper else []), *RULES)
        canonical, renamed = to_canonical(tensors, rules, TRAINING_STATE, origin=str(path))
        refuse_unknown(canonical, ("bert_encoder.", "bert_embedding_postprocessor."), str(path))
        beside = {**copies, **left_out(tensors, renamed)}
        weights = WeightSet(canonical, config_beside(path), path.parent, (*report, *skipped, *renamed), beside)
        return _with_own_crf(weights)

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes one file that ``mindspore.load_checkpoint`` opens, by its suffix.

        Raises:
            OutputError: the file cannot be written, or has another suffix.
            ModelError: the model is none of the zoo's: another family, or a tensor that its BERT does not have.
        """
        foreign = [name for name in weights.tensors if name.startswith(("roberta.", "electra.", "embeddings_project."))]
        if foreign:
            raise ModelError(
                f"the model zoo's BERT has no place for {foreign[0]}",
                "choose another layout with --to NAME",
                origin=Origin(str(path)),
                code="layout-lacks",
            )
        tensors, report = to_foreign(weights.tensors, RULES, _WRITE_SKIP_RULES, origin=str(path))
        refuse_unknown((entry.source for entry in report if entry.target is not None), (), str(path))
        tensors, report = _with_their_crf(tensors, report)
        write_tensors(path, tensors, self.name, _SUFFIXES)
        return report

    def parts(self, path: Path) -> ModelParts:  # noqa: D102
        prefix, tensors, _, _ = take_encoder(read_tensors(path)[0], MINDSPORE_ZOO, path, _WHAT)
        return mindspore_zoo_parts(tensors, prefix)


def mindspore_zoo_parts(tensors: Tensors, prefix: str) -> ModelParts:
    """What the model zoo's cells take the tensors for; independent of the rules above, which it is there to prove.

    `nn.Dense` is `x @ W.T`. The CRF adds `transitions[to, from]`, begins with the column of `<START>`, the last tag but
    one, and ends with the row of `<STOP>`, the last one.

    Args:
        tensors: the tensors of the file.
        prefix: what stands before the encoder's names in it.
    """
    layer = f"{prefix}bert_encoder.layers.{{layer}}."
    post = f"{prefix}bert_embedding_postprocessor."
    outside = prefix.removesuffix("bert.")
    tensors = dict(tensors)
    crf = next((tensor for name, tensor in tensors.items() if name.endswith(_CRF)), None)
    if crf is not None and _has_start_and_stop(crf, tensors.get(f"{outside}dense_1.weight")):
        for kind in ("weight", "bias"):
            tensors[f"{outside}dense_1.{kind}"] = tensors[f"{outside}dense_1.{kind}"][: len(crf) - 2]
        tensors["from, to"] = crf[:-2, :-2].T
        tensors["from START"], tensors["to STOP"] = crf[:-2, -2], crf[-1, :-2]

    def dense(name: str) -> list[str | tuple[str, str]]:
        return [(f"{name}.weight", f"{name}.bias")]

    def norm(name: str) -> list[str | tuple[str, str]]:
        return [(f"{name}.gamma", f"{name}.beta")]

    return ModelParts(
        tensors,
        {
            "word": [f"{prefix}bert_embedding_lookup.embedding_table"],
            "position": [f"{post}full_position_embedding.embedding_table", f"{post}full_position_embeddings"],
            "token_type": [f"{post}token_type_embedding.embedding_table", f"{post}embedding_table"],
            "embedding_norm": norm(f"{post}layernorm"),
            "query": dense(f"{layer}attention.attention.query_layer"),
            "key": dense(f"{layer}attention.attention.key_layer"),
            "value": dense(f"{layer}attention.attention.value_layer"),
            "attention_output": dense(f"{layer}attention.output.dense"),
            "attention_norm": norm(f"{layer}attention.output.layernorm"),
            "intermediate": dense(f"{layer}intermediate"),
            "output": dense(f"{layer}output.dense"),
            "output_norm": norm(f"{layer}output.layernorm"),
            "pooler": dense(f"{prefix}dense"),
            "classifier": dense(f"{outside}dense_1"),
            "spans": dense(f"{outside}dense1"),
            "transitions": ["from, to"],
            "start": ["from START"],
            "end": ["to STOP"],
        },
    )


def _has_start_and_stop(scores: NDArray[Any], matrix: NDArray[Any] | None) -> bool:
    """Whether scores are those of the zoo's CRF: for as many tags as the head has, of which two are only its own."""
    if matrix is None or scores.ndim != 2 or not len(scores) == len(scores.T) == len(matrix) > 2:
        return False
    return bool(max(scores[-2].max(), scores[:, -1].max()) < _NEVER / 10)


def _with_own_crf(weights: WeightSet) -> WeightSet:
    """Turns the zoo's scores of transitions into bertcore's, if there are some that mean what they should."""
    scores, matrix, bias = (weights.tensors.get(name) for name in (_CRF, "classifier.weight", "classifier.bias"))
    if scores is None or matrix is None or bias is None or not _has_start_and_stop(scores, matrix):
        return weights  # one of another kind is named as a stranger
    tensors = {name: tensor for name, tensor in weights.tensors.items() if name != _CRF}
    tensors |= {"classifier.weight": matrix[:-2], "classifier.bias": bias[:-2]}
    tensors |= {_TRANSITIONS: scores[:-2, :-2].T, _START: scores[:-2, -2], _END: scores[-1, :-2]}
    report = []
    for entry in weights.report:
        if entry.target == _CRF:
            report += [
                KeyReport(entry.source, _TRANSITIONS, "taken out, transposed"),
                KeyReport(MADE, _START, f"made of a column of {entry.source}"),
                KeyReport(MADE, _END, f"made of a row of {entry.source}"),
            ]
        elif entry.target in ("classifier.weight", "classifier.bias"):
            report.append(
                KeyReport(entry.source, entry.target, f"{entry.action}, without the rows of <START> and <STOP>")
            )
        else:
            report.append(entry)
    return WeightSet(
        tensors, weights.config, weights.folder, tuple(report), weights.left_out, (*weights.notes, _CRF_NOTE)
    )


def _with_their_crf(tensors: Tensors, report: tuple[KeyReport, ...]) -> tuple[Tensors, tuple[KeyReport, ...]]:
    """Turns bertcore's scores of transitions into the zoo's, with two tags more; the inverse of the above."""
    if not {_TRANSITIONS, _START, _END, "bert.dense_1.weight"} <= tensors.keys():
        return tensors, report
    result = {name: tensor for name, tensor in tensors.items() if name not in (_TRANSITIONS, _START, _END)}
    count = len(tensors[_START])
    scores = np.full((count + 2, count + 2), _NEVER, tensors[_TRANSITIONS].dtype)
    scores[:-2, :-2], scores[:-2, -2], scores[-1, :-2] = tensors[_TRANSITIONS].T, tensors[_START], tensors[_END]
    result[_CRF] = scores
    for name in ("bert.dense_1.weight", "bert.dense_1.bias"):
        head = tensors[name]
        result[name] = np.concatenate([head, np.zeros((2, *head.shape[1:]), head.dtype)])
    crf = {name: KeyReport(name, _CRF, "put in, with <START> and <STOP>") for name in (_TRANSITIONS, _START, _END)}
    return result, tuple(crf.get(entry.source, entry) for entry in report)
