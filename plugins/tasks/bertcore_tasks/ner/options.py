"""Data and head options of the tasks of named entities."""

from __future__ import annotations

from typing import Literal, Self, TypeVar

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.loss_options import LOSS_OPTIONS
from bertcore.heads import GlobalPointer, TokenClassification
from pydantic import Field, model_validator

from bertcore_tasks.ner.units import UnitKind

Scheme = Literal["BIO", "BIOES", "BMES", "BILOU", "IO", "IOB1"]

HeadKind = Literal["token_classification", "global_pointer", "efficient_global_pointer"]

OF_TAGS = ("crf", "scheme", "forbid", "transitions", "crf_learning_rate", *LOSS_OPTIONS)
"""Head options that mean nothing where no tags are learned."""

NerHead = TokenClassification | GlobalPointer
"""What finds named entities: tags of units, or scores of spans."""


class NerDataConfig(DataConfig):
    """Data options of tasks of named entities."""

    scheme: Scheme | None = Field(None, description="tag scheme of the files; default: the one of the official files")
    # Published files hold such tags where sentences were cut; the user cannot correct them.
    repair: bool = Field(True, description="read tags that break the scheme as conlleval does, and count them")
    unit: UnitKind | None = Field("character", description="what carries a tag where a text comes without units")
    overlap: int = Field(64, ge=0, description="tokens that two windows of a long text share, at most half a window")
    truncate: bool = Field(False, description="cut what is longer than a row, instead of laying windows over it")


class NerHeadConfig(HeadConfig):
    """Head options of tasks of named entities."""

    kind: HeadKind = Field(
        "token_classification", description="tags of units, or scores of spans, which may nest (global pointers)"
    )
    head_size: int = Field(64, ge=2, multiple_of=2, description="global pointers: values of a query and of a key")
    crf: bool = Field(False, description="conditional random field behind the linear layer")
    scheme: Scheme | None = Field(None, description="tag scheme that the model learns; default: that of the data")
    forbid: Literal["never", "decoding", "training"] = Field(
        "decoding", description="where the CRF forbids what the scheme does: nowhere, in decoding, also in training"
    )
    transitions: Literal["zeros", "data"] = Field(
        "zeros", description="first values of the CRF: zeros, or logarithms of the training set's frequencies"
    )
    crf_learning_rate: float = Field(1e-3, ge=0, description="peak learning rate of the CRF; 0 freezes it")

    @model_validator(mode="after")
    def _refuse_options_of_the_other_kind(self) -> Self:
        of_tags = self.kind == "token_classification"
        # By value and not by whether it was set: the file of a run names every option with its default.
        for name in ("head_size",) if of_tags else OF_TAGS:
            if getattr(self, name) != type(self).model_fields[name].default:
                needed = "global_pointer or efficient_global_pointer" if of_tags else "token_classification"
                raise ValueError(f"head.{name} needs head.kind={needed}, and it is {self.kind}")
        return self

    @model_validator(mode="after")
    def _refuse_shapes_of_a_softmax(self) -> Self:
        given = next((name for name in LOSS_OPTIONS if self.crf and getattr(self, name)), None)
        if given is not None:
            raise ValueError(f"head.{given} needs the loss of a softmax, and head.crf is true")
        return self


NerDataT = TypeVar("NerDataT", bound=NerDataConfig)
