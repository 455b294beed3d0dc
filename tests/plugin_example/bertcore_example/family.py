"""A model family: everything as in BERT, but for the names in the files."""

from bertcore import ModelFamily

EXAMPLE_BERT = ModelFamily(name="example_bert", prefix="example_bert.", architecture="ExampleBert")
"""``"model_type": "example_bert"``; the encoder's parameters stand under ``example_bert.``."""
