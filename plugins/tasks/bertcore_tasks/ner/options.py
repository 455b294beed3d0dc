"""Data and head options of the tasks of named entities."""

from __future__ import annotations

from typing import Literal, TypeVar

from bertcore.config import DataConfig, HeadConfig
from pydantic import Field

from bertcore_tasks.ner.units import UnitKind

Scheme = Literal["BIO", "BIOES", "BMES", "BILOU", "IO", "IOB1"]


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

    crf: bool = Field(False, description="conditional random field behind the linear layer")
    scheme: Scheme | None = Field(None, description="tag scheme that the model learns; default: that of the data")
    forbid: Literal["never", "decoding", "training"] = Field(
        "decoding", description="where the CRF forbids what the scheme does: nowhere, in decoding, also in training"
    )
    transitions: Literal["zeros", "data"] = Field(
        "zeros", description="first values of the CRF: zeros, or logarithms of the training set's frequencies"
    )
    crf_learning_rate: float = Field(1e-3, ge=0, description="peak learning rate of the CRF; 0 freezes it")


NerDataT = TypeVar("NerDataT", bound=NerDataConfig)
