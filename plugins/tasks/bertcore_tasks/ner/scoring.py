"""From tags or entities for each text to scores of the whole split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bertcore.tagging import Span, chunks, spans_to_tags, tags_to_spans
from bertcore.task import Evaluation

from bertcore_tasks.ner.metrics import Counts, Name, confusion, count_entities, count_tags, mean_f1, total
from bertcore_tasks.ner.units import Sentence, align
from bertcore_tasks.texts import WORST_ERRORS


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one text.

    Attributes:
        tags: one for each unit.
        entities: in characters, well-formed ones.
        chunks: in characters, as conlleval reads the tags.
        probabilities: of each of ``entities``, where the head gives any.
    """

    tags: Sequence[str]
    entities: Sequence[Span]
    chunks: Sequence[Span]
    probabilities: Sequence[float] | None = None

    @classmethod
    def of_tags(cls, sentence: Sentence, tags: Sequence[str], scheme: str) -> Prediction:
        """Reads the entities from the tags."""
        strict = [sentence.in_characters(span) for span in tags_to_spans(tags, scheme)]
        return cls(tags, strict, [sentence.in_characters(span) for span in chunks(tags)])


def evaluate(
    sentences: Sequence[Sentence], predictions: Sequence[Prediction], scheme: str, types: Sequence[str]
) -> Evaluation:
    """Scores predictions on all gold entities; see :mod:`bertcore_tasks.ner.metrics`.

    Args:
        sentences: with their labels.
        predictions: one for each.
        scheme: of the tags that are compared.
        types: that the model or the task knows.
    """
    gold = [sentence.label for sentence in sentences]
    predicted = [prediction.entities for prediction in predictions]
    by_type = count_entities(gold, predicted, types)
    strict = total(by_type.values())
    lenient = total(count_entities(gold, [prediction.chunks for prediction in predictions]).values())
    names = count_entities(_names(sentences, gold), _names(sentences, predicted), types)
    gold_tags = [
        spans_to_tags(align(sentence.label, sentence.units).spans, len(sentence.units), scheme)
        for sentence in sentences
    ]
    tokens = count_tags(gold_tags, [prediction.tags for prediction in predictions])
    metrics = {
        **strict.named(),
        **lenient.named("conlleval_"),
        **tokens.named("token_"),
        "cluener_f1": mean_f1(names.values()),
    }
    for kind, counts in by_type.items():
        metrics |= counts.named(suffix=f"_{kind}")
    return Evaluation(
        metrics=metrics,
        total=len(sentences),
        summary=f"entity f1 {strict.f1:.6f}, precision {strict.precision:.6f}, recall {strict.recall:.6f}, "
        f"total_num {len(sentences)} sentences",
        predictions=[entry(*pair) for pair in zip(sentences, predictions, strict=True)],
        confusion=confusion(gold, predicted, tuple(by_type)),
        errors=_worst_errors(sentences, predictions),
    )


def score_names(sentences: Sequence[Sentence], types: Sequence[str]) -> list[str]:
    """Names of the scores that :func:`evaluate` gives for these sentences and a model that knows these types."""
    of_gold = {span.type for sentence in sentences for span in sentence.label or ()}
    by_type = [name for kind in dict.fromkeys([*types, *sorted(of_gold)]) for name in Counts().named(suffix=f"_{kind}")]
    named = [name for prefix in ("", "conlleval_", "token_") for name in Counts().named(prefix)]
    return [*named, "cluener_f1", *by_type]


def _names(sentences: Sequence[Sentence], entities: Sequence[Iterable[Span]]) -> list[list[Name]]:
    return [
        [Name(sentence.surface(span), span.type) for span in spans]
        for sentence, spans in zip(sentences, entities, strict=True)
    ]


def entry(sentence: Sentence, prediction: Prediction) -> dict[str, Any]:
    """The line of a text in ``predictions.jsonl``; ``label`` holds the gold entities, where there are any."""
    entities = [_entity(sentence, span) for span in prediction.entities]
    if prediction.probabilities is not None:
        for entity, probability in zip(entities, prediction.probabilities, strict=True):
            entity["probability"] = round(probability, 6)
    found: dict[str, Any] = {
        "id": sentence.identifier,
        **sentence.texts,
        "entities": entities,
        "tokens": sentence.words,
        "tags": list(prediction.tags),
    }
    if sentence.label is not None:
        found["label"] = [_entity(sentence, span) for span in sentence.label]
    return found


def _entity(sentence: Sentence, span: Span) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "type": span.type, "text": sentence.surface(span)}


def _worst_errors(sentences: Sequence[Sentence], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The texts with the most entities that are missed or made up."""

    def shown(sentence: Sentence, spans: Iterable[Span]) -> list[str]:
        return [f"{span.type} {sentence.surface(span)} {span.start}-{span.end}" for span in sorted(spans)]

    errors: list[tuple[int, dict[str, Any]]] = []
    for sentence, prediction in zip(sentences, predictions, strict=True):
        gold, predicted = set(sentence.label), set(prediction.entities)
        if gold != predicted:
            errors.append(
                (
                    len(gold ^ predicted),
                    {
                        "id": sentence.identifier,
                        "origin": sentence.origin,
                        "missed": shown(sentence, gold - predicted),
                        "made up": shown(sentence, predicted - gold),
                        "text": sentence.text,
                    },
                )
            )
    errors.sort(key=lambda error: -error[0])
    return [error for _, error in errors[:WORST_ERRORS]]
