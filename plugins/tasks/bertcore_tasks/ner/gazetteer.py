"""Entities that are remembered from the training split: the baseline of CoNLL-2003.

Tjong Kim Sang and De Meulder 2003: it "only identified entities which had a unique class in the training data. If a
phrase was part of more than one entity, the system would select the longest one." On the English test set of that task
its F1 is 59.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bertcore.contracts.tagging import Span

from bertcore_tasks.ner.units import Sentence, align


class Gazetteer:
    """The names of a training split, each with its type.

    Args:
        sentences: with their labels.
    """

    def __init__(self, sentences: Iterable[Sentence]) -> None:
        types: dict[tuple[str, ...], str | None] = {}
        for sentence in sentences:
            words = sentence.words
            for span in align(sentence.label, sentence.units).spans:
                name = tuple(words[span.start : span.end])
                types[name] = span.type if types.get(name, span.type) == span.type else None
        self._types = {name: kind for name, kind in types.items() if kind is not None}
        lengths: dict[str, set[int]] = {}
        for name in self._types:
            lengths.setdefault(name[0], set()).add(len(name))
        self._lengths = {word: sorted(found, reverse=True) for word, found in lengths.items()}

    def __len__(self) -> int:
        return len(self._types)

    def find(self, words: Sequence[str]) -> list[Span]:
        """The names in a text, from left to right, the longest where several begin; in units."""
        spans: list[Span] = []
        start = 0
        while start < len(words):
            for length in self._lengths.get(words[start], ()):
                kind = self._types.get(tuple(words[start : start + length]))
                if kind is not None and start + length <= len(words):
                    spans.append(Span(start, start + length, kind))
                    start += length
                    break
            else:
                start += 1
        return spans
