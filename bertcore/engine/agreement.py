"""What ranks tell each other beside sums and outputs: that they train the same run, and what the first one decided."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bertcore.config import config_values
from bertcore.contracts.backend import Session
from bertcore.contracts.batch import Batch
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.ranks import Ranks
from bertcore.errors import DeviceError
from bertcore.version import __version__

if TYPE_CHECKING:
    from bertcore.config import RunConfig
    from bertcore.engine.prepared_run import PreparedRun


def told_by_first(session: Session, ranks: Ranks, value: Any) -> Any:
    """Returns on every rank what the first one gave; it must be writable as JSON."""
    if ranks.is_alone:
        return value
    return json.loads(session.exchange(json.dumps(value).encode() if ranks.is_first else b"null")[0])


def wait_for_all(session: Session) -> None:
    """Returns when every rank has come here."""
    session.exchange(b"")


def require_agreement(session: Session, ranks: Ranks, facts: Mapping[str, Any]) -> None:
    """Checks that all ranks were given the same: each reads its files for itself, on hosts that may differ.

    Args:
        session: opened with the ranks.
        ranks: of them.
        facts: what must be the same everywhere, by its name in words.

    Raises:
        DeviceError: a rank has something else than the first.
    """
    if ranks.is_alone:
        return
    own = {"host": socket.gethostname(), **{name: str(value) for name, value in facts.items()}}
    told = [json.loads(content) for content in session.exchange(json.dumps(own).encode())]
    for rank, of_rank in enumerate(told):
        for name in facts:
            if of_rank.get(name) != told[0].get(name):
                raise DeviceError(
                    f"rank {rank} on {of_rank.get('host')} has another {name} than rank 0 on {told[0].get('host')}: "
                    f"{of_rank.get(name)}, not {told[0].get(name)}",
                    "give all hosts the same files and versions",
                    code="host-differs",
                )


def facts_of(prepared: PreparedRun, config: RunConfig) -> Mapping[str, Any]:
    """What must be the same on all ranks of a run."""
    if prepared.ranks.is_alone:
        return {}
    # Paths may differ between hosts, and what they lead to is compared as such.
    options = {key: value for key, value in config_values(config).items() if key.startswith(("train.", "head."))}
    training = prepared.training
    checkpoint = prepared.checkpoint
    return {
        "version of bertcore": __version__,
        "backend": prepared.target.describe(),
        "seed": config.run.seed,
        "configuration": json.dumps(options, default=str, sort_keys=True),
        "training split": "a stream" if training is None else digest_of_batch(training.batch),
        "evaluation split": digest_of_batch(prepared.evaluation.batch),
        "model": digest_of_parameters(prepared.session.parameters()),
        "checkpoint": None if checkpoint is None else checkpoint.progress.step,
    }


def digest_of_batch(batch: Batch) -> str:
    """Changes with any token or label."""
    columns = [column.values for _, column in sorted(batch.columns.items())]
    return _digest([batch.offsets, batch.input_ids, batch.token_type_ids, *columns])


def digest_of_parameters(parameters: Parameters) -> str:
    """Changes with any bit of a parameter."""
    return _digest(list(parameters.values()))


def _digest(arrays: list[np.ndarray[Any, Any]]) -> str:
    # Against mistakes, not against an enemy: who may start a process of the run may do worse.
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, value)
    return f"{value:08x}"
