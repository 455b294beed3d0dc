"""What a figure was measured on: processor, what it can, threads, load, versions and date."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_vnni": "AVX-512 VNNI",
    "amx_bf16": "AMX BF16",
    "amx_int8": "AMX INT8",
}
"""Flags of the kernel that decide about products, with the names that people use."""


def facts(threads: int) -> dict[str, Any]:
    """The host as JSON, without its name."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(values.get("flags", "").split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    family = {name: int(values[name]) for name in ("cpu family", "model") if values.get(name, "").isdigit()}
    return {
        "processor": values.get("model name", platform.processor() or platform.machine()),
        **{name.replace(" ", "_"): value for name, value in family.items()},
        "features": [name for flag, name in FEATURES.items() if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "memory_gib": round(memory / 2**30),
        "load": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The last commit of the code that is measured, with a plus where files differ from it."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words, "--", "bertcore", "plugins"], cwd=root, capture_output=True, text=True)
        return done.stdout.strip()

    return (git("log", "-1", "--format=%h", "--abbrev=10") or "unknown") + "+" * bool(git("status", "--porcelain"))


def today() -> str:
    """As 2026-11-29."""
    return datetime.date.today().isoformat()
