"""What was read of a file of sentences: their units and tags, or their texts and spans, and what is to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertcore.contracts.dataset import LeftOut

from bertcore_tasks.ner.tags import TaggedLines
from bertcore_tasks.ner.units import Sentence


@dataclass(frozen=True)
class TaggedFile:
    """The sentences of a file.

    Attributes:
        sentences: in units, with their tags where the file has them.
        texts: in characters, with their spans, where the file says nothing of units; one of the two is empty.
        notes: what was chosen, repaired or passed over, in words and numbers.
        left_out: what stands in the file as a sentence and is none of these.
    """

    sentences: Sequence[TaggedLines] = ()
    texts: Sequence[Sentence] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
