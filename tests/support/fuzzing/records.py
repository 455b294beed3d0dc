"""Files and folders of records whose fields lie."""

from __future__ import annotations

import functools
import json
import struct
from pathlib import Path
from typing import Any

from tensor_bundle_writer import masked

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.record_format import RecordFormat
from bertcore.data.records.folder import open_records
from bertcore.data.records.json_lines import JsonLinesFormat
from bertcore.data.records.layout import ColumnLayout, RecordLayout
from bertcore.data.records.reading import rows_of
from bertcore.data.records.tfrecord import TFRecordFormat
from bertcore.plugins.registry import Registry

from .chance import Chance
from .wire import message, varint, varint_field

Files = dict[str, bytes]


def tfrecord(chance: Chance, layout: int = 0) -> bytes:
    """Records of `google-research/bert`, with right checksums around wrong content for the most part."""
    found = b""
    for number in range(chance.randrange(1, 4)):
        width = chance.choice((1, 3, 8))
        features: dict[str, Any] = {
            "input_ids": [chance.randrange(200) for _ in range(width)],
            "input_mask": [1] * width,
            "segment_ids": [0] * width,
            "label_ids": [chance.randrange(2)] * (2 if layout == 2 else 1),
        }
        if layout == 3:
            features["label_mask"] = [1] * width
        if chance.random() < 0.5:
            features["is_real_example"] = [1]
        if layout == 2 or chance.random() < 0.3:
            features["example_index"] = [number]
        parts = []
        for name, values in chance.some([*features.items()]):
            entry = [message(chance, 1, chance.text(name).encode("utf-8", "surrogatepass")), _feature(chance, values)]
            parts.append(message(chance, 1, chance.damage(b"".join(chance.some(entry)))))
        data = chance.damage(message(chance, 1, b"".join(parts)))
        length = struct.pack("<Q", chance.number(len(data), most=2**64 - 1))
        found += length + chance.damage(masked(length)) + data + chance.damage(masked(data))
    return chance.damage(found)


def _feature(chance: Chance, values: list[int]) -> bytes:
    values = [chance.number(value) for value in chance.some(values)]
    match chance.randrange(8) if chance.lies() else 7:
        case 0:
            kind, content = 2, message(chance, 1, b"".join(struct.pack("<f", value % 2**60) for value in values))
        case 1:
            kind, content = 1, b"".join(message(chance, 1, b"\0a") for _ in values)
        case 2:
            kind, content = 3, b"".join(varint_field(chance, 1, value) for value in values)
        case 3:
            kind, content = 3, message(chance, 1, b"\xff" * 11 + b"\x01")
        case _:
            kind, content = 3, message(chance, 1, b"".join(varint(value) for value in values))
    return message(chance, 2, message(chance, kind, chance.damage(content)))


def tfrecord_files(chance: Chance) -> Files:
    layout = chance.randrange(len(LAYOUTS))
    return {f"{layout}.tf_record": tfrecord(chance, layout)}


LAYOUTS = (
    RecordLayout((ColumnLayout("labels", "label_ids", "row", "int32"),)),
    RecordLayout((ColumnLayout("labels", "label_ids", "row", "float32"),)),
    RecordLayout((ColumnLayout("labels", "label_ids", "row", "float64", (2,)),), example_index=True),
    RecordLayout((ColumnLayout("labels", "input_mask", "label", "int64", (), -100.0),), label_positions=True),
    RecordLayout(),
)


def read_tfrecord(folder: Path) -> Any:
    (file,) = folder.iterdir()
    return rows_of(TFRecordFormat().read(file), LAYOUTS[int(file.stem)], str(file))


_JSON_ROW = {"input_ids": [101, 7, 102], "input_mask": [1, 1, 1], "segment_ids": [0, 0, 0], "label_ids": [1]}
_EXAMPLE = {"identifier": "7", "texts": {"sentence1": "a b", "sentence2": "c"}, "label": "entailment"}


def folder_files(chance: Chance) -> Files:
    if chance.random() < 0.3:  # of another program
        suffix = chance.choice((".tf_record", "-00000-of-00001.tf_record", "-00000-of-00002.tf_record"))
        files = {f"{stem}{suffix}": tfrecord(chance) for stem in chance.some(["train", "eval"])}
        return {**files, "records.json": _json(chance, {"labels": ["entailment", "not_entailment"]})}
    kind = chance.choice(("tfrecord", "jsonl"))
    suffix = {"tfrecord": ".tf_record", "jsonl": ".jsonl"}[kind]
    count = chance.randrange(3)
    column = {
        "name": "labels",
        "feature": "label_ids",
        "per": "row",
        "dtype": "int32",
        "shape": [] if not chance.lies() else [2**40, 0],
        "ignore": None,
    }
    split = {
        "file": f"train{suffix}",
        "examples": "train.examples.jsonl",
        "example_count": count,
        "record_count": count,
        "columns": [column],
        "label_positions": False,
        "example_index": chance.random() < 0.3,
        "reading_notes": ["read"],
        "left_out": [],
        "notes": [],
    }
    description = {
        "version": 1,
        "bertcore": "0.1.0",
        "format": kind,
        "task": "rte",
        "encoding_version": _task().encoding_version,
        "head": "sequence_classification",
        "labels": ["entailment", "not_entailment"],
        "head_labels": ["entailment", "not_entailment"],
        "discovered": False,
        "options": {},
        "splits": {"train": split},
        "notes": [],
    }
    origin = {"file": "RTE/train.tsv", "line": 2}
    lines = [_json(chance, {**_EXAMPLE, "origin": origin}) for _ in range(count)]
    rows = [_json(chance, _JSON_ROW) for _ in range(count)]
    return {
        "records.json": _json(chance, description),
        f"train{suffix}": tfrecord(chance) if kind == "tfrecord" else chance.damage(b"\n".join(chance.some(rows))),
        "train.examples.jsonl": chance.damage(b"\n".join(chance.some(lines))),
    }


def _json(chance: Chance, value: Any) -> bytes:
    return chance.damage(json.dumps(chance.json(value), ensure_ascii=chance.random() < 0.5).encode("utf-8", "replace"))


@functools.cache
def _task() -> Any:
    return Registry().task("rte")


def read_folder(folder: Path) -> Any:
    formats: dict[str, RecordFormat] = {"tfrecord": TFRecordFormat(), "jsonl": JsonLinesFormat()}
    dataset = open_records(folder, _task(), DataConfig(), HeadConfig(), formats)
    found = []
    for name in dataset.files:
        split = dataset.split(name)
        found.append((len(split), None if split.rows is None else split.rows.batch))
    return found
