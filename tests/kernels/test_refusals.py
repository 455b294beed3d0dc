"""A kernel refuses arrays that it would read or write beyond, or take for something else."""

from __future__ import annotations

import pytest
import torch
from bertcore_kernels import KernelError, Kernels
from kernel_calls import call
from torch import Tensor

ROWS, WIDTH, HEADS = 5, 6, 2


def floats(*shape: int) -> Tensor:
    return torch.zeros(shape)


def mask(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.bool)


TWO = torch.tensor([float(HEADS), 1.0])
WIDE = floats(ROWS, WIDTH)
TABLE = torch.tensor([[0, 2, 0, 4, 2], [2, 3, 8, 9, 3]])
CALLS = {
    "add_norm_forward": (
        *(WIDE, floats(WIDTH), mask(ROWS, WIDTH), WIDE, floats(WIDTH), floats(WIDTH), TWO),
        *(WIDE, WIDE, floats(ROWS), floats(ROWS)),
    ),
    "add_norm_backward": (
        *(WIDE, floats(ROWS), floats(ROWS), mask(ROWS, WIDTH), floats(WIDTH), TWO, WIDE),
        *(WIDE, WIDE, floats(WIDTH), floats(WIDTH), floats(WIDTH)),
    ),
    "gelu_forward": (WIDE, floats(WIDTH), WIDE),
    "gelu_backward": (WIDE, floats(WIDTH), WIDE, WIDE, floats(WIDTH)),
    "attention_forward": (
        *(floats(ROWS, 3 * WIDTH), floats(3 * WIDTH), TABLE, mask(26), TWO),
        *(WIDE, floats(HEADS, ROWS)),
    ),
    "attention_backward": (
        *(floats(ROWS, 3 * WIDTH), floats(3 * WIDTH), TABLE, mask(26), TWO, floats(HEADS, ROWS), WIDE),
        *(floats(ROWS, 3 * WIDTH), floats(3 * WIDTH)),
    ),
    "keep_masks": (
        *(torch.ones(2, 4, dtype=torch.uint64), torch.zeros(2, dtype=torch.int64), torch.tensor([3, 4])),
        mask(7),
    ),
    "adamw": (
        *(floats(7), floats(7), floats(7), floats(7), torch.zeros(7, dtype=torch.bfloat16)),
        torch.ones(8, dtype=torch.float64),
    ),
    "crf_losses": (
        *(WIDE, torch.zeros(ROWS, dtype=torch.int64), torch.tensor([0, 2, ROWS])),
        *(floats(WIDTH, WIDTH), floats(WIDTH), floats(WIDTH), mask(WIDTH * WIDTH + 2 * WIDTH)),
        *(floats(2), WIDE, floats(2, WIDTH, WIDTH), floats(2, WIDTH), floats(2, WIDTH)),
    ),
    "crf_tags": (
        *(WIDE, torch.tensor([0, 2, ROWS]), floats(WIDTH, WIDTH), floats(WIDTH), floats(WIDTH)),
        *(mask(WIDTH * WIDTH + 2 * WIDTH), torch.zeros(ROWS, dtype=torch.int32)),
    ),
    "weight_gradient": (floats(ROWS, WIDTH), floats(ROWS, 3), floats(3, WIDTH)),
    "embedding_gradient": (torch.tensor([0, 3, 1]), floats(3, 5), floats(4, 5)),
    "sum_of_squares": (floats(7), torch.zeros(1, dtype=torch.float64)),
}
FREE = {("sum_of_squares", 0), ("embedding_gradient", 2)}
"""Arrays that may have any size."""


def with_one(name: str, index: int, other: Tensor) -> list[Tensor]:
    return [other if place == index else tensor.clone() for place, tensor in enumerate(CALLS[name])]


@pytest.mark.parametrize("name", CALLS)
def test_any_array_of_another_size_or_type_is_refused(kernels: Kernels, name: str) -> None:
    call(kernels, name, *(tensor.clone() for tensor in CALLS[name]))
    for index, tensor in enumerate(CALLS[name]):
        of_another_type = torch.zeros(tensor.shape, dtype=torch.float16)
        with pytest.raises(KernelError, match=f"the kernel {name} refuses its arguments: type"):
            call(kernels, name, *with_one(name, index, of_another_type))
        if (name, index) not in FREE:
            more = torch.zeros((tensor.shape[0] + 2, *tensor.shape[1:]), dtype=tensor.dtype)
            fewer = torch.zeros((tensor.shape[0] - 1, *tensor.shape[1:]), dtype=tensor.dtype)
            for other in (more, fewer) if not (name.startswith("attention") and index == 3) else (fewer,):
                if name.startswith("attention") and index == 2:
                    other[:, 1] = 6  # more tokens than there are
                with pytest.raises(KernelError, match="refuses its arguments: shape"):
                    call(kernels, name, *with_one(name, index, other))
    for arrays in (CALLS[name][:-1], (*CALLS[name], floats(2))):
        with pytest.raises(KernelError, match="refuses its arguments: number of arrays"):
            call(kernels, name, *arrays)


@pytest.mark.parametrize("name", ["attention_forward", "attention_backward"])
@pytest.mark.parametrize(
    "row", [[-1, 2, 0, 4, 2], [4, 2, 0, 4, 2], [0, -1, 0, 4, 2], [0, 2, 22, 4, 2], [0, 2, -1, 4, 2]]
)
def test_a_row_outside_of_its_input_or_its_mask_is_refused(kernels: Kernels, name: str, row: list[int]) -> None:
    with pytest.raises(KernelError, match="shape"):
        call(kernels, name, *with_one(name, 2, torch.tensor([row])))


@pytest.mark.parametrize("heads", [0.0, -1.0, 4.0])
def test_a_number_of_heads_that_does_not_divide_the_width_is_refused(kernels: Kernels, heads: float) -> None:
    with pytest.raises(KernelError, match="shape"):
        call(kernels, "attention_forward", *with_one("attention_forward", 4, torch.tensor([heads, 1.0])))


@pytest.mark.parametrize("offsets", [[1, 2, ROWS], [0, 3, 2], [0, 4, 4], [0, -1, ROWS]], ids=str)
def test_rows_that_are_none_are_refused(kernels: Kernels, offsets: list[int]) -> None:
    for name, index in (("crf_losses", 2), ("crf_tags", 1)):
        with pytest.raises(KernelError, match="shape"):
            call(kernels, name, *with_one(name, index, torch.tensor(offsets)))


@pytest.mark.parametrize("tag", [-1, WIDTH])
def test_a_tag_that_is_none_is_refused(kernels: Kernels, tag: int) -> None:
    with pytest.raises(KernelError, match="shape"):
        call(kernels, "crf_losses", *with_one("crf_losses", 1, torch.full((ROWS,), tag)))


def test_no_columns_are_refused(kernels: Kernels) -> None:
    with pytest.raises(KernelError, match="shape"):
        call(kernels, "gelu_backward", floats(3, 0), floats(1), floats(3, 0), floats(3, 0), floats(1))
