"""One text, or a pair of texts: examples of them, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import Origin
from numpy.typing import NDArray

from bertcore_tasks.fields import identifier_of, text_field


def encode_texts(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    max_length: int,
    labels: Callable[[], NDArray[Any]],
) -> Encoding:
    """One row per example: its text, or its pair of texts.

    Args:
        examples: all with as many texts as the first.
        tokenizer: of the model.
        max_length: tokens of the longest row.
        labels: gives the values of the column ``labels``, ``[rows]`` or ``[rows, labels]``; called where every example
            has a label.
    """
    texts = [list(example.texts.values()) for example in examples]
    pairs = [text[1] for text in texts] if texts and len(texts[0]) > 1 else None
    rows = tokenizer.encode([text[0] for text in texts], pairs, max_length)
    labeled = all(example.label is not None for example in examples)
    columns = {"labels": Column(labels(), "row")} if labeled else {}
    return Encoding(from_rows(rows.input_ids, rows.token_type_ids, columns), rows.truncated)


def text_examples(
    records: Iterable[tuple[Mapping[str, Any], Origin]], columns: Sequence[str], identifier: str
) -> list[Example]:
    """Makes examples without labels; see :func:`text_example`.

    Args:
        records: fields by name, and where they stand.
        columns: one or two names of texts, in the order in which the model reads them.
        identifier: name of the field that identifies a record.

    Raises:
        DataError: a text is missing, with its line.
    """
    return [
        text_example(record, origin, columns, identifier_of(record, identifier, number))
        for number, (record, origin) in enumerate(records)
    ]


def text_example(record: Mapping[str, Any], origin: Origin, columns: Sequence[str], identifier: str) -> Example:
    """Makes an example without a label, the columns as texts.

    Raises:
        DataError: a text is missing, with its line.
    """
    form = f"give {' and '.join(columns)} as texts"
    return Example(identifier, {column: text_field(record, column, origin, form) for column in columns}, origin=origin)
