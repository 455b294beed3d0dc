"""From tags or entities for each text to scores of the whole split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.evaluation import Evaluation
from bertcore.contracts.tagging import Span, chunks, spans_to_tags, tags_to_spans

from bertcore_tasks.ner.gazetteer import Gazetteer
from bertcore_tasks.ner.metrics import Name, confusion, count_entities, count_tags, mean_f1, named, total
from bertcore_tasks.ner.units import Sentence, align
from bertcore_tasks.predictions import WORST_ERRORS


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one text.

    Attributes:
        tags: one for each unit; None where spans were predicted and no tags.
        entities: in characters, well-formed ones.
        chunks: in characters, as conlleval reads the tags; the entities where there are none.
        probabilities: of each of ``entities``, where the head gives any.
    """

    tags: Sequence[str] | None
    entities: Sequence[Span]
    chunks: Sequence[Span]
    probabilities: Sequence[float] | None = None

    @classmethod
    def of_tags(cls, sentence: Sentence, tags: Sequence[str], scheme: str) -> Prediction:
        """Reads the entities from the tags."""
        strict = [sentence.in_characters(span) for span in tags_to_spans(tags, scheme)]
        return cls(tags, strict, [sentence.in_characters(span) for span in chunks(tags)])

    @classmethod
    def of_spans(cls, spans: Iterable[Span], probabilities: Sequence[float] | None = None) -> Prediction:
        """Takes spans of characters, which may nest."""
        entities = tuple(spans)
        return cls(None, entities, entities, probabilities)


@dataclass(frozen=True)
class EntityScores:
    """How well entities are found.

    Attributes:
        metrics: by name, see :mod:`bertcore_tasks.ner.metrics`.
        strict: over all types.
        by_type: of each type.
        broken: how many entities conlleval reads from the predicted tags beside the well-formed ones.
    """

    metrics: dict[str, float]
    strict: ClassScore
    by_type: dict[str, ClassScore]
    broken: int


def score_entities(
    sentences: Sequence[Sentence],
    predictions: Sequence[Prediction],
    scheme: str | None,
    types: Sequence[str],
    names_alone: bool = False,
) -> EntityScores:
    """Scores predictions on all gold entities; arguments as for :func:`evaluate`."""
    gold = [sentence.label for sentence in sentences]
    predicted = [prediction.entities for prediction in predictions]
    by_type = count_entities(gold, predicted, types)
    strict = total(by_type.values())
    metrics, broken = named(strict), 0
    if scheme is not None:
        lenient = total(count_entities(gold, [prediction.chunks for prediction in predictions]).values())
        tokens = _score_tags(sentences, predictions, scheme)
        metrics |= {**named(lenient, "conlleval_"), **named(tokens, "token_")}
        broken = lenient.predicted - strict.predicted
    if names_alone:
        names = count_entities(_names(sentences, gold), _names(sentences, predicted), types)
        metrics["cluener_f1"] = mean_f1(names.values())
    return EntityScores(metrics, strict, by_type, broken)


def _score_tags(sentences: Sequence[Sentence], predictions: Sequence[Prediction], scheme: str) -> ClassScore:
    gold_tags = [
        spans_to_tags(align(sentence.label, sentence.units).spans, len(sentence.units), scheme)
        for sentence in sentences
    ]
    return count_tags(gold_tags, [prediction.tags or () for prediction in predictions])


def evaluate(
    sentences: Sequence[Sentence],
    predictions: Sequence[Prediction],
    scheme: str | None,
    types: Sequence[str],
    names_alone: bool = False,
) -> Evaluation:
    """Judges predictions on all gold entities; see :mod:`bertcore_tasks.ner.metrics`.

    Args:
        sentences: with their labels.
        predictions: one for each.
        scheme: of the tags that are compared; None where spans are predicted, and scores of tags mean nothing.
        types: that the model or the task knows.
        names_alone: whether CLUENER's own score, of names wherever they stand, is taken, too.
    """
    scores = score_entities(sentences, predictions, scheme, types, names_alone)
    strict = scores.strict
    return Evaluation(
        metrics=scores.metrics,
        total=len(sentences),
        summary=f"entity f1 {strict.f1:.6f}, precision {strict.precision:.6f}, recall {strict.recall:.6f}, "
        f"total_num {len(sentences)} sentences",
        predictions=[entry(*pair) for pair in zip(sentences, predictions, strict=True)],
        confusion=confusion(
            [sentence.label for sentence in sentences],
            [prediction.entities for prediction in predictions],
            tuple(scores.by_type),
        ),
        errors=_worst_errors(sentences, predictions),
        per_class=scores.by_type,
        notes=_one_sided(scores, len(sentences)),
    )


def score_names(names_alone: bool = False, tagged: bool = True) -> list[str]:
    """Names of the scores that :func:`evaluate` gives, of tags or of spans."""
    prefixes = ("", "conlleval_", "token_") if tagged else ("",)
    scores = [name for prefix in prefixes for name in named(ClassScore(), prefix)]
    return [*scores, "cluener_f1"] if names_alone else scores


def remembered(
    training: Sequence[Sentence], sentences: Sequence[Sentence], scheme: str | None, names_alone: bool = False
) -> dict[str, float]:
    """The scores of the names of a training split, see :mod:`bertcore_tasks.ner.gazetteer`."""
    gazetteer = Gazetteer(training)
    predictions = [_found(gazetteer, sentence, scheme) for sentence in sentences]
    return score_entities(sentences, predictions, scheme, (), names_alone).metrics


def _found(gazetteer: Gazetteer, sentence: Sentence, scheme: str | None) -> Prediction:
    spans = gazetteer.find(sentence.words)
    if scheme is None:
        return Prediction.of_spans(map(sentence.in_characters, spans))
    return Prediction.of_tags(sentence, spans_to_tags(spans, len(sentence.units), scheme), scheme)


def _one_sided(scores: EntityScores, sentences: int) -> tuple[str, ...]:
    """Says that no entity is predicted, or those of one type alone, where the texts hold others."""
    if not scores.strict.support:
        return ()
    if not scores.strict.predicted:
        broken = f"; conlleval reads {scores.broken} from tags that break the scheme" if scores.broken else ""
        return (f"no entity is predicted in any of {sentences} sentences, which hold {scores.strict.support}{broken}",)
    predicted = [kind for kind, score in scores.by_type.items() if score.predicted]
    wanted = [kind for kind, score in scores.by_type.items() if score.support]
    if len(predicted) == 1 and len(wanted) > 1:
        return (f"all predicted entities, {scores.strict.predicted}, are of the type {predicted[0]!r}",)
    return ()


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
    }
    if prediction.tags is not None:
        found["tags"] = list(prediction.tags)
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
                        "origin": str(sentence.origin or ""),
                        "missed": shown(sentence, gold - predicted),
                        "made up": shown(sentence, predicted - gold),
                        "text": sentence.text,
                    },
                )
            )
    errors.sort(key=lambda error: -error[0])
    return [error for _, error in errors[:WORST_ERRORS]]
