"""CMeEE of CBLUE: medical entities in Chinese, some of which nest.

A file is one JSON list of ``{"text": "...", "entities": [...]}``, and an entity is
``{"start_idx": 3, "end_idx": 10, "type": "dis", "entity": "..."}``. What an end names differs: in CMeEE-V2
(``CMeEE-V2_train.json``) the character behind the last, in the first version (``CMeEE_train.json``) the last itself. As
copies of both are about, the file's own names of its entities decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.contracts.dataset import Dataset, Split
from bertcore.contracts.tagging import scheme_tags
from bertcore.data.bad_examples import one_example
from bertcore.data.json_lists import json_records
from bertcore.data.tables import Record, read_content
from bertcore.errors import DataError, Origin
from bertcore.files.writing import json_text

from bertcore_tasks.fields import identifier_of, text_field
from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.options import NerDataConfig
from bertcore_tasks.ner.span_files import no_texts, read_entities
from bertcore_tasks.ner.units import Sentence, split_units
from bertcore_tasks.official_files import find_official_files
from bertcore_tasks.wording import counted

FILE_NAMES = {split: (f"CMeEE-V2_{split}.json", f"CMeEE_{split}.json") for split in ("train", "dev", "test")}
TYPES = ("bod", "dep", "dis", "dru", "equ", "ite", "mic", "pro", "sym")


class CmeeeTask(NerTask[NerDataConfig]):
    """CMeEE-V2, or the first version where a folder holds only that."""

    name = "cmeee"
    description = (
        "CBLUE CMeEE-V2: Chinese medical entities of 9 types, some nested (head.kind=global_pointer), entity F1"
    )
    leaderboard: Mapping[str, str] | None = {"test": "CMeEE-V2_test.json"}

    def open(self, data: NerDataConfig) -> Dataset:
        """Finds the three files; see :meth:`bertcore.contracts.task.Task.open`."""
        path = Path(data.path or ".")
        files = find_official_files(path, FILE_NAMES, self.evaluation_split, self.name, "JSON files")

        def read(split: str) -> Split:
            return _read(files[split][0], data, labeled=split != "test")

        return Dataset(files, read, scheme_tags(data.scheme or "BIO", TYPES))

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """The list of the test split with its entities, as CMeEE-V2 has them: an end is the character behind."""
        return json_text([_record(prediction) for prediction in predictions], indent=2) + "\n"


def _record(prediction: Mapping[str, Any]) -> dict[str, Any]:
    entities = [
        {"start_idx": entity["start"], "end_idx": entity["end"], "type": entity["type"], "entity": entity["text"]}
        for entity in prediction["entities"]
    ]
    return {"text": prediction["text"], "entities": entities}


def _read(file: Path, data: NerDataConfig, *, labeled: bool) -> Split:
    records = json_records(read_content(file, None), str(file), certain=True) or []
    if not records:
        raise no_texts(file)
    ends = _Ends(file, records)
    sentences: list[Sentence] = []
    for number, (record, origin) in enumerate(records):
        with one_example:
            text = text_field(record, "text", origin, 'write {"text": "...", "entities": [...]}')
            entities = _entities(record, text, origin, ends.inside) if labeled else None
            identifier = identifier_of(record, "id", number)
            units = split_units(text, data.unit or "character")
            sentences.append(Sentence(identifier, {"text": text}, entities, origin, units))
    return Split(sentences, ends.notes if labeled else ())


def _entities(record: Mapping[str, Any], text: str, origin: Origin, end_inside: bool) -> tuple[Any, ...]:
    listed = record.get("entities")
    if isinstance(listed, list):  # the place counts, and not the name, which the reader cannot correct
        listed = [{**entity, "entity": None} if isinstance(entity, dict) else entity for entity in listed]
    fields = {} if listed is None else {"entities": listed}
    entities = read_entities(fields, text, origin, ("entities",), end_inside=end_inside)
    if entities is None:
        remedy = "name the entities of each text, [] for none"
        raise DataError("the field 'entities' is missing", remedy, origin=origin, code="labels-missing")
    unknown = next((span.type for span in entities if span.type not in TYPES), None)
    if unknown is not None:
        remedy = f"known types: {', '.join(TYPES)}"
        raise DataError(f"unknown type {unknown!r}", remedy, origin=origin, code="label-unknown")
    return entities


class _Ends:
    """What the ends of a file name: as most names of its entities say, else as the name of the file does.

    Attributes:
        inside: whether it is the last character, and not the one behind it.
        notes: how many entities are named otherwise than the text says.
    """

    def __init__(self, file: Path, records: Iterable[Record]) -> None:
        named = inside = behind = 0
        for record, _ in records:
            text, entities = str(record.get("text")), record.get("entities")
            for entity in entities if isinstance(entities, list) else ():
                match entity:
                    case {"start_idx": int(start), "end_idx": int(end), "entity": str(name)}:
                        named += 1
                        inside += text[start : end + 1] == name
                        behind += text[start:end] == name
        self.inside = inside > behind if inside != behind else "V2" not in file.name
        other = named - (inside if self.inside else behind)
        told = f"{file.name}: {counted(other, 'entity')} named otherwise than the text says: their places count"
        self.notes: tuple[str, ...] = (told,) if other else ()
