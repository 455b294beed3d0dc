"""Kinds of errors in data files of any task: reading them, their tables, their records; sorted by code."""

from __future__ import annotations

from bertcore.error_codes.kind import Kind

DATA: dict[str, Kind] = {
    "column-missing": Kind("A table has no column of this name.", "Name the column, or put it into the header."),
    "column-repeated": Kind("Two columns or fields have the same name.", "Rename one of them."),
    "division-damaged": Kind("A file that says how examples were divided cannot be read.", "Divide anew."),
    "division-empty": Kind("Dividing the examples would leave none on one side.", "Take another fraction."),
    "division-stale": Kind("A division was made of other examples.", "Give the data as it was."),
    "encoding-unknown": Kind("There is no text encoding of this name.", "Take one that Python knows, as `gb18030`."),
    "encoding-wrong": Kind("The bytes of a file are not of the encoding that is named.", "Name another one."),
    "examples-missing": Kind("A file or a split holds no example.", "Check the file, and what its fields are called."),
    "field-count-wrong": Kind(
        "A line has more or fewer fields than the header, or fewer than are read.", "Correct the line."
    ),
    "field-missing": Kind("An example lacks a field, or it is empty.", "Fill it, or name another field."),
    "field-unwritable": Kind(
        "A text holds a tab or a line end, for which the form of the output has no place.", "Write another form."
    ),
    "field-wrong": Kind("A field holds something else than what is read there.", "Write it as the remedy shows."),
    "file-ambiguous": Kind("Several files could be a split.", "Name the one that is meant, or remove the other."),
    "file-empty": Kind("A file has no content.", "Write it again."),
    "file-kind-wrong": Kind(
        "A file is of a kind that is not read here: an archive, a spreadsheet, another suffix.", "Convert or unpack it."
    ),
    "file-missing": Kind("A data file or folder does not exist.", "Check the path."),
    "file-unreadable": Kind("The system refuses to read a file.", "Check the path and its permissions."),
    "hostfile-wrong": Kind("A line of a hostfile names no host and its slots.", "Write `HOST slots=N`."),
    "json-form-unknown": Kind("The JSON of a file is valid, but of another form.", "Write the form that is shown."),
    "line-too-long": Kind("A line is longer than any example.", "Check that the file is a table of text."),
    "not-json": Kind("A line or a file is no valid JSON.", "Correct it where the message says."),
    "not-utf8": Kind("The bytes of a file are not UTF-8.", "Save it as UTF-8, or name its encoding."),
    "quotes-unbalanced": Kind("A quoted field of a table does not end as it should.", "Correct the quotes."),
    "record-damaged": Kind("A record is cut off, or its checksum is wrong.", "Get or write the file again."),
    "record-format-unknown": Kind("No plugin reads or writes records of this format.", "Install it, or take another."),
    "record-out-of-range": Kind(
        "A record holds a token, a label or a position that the model or the task does not have.", "Convert anew."
    ),
    "record-wrong": Kind(
        "A record lacks a feature, or holds one of another type.", "Write it as the page on data says."
    ),
    "records-description-wrong": Kind("The file that describes records cannot be used.", "Convert the data anew."),
    "records-incomplete": Kind("Files of records are missing, or do not belong together.", "Get all of one set."),
    "records-stale": Kind(
        "Records were made for another task, tokenizer or head, or with other settings.", "Convert the data anew."
    ),
    "records-without-texts": Kind(
        "Records of another program hold no texts, without which the task cannot be scored.", "Convert its own files."
    ),
    "rows-wrong": Kind("Rows given in Python are no table or no dictionaries.", "Give them as the message shows."),
    "separator-wrong": Kind("This text cannot part the fields of a table.", "Name another separator."),
    "split-missing": Kind("The data has no such split.", "Name its file, or divide the training examples."),
    "surrogate-half": Kind("A text holds half a surrogate pair, which is no character.", "Repair the text."),
    "version-unknown": Kind("A file was written by another release in a newer form.", "Use that release."),
}
