"""MindSpore checkpoints `.ckpt` under canonical names, without MindSpore."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from bertcore.contracts.converter import KeyReport, ModelParts, WeightConverter, WeightSet
from bertcore.contracts.parameters import SkipRule
from bertcore.errors import ModelError
from bertcore.formats.mindspore_ckpt import ckpt_names, read_ckpt
from bertcore.weights.converters.layouts import is_of_other_layout
from bertcore.weights.converters.model_folder import config_beside
from bertcore.weights.converters.rules import OLD_LAYER_NORM, left_out, to_canonical
from bertcore.weights.converters.tensor_files import write_tensors
from bertcore.weights.converters.transformers_parts import transformers_parts

SKIP_RULES = (
    SkipRule(r"(moment[12]|adam_[mv])\..*", "optimizer state"),
    SkipRule(r"global_step|learning_rate|beta[12]_power|epoch_num|step_num", "training state"),
    SkipRule(r"scale_sense|loss_scale|(current|last_overflow)_iterator_step", "training state"),
)
"""What MindSpore's own callback saves beside the model."""

_CANONICAL = re.compile(r"(\w+\.)*(embeddings|encoder\.layer|pooler|classifier|qa_outputs|crf|cls)\..*")


class MindSporeCheckpointConverter(WeightConverter):
    """A `.ckpt` file that holds canonical names, as bertcore's runs write them; LayerNorm's gamma and beta are read.

    A `.safetensors` file that MindSpore wrote is like any other, and read as `huggingface`.
    """

    name: ClassVar[str] = "mindspore_ckpt"
    description: ClassVar[str] = "MindSpore .ckpt under canonical names"
    suffixes: ClassVar[tuple[str, ...]] = (".ckpt",)

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        try:
            names = ckpt_names(path)
        except ModelError:
            return False
        return any(_CANONICAL.fullmatch(name) for name in names) and not is_of_other_layout(names)

    def read(self, path: Path) -> WeightSet:  # noqa: D102
        stored = read_ckpt(path)
        tensors, report = to_canonical(stored, OLD_LAYER_NORM, SKIP_RULES, origin=str(path))
        return WeightSet(tensors, config_beside(path), path.parent, report, left_out(stored, report))

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes one file that ``mindspore.load_checkpoint`` opens; it holds no config and no tokenizer.

        Raises:
            OutputError: the file cannot be written, or has another suffix.
        """
        write_tensors(path, weights.tensors, self.name, self.suffixes)
        return tuple(KeyReport(name, name, "copied") for name in weights.tensors)

    def parts(self, path: Path) -> ModelParts:  # noqa: D102
        weights, _ = to_canonical(read_ckpt(path), (), SKIP_RULES)  # an optimizer's moments bear the same names
        return transformers_parts(weights, str(path))
