"""A model family: everything as in BERT, but for the names in the files."""

from __future__ import annotations

from bertcore import ModelFamily


class ExampleBertFamily(ModelFamily):
    """``"model_type": "example_bert"``; the encoder's parameters stand under ``example_bert.``."""

    name = "example_bert"
    prefix = "example_bert."
    architecture = "ExampleBert"
