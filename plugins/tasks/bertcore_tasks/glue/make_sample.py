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

Within a rule, a pair of words that the development split turns on never occurs in the training split, and in half of
the development squares one of the two is a held-out word, which the training split does not hold at all.

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
    seen: list[str]
    held_out: list[str]
    make: Callable[[str, str], Iterator[Square]]


def listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def square(premise: Callable[[str, str], str], hypothesis: Callable[[str, str], str], one: str, other: str) -> Square:
    """The square of two templates that are filled in with the two words either way round."""
    return Square(
        (sentence(premise(one, other)), sentence(premise(other, one))),
        (sentence(hypothesis(one, other)), sentence(hypothesis(other, one))),
    )


# ---------------------------------------------------------------------------------------------------- swapped roles

PEOPLE = listed("nurse, pilot, teacher, farmer, lawyer, doctor, singer, baker, driver, painter, waiter, sailor")
PEOPLE_HELD_OUT = listed("judge, dancer, butcher, gardener")
# In these verbs the past tense is the participle, so the active and the passive voice share it.
ROLE_VERBS = listed("thanked, called, helped, visited, followed, invited, warned, trusted")
# Something goes from the first to the second, told from either side.
TRANSFERS = [
    ("sold a car to", "bought a car from"),
    ("sent a letter to", "received a letter from"),
    ("lent some money to", "borrowed some money from"),
    ("gave a book to", "got a book from"),
]


def swapped_roles(one: str, other: str) -> Iterator[Square]:
    """Who did it and to whom it was done, in both voices."""
    for verb in ROLE_VERBS:

        def active(one: str, other: str, verb: str = verb) -> str:
            return f"the {one} {verb} the {other}"

        def passive(one: str, other: str, verb: str = verb) -> str:
            return f"the {other} was {verb} by the {one}"

        yield square(active, passive, one, other)
        yield square(passive, active, one, other)


def transfers(one: str, other: str) -> Iterator[Square]:
    """Who gave and who received, told from the other side."""
    for giving, receiving in TRANSFERS:

        def given(one: str, other: str, verb: str = giving) -> str:
            return f"{one} {verb} {other}"

        def received(one: str, other: str, verb: str = receiving) -> str:
            return f"{other} {verb} {one}"

        yield square(given, received, one, other)
        yield square(received, given, one, other)


# --------------------------------------------------------------------------------------------------------- negation

NAMES = listed("Anna, Tom, Maria, Paul, Lucy, Peter, Emma, David, Nina, James, Sarah, Oscar")
NAMES_HELD_OUT = listed("Helen, Victor, Alice, Robert")
PLACES = listed("kitchen, bedroom, garage, office, cellar, hall, bathroom, library, attic, shop")
PLACES_HELD_OUT = listed("cabin, stable, classroom")
STATES = listed("clean, dark, warm, empty, locked, quiet")
# what somebody did, and the same after "did not"
ACTS = [("laughed", "laugh"), ("smiled", "smile"), ("waited", "wait"), ("slept", "sleep"), ("left", "leave")]


def negated_states(one: str, other: str) -> Iterator[Square]:
    """Which of two places a negation belongs to."""
    for state in STATES:

        def premise(one: str, other: str, state: str = state) -> str:
            return f"the {one} was {state}, but the {other} was not"

        def affirmed(one: str, other: str, state: str = state) -> str:
            return f"the {one} was {state}"

        def denied(one: str, other: str, state: str = state) -> str:
            return f"the {other} was not {state}"

        yield square(premise, affirmed, one, other)
        yield square(premise, denied, one, other)


def negated_acts(one: str, other: str) -> Iterator[Square]:
    """Which of two people a negation belongs to."""
    for past, base in ACTS:

        def premise(one: str, other: str, past: str = past) -> str:
            return f"{one} {past}, but {other} did not"

        def affirmed(one: str, other: str, past: str = past) -> str:
            return f"{one} {past}"

        def denied(one: str, other: str, base: str = base) -> str:
            return f"{other} did not {base}"

        yield square(premise, affirmed, one, other)
        yield square(premise, denied, one, other)


# ----------------------------------------------------------------------------------------------------------- number

ANIMALS = listed("dogs, cats, horses, cows, sheep, pigs, goats, ducks, hens, geese")
ANIMALS_HELD_OUT = listed("rabbits, donkeys, ponies")
NUMBERS = [("two", "seven"), ("three", "eight"), ("four", "nine"), ("two", "five"), ("three", "ten")]
GOODS = listed("books, cakes, apples, tickets, letters")


def counted_animals(one: str, other: str) -> Iterator[Square]:
    """What a number counts, and which of two is more."""
    for few, many in NUMBERS:

        def premise(one: str, other: str, few: str = few, many: str = many) -> str:
            return f"the farmer has {many} {one} and {few} {other}"

        def counted(one: str, other: str, few: str = few) -> str:
            return f"there are {few} {other}"

        def more(one: str, other: str) -> str:
            return f"there are more {one} than {other}"

        yield square(premise, counted, one, other)
        yield square(premise, more, one, other)


def counted_goods(one: str, other: str) -> Iterator[Square]:
    """Who has which number, and which of two has more."""
    for goods in GOODS:
        for few, many in NUMBERS[:2]:

            def premise(one: str, other: str, goods: str = goods, few: str = few, many: str = many) -> str:
                return f"{other} has {few} {goods} and {one} has {many}"

            def fewer(one: str, other: str, goods: str = goods) -> str:
                return f"{other} has fewer {goods} than {one}"

            def more(one: str, other: str, goods: str = goods) -> str:
                return f"{one} has more {goods} than {other}"

            yield square(premise, fewer, one, other)
            yield square(premise, more, one, other)


# ---------------------------------------------------------------------------------------------------------- hypernym

KINDS = {
    "parrot": "a bird",
    "swan": "a bird",
    "crow": "a bird",
    "rose": "a flower",
    "tulip": "a flower",
    "lemon": "a fruit",
    "pear": "a fruit",
    "hammer": "a tool",
    "shovel": "a tool",
    "truck": "a vehicle",
    "car": "a vehicle",
    "violin": "an instrument",
    "piano": "an instrument",
    "salmon": "a fish",
    "shark": "a fish",
}
KINDS_HELD_OUT = {
    "pigeon": "a bird",
    "lily": "a flower",
    "banana": "a fruit",
    "bus": "a vehicle",
    "flute": "an instrument",
}
KIND = KINDS | KINDS_HELD_OUT
WANTS = [("Anna", "Tom"), ("Paul", "Maria"), ("Lucy", "David"), ("James", "Nina")]


def hypernyms(one: str, other: str) -> Iterator[Square]:
    """Which of two things is of the kind in question."""
    if KIND[one] == KIND[other]:
        return
    for first, second in WANTS:
        for verb in ("drew", "saw"):

            def premise(one: str, other: str, first: str = first, second: str = second, verb: str = verb) -> str:
                return f"{first} {verb} a {one} and {second} {verb} a {other}"

            def hypothesis(one: str, other: str, first: str = first, verb: str = verb) -> str:
                return f"{first} {verb} {KIND[one]}"

            yield square(premise, hypothesis, one, other)


# ----------------------------------------------------------------------------------------------- order and comparison

DEEDS = listed(
    "called the bank, washed the car, cooked dinner, cleaned the kitchen, wrote a letter, fed the dog,"
    "read the newspaper, took a bath, played the piano, went to the market"
)
DEEDS_HELD_OUT = listed("watered the plants, visited a friend, baked a cake")
BUILDINGS = listed("tower, church, school, hotel, bridge, museum, castle, station, theater, hospital")
BUILDINGS_HELD_OUT = listed("temple, palace, factory")
OPPOSITES = [("older", "newer"), ("taller", "shorter"), ("larger", "smaller")]


def order_in_time(one: str, other: str) -> Iterator[Square]:
    """Which of two things was done first."""

    def before(one: str, other: str) -> str:
        return f"they {one} before they {other}"

    def after(one: str, other: str) -> str:
        return f"they {other} after they {one}"

    yield square(before, after, one, other)
    yield square(after, before, one, other)


def comparisons(one: str, other: str) -> Iterator[Square]:
    """Which of two is the larger one, told from the other side."""
    for pair in OPPOSITES:
        for upper, lower in (pair, pair[::-1]):

            def premise(one: str, other: str, upper: str = upper) -> str:
                return f"the {one} is {upper} than the {other}"

            def hypothesis(one: str, other: str, lower: str = lower) -> str:
                return f"the {other} is {lower} than the {one}"

            yield square(premise, hypothesis, one, other)


RULES = [
    Rule("swapped roles", PEOPLE, PEOPLE_HELD_OUT, swapped_roles),
    Rule("transfers", NAMES, NAMES_HELD_OUT, transfers),
    Rule("negated states", PLACES, PLACES_HELD_OUT, negated_states),
    Rule("negated acts", NAMES, NAMES_HELD_OUT, negated_acts),
    Rule("counted animals", ANIMALS, ANIMALS_HELD_OUT, counted_animals),
    Rule("counted goods", NAMES, NAMES_HELD_OUT, counted_goods),
    Rule("hypernyms", list(KINDS), list(KINDS_HELD_OUT), hypernyms),
    Rule("order in time", DEEDS, DEEDS_HELD_OUT, order_in_time),
    Rule("comparisons", BUILDINGS, BUILDINGS_HELD_OUT, comparisons),
]


# ---------------------------------------------------------------------------------------------- splits and the files

WordPair = tuple[str, str]


def digest(*parts: str) -> bytes:
    """What the generator sorts by: looks random, and is the same everywhere."""
    return hashlib.sha256("|".join(parts).encode()).digest()


def one_square_each(rule: Rule, word_pairs: Iterable[WordPair]) -> Iterator[tuple[WordPair, Square]]:
    """One square for every pair of words, in an order and of a form that the digest chooses."""
    for words in sorted(word_pairs, key=lambda words: digest(rule.name, *words)):
        forms = list(rule.make(*words))
        if forms:
            yield words, min(forms, key=lambda form: digest(*form.premises, *form.hypotheses))


def rows_of(rule: Rule, chosen: Iterable[tuple[WordPair, Square]]) -> Iterator[Pair]:
    for _, form in chosen:
        for i, premise in enumerate(form.premises):
            for j, hypothesis in enumerate(form.hypotheses):
                yield Pair(rule.name, premise, hypothesis, "entailment" if i == j else "not_entailment")


def splits() -> dict[str, list[Pair]]:
    """The rows of both splits, in the order of the files."""
    rows: dict[str, list[Pair]] = {"train": [], "dev": []}
    for rule in RULES:
        seen = list(one_square_each(rule, combinations(rule.seen, 2)))
        new = list(one_square_each(rule, product(rule.seen, rule.held_out)))
        half = DEV_SQUARES // 2
        rows["dev"] += rows_of(rule, seen[:half] + new[:half])
        rows["train"] += rows_of(rule, seen[half : half + TRAIN_SQUARES])
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
