"""Scores of answers, equal to those of the official scripts: SQuAD v1.1 and v2.0, and CMRC 2018 (CJRC: ``cjrc``)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class AnswerScore:
    """How well one question was answered.

    Attributes:
        exact: 1 where an accepted answer was given, but for normalisation, else 0; CJRC's script averages it.
        f1: from 0 to 1, the best over the accepted answers.
    """

    exact: float
    f1: float


Scorer = Callable[[str, Sequence[str]], AnswerScore]
"""Judges a text by the accepted answers, of which there is at least one."""


# SQuAD


@lru_cache(maxsize=1 << 16)
def normalize(text: str) -> str:
    """Lower-cases, drops ASCII punctuation and English articles, and joins words by one space, as in evaluate-v1.1."""
    text = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def squad_v1(prediction: str, answers: Sequence[str]) -> AnswerScore:
    """``evaluate-v1.1.py``: two texts without any word agree exactly, and share none."""
    given = normalize(prediction)
    wanted = [normalize(answer) for answer in answers]
    return AnswerScore(given in wanted, max(_word_f1(given.split(), text.split()) for text in wanted))


def squad_v2(prediction: str, answers: Sequence[str]) -> AnswerScore:
    """``evaluate-v2.0.py``: the empty text is the answer to a question without one.

    Args:
        prediction: the text, empty for no answer.
        answers: the accepted texts, none for a question without an answer.
    """
    given = normalize(prediction)
    wanted = [text for text in map(normalize, answers) if text] or [""]
    scores = [_word_f1(given.split(), text.split()) if given and text else float(given == text) for text in wanted]
    return AnswerScore(given in wanted, max(scores))


def _word_f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    shared = sum((Counter(given) & Counter(wanted)).values())
    return 2 * shared / (len(given) + len(wanted)) if shared else 0.0


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


# CMRC 2018

CMRC_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""What ``cmrc2018_evaluate.py`` drops. Its ``……`` never equals one character, so that dots of omission stay."""


def cmrc2018(prediction: str, answers: Sequence[str]) -> AnswerScore:
    """``cmrc2018_evaluate.py``, version 5.

    Exact match compares the texts without punctuation. F1 is that of the longest common substring (adjacent segments,
    although the script calls it a sequence), in segments: a Chinese character each, and words of all other text.
    """
    given = _without_punctuation(prediction)
    exact = any(given == _without_punctuation(answer) for answer in answers)
    segments = segment(prediction)
    return AnswerScore(exact, max(_substring_f1(segments, segment(answer)) for answer in answers))


@lru_cache(maxsize=1 << 16)
def segment(text: str) -> tuple[str, ...]:
    """Segments of a text without punctuation: Chinese characters and the words between them."""
    segments: list[str] = []
    # The script drops punctuation without ending the word, so that "e-mail" is one.
    for part in _CHINESE_CHARACTER.split(_without_punctuation(text)):
        segments += [part] if _CHINESE_CHARACTER.fullmatch(part) else words(part)
    return tuple(segments)


def words(text: str) -> list[str]:
    """Splits lower-case text without ``CMRC_PUNCTUATION`` into words as NLTK's ``word_tokenize`` does.

    The rules of the Penn Treebank, sentence by sentence. NLTK finds sentences with a model that was learned from a
    corpus; here one ends at a question mark, an exclamation mark or the period of a word that is no abbreviation. A
    word that ends a sentence loses its period, which is all that depends on it.
    """
    return [word for sentence in _sentences(text) for word in _treebank_words(sentence)]


def _without_punctuation(text: str) -> str:
    return "".join(character for character in text.lower().strip() if character not in CMRC_PUNCTUATION)


def _substring_f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    longest = _longest_common_substring(given, wanted)
    return 2 * longest / (len(given) + len(wanted)) if longest else 0.0


def _longest_common_substring(first: Sequence[str], second: Sequence[str]) -> int:
    longest = 0
    lengths = [0] * (len(second) + 1)  # of the common substrings that end at the last segment and at each one of second
    for one in first:
        previous = 0
        for index, other in enumerate(second, 1):
            here = previous + 1 if one == other else 0
            previous, lengths[index] = lengths[index], here
            longest = max(longest, here)
    return longest


_CHINESE_CHARACTER = re.compile("([\u4e00-\u9fa5])")


def _sentences(text: str) -> list[str]:
    sentences, begin = [], 0
    for match in _SENTENCE_END.finditer(text):
        if match["word"] is None or not _goes_on(match["word"]):
            sentences.append(text[begin : match.end()])
            begin = match.end()
    return [sentence for sentence in (*sentences, text[begin:]) if sentence.strip()]


def _goes_on(word: str) -> bool:
    """Whether a sentence goes on behind the period of a word: an abbreviation, an initial or a number."""
    return len(word) == 1 or word in _ABBREVIATIONS or _NUMBER.fullmatch(word) is not None


_SENTENCE_END = re.compile(r"""(?:[?!]|(?:(?P<word>[^\s"'(\[{]*[^\s.])\.))(?:["')\]}]*\s+|(?=[(\[{]))""")
_NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*")
# The English abbreviations that NLTK's model learned; "e.g." and "i.e." are not among them.
_ENGLISH_ABBREVIATIONS = """
a.a a.c a.d a.g a.h a.m a.m.e a.s a.t adm ala ariz aug ave b.f b.v bros c.i.t c.o.m.b c.v calif chg cie co col colo conn
corp cos ct d.c d.h d.w dec dr e.f e.h e.l e.m f.g f.j feb fla fri ft g.d g.f g.k ga gen h.c h.f h.m i.m.s ill inc j.b
j.c j.j j.k j.p j.r jan jr kan ky l.a l.f l.p lt ltd m.b.a m.d.c m.j maj messrs mg mich minn mr mrs ms n.c n.d n.h n.j
n.m n.v n.y nev nov oct ok okla ore p.a.m p.m pa ph.d prof r.a r.h r.i r.j r.k r.t rep reps s.a s.a.y s.c s.g s.p.a s.s
sen sep sept sr st sw t.j tenn tues u.k u.n u.s u.s.a u.s.s.r va vs vt w.c w.r w.va w.w wash wed wis yr
"""
_ABBREVIATIONS = frozenset(_ENGLISH_ABBREVIATIONS.split())


def _treebank_words(sentence: str) -> list[str]:
    sentence = sentence.strip()
    for pattern, replacement in _OPENING_RULES:
        sentence = pattern.sub(replacement, sentence)
    sentence = f" {sentence} "
    for pattern, replacement in _CLOSING_RULES:
        sentence = pattern.sub(replacement, sentence)
    return sentence.split()


def _rules(*rules: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in rules)


# In the order of the Penn Treebank's tokenizer: a rule sees what those before it did.
_OPENING_RULES = _rules(
    (r"([«‘„])", r" \1 "),
    (r'^"', " `` "),
    (r"""([ (\[{<])(?:"|'')""", r"\1 `` "),
    (r"(?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", "' "),
    (r"""(?<=[^.])\.([\])}>"'» ]*)$""", r" . \1 "),  # the period of the sentence
    (r",(\D|$)", r" , \1"),  # a comma inside a number is none
    (r"\.{2,}|[;@#$%&?!\u2012-\u2015]", r" \g<0> "),
    (r"(?<=[^'])' ", " ' "),
    (r"[\[\](){}<>]", r" \g<0> "),
)
_CLOSING_RULES = _rules(
    (r"»", " » "),
    (r"''|\"", " '' "),
    (r"\s+", " "),
    (r"(?<=[^' ])('[smd]?) ", r" \1 "),
    (r"(?<=[^' ])('ll|'re|'ve|n't) ", r" \1 "),
    (
        r"\b(can(?=not)|d(?='ye)|gim(?=me)|gon(?=na)|got(?=ta)|lem(?=me)|more(?='n)|wan(?=na\s))(not|'ye|me|na|ta|'n)\b",
        r" \1 \2 ",
    ),
)
