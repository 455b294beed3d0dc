"""BERT, and what is stored as BERT."""

from __future__ import annotations

from dataclasses import dataclass

from bertcore.contracts.family import ModelFamily


@dataclass(frozen=True)
class BertFamily(ModelFamily):
    """BERT (Devlin et al. 2019), and what is stored as BERT: RoBERTa-wwm, MacBERT, MiniLM."""

    name: str = "bert"
    prefix: str = "bert."
    architecture: str = "Bert"
