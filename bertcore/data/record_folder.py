"""Folders of record files: what bertcore writes beside the records, and how a folder becomes a dataset again.

A folder that ``bertcore data convert`` made holds for each split the records (``train.tf_record``) and the examples
that they were made from (``train.examples.jsonl``), and ``records.json``, which says what the records mean. So scores
and predictions are those of the original data.

In a folder that another program made, the names of the files say which split they are. Its records are enough for a
classification or a regression: every record is an example without text. Labels that a task does not know by itself
stand in a ``records.json`` with nothing but ``{"labels": [...]}``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

import bertcore
from bertcore.batch import Per
from bertcore.config import DataConfig, HeadConfig, Setting
from bertcore.data.encoded import OPTIONS_BESIDE_ROWS
from bertcore.data.records import (
    ColumnLayout,
    Record,
    RecordedRows,
    RecordFormat,
    RecordLayout,
    foreign_layout,
    rows_of,
)
from bertcore.data.tables import parse_json_lines, read_lines
from bertcore.data.tokenizer import Tokenizer
from bertcore.errors import DataError, DeviceError, PluginError
from bertcore.heads import Head, Regression, SpanExtraction
from bertcore.task import Dataset, Encoding, Example, Task

DESCRIPTION = "records.json"
VERSION = 1

BROUGHT_BY = {"mindrecord": "bertcore-mindspore"}
"""Formats of this project that a distribution of their own brings."""

# A run may allow longer rows than there are, or shorter ones if there are none.
_LENGTH = "max_length"

_CONVERT_ANEW = "write the records anew: bertcore data convert"

# google-research/bert's names of the splits that it calls otherwise; of its test set it knows no label.
_EVALUATED, _UNLABELED = "eval", "predict"

_SHARD = re.compile(r"(?P<front>.*?)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<back>.*)")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _number_type(name: str) -> str:
    try:
        kind = np.dtype(name).kind
    except TypeError:
        kind = "none"
    if kind not in {"b", "i", "u", "f"}:
        raise ValueError(f"{name!r} is no type of numbers")
    return name


class ColumnDescription(_Part):
    """See :class:`bertcore.data.records.ColumnLayout`."""

    name: str
    feature: str
    per: Per
    dtype: Annotated[str, AfterValidator(_number_type)]
    shape: tuple[NonNegativeInt, ...] = ()
    ignore: float | None = None


class SplitDescription(_Part):
    """One split of a folder: its files, their sizes, the layout of the records, and what was noted on the way."""

    file: str
    examples: str
    example_count: int
    record_count: int
    columns: tuple[ColumnDescription, ...]
    label_positions: bool
    example_index: bool
    reading_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _labels_have_positions(self) -> SplitDescription:
        astray = [column.name for column in self.columns if column.per == "label"]
        if astray and not self.label_positions:
            raise ValueError(f"{astray[0]} has a value per label, and label_positions is false")
        return self

    @property
    def layout(self) -> RecordLayout:
        """As the records module has it."""
        columns = tuple(ColumnLayout(**column.model_dump()) for column in self.columns)
        return RecordLayout(columns, self.label_positions, self.example_index)


class FolderDescription(_Part):
    """The content of ``records.json``; another program writes ``labels`` alone.

    Attributes:
        version: of this description.
        bertcore: version of the program.
        format: name of the record format.
        task: name of the task.
        encoding_version: of the task.
        head: name of the head whose columns the records hold.
        labels: of the dataset, in the order of their ids.
        head_labels: of the head, which may tell them apart in other terms (another tag scheme).
        discovered: as in :class:`bertcore.task.Dataset`.
        tokenizer: fingerprint of the tokenizer.
        max_length: tokens of the longest row allowed; lists are padded to it.
        options: the task's data options.
        splits: by name.
    """

    version: int = VERSION
    bertcore: str = ""
    format: str = ""
    task: str = ""
    encoding_version: int = 0
    head: str = ""
    labels: tuple[str, ...] = ()
    head_labels: tuple[str, ...] = ()
    discovered: bool = False
    tokenizer: str = ""
    max_length: int = 0
    options: dict[str, Any] = {}
    splits: dict[str, SplitDescription] = {}


def data_options(data: DataConfig) -> dict[str, Any]:
    """The data options that determine what rows are made of an example, as JSON has them."""
    return data.model_dump(mode="json", exclude=set(OPTIONS_BESIDE_ROWS))


def read_description(folder: Path) -> FolderDescription | None:
    """Reads ``records.json``, or returns None where there is none.

    Raises:
        DataError: it is damaged, or of a later version, or two labels have the same name.
    """
    file = folder / DESCRIPTION
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content.get("version", VERSION) if isinstance(content, dict) else VERSION
        if version != VERSION:
            raise DataError(f"{file}: version {version} is not known", "update bertcore, or convert the data anew")
        description = FolderDescription.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{file}: {field}: {first['msg'][0].lower()}{first['msg'][1:]}", _CONVERT_ANEW) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: {error}", _CONVERT_ANEW) from None
    # Scores and predictions go by the names of labels: two classes of one name would be counted as one.
    for field, labels in (("labels", description.labels), ("head_labels", description.head_labels)):
        twice = next((label for number, label in enumerate(labels) if label in labels[:number]), None)
        if twice is not None:
            raise DataError(
                f"{file}: {field}: two labels are named {twice!r}",
                _CONVERT_ANEW if description.splits else "give every label a name of its own, in the order of the ids",
            )
    return description


def recorded_settings(path: str, task: str) -> list[Setting]:
    """The data options that the records of a folder were made with, for a task that reads them again.

    They stand below whatever else sets an option, so that a run does not have to repeat them.
    """
    description = read_description(Path(path))
    if description is None or description.task != task:
        return []
    origin = str(Path(path) / DESCRIPTION)
    return [Setting(f"data.{name}", value, origin) for name, value in description.options.items() if value is not None]


def holds_records(folder: Path, formats: Mapping[str, RecordFormat]) -> bool:
    """Whether a folder is read as records: it has a ``records.json``, or files with the suffix of a format."""
    if not folder.is_dir():
        return False
    return (folder / DESCRIPTION).is_file() or bool(_record_files(folder, formats))


def open_records(
    folder: Path, task: Task, data: DataConfig, head: HeadConfig, formats: Mapping[str, RecordFormat]
) -> Dataset:
    """Opens a folder of record files as the data of a task; its splits are :class:`RecordedSplit`.

    Args:
        folder: that :func:`holds_records`.
        task: that reads it.
        data: the data options of the run.
        head: the head options of the run.
        formats: that are known, by name.

    Raises:
        DataError: the records are another task's, or were made with other options, or do not suffice.
        DeviceError: a package that the format needs is not installed.
    """
    description = read_description(folder) or FolderDescription()
    if description.splits:
        return _open_own(folder, description, task, data, formats)
    return _open_foreign(folder, description, task, head, formats)


class RecordedSplit(Sequence[Example]):
    """The examples of a split whose rows lie in record files.

    Args:
        examples: all examples.
        read: reads the rows.
        file: of the records, for errors.
        description: of the folder.
        truncated: indices of the examples of which something was cut.
        notes: of the encoding.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        read: Callable[[], RecordedRows],
        file: Path,
        description: FolderDescription,
        truncated: Sequence[int] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self._examples = examples
        self._read = read
        self._file = file
        self._description = description
        self._truncated = truncated
        self._notes = notes

    def __len__(self) -> int:
        return len(self._examples)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        return self._examples[index]

    @cached_property
    def rows(self) -> RecordedRows:
        """All rows, read when first asked for."""
        return self._read()

    def encoding(self, tokenizer: Tokenizer, head: Head, max_length: int) -> Encoding:
        """Returns the rows as the task's ``encode`` would, and checks that it would give the same.

        Args:
            tokenizer: of the model.
            head: that reads the rows.
            max_length: tokens of the longest row allowed.

        Raises:
            DataError: they were made with another tokenizer or for another head, a row is too long, or a token, a
                segment, a label or the end of an answer is none; names the record.
        """
        made, file = self._description, self._file
        if made.tokenizer and made.tokenizer != tokenizer.fingerprint:
            raise DataError(f"{file}: the records were made with another tokenizer than the model's", _CONVERT_ANEW)
        if made.head and made.head != head.name:
            raise DataError(f"{file}: the records are for the head {made.head}, and this is {head.name}", _CONVERT_ANEW)
        labels = getattr(head, "labels", ())
        if labels != made.head_labels:
            raise DataError(
                f"{file}: the labels of the records are {', '.join(made.head_labels)}; wanted are {', '.join(labels)}",
                f"{_CONVERT_ANEW}, with the same model and options of the head",
            )
        batch, numbers = self.rows.batch, self.rows.numbers
        if len(batch) and int(batch.lengths.max()) > max_length:
            row = int(np.argmax(batch.lengths > max_length))
            raise DataError(
                f"{file}: record {numbers[row]}: {batch.lengths[row]} tokens, and at most {max_length} are allowed",
                f"convert the data anew with --set data.max_length={max_length}",
            )
        bounds = (
            (
                "token",
                batch.input_ids,
                tokenizer.vocab_size,
                "give the model whose tokenizer the records were made with",
            ),
            ("segment", batch.token_type_ids, tokenizer.segment_count, "write 0 for the first text, 1 for the second"),
        )
        for kind, ids, count, remedy in bounds:
            beyond = ids >= count
            if beyond.any():
                place = int(np.argmax(beyond))
                row = int(np.searchsorted(batch.offsets, place, side="right")) - 1
                raise DataError(
                    f"{file}: record {numbers[row]}: the {kind} {ids[place]} is beyond the model's {count} {kind}s",
                    remedy,
                )
        self._check_labels(head)
        if isinstance(head, SpanExtraction):
            self._check_spans()
        return Encoding(batch, np.asarray(self._truncated, dtype=np.int64), self._notes)

    def _check_labels(self, head: Head) -> None:
        # Not every format has checksums, and a loss may take any number for a label.
        batch, count = self.rows.batch, len(getattr(head, "labels", ()))
        column = batch.columns.get(head.label_column)
        if not count or column is None or not np.issubdtype(column.values.dtype, np.integer):
            return
        values: NDArray[Any] = column.values
        wrong = ((values < 0) | (values >= count)) & (values != column.ignore)
        if wrong.any():
            place = row = int(np.argmax(wrong))
            if column.per == "label" and batch.label_offsets is not None:
                row = int(np.searchsorted(batch.label_offsets, place, side="right")) - 1
            raise DataError(
                f"{self._file}: record {self.rows.numbers[row]}: the label {values[place]} is none of {count}",
                _CONVERT_ANEW,
            )

    def _check_spans(self) -> None:
        batch = self.rows.batch
        for name in ("start_positions", "end_positions"):
            column = batch.columns.get(name)
            if column is None:
                continue
            values: NDArray[Any] = column.values
            wrong = ((values < 0) | (values >= batch.lengths)) & (values != column.ignore)
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"{self._file}: record {self.rows.numbers[row]}: {name} is {values[row]}, and the row has "
                    f"{batch.lengths[row]} tokens",
                    _CONVERT_ANEW,
                )


def _open_own(
    folder: Path,
    description: FolderDescription,
    task: Task,
    data: DataConfig,
    formats: Mapping[str, RecordFormat],
) -> Dataset:
    origin = folder / DESCRIPTION
    if description.task != task.name:
        raise DataError(
            f"{origin}: these are records of the task {description.task}, not of {task.name}",
            f"give --task {description.task}, or other data",
        )
    if description.encoding_version != task.encoding_version:
        raise DataError(f"{origin}: the task {task.name} makes other rows today", _CONVERT_ANEW)
    now = data_options(data)
    for name in sorted({*now, *description.options} - {_LENGTH}):
        made = description.options.get(name)
        if now.get(name) != made:
            raise DataError(
                f"{origin}: the records were made with data.{name} = {json.dumps(made, ensure_ascii=False)}, and this "
                f"is {json.dumps(now.get(name), ensure_ascii=False)}",
                f"leave data.{name} out, or convert the data anew",
            )
    record_format = _usable(description.format, formats, origin)
    files: dict[str, tuple[Path, ...]] = {}
    for name, split in description.splits.items():
        if not all(Path(file).name == file for file in (split.file, split.examples)):
            raise DataError(f"{origin}: splits.{name} names a file in another folder", _CONVERT_ANEW)
        files[name] = (folder / split.file, folder / split.examples)

    notes: list[str] = []

    def read(name: str) -> RecordedSplit:
        split, (file, examples_file) = description.splits[name], files[name]
        for path in files[name]:
            if not path.is_file():
                raise DataError(f"{path}: no such file, though {DESCRIPTION} names it", _CONVERT_ANEW)
        examples, truncated = read_examples(examples_file, task)
        _require_count(examples_file, len(examples), split.example_count, "examples")
        notes.extend(split.reading_notes)

        def read_rows() -> RecordedRows:
            records = record_format.read(file) if split.record_count else iter(())
            rows = rows_of(records, split.layout, str(file))
            _require_count(file, len(rows.batch), split.record_count, "records")
            found = rows.batch.example_index
            if len(found) and (found.min() < 0 or found.max() >= len(examples)):
                raise DataError(f"{file}: a record belongs to no example of {examples_file.name}", _CONVERT_ANEW)
            return rows

        return RecordedSplit(examples, read_rows, file, description, truncated, split.notes)

    return Dataset(files, read, description.labels, description.discovered, notes)


def _require_count(file: Path, found: int, stored: int, noun: str) -> None:
    if found != stored:
        raise DataError(f"{file}: {found} {noun}, and {DESCRIPTION} says {stored}", _CONVERT_ANEW)


def _open_foreign(
    folder: Path,
    description: FolderDescription,
    task: Task,
    head_options: HeadConfig,
    formats: Mapping[str, RecordFormat],
) -> Dataset:
    found = _record_files(folder, formats)
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise DataError(
            f"{folder}: records of one format are needed, and there are {names}", "keep the files of one format"
        )
    ((format_name, by_stem),) = found.items()
    record_format = _usable(format_name, formats, folder)
    labels = description.labels or task.labels
    head = task.head(labels, head_options)
    layout = foreign_layout(head)
    if layout is None:
        raise DataError(
            f"{folder}: records of another program hold no texts, and {task.name} cannot be scored without",
            "make them from the task's own files: bertcore data convert",
        )
    if not labels and not isinstance(head, Regression):
        raise DataError(
            f"{folder}: nothing says what the labels of the records are called",
            f'write {{"labels": ["...", "..."]}}, in the order of their ids, to {folder / DESCRIPTION}',
        )
    made = description.model_copy(update={"labels": labels, "head_labels": getattr(head, "labels", ())})
    stems: dict[str, str] = {}
    for stem, (file, *_) in by_stem.items():
        split = _split_name(stem, task)
        if split in stems:
            raise _claimed_twice(by_stem[stems[split]][0], file, split)
        stems[split] = stem
    files = {split: tuple(by_stem[stem]) for split, stem in stems.items()}
    notes = [f"{folder}: the tokenizer of these records is not known; it must be the model's"]

    def read(name: str) -> RecordedSplit:
        labeled = stems[name] != _UNLABELED
        file = files[name][0]
        records: Iterator[Record] = chain.from_iterable(record_format.read(path) for path in files[name])
        used = layout if labeled else RecordLayout()
        rows = rows_of(records, used, str(file))
        if rows.padding:
            notes.append(f"{file.name}: {rows.padding} records with is_real_example 0 left out")
        values: NDArray[Any] | None = rows.batch.columns[head.label_column].values if labeled else None
        unknown = (values < 0) | (values >= len(labels)) if values is not None and labels else np.zeros(0, dtype=bool)
        if values is not None and unknown.any():
            row = int(np.argmax(unknown))
            raise DataError(
                f"{file}: record {rows.numbers[row]}: label_ids is {values[row]}, and there are the labels "
                f"{', '.join(labels)}",
                f"write the labels in the order of their ids to {folder / DESCRIPTION}",
            )
        examples = []
        for row, number in enumerate(rows.numbers.tolist()):
            label = None if values is None else labels[values[row]] if labels else float(values[row])
            examples.append(Example(str(row), {}, label, f"{file.name}, record {number}"))
        return RecordedSplit(examples, lambda: rows, file, made)

    return Dataset(files, read, labels, notes=notes)


def _split_name(stem: str, task: Task) -> str:
    return {_EVALUATED: task.evaluation_split, _UNLABELED: "test"}.get(stem, stem)


def _usable(name: str, formats: Mapping[str, RecordFormat], origin: Path) -> RecordFormat:
    record_format = formats.get(name)
    if record_format is None:
        raise DataError(
            f"{origin}: no plugin reads records of the format {name!r}", unknown_format_remedy(name, formats)
        )
    require_usable(record_format)
    return record_format


def unknown_format_remedy(name: str, formats: Iterable[str]) -> str:
    """What to do where no plugin brings a format."""
    if name in BROUGHT_BY:
        return f"pip install {BROUGHT_BY[name]}, and leave its plugin switched on"
    return f"known are {', '.join(formats) or 'none'}"


def require_usable(record_format: RecordFormat) -> None:
    """Checks that a format can be used here.

    Raises:
        DeviceError: something that it needs is missing.
    """
    problem = record_format.problem()
    if problem is not None:
        raise DeviceError(f"the record format {record_format.name} cannot be used: {problem[0]}", problem[1])


def _record_files(folder: Path, formats: Mapping[str, RecordFormat]) -> dict[str, dict[str, list[Path]]]:
    """Files that carry the suffix of a format: by format and stem, the shards of one stem in their order.

    Raises:
        DataError: a shard is missing, or two files or sets of shards have the same stem.
    """
    found: dict[str, dict[str, dict[Path, re.Match[str] | None]]] = defaultdict(lambda: defaultdict(dict))
    for file in sorted(folder.iterdir()):
        name = file.name
        shard = _SHARD.fullmatch(name)
        if shard is not None:
            name = shard["front"] + shard["back"]
        for format_name, record_format in formats.items():
            suffix = next((suffix for suffix in record_format.recognized if name.endswith(suffix)), None)
            if suffix is not None and file.is_file():
                found[format_name][name.removesuffix(suffix)][file] = shard
    return {
        format_name: {stem: _whole_split(stem, files) for stem, files in by_stem.items()}
        for format_name, by_stem in found.items()
    }


def _whole_split(stem: str, files: Mapping[Path, re.Match[str] | None]) -> list[Path]:
    """The one file of a stem, or all shards of one set in their order; the files come sorted, each with its shard."""
    (first, first_shard), *others = files.items()
    for file, shard in others:
        # Sets may differ in their count, or in the suffix alone; a part of another set is other data.
        if first_shard is None or shard is None or _set_of(first_shard) != _set_of(shard):
            raise _claimed_twice(first, file, stem)
    if first_shard is None:
        return [first]
    front, count, back = _set_of(first_shard)
    parts = {int(shard["number"]): file for file, shard in files.items() if shard is not None}
    for number, file in parts.items():
        if number >= int(count):
            raise DataError(
                f"{file}: there is no part {number} of {int(count)}, because the first is part 0",
                "remove the file, or give it the number of its part",
            )
    missing = next((number for number in range(int(count)) if number not in parts), None)
    if missing is not None:
        file = first.with_name(f"{front}-{missing:05d}-of-{count}{back}")
        raise DataError(
            f"{file}: no such file, and {len(parts)} of {int(count)} parts are there", "get the parts that are missing"
        )
    return list(files)


def _set_of(shard: re.Match[str]) -> tuple[str, str, str]:
    """What the shards of one set have in common."""
    return shard["front"], shard["count"], shard["back"]


def _claimed_twice(first: Path, second: Path, split: str) -> DataError:
    return DataError(
        f"{first}: {second.name} claims the split {split!r} too",
        "remove one of the two; of a split in parts, keep the parts of one set",
    )


def examples_lines(examples: Sequence[Example], truncated: Sequence[int] = ()) -> Iterator[str]:
    """Yields one JSON object per example, which :func:`read_examples` makes the same example of.

    Raises:
        PluginError: the task's examples hold something that cannot be written.
    """
    cut = set(truncated)
    for index, example in enumerate(examples):
        entry = _to_json(example)
        if index in cut:
            entry["truncated"] = True
        yield json.dumps(entry, ensure_ascii=False)


def read_examples(file: Path, task: Task) -> tuple[list[Example], list[int]]:
    """Reads the examples beside the records of a split, and the indices of those that were truncated.

    Raises:
        DataError: a line is damaged.
    """
    examples: list[Example] = []
    truncated: list[int] = []
    for index, (entry, origin) in enumerate(parse_json_lines(read_lines(file), str(file))):
        if entry.pop("truncated", False):
            truncated.append(index)
        try:
            example = _from_json({_CLASS: f"{Example.__module__}:{Example.__qualname__}", **entry}, task)
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(f"{origin}: no example of the task {task.name} ({error})", _CONVERT_ANEW) from None
        examples.append(example)
    return examples, truncated


# What JSON does not tell apart is an object with one of these keys.
_CLASS, _TUPLE, _SET, _MAP = "$class", "$tuple", "$set", "$map"


def _to_json(value: Any) -> Any:
    """A value of an example in JSON, from which :func:`_from_json` makes an equal value of the same types."""
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, np.generic):
        return _to_json(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        kind = type(value)
        return fields if kind is Example else {_CLASS: f"{kind.__module__}:{kind.__qualname__}", **fields}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if type(value) is tuple:
        return {_TUPLE: [_to_json(item) for item in value]}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {_CLASS: f"{type(value).__module__}:{type(value).__qualname__}", **_to_json(value._asdict())}
    if isinstance(value, set | frozenset):
        return {_SET: sorted((_to_json(item) for item in value), key=repr), "frozen": isinstance(value, frozenset)}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _to_json(item) for key, item in value.items()}
        return {_MAP: [[_to_json(key), _to_json(item)] for key, item in value.items()]}
    raise PluginError(
        f"an example holds a {type(value).__qualname__}, which cannot be written beside its records",
        "report this to the authors of the task: use texts, numbers, tuples and dataclasses",
    )


def _from_json(value: Any, task: Task) -> Any:
    if isinstance(value, list):
        return [_from_json(item, task) for item in value]
    if not isinstance(value, dict):
        return value
    if _TUPLE in value:
        return tuple(_from_json(item, task) for item in value[_TUPLE])
    if _SET in value:
        items = (_from_json(item, task) for item in value[_SET])
        return frozenset(items) if value.get("frozen") else set(items)
    if _MAP in value:
        return {_from_json(key, task): _from_json(item, task) for key, item in value[_MAP]}
    content = {key: _from_json(item, task) for key, item in value.items() if key != _CLASS}
    return _class_of(value[_CLASS], task)(**content) if _CLASS in value else content


def _class_of(name: str, task: Task) -> type:
    """The class of a stored value: only dataclasses and named tuples of bertcore and of the task's own package."""
    module_name, _, path = name.partition(":")
    packages = {bertcore.__name__, *(kind.__module__.partition(".")[0] for kind in type(task).__mro__)}
    if module_name.partition(".")[0] not in packages - {"builtins", "abc"}:
        raise ValueError(f"{name!r} is no class of the task's own package")
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        raise ValueError(str(error)) from None
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not (dataclasses.is_dataclass(found) or hasattr(found, "_fields")):
        raise ValueError(f"there is no class {name!r} of values")
    return found
