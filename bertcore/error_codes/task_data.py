"""Kinds of errors in what data says: labels, tags, spans, answers, predictions; sorted by code."""

from __future__ import annotations

from bertcore.error_codes.kind import Kind

TASK_DATA: dict[str, Kind] = {
    "answer-missing": Kind("A question has no answers, as it needs them here.", "Add them, or an empty list."),
    "answer-wrong": Kind("An answer of a question is not of the form that is read.", "Write the form that is shown."),
    "entities-missing": Kind("No text of a file has an entity.", "Check what the field or column is called."),
    "export-unusable": Kind(
        "An annotation tool exported what cannot be read as labels of texts.", "Export it as the remedy says."
    ),
    "identifier-repeated": Kind("Two examples have the same identifier.", "Make them differ."),
    "label-repeated": Kind("Two labels have the same name.", "Give each a name of its own."),
    "label-spelling": Kind("A label is another one in another spelling.", "Write both alike, or rename one."),
    "label-unknown": Kind("A label is none of those of the task or the model.", "Correct it, or the list of labels."),
    "labels-ambiguous": Kind(
        "Several columns, or several controls of an annotation tool, hold labels where one is read.",
        "Name the one that is meant.",
    ),
    "labels-missing": Kind("Examples have no labels where they are needed.", "Give a file with labels."),
    "labels-too-few": Kind("The labels of the training examples are too few to learn from.", "Name their column."),
    "labels-unnamed": Kind("Labels are numbers, and nothing says what they are called.", "Name them in their order."),
    "number-wrong": Kind("A number is not finite, or out of its range.", "Correct it."),
    "prediction-missing": Kind("An example of the split has no prediction.", "Give the whole file."),
    "prediction-repeated": Kind("An example has two predictions.", "Keep one of them."),
    "prediction-unknown": Kind("A prediction belongs to no example of the split.", "Check the split and the files."),
    "prediction-wrong": Kind("A prediction is not of the form that is read.", "Write the form that is shown."),
    "predictions-shifted": Kind(
        "Sentences or lines of predictions are not those of the split.", "Predict every line, in the same order."
    ),
    "separator-invisible": Kind(
        "Characters that cannot be seen stand where a tab or a space parts columns.", "Write a tab or a plain space."
    ),
    "span-outside": Kind("A span is empty or leaves its text.", "Count characters from 0."),
    "span-text-differs": Kind("The text at a span is not the one that is named for it.", "Count characters from 0."),
    "span-wrong": Kind("An entity has no start, end and type.", "Write the form that is shown."),
    "tag-missing": Kind("A unit of a sentence has no tag, or a sentence fewer tags than units.", "Give each its tag."),
    "tag-wrong": Kind("A tag is none of the scheme, or cannot stand there.", "Correct it as the remedy says."),
    "unit-wrong": Kind("A line or a row holds no character or word, or far too long a one.", "Write one a line."),
}
