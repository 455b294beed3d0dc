"""Labels, texts and repetitions of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bertcore.commands.check_data.findings import (
    EmptyTexts,
    LabelDifference,
    Lengths,
    Numbers,
    Repeated,
    Repetition,
    SplitReport,
)
from bertcore.contracts.dataset import TRAINING_SPLIT, Example

SHOWN_EXAMPLES = 3
"""How many of the examples that something is said about are named."""


def with_facts(report: SplitReport, examples: Sequence[Example], known: tuple[str, ...]) -> SplitReport:
    """The report with what the examples alone tell; ``known`` are the labels of the dataset."""
    counts: Counter[str] = Counter()
    numbers: list[float] = []
    for example in examples:
        for name in _label_names(example.label):
            counts[name] += 1
        if isinstance(example.label, int | float) and not isinstance(example.label, bool):
            numbers.append(float(example.label))
    if set(counts) <= set(known):  # a label that never occurs is worth knowing
        labels = {name: counts[name] for name in known} if counts else {}
    else:
        labels = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    empty = [_place(example) for example in examples if _is_empty(example)]
    return replace(
        report,
        examples=len(examples),
        unlabeled=sum(example.label is None for example in examples),
        labels=labels,
        numbers=Numbers.of(numbers),
        characters=Lengths.of(sum(map(len, example.texts.values())) for example in examples if example.texts),
        empty=EmptyTexts(len(empty), tuple(empty[:SHOWN_EXAMPLES])),
        repeated=repetition(examples, None),
    )


def _label_names(label: Any) -> list[str]:
    """The names in a label: itself, each of several, or the types of spans."""
    if isinstance(label, str):
        return [label]
    if isinstance(label, list | tuple | set | frozenset):
        names = [item if isinstance(item, str) else getattr(item, "type", None) for item in label]
        return [name for name in names if isinstance(name, str)]
    return []


def _is_empty(example: Example) -> bool:
    return bool(example.texts) and not any(text.strip() for text in example.texts.values())


def _place(example: Example) -> str:
    return example.identifier if example.origin is None else str(example.origin)


def first_places(examples: Sequence[Example]) -> dict[tuple[str, ...], Example]:
    """Where each combination of texts stands first."""
    found: dict[tuple[str, ...], Example] = {}
    for example in examples:
        found.setdefault(tuple(example.texts.values()), example)
    return found


def repetition(examples: Sequence[Example], earlier: Mapping[tuple[str, ...], Example] | None) -> Repetition:
    """The examples whose texts are among earlier ones, or (None) stand further up among themselves."""
    seen: dict[tuple[str, ...], Example] = {} if earlier is None else dict(earlier)
    count = conflicting = 0
    first: list[Repeated] = []
    for example in examples:
        key = tuple(example.texts.values())
        if not key:  # records of another program hold no texts
            continue
        found = seen.get(key)
        if found is None:
            if earlier is None:
                seen[key] = example
            continue
        count += 1
        conflicting += None not in (example.label, found.label) and example.label != found.label
        if len(first) < SHOWN_EXAMPLES:
            first.append(Repeated(_place(example), _place(found)))
    return Repetition(count, conflicting, tuple(first))


def label_differences(splits: Mapping[str, SplitReport]) -> dict[str, LabelDifference]:
    """The splits whose labels are not those of the training split."""
    training = splits.get(TRAINING_SPLIT)
    if training is None or not training.labels or training.errors:
        return {}
    known = {name for name, count in training.labels.items() if count}
    differences = {}
    for name, split in splits.items():
        own = {label for label, count in split.labels.items() if count}
        if own and own != known and not split.errors:
            differences[name] = LabelDifference(tuple(sorted(own - known)), tuple(sorted(known - own)))
    return differences
