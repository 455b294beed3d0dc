"""What a program gives to be predicted: texts, pairs of texts, dictionaries, and what pandas makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bertcore.data.memory import Frame, columns_of_frame, is_missing, kind_of, plain_value
from bertcore.data.tables import Record
from bertcore.engine.prediction_input import record_of_texts
from bertcore.errors import DataError, Origin, UsageError

Inputs = str | Iterable[str | Sequence[str] | Mapping[str, Any]] | Frame

WANTED = "give texts, pairs of texts or dictionaries, as ['a text', 'another']"


def records_of(inputs: Any, fields: Sequence[str]) -> Iterator[Record]:
    """Makes records of inputs, one after the other, each with its number from 0.

    Args:
        inputs: see :func:`bertcore.predict`; what is missing in a pandas Series is the empty text.
        fields: of the task, that plain texts fill.

    Raises:
        UsageError: one dictionary instead of a list of them, no list at all, or more texts than the model reads.
        DataError: an input is of another type.
    """
    if isinstance(inputs, Mapping):
        raise UsageError("inputs is one dictionary", "write a list: inputs=[{...}]", code="argument-wrong")
    for number, item in enumerate(_items(inputs)):
        origin = Origin("inputs", row=number)
        if isinstance(item, str):
            yield record_of_texts([item], fields, origin), origin
        elif isinstance(item, list | tuple) and item and all(isinstance(text, str) for text in item):
            yield record_of_texts(item, fields, origin), origin
        elif isinstance(item, Mapping):
            yield {str(name): _plain(value) for name, value in item.items()}, origin
        else:
            raise DataError(f"{kind_of(item)} instead of a text", WANTED, origin=origin, code="rows-wrong")


def _items(inputs: Any) -> Iterable[Any]:
    if isinstance(inputs, str):
        return [inputs]
    try:
        columns = columns_of_frame(inputs)
    except DataError as error:
        raise error.at(Origin("inputs")) from None
    if columns is not None:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if hasattr(inputs, "iloc") and callable(getattr(inputs, "tolist", None)):
        return ["" if is_missing(value) else value for value in inputs.tolist()]
    listed = getattr(inputs, "tolist", None)  # of numpy, whose texts are no str in some arrays
    if callable(listed):
        return listed()  # type: ignore[no-any-return]
    if isinstance(inputs, bytes | bytearray | memoryview) or not isinstance(inputs, Iterable):
        raise UsageError(f"inputs is {kind_of(inputs)}", WANTED, code="argument-wrong")
    return inputs


def _plain(value: Any) -> Any:
    with suppress(TypeError):  # what no task reads may be anything; a field that is read is checked by the task
        return plain_value(value)
    return value
