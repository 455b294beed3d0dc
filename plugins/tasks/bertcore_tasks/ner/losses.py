"""What encoding the texts of a split cost, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from bertcore_tasks.ner.units import Sentence
from bertcore_tasks.ner.windows import WindowPlan
from bertcore_tasks.wording import counted


class Losses:
    """What encoding cost, by kind."""

    def __init__(self) -> None:
        self.cut_texts = self.cut_characters = self.cut_entities = 0
        self.windowed = self.windows = self.long_units = 0
        self.off_units = self.overlapping = self.merged = self.parted = self.unknown_entities = 0
        self.unknown: set[str] = set()

    def of_windows(self, sentence: Sentence, tokens: Sequence[list[int]], plan: WindowPlan, capacity: int) -> bool:
        """Counts what the windows of a text cost, and says whether some of its tokens are in none."""
        kept = plan.bounds[-1][1]
        too_long = sum(len(token) > capacity for token in tokens[:kept])
        self.long_units += too_long
        if len(plan.bounds) > 1:
            self.windowed += 1
            self.windows += len(plan.bounds)
        if kept < len(tokens):
            end = sentence.units.ends[kept - 1]
            self.cut_texts += 1
            self.cut_characters += len(sentence.text) - end
            self.cut_entities += sum(span.end > end for span in sentence.label or ())
        return kept < len(tokens) or too_long > 0

    def notes(self, max_length: int) -> tuple[str, ...]:
        """One line for each kind that occurred."""
        scored = "; they are scored all the same"
        notes: list[str] = []
        if self.cut_texts:
            notes.append(
                f"{counted(self.cut_texts, 'text')} cut at {max_length} tokens, which loses "
                f"{counted(self.cut_characters, 'character')} and {counted(self.cut_entities, 'entity')}{scored}"
            )
        if self.windowed:
            notes.append(
                f"{counted(self.windowed, 'text')} longer than {max_length} tokens: {self.windows} overlapping windows"
            )
        if self.long_units:
            notes.append(f"{counted(self.long_units, 'word')} longer than a row: only the first tokens are read")
        if self.off_units:
            notes.append(f"{counted(self.off_units, 'entity')} with a border inside a unit: not learned{scored}")
        if self.overlapping:
            notes.append(
                f"{counted(self.overlapping, 'entity')} overlapping another one: not learned{scored}, and "
                "head.kind=global_pointer learns such"
            )
        if self.merged:
            notes.append(
                f"{counted(self.merged, 'entity')} behind another one of its type, which IO cannot tell apart{scored}"
            )
        if self.parted:
            notes.append(f"{counted(self.parted, 'entity')} longer than what windows share: not learned{scored}")
        if self.unknown_entities:
            names = ", ".join(sorted(self.unknown))
            notes.append(
                f"{counted(self.unknown_entities, 'entity')} of a type that the model does not know ({names}){scored}"
            )
        return tuple(notes)
