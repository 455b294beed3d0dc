"""BERT, and what is stored as BERT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.contracts.family import ModelFamily

if TYPE_CHECKING:
    pass


class BertFamily(ModelFamily):
    """BERT (Devlin et al. 2019), and what is stored as BERT: RoBERTa-wwm, MacBERT, MiniLM."""

    name = "bert"
    prefix = "bert."
    architecture = "Bert"
