"""Writing data as encoded rows: ``bertcore data convert``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import bertcore
from bertcore.config import RunConfig
from bertcore.contracts.dataset import Dataset, Split
from bertcore.contracts.record_format import FeatureRecord, RecordFormat
from bertcore.data.encoder import Encoder
from bertcore.data.records.comments import commented
from bertcore.data.records.description import (
    DESCRIPTION,
    ColumnDescription,
    FolderDescription,
    SplitDescription,
    data_options,
)
from bertcore.data.records.example_lines import examples_lines
from bertcore.data.records.folder import BROUGHT_BY, require_usable, unknown_format_remedy
from bertcore.data.records.layout import RecordLayout, layout_of
from bertcore.data.records.writing import records_of
from bertcore.engine.preparation import (
    data_names,
    find_model,
    find_task,
    open_data,
    open_encoder,
    settle_options,
)
from bertcore.engine.report import write_json
from bertcore.engine.run_folder import require_free
from bertcore.errors import PluginError, UsageError
from bertcore.files.writing import atomic_folder
from bertcore.plugins.registry import Registry
from bertcore.progress import about, describe, work


@dataclass(frozen=True)
class ConvertedSplit:
    """What became of a split.

    Attributes:
        file: of the records.
        examples: number of examples.
        records: number of rows.
        truncated: number of examples of which something was cut.
    """

    file: Path
    examples: int
    records: int
    truncated: int


@dataclass(frozen=True)
class DataConversion:
    """The outcome of a conversion.

    Attributes:
        folder: that was written.
        format: name of the record format.
        max_length: tokens of the longest row allowed.
        splits: by name.
        notes: what reading and encoding left out or repaired, for the user to read.
    """

    folder: Path
    format: str
    max_length: int
    splits: Mapping[str, ConvertedSplit]
    notes: tuple[str, ...]


def convert_data(config: RunConfig, registry: Registry, format_name: str, output: Path) -> DataConversion:
    """Writes all splits of the configured data as encoded rows, the folder whole or not at all.

    No more is held than one encoded split, of a stream no more than ``data.stream_window`` examples.

    Args:
        config: names task, data and model.
        registry: the plugins.
        format_name: name of a record format.
        output: the folder; must not hold anything.

    Raises:
        UsageError: something is not named, or there is none of this name.
        DataError: the data is missing or wrong.
        ModelError: the model is missing or damaged.
        DeviceError: the format needs a package that is not installed.
        OutputError: the folder holds something already, or cannot be written.
    """
    if format_name in BROUGHT_BY and format_name not in registry.record_formats:
        remedy = unknown_format_remedy(format_name, registry.record_formats)
        raise UsageError(f"there is no record format {format_name!r}", remedy, code="name-unknown")
    record_format = registry.record_format(format_name)
    task = find_task(config, registry)
    require_usable(record_format)
    require_free(output)
    describe(task=task.name, data=data_names(config.data), model=config.model.path or "", output=str(output))
    dataset = open_data(task, config, registry)
    config = settle_options(config, dataset)
    source = find_model(config.model, registry, tensors=False)
    notes: list[str] = []
    head = task.choose_head(dataset, config.data, config.head)
    encoder = open_encoder(task, source, head, config, notes.append)
    converter = _Converter(dataset, encoder, source.config.pad_token_id, record_format)
    notes += [*encoder.tokenizer.notes, *dataset.notes]
    splits: dict[str, ConvertedSplit] = {}
    descriptions: dict[str, SplitDescription] = {}
    with atomic_folder(output) as folder:
        for name in dataset.files:
            written = _SplitWriter(converter, name, folder)
            made = descriptions[name] = written.description
            splits[name] = ConvertedSplit(output / made.file, made.example_count, made.record_count, written.truncated)
        write_json(folder / DESCRIPTION, converter.description(descriptions).model_dump(mode="json"))
    return DataConversion(output, format_name, converter.encoder.max_length, splits, tuple(notes))


@dataclass(frozen=True)
class _Converter:
    """All that the splits of a conversion share."""

    dataset: Dataset
    encoder: Encoder
    pad_token_id: int
    record_format: RecordFormat

    def description(self, splits: dict[str, SplitDescription]) -> FolderDescription:
        """All that ``records.json`` says."""
        encoder = self.encoder
        return FolderDescription(
            bertcore=bertcore.__version__,
            format=self.record_format.name,
            task=encoder.task.name,
            encoding_version=encoder.task.encoding_version,
            head=encoder.head.name,
            labels=self.dataset.labels,
            head_labels=encoder.head.labels,
            discovered=self.dataset.discovered,
            tokenizer=encoder.tokenizer.fingerprint,
            max_length=encoder.max_length,
            options=data_options(encoder.options),
            notes=self.dataset.notes,
            splits=splits,
        )


class _SplitWriter:
    """Writes one split, and keeps what is to be known of it.

    Attributes:
        description: for ``records.json``.
        truncated: number of examples of which something was cut.
    """

    def __init__(self, converter: _Converter, name: str, folder: Path) -> None:
        self._converter = converter
        self._name = name
        self._layout: RecordLayout | None = None
        self._notes: list[str] = []
        self._examples = 0
        self.truncated = 0
        split = converter.dataset.split(name)
        file = folder / f"{name}{converter.record_format.suffix}"
        examples_file = folder / f"{name}.examples.jsonl"
        with examples_file.open("wb") as output, about(name):
            records = converter.record_format.write(file, self._records(split, output))
        layout = self._layout or RecordLayout()
        self.description = SplitDescription(
            file=file.name,
            examples=examples_file.name,
            example_count=self._examples,
            record_count=records,
            columns=tuple(ColumnDescription(**asdict(column)) for column in layout.columns),
            label_positions=layout.label_positions,
            example_index=layout.example_index,
            reading_notes=split.notes,
            left_out=split.left_out,
            notes=tuple(self._notes),
        )
        for text in self.description.reading_notes:
            converter.encoder.note(text)
        for text in self._notes:
            converter.encoder.note(f"{name}: {text}")

    def _records(self, split: Split, examples_file: BinaryIO) -> Iterator[FeatureRecord]:
        converter, rows = self._converter, 0
        length = None if converter.record_format.for_people else converter.encoder.max_length
        for part in converter.encoder.windows(split):
            examples, encoding = part.examples, part.encoding
            batch = replace(encoding.batch, example_index=encoding.batch.example_index + self._examples)
            layout = layout_of(batch, None if split.is_stream else len(examples))
            if layout != (self._layout or layout):
                raise PluginError(
                    f"the split {self._name} has other columns in its middle than at its beginning",
                    "report this to the authors of the task",
                    code="contract-broken",
                )
            self._layout = layout
            for line in examples_lines(examples, encoding.truncated.tolist()):
                examples_file.write(line.encode() + b"\n")
            records = records_of(batch, layout, converter.encoder.head, length, converter.pad_token_id, rows)
            if converter.record_format.for_people:
                records = commented(
                    records, batch, examples, converter.encoder.tokenizer, converter.encoder.head, self._examples
                )
            with work("writing", len(batch), "rows") as progress:
                for record in records:
                    yield record
                    progress.advance(1)
            rows += len(batch)
            self._examples += len(examples)
            self._notes += encoding.notes
            self.truncated += len(encoding.truncated)
