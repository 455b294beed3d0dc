"""bert4torch's weight files (`model.save_weights('best_model.pt')`), without bert4torch and without torch.

Names: https://github.com/Tongjilibo/bert4torch, `models/base` (`variable_mapping`), `layers/transformer_block.py`,
`layers/crf.py`, and the models that its examples define around the encoder. The two LayerNorms of a layer are called
`attnLayerNorm` and `ffnLayerNorm` since release 0.3.6, and were `layerNorm1` and `layerNorm2` up to 0.3.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from bertcore.contracts.config_entries import stated_architecture
from bertcore.contracts.converter import MADE, KeyReport, ModelParts, WeightConverter, WeightSet
from bertcore.contracts.parameters import SkipRule
from bertcore.formats.names import tensor_names
from bertcore.formats.torch_file import is_torch_file
from bertcore.weights.converters.layouts import BERT4TORCH, prefixes, take_encoder
from bertcore.weights.converters.model_folder import config_beside
from bertcore.weights.converters.rules import RenameRule, Tensors, left_out, refuse_unknown, to_canonical, to_foreign
from bertcore.weights.converters.tensor_files import SAFETENSORS, TORCH, TORCH_INDEX, read_tensors, write_tensors
from bertcore.weights.converters.wrappers import outside

_SUFFIXES = (".pt", ".bin", ".pth", ".safetensors")
_CURRENT, _OLD = ("attnLayerNorm", "ffnLayerNorm"), ("layerNorm1", "layerNorm2")
_HEADS = ("fc", "dense", "classifier")
"""What bert4torch's examples and its trainer call the linear layer on the encoder: for tags, for texts, in general."""

_TAGS_HEAD, _TEXTS_HEAD = "fc", "dense"
_PRETRAINING = ("cls.", "lm_head.", "discriminator_predictions.", "generator_predictions.", "generator_lm_head.")
"""What names of transformers' heads for pre-training begin with, which bert4torch has inside of its encoder."""

_PREFIX = "bert."
_WHAT = "encoder of bert4torch"

_SKIPPED = (SkipRule(r".*\.(position_ids|token_type_ids)", "a buffer that bert4torch does not have"),)


def encoder_rules(foreign: str, canonical: str, norms: tuple[str, str]) -> tuple[RenameRule, ...]:
    """The names of an encoder with its pre-training heads.

    Args:
        foreign: what stands before them in the file, as ``bert.`` or nothing.
        canonical: what stands before the canonical ones.
        norms: the names of the LayerNorms after the attention and after the feed-forward.
    """
    layer, layer_c = f"{foreign}encoderLayer.{{layer}}.", f"{canonical}encoder.layer.{{layer}}."
    return (
        RenameRule(f"{foreign}embeddings.word_embeddings.weight", f"{canonical}embeddings.word_embeddings.weight"),
        RenameRule(
            f"{foreign}embeddings.position_embeddings.weight", f"{canonical}embeddings.position_embeddings.weight"
        ),
        RenameRule(
            f"{foreign}embeddings.segment_embeddings.weight", f"{canonical}embeddings.token_type_embeddings.weight"
        ),
        RenameRule(f"{foreign}embeddings.layerNorm.{{kind}}", f"{canonical}embeddings.LayerNorm.{{kind}}"),
        RenameRule(
            f"{foreign}embeddings.embedding_hidden_mapping_in.{{kind}}", f"{canonical}embeddings_project.{{kind}}"
        ),
        RenameRule(f"{layer}multiHeadAttention.q.{{kind}}", f"{layer_c}attention.self.query.{{kind}}"),
        RenameRule(f"{layer}multiHeadAttention.k.{{kind}}", f"{layer_c}attention.self.key.{{kind}}"),
        RenameRule(f"{layer}multiHeadAttention.v.{{kind}}", f"{layer_c}attention.self.value.{{kind}}"),
        RenameRule(f"{layer}multiHeadAttention.o.{{kind}}", f"{layer_c}attention.output.dense.{{kind}}"),
        RenameRule(f"{layer}{norms[0]}.{{kind}}", f"{layer_c}attention.output.LayerNorm.{{kind}}"),
        RenameRule(f"{layer}feedForward.intermediateDense.{{kind}}", f"{layer_c}intermediate.dense.{{kind}}"),
        RenameRule(f"{layer}feedForward.outputDense.{{kind}}", f"{layer_c}output.dense.{{kind}}"),
        RenameRule(f"{layer}{norms[1]}.{{kind}}", f"{layer_c}output.LayerNorm.{{kind}}"),
        RenameRule(f"{foreign}pooler.{{kind}}", f"{canonical}pooler.dense.{{kind}}"),
        RenameRule(f"{foreign}nsp.{{kind}}", "cls.seq_relationship.{kind}"),
        RenameRule(f"{foreign}mlmDense.{{kind}}", "cls.predictions.transform.dense.{kind}"),
        RenameRule(f"{foreign}mlmLayerNorm.{{kind}}", "cls.predictions.transform.LayerNorm.{kind}"),
        RenameRule(f"{foreign}mlmBias", "cls.predictions.bias"),
        RenameRule(f"{foreign}mlmDecoder.{{kind}}", "cls.predictions.decoder.{kind}"),
    )


class Bert4TorchConverter(WeightConverter):
    """A `.pt` of bert4torch, with whatever its script called the encoder (`bert.`, `model.`, nothing).

    Read are the names of every release. Written are those since 0.3.6; with a head, the encoder is `bert.` and the
    linear layer `fc` (tags) or `dense` (texts), as in bert4torch's examples, else there is no prefix.
    """

    name: ClassVar[str] = "bert4torch"
    description: ClassVar[str] = "bert4torch .pt, since 0.3.6 (reads all)"
    norms: ClassVar[tuple[str, str]] = _CURRENT

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        names = _names(path)
        return bool(prefixes(names, BERT4TORCH)) and not _is_old(names)

    def read(self, path: Path) -> WeightSet:
        """Reads the weights; the encoder's names come without prefix, since the file does not tell the family.

        A model without segments (``segment_vocab_size=0``, as in the NER example) gets a table of zeros, which adds
        the same nothing.

        Raises:
            ModelError: the file is missing, damaged or refused, or holds no encoder, or several, or unknown names.
        """
        stored, report = read_tensors(path)
        prefix, tensors, copies, skipped = take_encoder(stored, BERT4TORCH, path, _WHAT)
        wrapper = outside(prefix)
        prefix = prefix.removeprefix(wrapper)
        rules = [RenameRule(f"{wrapper}{{rest}}", "{rest}")] if wrapper else []
        rules += dict.fromkeys([*encoder_rules(prefix, "", _CURRENT), *encoder_rules(prefix, "", _OLD)])
        if prefix:  # without one, the file is the encoder's own and has no head
            rules += [RenameRule(f"{head}.{{kind}}", "classifier.{kind}", written=False) for head in _HEADS]
        canonical, renamed = to_canonical(tensors, rules, origin=str(path))
        refuse_unknown(canonical, ("encoderLayer.", prefix or "encoderLayer."), str(path))
        config = config_beside(path)
        segments = "embeddings.token_type_embeddings.weight"
        if segments not in canonical and "embeddings.word_embeddings.weight" in canonical:
            words = canonical["embeddings.word_embeddings.weight"]
            rows = (config or {}).get("type_vocab_size", 2)
            canonical[segments] = np.zeros((rows if isinstance(rows, int) else 2, words.shape[-1]), words.dtype)
            renamed += (KeyReport(MADE, segments, "made of zeros: the model has no segments"),)
        beside = {**copies, **left_out(tensors, renamed)}
        return WeightSet(canonical, config, path.parent, (*report, *skipped, *renamed), beside)

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes one file that ``model.load_weights`` of bert4torch opens, by its suffix.

        Raises:
            OutputError: the file cannot be written, or has a suffix that bert4torch does not know.
            ModelError: a tensor of the encoder has no name in bert4torch, or two would have the same.
        """
        names = weights.tensors
        tags = (
            stated_architecture(weights.config or {}).endswith("ForTokenClassification") or "crf.transitions" in names
        )
        words = "embeddings.word_embeddings.weight"
        family = next((name.removesuffix(words) for name in names if name.endswith(words)), "")
        has_head = any(not name.startswith((family, *_PRETRAINING)) for name in names)
        rules = encoder_rules(_PREFIX if has_head else "", family, self.norms)
        head = RenameRule(f"{_TAGS_HEAD if tags else _TEXTS_HEAD}.{{kind}}", "classifier.{kind}")
        tensors, report = to_foreign(names, (*rules, head), _SKIPPED, origin=str(path))
        refuse_unknown((entry.source for entry in report if entry.target is not None), (), str(path))
        write_tensors(path, tensors, self.name, _SUFFIXES)
        return report

    def parts(self, path: Path) -> ModelParts:  # noqa: D102
        prefix, tensors, _, _ = take_encoder(read_tensors(path)[0], BERT4TORCH, path, _WHAT)
        return bert4torch_parts(tensors, prefix)


class OldBert4TorchConverter(Bert4TorchConverter):
    """The same with the names that bert4torch had up to release 0.3.5."""

    name: ClassVar[str] = "bert4torch_0_3"
    description: ClassVar[str] = "bert4torch .pt, up to 0.3.5"
    norms: ClassVar[tuple[str, str]] = _OLD

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        names = _names(path)
        return bool(prefixes(names, BERT4TORCH)) and _is_old(names)


def bert4torch_parts(tensors: Tensors, prefix: str) -> ModelParts:
    """What bert4torch's own modules take the tensors for: `nn.Linear`, and a CRF that goes from row to column.

    Independent of the rules above, which it is there to prove.
    """
    layer = f"{prefix}encoderLayer.{{layer}}."
    places = dict.fromkeys([outside(prefix), ""])  # where a head stands

    def beside(*names: str) -> list[str]:
        return [place + name for place in places for name in names]

    def module(*names: str) -> list[str | tuple[str, str]]:
        return [(f"{name}.weight", f"{name}.bias") for name in names]

    return ModelParts(
        tensors,
        {
            "word": [f"{prefix}embeddings.word_embeddings.weight"],
            "position": [f"{prefix}embeddings.position_embeddings.weight"],
            "token_type": [f"{prefix}embeddings.segment_embeddings.weight"],
            "embedding_norm": module(f"{prefix}embeddings.layerNorm"),
            "embedding_projection": module(f"{prefix}embeddings.embedding_hidden_mapping_in"),
            "query": module(f"{layer}multiHeadAttention.q"),
            "key": module(f"{layer}multiHeadAttention.k"),
            "value": module(f"{layer}multiHeadAttention.v"),
            "attention_output": module(f"{layer}multiHeadAttention.o"),
            "attention_norm": module(f"{layer}attnLayerNorm", f"{layer}layerNorm1"),
            "intermediate": module(f"{layer}feedForward.intermediateDense"),
            "output": module(f"{layer}feedForward.outputDense"),
            "output_norm": module(f"{layer}ffnLayerNorm", f"{layer}layerNorm2"),
            "pooler": module(f"{prefix}pooler"),
            "classifier": module(*beside("fc", "dense", "classifier")) if prefix else [],
            "classifier_dense": module(*beside("classifier.dense")),
            "summary": module(*beside("sequence_summary.summary")),
            "classifier_out": module(*beside("classifier.out_proj")),
            "spans": module(*beside("qa_outputs")),
            "transitions": [*beside("crf.transitions")],
            "start": [*beside("crf.start_transitions")],
            "end": [*beside("crf.end_transitions")],
        },
    )


def _names(path: Path) -> Iterable[str]:
    is_lightning = path.suffix == ".ckpt" and is_torch_file(path)
    return tensor_names(path) if is_lightning or path.name.endswith((*SAFETENSORS, *TORCH, TORCH_INDEX)) else ()


def _is_old(names: Iterable[str]) -> bool:
    return any(name.endswith("encoderLayer.0.layerNorm1.weight") for name in names)
