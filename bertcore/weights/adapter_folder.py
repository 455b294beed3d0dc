"""Adapters in the layout of peft: ``adapter_config.json`` and ``adapter_model.safetensors``, without peft.

Keys are ``base_model.model.`` and the name that transformers gives the parameter; what was trained as a whole, as the
head, lies among them under its own name (``modules_to_save``). Beside the two files stands the ``config.json`` of the
adapted model, which peft does not ask for: it names the head and its labels, which the base model does not know.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bertcore.contracts.adapter import merged
from bertcore.contracts.config_entries import stated_architecture
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.errors import ModelError, Origin, printable
from bertcore.files.manifest import verified_facts
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors
from bertcore.numerics.lora import A_SUFFIX, B_SUFFIX, Lora
from bertcore.weights.converters.model_folder import config_beside, write_config
from bertcore.weights.opening import ModelSource

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_START = "base_model.model."
_FINAL_LAYERS = ("classifier.weight", "classifier.out_proj.weight", "qa_outputs.weight")
# As peft names what AutoModelFor... classes do; heads that it has no name for go without one.
_TASK_TYPES = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
}
# Ways of beginning that leave the base model as it is. PiSSA, OLoRA and others take what they begin with from its
# weights, so that their products belong to another base than the one that is at hand.
_BEGINNINGS = (None, True, False, "gaussian", "eva", "orthogonal")
_BEYOND_PLAIN = (
    "use_dora", "use_qalora", "use_bdlora", "rank_pattern", "alpha_pattern", "layer_replication", "lora_bias",
    "fan_in_fan_out", "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config",
    "kasa_config", "monteclora_config", "velora_config",
)  # fmt: skip


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter that was read.

    Attributes:
        folder: where it lies.
        lora: its description.
        values: its parameters by canonical name.
        others: parameters that it holds as a whole, as those of the head.
        task_type: what peft calls the head's task, as ``SEQ_CLS``; None where it was not told.
        config_json: of the adapted model; None where peft wrote the folder.
    """

    folder: Path
    lora: Lora
    values: Parameters
    others: Parameters
    task_type: str | None
    config_json: Mapping[str, Any] | None


def write_adapter(
    folder: Path,
    lora: Lora,
    parameters: Parameters,
    *,
    prefix: str,
    head: Head,
    whole: Sequence[str],
    base: str | None,
    config_json: Mapping[str, Any],
) -> None:
    """Writes an adapter to a folder that nobody reads yet; no manifest.

    Args:
        folder: is made.
        lora: the description.
        parameters: of the base model, the adapter and the head.
        prefix: what names of the encoder begin with; others are of the head.
        head: what stands on top.
        whole: names of the encoder's that were trained as they are; all of their modules.
        base: name of the model that it belongs to.
        config_json: of the adapted model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    specs = {name: ParameterSpec(value.shape) for name, value in parameters.items()}
    of_head = [name for name in parameters if not name.startswith(prefix)]
    names = [*(name for name in lora.parameters(specs) if name in parameters), *whole, *of_head]
    modules = [
        *(name.removeprefix(prefix).rpartition(".")[0] for name in whole),
        *(name.partition(".")[0] for name in of_head),
    ]
    write_safetensors(folder / WEIGHTS_FILE, {f"{_START}{name}": parameters[name] for name in names})
    content = {
        "peft_type": "LORA",
        "task_type": _TASK_TYPES.get(head.architecture),
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": _short_names(lora.targets, specs),
        "modules_to_save": list(dict.fromkeys(modules)),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "use_rslora": False,
        "use_dora": False,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    write_config(folder, config_json)


def read_adapter(folder: Path) -> StoredAdapter:
    """Reads a folder of peft's layout.

    Raises:
        ModelError: something is missing, damaged, or of another kind than plain LoRA.
    """
    verified_facts(folder)
    config = _read_config(folder)
    arrays = {
        name.removeprefix(_START): np.array(value, dtype=np.float32)
        for name, value in read_safetensors(folder / WEIGHTS_FILE).items()
    }
    values = {name: value for name, value in arrays.items() if name.endswith((A_SUFFIX, B_SUFFIX))}
    targets = tuple(name.removesuffix(A_SUFFIX) for name in values if name.endswith(A_SUFFIX))
    others = {name: value for name, value in arrays.items() if name not in values}
    strange = next((name for name in others if "lora_" in name), None)
    if strange is not None:  # of an embedding, or of a variant that is younger than this list
        raise _beyond_plain(folder / WEIGHTS_FILE, strange)
    try:
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
        lora = Lora(
            rank=rank,
            # rsLoRA divides by the root of the rank.
            alpha=alpha * math.sqrt(rank) if config.get("use_rslora") else alpha,
            targets=targets,
            dropout=float(config.get("lora_dropout", 0.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, f"r or lora_alpha is missing or no number: {error}") from None
    return StoredAdapter(folder, lora, values, others, config.get("task_type"), config_beside(folder))


def with_stored_adapter(source: ModelSource, stored: StoredAdapter, merge: bool) -> tuple[ModelSource, StoredAdapter]:
    """The model with what an adapter holds as a whole, and merged with the rest where that is asked for.

    Args:
        source: the base model.
        stored: the adapter.
        merge: whether its product is added to the weights.

    Returns:
        The model, and the adapter under the model's own names.

    Raises:
        ModelError: the adapter is not of this model.
    """
    tensors = source.weights.tensors
    prefix = source.family.prefix

    def named(name: str) -> str:  # one that was trained without a head has names without the encoder's prefix
        stem = name.removesuffix(A_SUFFIX).removesuffix(B_SUFFIX)
        known = name if name == stem else f"{stem}.weight"
        return f"{prefix}{name}" if known not in tensors and f"{prefix}{known}" in tensors else name

    targets = tuple(named(f"{target}{A_SUFFIX}").removesuffix(A_SUFFIX) for target in stored.lora.targets)
    stored = replace(
        stored,
        lora=replace(stored.lora, targets=targets),
        values={named(name): value for name, value in stored.values.items()},
        others={named(name): value for name, value in stored.others.items()},
    )
    _check_fit(stored, {name: ParameterSpec(value.shape) for name, value in tensors.items()})
    changed: dict[str, Any] = {**tensors, **stored.others}
    if merge:
        weights = {f"{target}.weight": np.asarray(tensors[f"{target}.weight"], np.float32) for target in targets}
        changed |= merged({**weights, **stored.values}, stored.lora)
    config_json = _with_head(source, stored) if stored.config_json is None else stored.config_json
    return replace(source, weights=replace(source.weights, tensors=changed), config_json=config_json), stored


def require_equal(stored: StoredAdapter, lora: Lora) -> None:
    """Checks that an adapter can be trained further with the settings of a run.

    Raises:
        ModelError: its rank, alpha or targets are others.
    """
    for key, found, wanted in (
        ("rank", stored.lora.rank, lora.rank),
        ("alpha", stored.lora.alpha, lora.alpha),
        ("targets", sorted(stored.lora.targets), sorted(lora.targets)),
    ):
        if found != wanted:
            raise ModelError(
                f"train.lora.{key} is another than that of the adapter"
                + (f": {wanted} instead of {found}" if key != "targets" else ""),
                "set it as adapter_config.json has it, or leave model.adapter out",
                origin=Origin(str(stored.folder / CONFIG_FILE)),
                code="adapter-mismatch",
            )


def _read_config(folder: Path) -> Mapping[str, Any]:
    if not (folder / CONFIG_FILE).is_file() or not (folder / WEIGHTS_FILE).is_file():
        raise ModelError(
            f"no adapter: it needs {CONFIG_FILE} and {WEIGHTS_FILE}",
            "give the folder adapter/ of a run, or one that peft's save_pretrained wrote",
            origin=Origin(str(folder)),
            code="adapter-missing",
        )
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(folder, str(error)) from None
    if not isinstance(config, Mapping):
        raise _damaged(folder, "it holds no object")
    asks: dict[str, Callable[[Any], bool]] = {
        "peft_type": lambda value: value != "LORA",
        "init_lora_weights": lambda value: value not in _BEGINNINGS,
        "bias": lambda value: value not in (None, "none"),
        **dict.fromkeys(_BEYOND_PLAIN, bool),
    }
    for key, is_beyond in asks.items():
        if is_beyond(config.get(key)):
            raise _beyond_plain(folder / CONFIG_FILE, f"{key} = {printable(json.dumps(config.get(key)), 80)}")
    return config


def _beyond_plain(file: Path, what: str) -> ModelError:
    return ModelError(
        f"{what} is more than plain LoRA",
        "merge it with peft: merge_and_unload().save_pretrained(OUT), then give OUT as --model",
        origin=Origin(str(file)),
        code="adapter-unsupported",
    )


def _with_head(source: ModelSource, stored: StoredAdapter) -> Mapping[str, Any]:
    """The base model's ``config.json``, with the head that an adapter of peft brings where that names none."""
    kind = next((head for head, task_type in _TASK_TYPES.items() if task_type == stored.task_type), None)
    final = next((stored.others[name] for name in _FINAL_LAYERS if name in stored.others), None)
    if kind is None or final is None or stated_architecture(source.config_json).endswith(tuple(_TASK_TYPES)):
        return source.config_json
    labels = {str(number): f"LABEL_{number}" for number in range(len(final))}  # as transformers calls them
    return {
        **source.config_json,
        "architectures": [f"{source.family.architecture}{kind}"],
        "id2label": labels,
        "label2id": {label: int(number) for number, label in labels.items()},
    }


def _check_fit(stored: StoredAdapter, table: Mapping[str, ParameterSpec]) -> None:
    lora, problem = stored.lora, None
    unknown = next((target for target in lora.targets if f"{target}.weight" not in table), None)
    if unknown is not None or not lora.targets:
        problem = "it changes no layer" if unknown is None else f"the model has no {unknown}.weight"
    else:
        expected = {name: spec.shape for name, spec in lora.parameters(table).items()}
        found: dict[str, tuple[int, ...] | None] = {name: value.shape for name, value in stored.values.items()}
        for name in (*expected, *found):
            if expected.get(name) != found.get(name):
                shapes = [list(shape) if shape else "none" for shape in (found.get(name), expected.get(name))]
                problem = f"{name}: shape {shapes[0]} instead of {shapes[1]}"
                break
    if problem is not None:
        raise ModelError(
            f"the adapter does not fit the model: {problem}",
            "give the model that it was trained for, base_model_name_or_path of adapter_config.json",
            origin=Origin(str(stored.folder)),
            code="adapter-mismatch",
        )


def _damaged(folder: Path, problem: str) -> ModelError:
    return ModelError(
        f"damaged: {problem}", "get the file again", origin=Origin(str(folder / CONFIG_FILE)), code="adapter-damaged"
    )


def _short_names(targets: tuple[str, ...], table: Mapping[str, ParameterSpec]) -> list[str]:
    """The last parts of names where they mean just these layers, as ``query``; else all names in full."""
    ends = list(dict.fromkeys(target.rpartition(".")[2] for target in targets))
    meant = {
        name.removesuffix(".weight")
        for name in table
        if name.endswith(tuple(f".{end}.weight" for end in ends)) and len(table[name].shape) == 2
    }
    return ends if meant == set(targets) else list(targets)
