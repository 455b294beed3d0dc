"""Where the encoder lies among the names of a file, and which names are copies of others.

torch.compile puts `_orig_mod.` before every name, DataParallel `module.`, a script of one's own whatever it calls the
part that holds the model. None of these is known here by name: what remains behind a wrapper tells. Training loops save
copies of all weights in the same way: accumulated gradients, moments, averages, each under a prefix of its own.

    module._orig_mod.bert.embeddings.word_embeddings.weight      known from "embeddings." on, so the prefix ends there
    |- outside ------|
    |- prefix ------------|
    ema.module._orig_mod.bert.embeddings.word_embeddings.weight  the same modules and one more: a copy
    module._orig_mod.classifier.weight                           a head: it stands where the encoder stands
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from bertcore.contracts.converter import KeyReport
from bertcore.errors import ModelError, Origin, printable
from bertcore.weights.converters.rules import Tensors


def encoder_prefixes(names: Iterable[str], is_of_encoder: Callable[[str], bool]) -> Counter[str]:
    """What stands before names of the encoder, and how often.

    Args:
        names: the names in a file.
        is_of_encoder: whether a name without anything before it is one of the encoder, as
            ``embeddings.word_embeddings.weight``.
    """
    found: Counter[str] = Counter()
    for name in names:
        begin = 0
        while not is_of_encoder(name[begin:]):
            begin = name.find(".", begin) + 1
            if begin == 0:
                break
        else:
            found[name[:begin]] += 1
    return found


def one_encoder(found: Mapping[str, int], origin: str) -> str:
    """The prefix of the one encoder among all that were found; "" where there is none.

    The others must be its copies, as ``accu_grads.bert.`` is one of ``bert.``, and ``net.ema.bert.`` one of
    ``net.bert.``. What has less than half as many names is part of something else.

    Raises:
        ModelError: there are several encoders.
    """
    most = max(found.values(), default=0)
    candidates = sorted((prefix for prefix, count in found.items() if 2 * count >= most), key=len)
    if not candidates:
        return ""
    chosen = candidates[0]
    if not all(_is_copy(other, chosen) for other in candidates[1:]):
        names = ", ".join(prefix or "one without prefix" for prefix in sorted(candidates))
        raise ModelError(
            f"holds {len(candidates)} encoders: {names}",
            "save the one that is meant by itself",
            origin=Origin(origin),
            code="encoder-missing",
        )
    return chosen


def parents(prefix: str) -> list[str]:
    """What stands before each module of a prefix, the longest first: of ``a.b.bert.`` ``a.b.``, ``a.`` and nothing."""
    modules = prefix.split(".")[:-1]
    return ["".join(f"{module}." for module in modules[:count]) for count in range(len(modules) - 1, 0, -1)] + [""]


def outside(prefix: str) -> str:
    """What stands before an encoder's own name: of ``module.model.bert.`` it is ``module.model.``, of ``module.`` all.

    ``module.`` and ``_orig_mod.``, which torch itself adds, are never the name of an encoder.
    """
    added = re.match(r"((module|_orig_mod)\.)*", prefix)
    length = added.end() if added else 0
    return prefix[:length] + parents(prefix[length:])[0]


def set_aside_copies(
    tensors: Tensors, prefix: str, found: Iterable[str]
) -> tuple[Tensors, Tensors, tuple[KeyReport, ...]]:
    """Takes copies of the model, and what an optimizer keeps beside each weight, out of the tensors of a file.

    Args:
        tensors: the tensors by their names.
        prefix: what stands before the encoder's names.
        found: what else stands before such names.

    Returns:
        the tensors that are left, those that were taken out, and a report of these.
    """
    copies = sorted({_where_they_part(other, prefix) for other in found if _is_copy(other, prefix)}, reverse=True)
    kept, aside, report = {}, {}, []
    for name, tensor in tensors.items():
        reason = _copy_of(name, tensors, copies)
        if reason is None:
            kept[name] = tensor
        else:
            aside[name] = tensor
            report.append(KeyReport(name, None, f"skipped: {reason}"))
    return kept, aside, tuple(report)


def _is_copy(other: str, prefix: str) -> bool:
    """Whether a prefix is another one with more modules before or between its own."""
    modules = iter(other.split("."))
    return other != prefix and all(module in modules for module in prefix.split("."))


def _where_they_part(other: str, prefix: str) -> tuple[str, str]:
    """Both prefixes without the modules in which both end."""
    first, second = other.split(".")[:-1], prefix.split(".")[:-1]
    while first and second and first[-1] == second[-1]:
        first.pop()
        second.pop()
    return "".join(f"{module}." for module in first), "".join(f"{module}." for module in second)


def _copy_of(name: str, names: Tensors, copies: Iterable[tuple[str, str]]) -> str | None:
    """The reason why a name is a copy: of the same name under another prefix, or without what follows it."""
    for before, own in copies:
        if name.startswith(before) and own + name[len(before) :] in names:
            return (
                f"a copy of the model under {printable(before[:-1], 200)}, as gradients, moments and averages are saved"
            )
    parts = name.split(".")
    stem = next((stem for end in range(1, len(parts)) if (stem := ".".join(parts[:end])) in names), None)
    return None if stem is None else f"kept beside {printable(stem, 200)}, as an optimizer does"
