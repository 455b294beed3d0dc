"""Where a case decides: what is true, and what lies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

EDGES = (
    *(0, 1, -1, 2, 3, 7, 16, 17, 32, 33, 64, 65, 100, 101, 127, 128, 255, 256, 4096),
    *(2**15, 2**16 - 1, 2**16, 2**26, 2**28 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**60, 2**61, 2**62),
    *(2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**31), -(2**63), 10**30, 10**400),
)
TEXTS = (
    *("", " ", "a", "w", ".", "..", "/", "../x", "a/b", "__metadata__", "__class__", "bert.", "classifier.weight"),
    *("\0", "\x1b[2J", "\x1b]0;t\x07", "\r", "\n", "\u202e", "\u2028", "\ud800", "\U0010ffff", "\ufeff", "é", "%s{0}"),
    *("[UNK]", "[CLS]", "NaN", "=1+1", "x" * 300, "x" * 5000),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0.5, -0.0, float("nan"), float("inf"), [], {}, [[]], {"": None}, [0], ["a"], {"a": {"a": 1}}),
    *("", "a", 0, 1, -1, 2**64, 10**400),
)


class Chance(random.Random):
    """Decides by its seed alone; how often it lies differs from case to case, or no case would come far."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.rate = self.choice((0.0, 0.003, 0.01, 0.03, 0.1, 0.3))

    def lies(self) -> bool:
        return self.random() < self.rate

    def number(self, true: int, most: int | None = None) -> int:
        """A number that may lie; at most ``most`` and not negative where that is given."""
        if not self.lies():
            return true
        found = self.choice((true + 1, true - 1, true * 2, -true, self.choice(EDGES), self.choice(EDGES)))
        return found if most is None else min(abs(found), most)

    def text(self, true: str) -> str:
        if not self.lies():
            return true
        return self.choice((self.choice(TEXTS), true + self.choice(TEXTS), true[: len(true) // 2], true * 2))

    def value(self, true: Any) -> Any:
        """A value of JSON that may be another one."""
        if not self.lies():
            return true
        if isinstance(true, int) and self.random() < 0.5:
            return self.choice(EDGES)
        if isinstance(true, str) and self.random() < 0.5:
            return self.choice(TEXTS)
        return self.choice(VALUES)

    def json(self, true: Any) -> Any:
        """A tree of JSON in which values lie, are gone, or stand twice."""
        if isinstance(true, dict):
            found = {self.text(name): self.json(value) for name, value in true.items() if not self.lies()}
            return self.value(found)
        if isinstance(true, list | tuple):
            items = [self.json(value) for value in true if not self.lies()]
            return self.value(items + items if self.lies() else items)
        return self.value(true)

    def some(self, items: Sequence[Any]) -> list[Any]:
        """The items, of which one may be missing, stand twice or elsewhere."""
        found = list(items)
        if found and self.lies():
            place = self.randrange(len(found))
            match self.randrange(3):
                case 0:
                    del found[place]
                case 1:
                    found.insert(self.randrange(len(found)), found[place])
                case _:
                    found.append(found.pop(place))
        return found

    def damage(self, content: bytes) -> bytes:
        """Bytes of which some may be others."""
        if not self.lies() or not content:
            return content
        found = bytearray(content)
        place = self.randrange(len(found))
        match self.randrange(6):
            case 0:
                del found[place:]
            case 1:
                found[place] ^= 1 << self.randrange(8)
            case 2:
                found[place:place] = found[place : place + self.randrange(64)] * self.choice((1, 1, 20))
            case 3:
                found[place : place + 8] = (self.choice(EDGES) % 2**64).to_bytes(8, "little")
            case 4:
                del found[place : place + self.randrange(16)]
            case _:
                found[place] = self.randrange(256)
        return bytes(found)
