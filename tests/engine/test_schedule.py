"""Learning rates against transformers' own schedules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.engine.schedule import Schedule, learning_rate_factor, warmup_steps

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def transformers_factors(schedule: Schedule, total: int, warmup: int) -> list[float]:
    """The factors that transformers' scheduler applies, update for update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    if schedule == "linear":
        scheduler = transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)
    elif schedule == "cosine":
        scheduler = transformers.get_cosine_schedule_with_warmup(optimizer, warmup, total)
    else:
        scheduler = transformers.get_constant_schedule_with_warmup(optimizer, warmup)
    factors = []
    for _ in range(total):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (1, 1), (10, 0), (10, 3), (10, 10), (234, 24)])
def test_equals_transformers(schedule: Schedule, total: int, warmup: int) -> None:
    factors = [learning_rate_factor(update, total, warmup, schedule) for update in range(total)]
    assert factors == pytest.approx(transformers_factors(schedule, total, warmup), rel=1e-12, abs=1e-12)


@settings(deadline=None)
@given(total=st.integers(1, 100_000), ratio=st.floats(0, 1))
def test_warmup_steps_equal_transformers(total: int, ratio: float) -> None:
    # transformers takes a ratio below one, or a number of steps; making whole arguments would look for devices.
    arguments = transformers.TrainingArguments.__new__(transformers.TrainingArguments)
    arguments.warmup_steps = ratio if ratio < 1 else total
    assert warmup_steps(total, ratio) == arguments.get_warmup_steps(total)
