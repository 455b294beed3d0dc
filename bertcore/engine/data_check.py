"""Looking at data before it is trained on: ``bertcore data check``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.config import FILE_OPTIONS, RunConfig
from bertcore.data.bad_examples import gather_errors, one_example, unknown_label
from bertcore.data.record_folder import RecordedSplit
from bertcore.data.tokenizer import Tokenizer
from bertcore.engine.division import is_divided
from bertcore.engine.preparation import (
    choose_max_length,
    data_names,
    encode_examples,
    find_model,
    find_task,
    open_data,
    settle_options,
)
from bertcore.errors import DataError, UsageError
from bertcore.files import atomic_write
from bertcore.heads import Head
from bertcore.progress import about, describe
from bertcore.registry import Registry
from bertcore.task import Dataset, Encoding, Example, ExampleStream, Split, Task

PERCENTILES = (50, 90, 95, 99)

SHOWN_EXAMPLES = 3
"""How many of the examples that something is said about are named."""

SHOWN_ERRORS = 5
"""How many errors of a split are named."""

DRAWN_LABELS = 40
"""How many labels a picture shows."""

TRAINING = "train"

Errors = tuple[tuple[str, str], ...]
"""Causes and remedies."""

_OWN_SPLITS = tuple(name for name in FILE_OPTIONS if name != "path")
"""Data options that name the user's own files, and what they are called in a folder."""

# No text is longer: encoded with this length, everything is kept and has one row.
_UNLIMITED = 10_000_000


@dataclass(frozen=True)
class Lengths:
    """How long things are.

    Attributes:
        percentiles: 50, 90, 95 and 99 to the length that so many percent do not exceed.
        longest: the largest length.
        mean: of all.
        values: every length, for pictures.
    """

    percentiles: Mapping[int, int]
    longest: int
    mean: float
    values: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, values: Iterable[int] | NDArray[np.int64]) -> Lengths | None:
        """Summarizes lengths; None where there are none."""
        all_values = np.sort(np.asarray(list(values), dtype=np.int64))
        if not len(all_values):
            return None
        # The smallest length that is not exceeded by so many percent, a length that occurs.
        chosen = np.percentile(all_values, PERCENTILES, method="inverted_cdf").astype(np.int64).tolist()
        percentiles = dict(zip(PERCENTILES, chosen, strict=True))
        return cls(percentiles, int(all_values[-1]), float(all_values.mean()), all_values)


@dataclass(frozen=True)
class Repetition:
    """Examples whose texts occur more than once.

    Attributes:
        count: examples whose texts occurred before (in the split, or in the other split).
        conflicting: those of them that carry another label than before.
        first: the first few, each with the example that it repeats: places, as ``dev.tsv:7``.
    """

    count: int
    conflicting: int
    first: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SplitReport:
    """What is found in a split.

    Attributes:
        name: of the split.
        files: that it is read from.
        examples: number of examples; of a stream, those in its first window.
        is_stream: whether more may follow.
        unlabeled: examples without label.
        labels: name of each label to its count (classification, tags, entities); empty where labels are no names.
        numbers: smallest, mean and largest label of a regression.
        characters: lengths of the texts of an example, all fields together; None without texts.
        empty: the first examples in which every text is empty, and how many there are.
        tokens: lengths of the examples, whole, special tokens included; None without a model.
        truncated: examples of which something is cut at the length allowed.
        windowed: examples that take several rows there.
        rows: rows there; None without a model.
        repeated: examples that occur several times in the split.
        notes: what reading and encoding left out or repaired.
        errors: cause and remedy of each example that cannot be read, and of what stopped reading or encoding.
    """

    name: str
    files: tuple[Path, ...]
    examples: int = 0
    is_stream: bool = False
    unlabeled: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[float, float, float] | None = None
    characters: Lengths | None = None
    empty: tuple[int, tuple[str, ...]] = (0, ())
    tokens: Lengths | None = None
    truncated: int = 0
    windowed: int = 0
    rows: int | None = None
    repeated: Repetition = Repetition(0, 0, ())
    notes: tuple[str, ...] = ()
    errors: Errors = ()


@dataclass(frozen=True)
class DataReport:
    """What is found in a data source.

    Attributes:
        task: name of the task.
        data: that was looked at, in words.
        model: whose tokens are counted, or None.
        max_length: tokens of the longest row allowed, or None without a model.
        labels: of the dataset.
        splits: by name.
        across: names of two splits to the examples of the second whose texts are in the first.
        label_differences: names of a split to the labels that it has and the training split has not, and to those that
            the training split has and it has not; splits without a difference are absent.
        notes: what is to be said of the data as a whole.
    """

    task: str
    data: str
    model: str | None
    max_length: int | None
    labels: tuple[str, ...]
    splits: Mapping[str, SplitReport]
    across: Mapping[tuple[str, str], Repetition]
    label_differences: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> dict[str, Errors]:
        """Causes and remedies by split; splits without errors are absent."""
        return {name: split.errors for name, split in self.splits.items() if split.errors}


def check_data(config: RunConfig, registry: Registry) -> DataReport:
    """Reads all splits of the configured data, and encodes them where a model is named.

    A split that cannot be read does not keep the others from being looked at, nor does an example of a split whose
    reader uses :data:`bertcore.data.bad_examples.one_example`.

    Args:
        config: names task and data, perhaps a model.
        registry: the plugins.

    Raises:
        UsageError: something is not named, or there is none of this name.
        DataError: no split can be found at all.
        ModelError: the model is missing or damaged.
    """
    task = find_task(config, registry)
    describe(task=task.name, data=data_names(config.data), model=config.model.path or "")
    with gather_errors() as of_opening:
        try:
            dataset = open_data(task, config, registry)
        except DataError:
            opened = _open_one_by_one(task, config, registry)
            if opened is None:
                raise
            dataset = opened
        config = settle_options(config, dataset)
        # What a file with errors tells of the labels is not all, and what a dev split does is none of a training's.
        knows_labels = not dataset.discovered or bool(dataset.labels and TRAINING in dataset.files and not of_opening)
        encoder = None if config.model.path is None else _Encoder(task, dataset, config, registry, knows_labels)
    notes = (*dataset.notes, *(() if encoder is None else encoder.tokenizer.notes))
    splits: dict[str, SplitReport] = {}
    read: dict[str, Sequence[Example]] = {}
    for name in dataset.files:
        earlier = _of_split(of_opening.values(), name, dataset)
        # Where a task knows its labels itself, reading has compared them.
        known_labels = dataset.labels if dataset.discovered and knows_labels else ()
        with about(name):
            splits[name], read[name] = _check_split(name, dataset, known_labels, config, encoder, earlier)
    seen = {name: _first_places(examples) for name, examples in read.items()}
    across = {}
    for first, second in combinations(sorted(read, key=lambda name: name != TRAINING), 2):
        found = _repetition(read[second], seen[first])
        if found.count:
            across[first, second] = found
    return DataReport(
        task=task.name,
        data=config.data.path or ", ".join(str(file) for files in dataset.files.values() for file in files),
        model=config.model.path,
        max_length=None if encoder is None else encoder.max_length,
        labels=dataset.labels,
        splits=splits,
        across=across,
        label_differences=_label_differences(splits),
        notes=notes,
    )


def _of_split(errors: Iterable[DataError], name: str, dataset: Dataset) -> list[DataError]:
    """The errors about a file of this split; the first split has also those about no file of any."""
    first, files = next(iter(dataset.files)), [file for several in dataset.files.values() for file in several]
    return [
        error for error in errors if _place(error, dataset.files[name]) or (name == first and not _place(error, files))
    ]


def _place(error: DataError, files: Sequence[Path]) -> tuple[int, int] | None:
    """Which of the files an error is about, and the line; None where it is about none of them."""
    for index, file in enumerate(files):
        if error.cause.startswith(f"{file}:"):
            line = error.cause.removeprefix(f"{file}:").partition(":")[0]
            return index, int(line) if line.isdecimal() else 0
    return None


def _in_order(errors: Iterable[DataError], files: Sequence[Path], last: DataError | UsageError | None) -> Errors:
    """The errors of single examples by line, each once, and what ended reading or encoding."""
    of_examples = sorted(
        {error.cause: error for error in errors}.values(), key=lambda error: _place(error, files) or (0, 0)
    )
    found = [(error.cause, error.remedy) for error in of_examples]
    # What is said of a whole file may not be true with the examples that were left out.
    if last is not None and not (found and last.cause.startswith(tuple(f"{file}: " for file in files))):
        found.append((last.cause, last.remedy))
    return tuple(dict.fromkeys(found))


def _open_one_by_one(task: Task, config: RunConfig, registry: Registry) -> Dataset | None:
    """The user's own files, each opened by itself; None where no file alone is what is wrong.

    A task that finds its labels in one of them cannot be opened where that one is damaged, and nothing would be said
    of the others.
    """
    opened: dict[str, Dataset] = {}
    errors: dict[str, DataError] = {}
    options: dict[str, Any] = {}
    files = _own_files(config) if task.own_files else {}
    for name, file in files.items():
        alone = {"path": None, **dict.fromkeys(_OWN_SPLITS), name: str(file)}
        data = config.data.model_copy(update={**options, **alone})
        try:
            opened[name] = open_data(task, config.model_copy(update={"data": data}), registry)
        except DataError as error:
            errors[name] = error
        else:
            options = {**opened[name].options, **options}
    if not errors:
        return None
    notes: list[str] = []

    def read(name: str) -> Split:
        if name in errors:
            raise errors[name]
        split = opened[name].split(name)
        notes.extend(opened[name].notes)
        return split

    labels = next((dataset.labels for dataset in opened.values() if dataset.labels), ())
    discovered = any(dataset.discovered for dataset in opened.values())
    return Dataset({name: (file,) for name, file in files.items()}, read, labels, discovered, notes, options)


def _own_files(config: RunConfig) -> dict[str, Path]:
    """The file of each split, where it is named or the only one of its name in the folder."""
    data, files = config.data, {}
    path = None if data.path is None else Path(data.path)
    if path is not None and path.is_dir():
        found = sorted(file for file in path.iterdir() if file.is_file())
        for name in _OWN_SPLITS:
            same = [file for file in found if file.stem == name]
            if len(same) == 1:
                files[name] = same[0]
    elif path is not None and path.is_file():
        files["dev"] = path
    files |= {name: Path(file) for name in _OWN_SPLITS if (file := getattr(data, name, None)) is not None}
    return {name: files[name] for name in _OWN_SPLITS if name in files}


class _Encoder:
    """Encodes examples with the tokenizer of a model."""

    def __init__(self, task: Task, dataset: Dataset, config: RunConfig, registry: Registry, knows_labels: bool) -> None:
        source = find_model(config.model, registry, tensors=False)
        self.max_length: int = choose_max_length(config, source)
        self._task = task
        self._dataset = dataset
        self._knows_labels = knows_labels
        self._config = config
        self.tokenizer: Tokenizer = source.tokenizer(config.data.lowercase)
        self.head: Head = task.choose_head(dataset, config.data, config.head)

    def encode(
        self, name: str, examples: Sequence[Example], note: Callable[[str], None]
    ) -> tuple[Encoding, NDArray[np.int64]]:
        """The rows of the length allowed, and the lengths of the examples when nothing is cut."""
        if not self._knows_labels and not isinstance(examples, RecordedSplit):
            examples = [replace(example, label=None) for example in examples]
        encoding = encode_examples(
            self._task,
            examples,
            # What is kept of an encoding is found by the files, and a part of their examples is not all of them.
            files=() if is_divided(self._config.data) else self._dataset.files[name],
            tokenizer=self.tokenizer,
            head=self.head,
            config=self._config,
            max_length=self.max_length,
            note=note,
        )
        batch = encoding.batch
        if not len(encoding.truncated) and len(batch) == len(examples):
            return encoding, batch.lengths
        if isinstance(examples, RecordedSplit) and not any(example.texts for example in examples):
            return encoding, batch.lengths
        uncut = self._task.encode(list(examples), self.tokenizer, self.head, _UNLIMITED, self._config.data).batch
        lengths = np.bincount(uncut.example_index, weights=uncut.lengths, minlength=len(examples))
        return encoding, lengths.astype(np.int64)


def _check_split(
    name: str,
    dataset: Dataset,
    known_labels: tuple[str, ...],
    config: RunConfig,
    encoder: _Encoder | None,
    earlier: Sequence[DataError],
) -> tuple[SplitReport, Sequence[Example]]:
    """Looks at one split; an error of more than an example ends it, and what is known by then is kept."""
    files = dataset.files[name]
    report = SplitReport(name, files)
    noted = len(dataset.notes)
    examples: Sequence[Example] = ()
    last: DataError | UsageError | None = None
    with gather_errors() as gathered:
        try:
            split = dataset.split(name)
            is_stream = isinstance(split, ExampleStream)
            examples = (
                list(islice(split.open(), config.data.stream_window)) if isinstance(split, ExampleStream) else split
            )
            if known_labels and not isinstance(examples, RecordedSplit):
                examples = _with_known_labels(examples, known_labels)
            report = replace(report, **_facts(examples, dataset.labels), is_stream=is_stream)
            if isinstance(examples, RecordedSplit):
                rows = examples.rows.batch  # so that every checksum is compared
                report = replace(report, rows=len(rows), tokens=Lengths.of(rows.lengths))
            if encoder is not None:
                notes: list[str] = []
                encoding, lengths = encoder.encode(name, examples, notes.append)
                rows_of_example = np.bincount(encoding.batch.example_index, minlength=len(examples))
                report = replace(
                    report,
                    tokens=Lengths.of(lengths),
                    rows=len(encoding.batch),
                    truncated=len(encoding.truncated),
                    windowed=int(np.count_nonzero(rows_of_example > 1)),
                    notes=(*notes, *encoding.notes),
                )
        except (DataError, UsageError) as error:
            last = error
    errors = _in_order((*earlier, *gathered.values()), files, last)
    return replace(report, errors=errors, notes=(*dataset.notes[noted:], *report.notes)), examples


def _with_known_labels(examples: Sequence[Example], known: tuple[str, ...]) -> list[Example]:
    """The examples without those whose label, or one of several, is a name that is not known."""
    kept: list[Example] = []
    for example in examples:
        names = [example.label] if isinstance(example.label, str) else example.label
        with one_example:
            for name in names if isinstance(names, list | tuple | set | frozenset) else ():
                if isinstance(name, str) and name not in known:
                    raise unknown_label(example.origin, name, known)
            kept.append(example)
    return kept


def _facts(examples: Sequence[Example], known: tuple[str, ...]) -> dict[str, Any]:
    """What the examples alone tell."""
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
    empty = [example.origin or example.identifier for example in examples if _is_empty(example)]
    return {
        "examples": len(examples),
        "unlabeled": sum(example.label is None for example in examples),
        "labels": labels,
        "numbers": (min(numbers), sum(numbers) / len(numbers), max(numbers)) if numbers else None,
        "characters": Lengths.of(sum(map(len, example.texts.values())) for example in examples if example.texts),
        "empty": (len(empty), tuple(empty[:SHOWN_EXAMPLES])),
        "repeated": _repetition(examples, None),
    }


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


def _first_places(examples: Sequence[Example]) -> dict[tuple[str, ...], Example]:
    """Where each combination of texts stands first."""
    found: dict[tuple[str, ...], Example] = {}
    for example in examples:
        found.setdefault(tuple(example.texts.values()), example)
    return found


def _repetition(examples: Sequence[Example], earlier: Mapping[tuple[str, ...], Example] | None) -> Repetition:
    """The examples whose texts are among earlier ones, or (None) stand further up among themselves."""
    seen: dict[tuple[str, ...], Example] = {} if earlier is None else dict(earlier)
    count = conflicting = 0
    first: list[tuple[str, str]] = []
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
            first.append((example.origin or example.identifier, found.origin or found.identifier))
    return Repetition(count, conflicting, tuple(first))


def _label_differences(splits: Mapping[str, SplitReport]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    training = splits.get(TRAINING)
    if training is None or not training.labels or training.errors:
        return {}
    known = {name for name, count in training.labels.items() if count}
    differences = {}
    for name, split in splits.items():
        own = {label for label, count in split.labels.items() if count}
        if own and own != known and not split.errors:
            differences[name] = (tuple(sorted(own - known)), tuple(sorted(known - own)))
    return differences


def report_json(report: DataReport) -> dict[str, Any]:
    """The report for other programs to read."""
    return {
        "task": report.task,
        "data": report.data,
        "model": report.model,
        "max_length": report.max_length,
        "labels": list(report.labels),
        "splits": {name: _split_json(split) for name, split in report.splits.items()},
        "across": [
            {"splits": [first, second], **_repetition_json(found)} for (first, second), found in report.across.items()
        ],
        "label_differences": {
            name: {"not_in_train": list(new), "only_in_train": list(missing)}
            for name, (new, missing) in report.label_differences.items()
        },
        "notes": list(report.notes),
        "errors": {name: _errors_json(errors) for name, errors in report.errors.items()},
    }


def _errors_json(errors: Errors) -> dict[str, Any]:
    first = [{"cause": cause, "remedy": remedy} for cause, remedy in errors[:SHOWN_ERRORS]]
    return {"count": len(errors), "first": first}


def _split_json(split: SplitReport) -> dict[str, Any]:
    numbers = split.numbers
    return {
        "files": [str(file) for file in split.files],
        "examples": split.examples,
        "is_stream": split.is_stream,
        "unlabeled": split.unlabeled,
        "labels": dict(split.labels),
        "numbers": None if numbers is None else dict(zip(("smallest", "mean", "largest"), numbers, strict=True)),
        "characters": _lengths_json(split.characters),
        "empty": {"count": split.empty[0], "first": list(split.empty[1])},
        "tokens": _lengths_json(split.tokens),
        "rows": split.rows,
        "truncated": split.truncated,
        "windowed": split.windowed,
        "repeated": _repetition_json(split.repeated),
        "notes": list(split.notes),
    }


def _lengths_json(lengths: Lengths | None) -> dict[str, Any] | None:
    if lengths is None:
        return None
    percentiles = {f"percentile_{key}": value for key, value in lengths.percentiles.items()}
    return {**percentiles, "longest": lengths.longest, "mean": lengths.mean}


def _repetition_json(found: Repetition) -> dict[str, Any]:
    return {
        "count": found.count,
        "conflicting": found.conflicting,
        "first": [{"example": example, "repeats": repeated} for example, repeated in found.first],
    }


def report_lines(report: DataReport) -> list[str]:
    """The report for people, the outcome last."""
    head = {"task": report.task, "data": report.data}
    if report.model is not None:
        head["model"] = f"{report.model}, rows of at most {report.max_length} tokens"
    lines = [f"{name:<6} {value}" for name, value in head.items()]
    lines += report.notes
    for split in report.splits.values():
        lines += ["", *_split_lines(split, report.max_length)]
    between = [
        f"  in {first} and {second}: {_repetition_words(found)}" for (first, second), found in report.across.items()
    ]
    for name, (new, missing) in report.label_differences.items():
        between += [f"  labels of {name} that {TRAINING} has not: {_listed(new)}"] if new else []
        between += [f"  labels of {TRAINING} that {name} has not: {_listed(missing)}"] if missing else []
    if between:
        lines += ["", "between the splits", *between]
    for name, errors in report.errors.items():
        lines += ["", *_error_lines(name, errors)]
    readable = len(report.splits) - len(report.errors)
    total = sum(split.examples for split in report.splits.values() if not split.errors)
    lines += ["", f"{readable} of {len(report.splits)} splits can be used, {total} examples"]
    return lines


def _error_lines(name: str, errors: Errors) -> list[str]:
    """The first errors, those of one remedy together."""
    lines: list[str] = []
    for remedy, group in groupby(errors[:SHOWN_ERRORS], key=lambda error: error[1]):
        lines += [f"error in {name}: {cause}" for cause, _ in group]
        lines.append(f"remedy: {remedy}")
    if len(errors) > SHOWN_ERRORS:
        lines.append(f"{len(errors) - SHOWN_ERRORS} more errors in {name}")
    return lines


def _split_lines(split: SplitReport, max_length: int | None) -> list[str]:
    files = ", ".join(file.name for file in split.files)
    lines = [f"{split.name}: {split.examples} examples{' and more (a stream)' if split.is_stream else ''} ({files})"]
    if split.unlabeled:
        lines.append(f"  no label    {_part(split.unlabeled, split.examples)}")
    if split.labels:
        whole = sum(split.labels.values())
        lines.append(f"  labels      {_listed([f'{name} {_part(n, whole)}' for name, n in split.labels.items()])}")
    if split.numbers is not None:
        smallest, mean, largest = split.numbers
        lines.append(f"  labels      {smallest:g} to {largest:g}, mean {mean:.4g}")
    if split.characters is not None:
        lines.append(f"  characters  {_lengths_words(split.characters)}")
    if split.empty[0]:
        lines.append(f"  empty       {_part(split.empty[0], split.examples)}: {_first(split.empty[1], split.empty[0])}")
    if split.tokens is not None:
        lines.append(f"  tokens      {_lengths_words(split.tokens)}")
    if split.rows is not None and max_length is not None:
        cut = f"{_part(split.truncated, split.examples)} truncated at {max_length} tokens"
        windows = f", {_part(split.windowed, split.examples)} in several windows" if split.windowed else ""
        lines.append(f"  rows        {split.rows}, {cut}{windows}")
    if split.repeated.count:
        lines.append(f"  duplicates  {_repetition_words(split.repeated)}")
    return lines + [f"  note        {text}" for text in split.notes]


def _lengths_words(lengths: Lengths) -> str:
    percentiles = ", ".join(f"{percent} % up to {value}" for percent, value in lengths.percentiles.items())
    return f"{percentiles}, longest {lengths.longest}, mean {lengths.mean:.1f}"


def _repetition_words(found: Repetition) -> str:
    conflicts = f", {found.conflicting} with another label" if found.conflicting else ""
    places = [f"{example} repeats {repeated}" for example, repeated in found.first]
    return f"{found.count} example{'s' * (found.count != 1)}{conflicts}: {_first(places, found.count)}"


def _part(count: int, whole: int) -> str:
    return f"{count} ({100 * count / whole:.1f} %)" if whole else str(count)


def _first(places: Sequence[str], count: int) -> str:
    return ", ".join(places) + (", ..." if count > len(places) else "")


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def draw_report(report: DataReport, file: Path) -> tuple[str, ...]:
    """Draws the lengths and the label balance of all splits as a PNG picture, and returns what is to be said of it.

    Raises:
        OutputError: the file cannot be written.
    """
    import matplotlib

    drawn = "".join(label for split in report.splits.values() for label in (split.name, *split.labels))
    fonts, missing = _fonts_for(drawn)
    families = [*matplotlib.rcParams["font.family"], *fonts]
    with (
        matplotlib.rc_context({"font.family": families, "text.parse_math": False}),  # a label is no formula
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        _draw(report, file)
    if not missing:
        return ()
    shown = _listed(missing, 5)
    return (f"{file}: drawn as boxes, no installed font has them: {shown}; install one, as Noto Sans CJK",)


def _fonts_for(text: str) -> tuple[list[str], list[str]]:
    """Installed fonts for the characters that matplotlib's usual font lacks, and the characters that none has."""
    from matplotlib import font_manager

    def lacking(file: str, characters: Iterable[str]) -> list[str]:
        font = font_manager.get_font(file)
        return [character for character in characters if not font.get_char_index(ord(character))]

    fonts: list[str] = []
    missing = lacking(font_manager.findfont(font_manager.FontProperties()), dict.fromkeys(text))
    while missing:
        # Every font of the same family will do; "Last Resort" has a box for every character.
        left = {
            font.name: lacking(font.fname, missing)
            for font in font_manager.fontManager.ttflist
            if font.style == "normal" and not font.name.startswith("Last Resort")
        }
        best = min(sorted(left), key=lambda name: len(left[name]), default=None)
        if best is None or len(left[best]) == len(missing):
            break
        fonts.append(best)
        missing = left[best]
    return fonts, missing


def _draw(report: DataReport, file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    length_axes, label_axes = figure.subplots(1, 2)
    in_tokens = any(split.tokens is not None for split in report.splits.values())
    drawn = {name: split.tokens if in_tokens else split.characters for name, split in report.splits.items()}
    longest = max((lengths.longest for lengths in drawn.values() if lengths is not None), default=1)
    bins = np.linspace(0, longest + 1, 60)
    for name, lengths in drawn.items():
        if lengths is not None:
            values = lengths.values
            length_axes.hist(
                values, bins=bins, weights=np.full(len(values), 100 / len(values)), histtype="step", label=name
            )
    if in_tokens and report.max_length is not None:
        length_axes.axvline(report.max_length, linestyle=":", color="black", label=f"limit {report.max_length}")
    length_axes.set(xlabel="tokens of an example" if in_tokens else "characters of an example", ylabel="% of the split")
    labeled = {name: split.labels for name, split in report.splits.items() if split.labels}
    names = list(dict.fromkeys(label for counts in labeled.values() for label in counts))[:DRAWN_LABELS]
    width = 0.8 / max(len(labeled), 1)
    for number, (name, counts) in enumerate(labeled.items()):
        whole = sum(counts.values())
        heights = [100 * counts.get(label, 0) / whole for label in names]
        label_axes.bar(np.arange(len(names)) + number * width, heights, width, label=name)
    label_axes.set(ylabel="% of the split", xlabel="label" if names else "no names of labels")
    label_axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names, rotation=45, ha="right")
    for axes in (length_axes, label_axes):
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    with atomic_write(file) as output:
        figure.savefig(output, format="png", dpi=110)
