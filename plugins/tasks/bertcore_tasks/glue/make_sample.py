"""Writes the embedded sample of textual entailment: `sample/train.tsv` and `sample/dev.tsv`, in RTE's own format.

    python make_sample.py            writes the two files
    python make_sample.py --check    says whether they are up to date (exit code 1 when they are not)

Every rule below makes *squares*: two premises and two hypotheses, where a premise entails the hypothesis of its own
number and not the other one.

                     hypothesis 0      hypothesis 1
    premise 0        entailment        not_entailment
    premise 1        not_entailment    entailment

The two premises of a square hold the same words in another order. So every hypothesis meets the same bag of words
twice, once with either label: whatever looks at words and not at their order is right exactly half of the time, and so
is whatever looks at one of the sentences alone. What is left to learn is what the rules are about: who did what to
whom, what a negation belongs to, what a number counts, which of two things is of a kind.

The splits share no premise and, within a rule, no pair of the words that its squares turn on; in half of the
development squares one of the two is a held-out word, which the training split does not hold at all.

Only the standard library is used, and every choice follows from SHA-256, so the files are the same under any version
of Python.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

FOLDER = Path(__file__).parent / "sample"
HEADER = ("index", "sentence1", "sentence2", "label")

# Squares that each rule gives to the two splits; a square is four pairs. DEV_SQUARES is even: half with held-out words.
TRAIN_SQUARES = 24
DEV_SQUARES = 6


@dataclass(frozen=True)
class Square:
    """Two premises and two hypotheses; `premises[i]` entails `hypotheses[i]` alone."""

    premises: tuple[str, str]
    hypotheses: tuple[str, str]


@dataclass(frozen=True)
class Pair:
    """One row of the sample, and the rule that made it."""

    rule: str
    premise: str
    hypothesis: str
    label: str


@dataclass(frozen=True)
class Rule:
    """All squares that turn on two of `seen` and `held_out` words: `make(one, other)` yields them."""

    name: str
    seen: tuple[str, ...]
    held_out: tuple[str, ...]
    make: Callable[[str, str], Iterator[Square]]


def listed(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(item.strip() for item in text.split(","))


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return text[0].upper() + text[1:] + "."


def templates(*forms: tuple[str, str]) -> Callable[[str, str], Iterator[Square]]:
    """A rule made of forms: a premise and a hypothesis that it entails, with {a} and {b} for the two words."""

    def make(one: str, other: str) -> Iterator[Square]:
        for premise, hypothesis in forms:
            yield Square(
                (sentence(premise.format(a=one, b=other)), sentence(premise.format(a=other, b=one))),
                (sentence(hypothesis.format(a=one, b=other)), sentence(hypothesis.format(a=other, b=one))),
            )

    return make


def both_ways(*forms: tuple[str, str]) -> list[tuple[str, str]]:
    """The forms, and each with premise and hypothesis exchanged."""
    return [*forms, *((hypothesis, premise) for premise, hypothesis in forms)]


# ------------------------------------------------------------------------------------------------------------- words

NAMES = listed("Anna, Tom, Maria, Paul, Lucy, Peter, Emma, David, Nina, James, Sarah, Oscar")
NAMES_HELD_OUT = listed("Helen, Victor, Alice, Robert")
PEOPLE = listed("nurse, pilot, teacher, farmer, lawyer, doctor, singer, baker, driver, painter, waiter, sailor")
PEOPLE_HELD_OUT = listed("judge, dancer, butcher, gardener")
BUILDINGS = listed("tower, church, school, hotel, bridge, museum, castle, station, theater, hospital")
BUILDINGS_HELD_OUT = listed("temple, palace, factory")
DEEDS = listed(
    "called the bank, washed the car, cooked dinner, cleaned the kitchen, wrote a letter, fed the dog, "
    "read the newspaper, took a bath, played the piano, went to the market"
)
DEEDS_HELD_OUT = listed("watered the plants, visited a friend, baked a cake")

KINDS = dict.fromkeys(listed("swan, parrot, crow, eagle, goose"), "bird")
KINDS |= dict.fromkeys(listed("poodle, puppy"), "dog")
KINDS |= dict.fromkeys(listed("pony, mare"), "horse")
KINDS |= {"kitten": "cat", "beetle": "insect", "cobra": "snake"}
KINDS_HELD_OUT = {"owl": "bird", "hound": "dog", "wasp": "insect", "python": "snake"}
KIND_OF = KINDS | KINDS_HELD_OUT

# In these verbs the past tense is the participle, so the active and the passive voice share it.
PERSON_VERBS = listed("thanked, called, helped, visited, followed, invited, warned, trusted")
ANIMAL_VERBS = listed("followed, watched, chased, attacked, noticed, avoided")
OPPOSITES = [("older", "newer"), ("taller", "shorter"), ("larger", "smaller")]
NUMBERS = listed("two, three, four, five")
GOODS = listed("books, cakes, apples, tickets, letters")


# ------------------------------------------------------------------------------------------------------------- rules

swapped_roles = templates(
    *both_ways(*((f"the {{a}} {v} the {{b}}", f"the {{b}} was {v} by the {{a}}") for v in PERSON_VERBS))
)

transfers = templates(
    *both_ways(
        ("{a} sold a car to {b}", "{b} bought a car from {a}"),
        ("{a} handed a letter to {b}", "{b} received a letter from {a}"),
        ("{a} lent some money to {b}", "{b} borrowed some money from {a}"),
        ("{a} gave a book to {b}", "{b} got a book from {a}"),
    )
)

order_in_time = templates(*both_ways(("they {a} before they {b}", "they {b} after they {a}")))

comparisons = templates(
    *both_ways(*((f"the {{a}} is {x} than the {{b}}", f"the {{b}} is {y} than the {{a}}") for x, y in OPPOSITES))
)

negation = templates(
    *(
        (f"the {{a}} is {x} than the {{b}}", negated)
        for opposites in OPPOSITES
        for x, y in (opposites, opposites[::-1])
        for negated in (f"the {{b}} is not {x} than the {{a}}", f"the {{a}} is not {y} than the {{b}}")
    )
)

numbers = templates(
    *(
        form
        for number in NUMBERS
        for goods in GOODS
        for form in (
            *both_ways((f"{{a}} has {number} more {goods} than {{b}}", f"{{b}} has {number} fewer {goods} than {{a}}")),
            (f"{{a}} has {number} times as many {goods} as {{b}}", f"{{b}} has fewer {goods} than {{a}}"),
        )
    )
)


def hypernyms(one: str, other: str) -> Iterator[Square]:
    """Swapped roles again, where the hypothesis names only the kinds of the two animals."""
    kind, other_kind = KIND_OF[one], KIND_OF[other]
    if kind == other_kind:
        return
    for premise, hypothesis in both_ways(
        *((f"the {{a}} {v} the {{b}}", f"the {{b}} was {v} by the {{a}}") for v in ANIMAL_VERBS)
    ):
        yield Square(
            (sentence(premise.format(a=one, b=other)), sentence(premise.format(a=other, b=one))),
            (sentence(hypothesis.format(a=kind, b=other_kind)), sentence(hypothesis.format(a=other_kind, b=kind))),
        )


RULES = [
    Rule("swapped roles", PEOPLE, PEOPLE_HELD_OUT, swapped_roles),
    Rule("transfers", NAMES, NAMES_HELD_OUT, transfers),
    Rule("order in time", DEEDS, DEEDS_HELD_OUT, order_in_time),
    Rule("comparisons", BUILDINGS, BUILDINGS_HELD_OUT, comparisons),
    Rule("negation", BUILDINGS, BUILDINGS_HELD_OUT, negation),
    Rule("numbers", NAMES, NAMES_HELD_OUT, numbers),
    Rule("hypernyms", tuple(KINDS), tuple(KINDS_HELD_OUT), hypernyms),
]


# ---------------------------------------------------------------------------------------------- splits and the files


def digest(*parts: str) -> bytes:
    """What the generator sorts by: looks random, and is the same everywhere."""
    return hashlib.sha256("|".join(parts).encode()).digest()


def one_square_each(rule: Rule, word_pairs: Iterable[tuple[str, str]]) -> Iterator[Square]:
    """One square for every pair of words, in an order and of a form that the digest chooses."""
    for words in sorted(word_pairs, key=lambda words: digest(rule.name, *words)):
        forms = list(rule.make(*words))
        if forms:
            yield min(forms, key=lambda form: digest(*form.premises, *form.hypotheses))


def rows_of(rule: Rule, forms: Iterable[Square]) -> Iterator[Pair]:
    """The four pairs of each square."""
    for form in forms:
        for i, premise in enumerate(form.premises):
            for j, hypothesis in enumerate(form.hypotheses):
                yield Pair(rule.name, premise, hypothesis, "entailment" if i == j else "not_entailment")


def splits() -> dict[str, list[Pair]]:
    """The rows of both splits, in the order of the files."""
    half = DEV_SQUARES // 2
    seen = {rule: list(one_square_each(rule, combinations(rule.seen, 2))) for rule in RULES}
    new = {rule: list(one_square_each(rule, product(rule.seen, rule.held_out))) for rule in RULES}
    dev = {rule: seen[rule][:half] + new[rule][:half] for rule in RULES}
    dev_premises = {premise for squares in dev.values() for square in squares for premise in square.premises}
    # Two rules may share their premises, so what to leave out of training is known only once all of dev is.
    train = {
        rule: [square for square in seen[rule][half:] if dev_premises.isdisjoint(square.premises)][:TRAIN_SQUARES]
        for rule in RULES
    }
    rows = {
        split: [pair for rule, squares in chosen.items() for pair in rows_of(rule, squares)]
        for split, chosen in (("train", train), ("dev", dev))
    }
    return {
        split: sorted(pairs, key=lambda pair: digest(split, pair.premise, pair.hypothesis))
        for split, pairs in rows.items()
    }


def file_texts() -> dict[Path, str]:
    """What each file of the sample has to hold."""
    texts = {}
    for split, pairs in splits().items():
        lines = ["\t".join(HEADER)]
        lines += [f"{index}\t{pair.premise}\t{pair.hypothesis}\t{pair.label}" for index, pair in enumerate(pairs)]
        texts[FOLDER / f"{split}.tsv"] = "\n".join(lines) + "\n"
    return texts


def main() -> int:
    """Write the files or check them; the exit code."""
    parser = argparse.ArgumentParser(description="Write the embedded sample of textual entailment.")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the files are up to date")
    check = parser.parse_args().check
    stale = False
    for path, text in file_texts().items():
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
            print(f"wrote {path.name}: {text.count(chr(10)) - 1} pairs")
        elif not path.is_file() or path.read_bytes() != text.encode():
            print(f"{path.name} is out of date: run {Path(__file__).name}")
            stale = True
        else:
            print(f"{path.name} is up to date")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
