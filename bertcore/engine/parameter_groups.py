"""From the settings of training to the groups of parameters that a session is opened with.

Ordered rules, the first that matches a parameter counts::

    train.parameters      in their order
    train.freeze          rate 0
    train.lora            rate 0 for the encoder; what stands beside a layer belongs to its part
    everything else       train.learning_rate x train.layer_decay ^ (layers + 2 - depth)    below the head
                          a rate that the head asks for, train.head_learning_rate, train.learning_rate
    weight decay          train.weight_decay, and none for biases and LayerNorm, as in google-research/bert

The formula is that of google-research/electra, ``model/optimization.py``, ``_get_layer_lrs``: embeddings have depth 0,
layer i depth i + 1, the head depth layers + 2. So the last layer has layer_decay squared; the power between is the
pooler's, which ELECTRA does not have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bertcore.config import ParameterRule, TrainConfig, words_of
from bertcore.contracts.backend import ParameterGroup
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import ParameterSpec
from bertcore.engine.model_parts import HEAD, ModelParts, no_such_parameters, parts_of
from bertcore.errors import ConfigError
from bertcore.numerics.optimization import group_of

FROZEN = "frozen"
NO_DECAY = ", no decay"
_SPARED = re.compile(r"(\.bias|[Nn]orm\.weight)$")


@dataclass(frozen=True)
class _Share:
    """What one parameter gets: the group's name without its decay, the peak rate, the decay."""

    name: str
    rate: float
    decay: float


def parameter_groups(
    options: TrainConfig,
    table: Mapping[str, ParameterSpec],
    prefix: str,
    head: Head,
    adapter: frozenset[str] = frozenset(),
    new: frozenset[str] = frozenset(),
) -> tuple[ParameterGroup, ...]:
    """Sorts all parameters into groups, each of which has one rate and one decay.

    The first group is the highest of the encoder that no rule changes, whose rate the log shows; frozen ones are last.

    Args:
        options: the configuration.
        table: what the model has, in order, and an adapter.
        prefix: what stands before the encoder's canonical names.
        head: may give some of its parameters a learning rate of their own, without decay.
        adapter: names of the adapter's own parameters; where there are some, the encoder's are frozen but for those
            that are new or that a rule names.
        new: names of the encoder's that no file gave a value, as a pooler's, which could not stay as they were drawn.

    Raises:
        ConfigError: a rule matches nothing, or nothing that no earlier rule took.
    """
    parts = parts_of(table, prefix)
    if options.layer_decay is not None and not parts.layers:
        raise ConfigError(
            f"train.layer_decay = {options.layer_decay:g}: no layers are to be found in the names of the model",
            "leave it out, and give rates with train.parameters",
            code="parameters-missing",
        )
    ordinary = {name: _ordinary(name, options, parts, head) for name in table}
    ordinary |= {name: _of_adapter(ordinary[name]) for name in adapter}
    shares: dict[str, _Share] = {}
    for key, rule, names in _rules(options, parts, adapter):
        left = [name for name in table if name in names and name not in shares]
        shares |= _ruled(key, rule, left, ordinary)
    if adapter:
        shares |= {
            name: _Share(FROZEN, 0.0, 0.0)
            for name, part in parts.part_of.items()
            if part != HEAD and name not in adapter and name not in new and name not in shares
        }
    rest = [name for name in table if name not in shares]
    rest.sort(key=lambda name: _order(name, parts, ordinary[name]))
    trained = [name for name in shares if shares[name].name != FROZEN]
    frozen = [name for name in shares if shares[name].name == FROZEN]
    shares = {name: shares.get(name, ordinary[name]) for name in (*rest, *trained, *frozen)}
    return tuple(_groups(shares))


def describe_groups(groups: Sequence[ParameterGroup], table: Mapping[str, ParameterSpec]) -> Iterator[str]:
    """A line for each group, biases and LayerNorm with it: tensors, parameters, peak rate and decay, or frozen.

    And after how many steps it begins, where it does not begin with the first.
    """
    members: dict[str, list[str]] = {}
    for name in table:
        members.setdefault(groups[group_of(name, groups)].name.removesuffix(NO_DECAY), []).append(name)
    for label in dict.fromkeys(group.name.removesuffix(NO_DECAY) for group in groups):
        own = [group for group in groups if group.name.removesuffix(NO_DECAY) == label]
        size = sum(math.prod(table[name].shape) for name in members[label])
        count = len(members[label])
        counts = f"{label}: {count} tensor{'s' * (count != 1)}, {size:,} parameters"
        rate, decay = own[0].learning_rate, max(group.weight_decay for group in own)
        begins = f", begins after step {own[0].first_step}" if own[0].first_step else ""
        yield counts if label == FROZEN else f"{counts}, rate {rate:.3g}, decay {decay:g}{begins}"


def trained_names(groups: Sequence[ParameterGroup], names: Iterable[str]) -> list[str]:
    """Those of some names that belong to a group which is not frozen."""
    return [name for name in names if groups[group_of(name, groups)].learning_rate != 0]


def _rules(
    options: TrainConfig, parts: ModelParts, adapter: frozenset[str]
) -> Iterator[tuple[str, ParameterRule, frozenset[str]]]:
    """The key of each rule, the rule, and the names that it matches, whatever takes them before.

    A part means what stands beside it, where there is an adapter: a rate for ``layers.6-11`` trains no frozen weights.
    """
    for index, rule in enumerate(options.parameters):
        key = f"train.parameters[{index}]"
        names = _named(key, rule.parts, parts) if rule.parts else _found(key, rule.pattern, parts)
        yield key, rule, names & adapter or names if rule.parts else names
    if options.freeze is not None:
        key = "train.freeze"
        yield key, ParameterRule(pattern=FROZEN, frozen=True), _named(key, words_of(options.freeze), parts)


def _named(key: str, words: Sequence[str], parts: ModelParts) -> frozenset[str]:
    return frozenset().union(*(parts.named_by(word, key) for word in words))


def _found(key: str, pattern: str, parts: ModelParts) -> frozenset[str]:
    found = frozenset(name for name in parts.part_of if re.search(pattern, name))
    if not found:
        raise no_such_parameters(key, pattern, parts)
    return found


def _ruled(key: str, rule: ParameterRule, names: Sequence[str], ordinary: Mapping[str, _Share]) -> dict[str, _Share]:
    """What a rule gives to those that no earlier rule took."""
    if not names:
        raise ConfigError(
            f"{key} changes nothing: earlier rules match all that it matches",
            "leave it out, or put it in front of them; the first match counts",
            code="parameters-missing",
        )
    if rule.freezes:
        return dict.fromkeys(names, _Share(FROZEN, 0.0, 0.0))
    shares = {name: _changed(ordinary[name], rule, name) for name in names}
    rates = {share.rate for share in shares.values()}
    decays = {share.decay for name, share in shares.items() if not _SPARED.search(name)}
    several = len(rates) > 1 or len(decays) > 1
    return {
        name: _Share(f"{rule.pattern}, {share.name}" if several else rule.pattern, share.rate, share.decay)
        for name, share in shares.items()
    }


def _changed(share: _Share, rule: ParameterRule, name: str) -> _Share:
    rate = share.rate * (1.0 if rule.factor is None else rule.factor)
    if rule.learning_rate is not None:
        rate = rule.learning_rate
    decay = share.decay if rule.weight_decay is None or _SPARED.search(name) else rule.weight_decay
    return _Share(share.name, rate, decay)


def _ordinary(name: str, options: TrainConfig, parts: ModelParts, head: Head) -> _Share:
    """What a parameter gets that no rule matches."""
    part = parts.part_of[name]
    decay = 0.0 if _SPARED.search(name) else options.weight_decay
    if part != HEAD:
        if options.layer_decay is None:
            return _Share("encoder", options.learning_rate, decay)
        power = parts.layers + 2 - parts.depth(part)
        return _Share(part, options.learning_rate * options.layer_decay**power, decay)
    for pattern, rate in head.learning_rates.items():
        if re.search(pattern, name):
            return _Share(pattern, rate, 0.0)
    head_rate = options.learning_rate if options.head_learning_rate is None else options.head_learning_rate
    return _Share(HEAD, head_rate, decay)


def _of_adapter(beside: _Share) -> _Share:
    """What a parameter of an adapter gets: that of the weights that it stands beside, in a group of its own."""
    return _Share("adapter" if beside.name == "encoder" else f"adapter, {beside.name}", beside.rate, beside.decay)


def _order(name: str, parts: ModelParts, share: _Share) -> tuple[bool, bool, int]:
    """The encoder, its parts from above to below, then what the head gives a rate of its own, then the head."""
    depth = parts.depth(parts.part_of[name])
    return depth == parts.depth(HEAD), share.name == HEAD, -depth


def _groups(shares: Mapping[str, _Share]) -> Iterator[ParameterGroup]:
    members: dict[tuple[str, float, float], list[str]] = {}
    for label in dict.fromkeys(share.name for share in shares.values()):
        # Of two groups of one name, that without decay is the first.
        for spared in (True, False):
            for name, share in shares.items():
                if share.name == label and bool(_SPARED.search(name)) == spared:
                    members.setdefault((_full_name(name, share), share.rate, share.decay), []).append(name)
    for (name, rate, decay), names in members.items():
        yield ParameterGroup(name, f"^(?:{'|'.join(map(re.escape, names))})$", rate, decay)


def _full_name(name: str, share: _Share) -> str:
    return share.name + (NO_DECAY if _SPARED.search(name) and share.name != FROZEN else "")
