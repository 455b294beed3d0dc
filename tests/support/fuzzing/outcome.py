"""What cases came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT_OF_A_KIND = 3


@dataclass(frozen=True)
class Fault:
    """A case that ended as none may.

    Attributes:
        target, seed, number: of the case.
        kind: what it has in common with others: the exception and the line of bertcore that it came through.
        details: a traceback, or what else is known.
    """

    target: str
    seed: int
    number: int
    kind: str
    details: str


@dataclass
class Outcome:
    """What some cases came to.

    Attributes:
        cases: how many were run.
        read: of these, how many gave a value, by target.
        codes: errors by their code.
        kinds: faults by their kind.
        faults: the first of each kind.
        slowest: seconds of the processor, and which case.
    """

    cases: int = 0
    read: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def note(self, fault: Fault) -> None:
        """Counts a fault, and keeps it where it is one of the first of its kind."""
        self.kinds[fault.kind] += 1
        if self.kinds[fault.kind] <= KEPT_OF_A_KIND:
            self.faults.append(fault)

    def add(self, other: Outcome) -> None:
        """Adds what further cases came to."""
        self.cases += other.cases
        self.read += other.read
        self.codes += other.codes
        self.slowest = max(self.slowest, other.slowest)
        for fault in other.faults:
            if self.kinds[fault.kind] < KEPT_OF_A_KIND:
                self.faults.append(fault)
        self.kinds += other.kinds

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        counts = {name: dict(getattr(self, name)) for name in ("read", "codes", "kinds")}
        faults = [asdict(fault) for fault in self.faults]
        return {"cases": self.cases, **counts, "faults": faults, "slowest": self.slowest}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Outcome:
        """The inverse of :meth:`to_json`."""
        return cls(
            content["cases"],
            Counter(content["read"]),
            Counter(content["codes"]),
            Counter(content["kinds"]),
            [Fault(**fault) for fault in content["faults"]],
            (content["slowest"][0], content["slowest"][1]),
        )
