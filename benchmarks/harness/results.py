"""Results on disk: a JSON line for each case, in a file for each benchmark; a new measurement replaces its case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import host

RESULTS = Path(__file__).resolve().parents[1] / "results"

Case = dict[str, Any]


def case(
    benchmark: str,
    name: str,
    *,
    threads: int,
    versions: Mapping[str, str],
    unit: str,
    contenders: list[dict[str, Any]],
    absent: Mapping[str, str],
    settings: Mapping[str, Any],
    **further: Any,
) -> Case:
    """All that is said of one measurement.

    Args:
        benchmark: name of the module.
        name: of the case within it.
        threads: of each contender.
        versions: of every package that took part.
        unit: of the contenders' values.
        contenders: each with ``name``, and what was measured of it.
        absent: what was left out, with the reason.
        settings: rows, rounds and the like.
        **further: what else the benchmark has to say.
    """
    return {
        "benchmark": benchmark,
        "case": name,
        "date": host.today(),
        "commit": host.commit(),
        "host": host.facts(threads),
        "versions": dict(sorted(versions.items())),
        "settings": dict(settings),
        "unit": unit,
        "contenders": contenders,
        "absent": dict(absent),
        **further,
    }


def store(found: Case, folder: Path = RESULTS) -> None:
    """Writes a case in the place of the one of its name, or behind the others."""
    file = folder / f"{found['benchmark']}.jsonl"
    cases = {one["case"]: one for one in read(found["benchmark"], folder)}
    cases[found["case"]] = found
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in cases.values())
    file.write_text(text, encoding="utf-8")


def read(benchmark: str, folder: Path = RESULTS) -> list[Case]:
    """The cases of a benchmark in the order of its file; none where nothing was measured."""
    file = folder / f"{benchmark}.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def show(found: Case) -> None:
    """Prints a case as a table."""
    print(f"\n{found['benchmark']}, {found['case']} ({found['unit']}; {found['date']}, {found['commit']})")
    for one in found["contenders"]:
        words = [f"{one['name']:<58}"]
        for key, value in one.items():
            if key == "name" or value is None:
                continue
            spread = isinstance(value, list) and len(value) == 3
            words.append(f"{key} {value[0]:g} ({value[1]:g} to {value[2]:g})" if spread else f"{key} {value}")
        print("   ".join(words))
    for name, reason in found["absent"].items():
        print(f"left out: {name}: {reason}")
