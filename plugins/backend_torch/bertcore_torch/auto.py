"""The family that stands in for every encoder of transformers that bertcore does not compute itself.

Its parameters are those of the module that ``transformers.AutoModel`` builds, under the module's own names behind the
prefix that its class gives them, and so are its computations; the heads are bertcore's. transformers is imported when
such a model is opened, and torch with it; reading the family's name imports neither.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import ParameterSpec, SkipRule
from bertcore.contracts.tokenizer import BuiltTokenizer
from bertcore.errors import ModelError, Origin
from bertcore.heads.stored import HEAD_ENTRIES

if TYPE_CHECKING:
    from torch import nn

# Under which names configurations of transformers have the dropout in front of a classifier.
_HEAD_DROPOUTS = ("classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout", "cls_dropout")
_OTHER_TASKS = ("QUESTION_ANSWERING", "MULTIPLE_CHOICE", "NEXT_SENTENCE_PREDICTION")
_MOST_LAYERS = 10_000
# For encoders whose positions have no table and no stated limit.
_MAX_LENGTH = 512


@dataclass(frozen=True)
class AutoConfig(BertConfig):
    """Sizes of a foreign encoder, as far as bertcore needs them, and its whole configuration.

    Class attributes:
        name: another encoder than BERT's, so that a backend without code for it says so.

    Further attributes:
        config_json: content of ``config.json``.
    """

    name: ClassVar[str] = "transformers"

    config_json: str = "{}"

    def build(self, pooler: bool) -> nn.Module:
        """Builds the encoder with new parameters, on torch's current default device.

        Args:
            pooler: whether a pooler is wanted, where the class has one.
        """
        return _build(_read_config(json.loads(self.config_json), "config.json"), pooler)


class AutoFamily(ModelFamily):
    """Every ``model_type`` that has no family of its own and of which transformers has a masked language model.

    An encoder whose class can make a pooler gets the heads of BERT, any other those of RoBERTa.
    """

    name = "auto"
    backends = ("torch",)
    any_model_type = True

    def bound(self, config: Mapping[str, Any], origin: str = "config.json") -> ModelFamily:
        """Returns the family of one model.

        Raises:
            ModelError: transformers is not installed or does not know the model, or it is no such encoder.
        """
        return _BoundFamily(config, origin)


class _BoundFamily(ModelFamily):
    """The family of one foreign encoder; what other families say of their class, this one says of the instance."""

    backends = AutoFamily.backends
    prefix = ""
    architecture = ""

    def __init__(self, config: Mapping[str, Any], origin: str) -> None:
        self.name: str = config["model_type"]  # type: ignore[misc]
        self._config_json = dict(config)
        self._config = _read_config(config, origin)
        try:
            module = _on_meta(self._config, pooler=True)
            self._with_pooler = _shapes(module)
            self._encoder = _shapes(_on_meta(self._config, pooler=False))
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
        self.prefix = f"{module.base_model_prefix or 'model'}."  # type: ignore[misc]
        self.architecture = type(module).__name__.removesuffix("Model")  # type: ignore[misc]
        self.head_variant = "pooler" if _makes_pooler(type(module)) else "dense"  # type: ignore[misc]
        self.encoder_modules = tuple(name for name, _ in module.named_children())  # type: ignore[misc]
        # What is under no prefix is a head: one of another kind is left out, one that bertcore would train is not.
        self.skip_rules = (  # type: ignore[misc]
            SkipRule(
                rf"(?!{re.escape(self.prefix)})(?!(classifier|qa_outputs|crf)\.).*", "of a head, not of the encoder"
            ),
            *ModelFamily.skip_rules,
        )
        self._vocab_size = module.get_input_embeddings().num_embeddings
        self._position_offset = _position_offset(module)

    def has_in_head(self, name: str) -> bool:
        """Whether one of transformers' classes for this model has such a tensor beside its encoder, or a head here."""
        return super().has_in_head(name) or (name in self._head_names and not name.startswith(self.prefix))

    @cached_property
    def _head_names(self) -> frozenset[str]:
        import torch
        import transformers

        names: set[str] = set()
        for task in ("PRETRAINING", "MASKED_LM", "SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION", *_OTHER_TASKS):
            mapping = getattr(transformers, f"MODEL_FOR_{task}_MAPPING")
            if type(self._config) not in mapping:
                continue
            with suppress(Exception), torch.device("meta"):  # a class that cannot be built adds no names
                names.update(mapping[type(self._config)](self._config).state_dict())
        return frozenset(names)

    def read_tokenizer(self, folder: Path) -> BuiltTokenizer | None:
        """The tokenizer that transformers makes of the folder; None where it would make one out of no file.

        Raises:
            ModelError: it makes none, or one that is Python code and not of the tokenizers library.
        """
        import transformers

        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ModelError(
                f"transformers cannot read the tokenizer: {reason}",
                "copy all of the tokenizer's files into the model folder; a SentencePiece file alone needs pip install "
                "sentencepiece protobuf",
                origin=Origin(str(folder)),
                code="tokenizer-damaged",
            ) from error
        name = type(tokenizer).__name__
        if not isinstance(tokenizer, transformers.TokenizersBackend):
            raise ModelError(
                f"{name} is Python code of transformers, which bertcore does not run",
                "use a model whose tokenizer is one of the tokenizers library (tokenizer.json)",
                origin=Origin(str(folder)),
                code="tokenizer-unsupported",
            )
        if not any((folder / file).is_file() for file in (*tokenizer.vocab_files_names.values(), "tokenizer.json")):
            return None
        inner = copy.deepcopy(tokenizer.backend_tokenizer)
        return BuiltTokenizer(inner, name, "token_type_ids" in tokenizer.model_input_names)

    def parse_config(self, config: Mapping[str, Any], origin: str = "config.json") -> AutoConfig:
        """Reads what bertcore needs to know, by the names that transformers gives it in every configuration."""

        def first(*names: str, default: Any) -> Any:
            values = (getattr(self._config, name, None) for name in names)
            return next((value for value in values if value is not None), default)

        return AutoConfig(
            vocab_size=self._vocab_size,
            hidden_size=self._config.hidden_size,
            num_hidden_layers=first("num_hidden_layers", default=0),
            num_attention_heads=first("num_attention_heads", default=0),
            intermediate_size=first("intermediate_size", "hidden_dim", default=0),
            max_position_embeddings=first("max_position_embeddings", default=_MAX_LENGTH),
            type_vocab_size=first("type_vocab_size", default=0),
            hidden_dropout_prob=first("hidden_dropout_prob", "dropout", default=0.0),
            classifier_dropout=first(*_HEAD_DROPOUTS, default=None),
            initializer_range=first("initializer_range", default=0.02),
            pad_token_id=first("pad_token_id", default=0),
            family=self.name,
            prefix=self.prefix,
            position_offset=self._position_offset,
            # Models that count positions as RoBERTa does have tokenizers that give no token types.
            token_types=self._position_offset == 0,
            head_variant=self.head_variant,
            config_json=json.dumps(dict(config), sort_keys=True),
        )

    def parameter_table(self, config: BertConfig, head: Head) -> dict[str, ParameterSpec]:
        """The module's own names and shapes, then those of the head."""
        shapes = self._with_pooler if head.uses_pooler else self._encoder
        table = {}
        for name, shape in shapes.items():
            missing = None if name in self._encoder else "the file holds no pooler"
            table[f"{self.prefix}{name}"] = ParameterSpec(
                shape, "zeros" if name.endswith("bias") else "normal", missing
            )
        return {**table, **self.head_table(config, head)}

    def head_table(self, config: BertConfig, head: Head) -> dict[str, ParameterSpec]:
        """Canonical names and shapes of the head alone; a pooler is among those of the module."""
        table = super().head_table(config, head)
        return {name: spec for name, spec in table.items() if not name.startswith(self.prefix)}

    def config_json(self, config: BertConfig, head: Head) -> dict[str, Any]:
        """The model's own entries, but for those of an earlier head, and the entries of this one."""
        own = {name: value for name, value in self._config_json.items() if name not in (*HEAD_ENTRIES, "torch_dtype")}
        return {
            **own,
            "architectures": [f"{self.architecture}{head.architecture}"],
            "dtype": "float32",
            **head.config_entries(),
        }


def _read_config(config: Mapping[str, Any], origin: str) -> Any:
    """The configuration as an object of transformers."""
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
    for key in ("num_hidden_layers", "n_layers", "num_layers", "n_layer"):
        if isinstance(config.get(key), int) and config[key] > _MOST_LAYERS:
            problem = f"{key} is {config[key]}, and no encoder has more than {_MOST_LAYERS}"
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


def _build(config: Any, pooler: bool) -> Any:
    import torch
    import transformers

    choice = {"add_pooling_layer": pooler} if _makes_pooler(_model_class(config)) else {}
    config.architectures = config.architectures or []  # which transformers goes through for some models
    return transformers.AutoModel.from_config(config, dtype=torch.float32, **choice)


def _on_meta(config: Any, pooler: bool) -> Any:
    import torch

    with torch.device("meta"):
        return _build(config, pooler)


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
