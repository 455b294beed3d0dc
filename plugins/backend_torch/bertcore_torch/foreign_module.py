"""What transformers makes of the ``config.json`` of a foreign encoder, looked at without memory for its values."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import LARGEST_SIZE, MOST_LAYERS

_TASKS = (
    "PRETRAINING",
    "MASKED_LM",
    "SEQUENCE_CLASSIFICATION",
    "TOKEN_CLASSIFICATION",
    "QUESTION_ANSWERING",
    "MULTIPLE_CHOICE",
    "NEXT_SENTENCE_PREDICTION",
)
_MOST_PARAMETERS = 5000

Shapes = Mapping[str, tuple[int, ...]]
"""Name of each parameter, as the module gives it, to its shape."""


@dataclass(frozen=True)
class ForeignModule:
    """An encoder of transformers.

    Attributes:
        config: its configuration, an object of transformers.
        module: the encoder on the meta device, with a pooler where its class has one.
        with_pooler: its parameters.
        without_pooler: the same for a head that reads none.
        makes_pooler: whether its class can make one.
        position_offset: position id of a row's first token.
    """

    config: Any
    module: Any
    with_pooler: Shapes
    without_pooler: Shapes
    makes_pooler: bool
    position_offset: int


def look_at(config: Mapping[str, Any], origin: str) -> ForeignModule:
    """Builds the encoder of a ``config.json`` on the meta device.

    Raises:
        ModelError: transformers is not installed, knows no such encoder or cannot build it, or it cannot be trained.
    """
    parsed = read_config(config, origin)
    try:
        module = _on_meta(parsed, pooler=True)
        without_pooler = _shapes(_on_meta(parsed, pooler=False))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"transformers cannot build this model: {type(error).__name__}: {error}".splitlines()[0],
            "correct the config.json of the model",
            origin=Origin(origin),
            code="model-config-wrong",
        ) from error
    _refuse_unusual(module, origin)
    return ForeignModule(
        config=parsed,
        module=module,
        with_pooler=_shapes(module),
        without_pooler=without_pooler,
        makes_pooler=_makes_pooler(type(module)),
        position_offset=_position_offset(module),
    )


def names_beside_encoder(config: Any) -> frozenset[str]:
    """Names of all tensors of transformers' classes around this encoder, one for each kind of task."""
    import torch
    import transformers

    names: set[str] = set()
    for task in _TASKS:
        mapping = getattr(transformers, f"MODEL_FOR_{task}_MAPPING")
        if type(config) not in mapping:
            continue
        with suppress(Exception), torch.device("meta"):  # a class that cannot be built adds no names
            names.update(mapping[type(config)](config).state_dict())
    return frozenset(names)


def read_config(config: Mapping[str, Any], origin: str) -> Any:
    """The content of a ``config.json`` as an object of transformers.

    Raises:
        ModelError: transformers is not installed or does not know the model, or it is no encoder of text.
    """
    model_type = config["model_type"]
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            f"model_type {model_type!r} is computed by transformers, which cannot be imported: {error}",
            "pip install 'transformers>=5'",
            origin=Origin(origin),
            code="transformers-missing",
        ) from None
    remedy = "use a model of bert, electra, roberta or of another encoder of transformers, or add a family by a plugin"
    if model_type not in transformers.CONFIG_MAPPING:
        raise ModelError(
            f"model_type {model_type!r} is not known, nor is it to transformers {transformers.__version__}",
            remedy,
            origin=Origin(origin),
            code="family-unknown",
        )
    sizes = (value for value in config.values() if isinstance(value, int))
    if any(abs(size) > LARGEST_SIZE for size in sizes):
        problem = f"holds a number beyond {LARGEST_SIZE}"
        raise ModelError(problem, remedy, origin=Origin(origin), code="model-config-wrong")
    for key in ("num_hidden_layers", "n_layers", "num_layers", "n_layer"):
        if isinstance(config.get(key), int) and config[key] > MOST_LAYERS:
            problem = f"{key} is {config[key]}, and no encoder has more than {MOST_LAYERS}"
            raise ModelError(problem, remedy, origin=Origin(origin), code="model-config-wrong")
    try:
        parsed = transformers.CONFIG_MAPPING[model_type].from_dict(dict(config))
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        remedy = "correct the config.json of the model"
        raise ModelError(reason[0], remedy, origin=Origin(origin), code="model-config-wrong") from error
    is_encoder = type(parsed) in transformers.MODEL_FOR_MASKED_LM_MAPPING and not parsed.is_encoder_decoder
    if not is_encoder or hasattr(parsed, "vision_config"):
        problem = f"model_type {model_type!r} is not known as an encoder of text"
        raise ModelError(problem, remedy, origin=Origin(origin), code="family-unknown")
    return parsed


def _model_class(config: Any) -> Any:
    import transformers

    found = transformers.MODEL_MAPPING[type(config)]
    return found[0] if isinstance(found, tuple) else found  # the first is the one with an output for each token


def _makes_pooler(model_class: Any) -> bool:
    return "add_pooling_layer" in inspect.signature(model_class.__init__).parameters


def build(config: Any, pooler: bool) -> Any:
    """The encoder with new parameters, and with a pooler where one is wanted and its class has one."""
    import torch
    import transformers

    choice = {"add_pooling_layer": pooler} if _makes_pooler(_model_class(config)) else {}
    config.architectures = config.architectures or []  # which transformers goes through for some models
    return transformers.AutoModel.from_config(config, dtype=torch.float32, **choice)


def _on_meta(config: Any, pooler: bool) -> Any:
    import torch

    with torch.device("meta"), _few_parameters():
        return build(config, pooler)


@contextmanager
def _few_parameters() -> Iterator[None]:
    """Ends the building of a model that would have more parameters than any has: a configuration may ask for them."""
    from torch.nn.modules.module import register_module_parameter_registration_hook

    count = 0

    def notice(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > _MOST_PARAMETERS:
            raise ValueError(f"it has more than {_MOST_PARAMETERS} parameters, as no encoder has")

    handle = register_module_parameter_registration_hook(notice)
    try:
        yield
    finally:
        handle.remove()


def _shapes(module: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.named_parameters()}


def _position_offset(module: Any) -> int:
    """Position id of a row's first token: models that count as RoBERTa does have a table with a padding position."""
    for name, part in module.named_modules():
        if name.endswith("position_embeddings") and getattr(part, "padding_idx", None) is not None:
            return int(part.padding_idx) + 1
    return 0


def _refuse_unusual(module: Any, origin: str) -> None:
    """Refuses a model with trained values that are no parameters, or in two places, and one that embeds no tokens."""
    parameters = dict(module.named_parameters())
    stored = module.state_dict()
    buffers = [name for name, value in module.named_buffers() if name in stored and value.is_floating_point()]
    problem = ""
    if buffers:
        problem = f"keeps {len(buffers)} tensors beside its parameters, as {buffers[0]}"
    elif len(parameters) != len(list(module.named_parameters(remove_duplicate=False))):
        problem = "shares parameters between modules"
    elif not hasattr(module.get_input_embeddings(), "num_embeddings"):
        problem = "embeds no tokens"
    elif getattr(module.config, "hidden_size", None) is None:
        problem = "does not tell its hidden_size"
    if problem:
        raise ModelError(
            f"{type(module).__name__} {problem}: bertcore cannot train it",
            "use another model",
            origin=Origin(origin),
            code="model-untrainable",
        )
