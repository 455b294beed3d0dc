"""The family that stands in for every encoder of transformers that bertcore does not compute itself.

Its parameters are those of the module that ``transformers.AutoModel`` builds, under the module's own names behind the
prefix that its class gives them, and so are its computations; the heads are bertcore's. transformers is imported when
such a model is opened, and torch with it; reading the family's name imports neither.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
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
from bertcore.tokenization.panics import panics_as_errors

from bertcore_torch.foreign_module import ForeignModule, build, look_at, names_beside_encoder, read_config

if TYPE_CHECKING:
    from torch import nn

# Under which names configurations of transformers have the dropout in front of a classifier.
_HEAD_DROPOUTS = ("classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout", "cls_dropout")
# For encoders whose positions have no table and no stated limit.
_MAX_LENGTH = 512


@dataclass(frozen=True)
class ForeignConfig(BertConfig):
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
        return build(read_config(json.loads(self.config_json), "config.json"), pooler)


@dataclass(frozen=True)
class ForeignEncoders(ModelFamily):
    """Every ``model_type`` that has no family of its own and of which transformers has a masked language model.

    An encoder whose class can make a pooler gets the heads of BERT, any other those of RoBERTa.
    """

    name: str = "auto"
    prefix: str = ""
    architecture: str = ""
    backends: tuple[str, ...] | None = ("torch",)
    any_model_type: bool = True

    def bound(self, config: Mapping[str, Any], origin: str = "config.json") -> ModelFamily:
        """Returns the family of one model.

        Raises:
            ModelError: transformers is not installed or does not know the model, or it is no such encoder.
        """
        found = look_at(config, origin)
        prefix = f"{found.module.base_model_prefix or 'model'}."
        heads = rf"(?!{re.escape(prefix)}).*"  # what is under no prefix
        return ForeignFamily(
            name=config["model_type"],
            prefix=prefix,
            architecture=type(found.module).__name__.removesuffix("Model"),
            position_offset=found.position_offset,
            # Models that count positions as RoBERTa does have tokenizers that give no token types.
            token_types=found.position_offset == 0,
            head_variant="pooler" if found.makes_pooler else "dense",
            backends=self.backends,
            encoder_modules=tuple(name for name, _ in found.module.named_children()),
            skip_rules=(SkipRule(heads, "of a head, not of the encoder"), *self.skip_rules),
            content=dict(config),
            found=found,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class ForeignFamily(ModelFamily):
    """The family of one foreign encoder.

    Further attributes:
        content: of its ``config.json``, without the entries of a head.
        found: what transformers makes of it.
    """

    content: Mapping[str, Any]
    found: ForeignModule

    def has_in_head(self, name: str, heads: Iterable[type[Head]]) -> bool:
        """Whether one of transformers' classes for this model has such a tensor beside its encoder, or a head here."""
        of_transformers = name in self._head_names and not name.startswith(self.prefix)
        return of_transformers or super().has_in_head(name, heads)

    @cached_property
    def _head_names(self) -> frozenset[str]:
        return names_beside_encoder(self.found.config)

    def read_tokenizer(self, folder: Path) -> BuiltTokenizer | None:
        """The tokenizer that transformers makes of the folder; None where it would make one out of no file.

        Raises:
            ModelError: it makes none, or one that is Python code and not of the tokenizers library.
        """
        import transformers

        try:
            with panics_as_errors():
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    str(folder),
                    local_files_only=True,
                    trust_remote_code=False,  # or it asks on the terminal, and waits, where the folder has code
                )
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

    def parse_config(self, config: Mapping[str, Any], origin: str = "config.json") -> ForeignConfig:
        """Reads what bertcore needs to know, by the names that transformers gives it in every configuration."""

        def first(*names: str, default: Any) -> Any:
            values = (getattr(self.found.config, name, None) for name in names)
            return next((value for value in values if value is not None), default)

        return ForeignConfig(
            vocab_size=self.found.module.get_input_embeddings().num_embeddings,
            hidden_size=self.found.config.hidden_size,
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
            position_offset=self.position_offset,
            token_types=self.token_types,
            head_variant=self.head_variant,
            config_json=json.dumps(dict(config), sort_keys=True),
        )

    def parameter_table(self, config: BertConfig, head: Head) -> dict[str, ParameterSpec]:
        """The module's own names and shapes, then those of the head."""
        encoder = self.known_table(config) if head.uses_pooler else self.encoder_table(config)
        return {**encoder, **self.head_table(config, head)}

    def encoder_table(self, config: BertConfig) -> dict[str, ParameterSpec]:
        """The module's own names and shapes, without a pooler."""
        return self._table_of(self.found.without_pooler)

    def known_table(self, config: BertConfig) -> dict[str, ParameterSpec]:
        """The module's own names and shapes, with a pooler where it makes one."""
        return self._table_of(self.found.with_pooler)

    def _table_of(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, ParameterSpec]:
        table = {}
        for name, shape in shapes.items():
            missing = None if name in self.found.without_pooler else "the file holds no pooler"
            table[f"{self.prefix}{name}"] = ParameterSpec(
                shape, "zeros" if name.endswith("bias") else "normal", missing
            )
        return table

    def head_table(self, config: BertConfig, head: Head) -> dict[str, ParameterSpec]:
        """Canonical names and shapes of the head alone; a pooler is among those of the module."""
        table = super().head_table(config, head)
        return {name: spec for name, spec in table.items() if not name.startswith(self.prefix)}

    def config_json(self, config: BertConfig, head: Head) -> dict[str, Any]:
        """The model's own entries and those of this head."""
        own = {name: value for name, value in self.content.items() if name != "torch_dtype"}
        return {
            **own,
            "architectures": [f"{self.architecture}{head.architecture}"],
            "dtype": "float32",
            **head.config_entries(),
        }
