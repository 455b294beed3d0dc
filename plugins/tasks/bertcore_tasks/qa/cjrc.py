"""Scores of answers as ``evaluate.py`` of CAIL 2019 (CJRC) gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from bertcore_tasks.qa.metrics import AnswerScore


def cjrc(prediction: str, answers: Sequence[str]) -> AnswerScore:
    """Exact match, and F1 of a bag of characters, each the mean over all ways of leaving out one annotator.

    Of several accepted answers each is left out once, and the best of the others counts, so that models are compared
    as people are; even the exact match may be a fraction. Characters are lower-case letters and digits, Chinese ones
    among them.

    Args:
        prediction: the text, empty for no answer.
        answers: of all annotators, as often as they gave them; the empty text is that of one who found no answer.
    """
    given = normalize(prediction)
    wanted = [normalize(answer) for answer in answers]
    exact = [float(given == text) for text in wanted]
    f1 = [_character_f1(given, text) for text in wanted]
    return AnswerScore(_left_out_one_by_one(exact), _left_out_one_by_one(f1))


@lru_cache(maxsize=1 << 16)
def normalize(text: str) -> str:
    """Lower-case letters and digits of a text, without anything between them."""
    return "".join(character for character in text.lower() if character.isdigit() or character.isalpha())


def _left_out_one_by_one(scores: Sequence[float]) -> float:
    if len(scores) == 1:
        return scores[0]
    return sum(max([*scores[:index], *scores[index + 1 :]]) for index in range(len(scores))) / len(scores)


def _character_f1(given: str, wanted: str) -> float:
    if not given or not wanted:
        return float(given == wanted)
    shared = sum((Counter(given) & Counter(wanted)).values())
    return 2 * shared / (len(given) + len(wanted))
