"""A part of a split: some of its examples, whose rows are taken from those of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Encoding


class SplitPart(Sequence[Example]):
    """Some examples of a split, in its order.

    The whole is encoded and not the part, so that what is kept of an encoding holds for every part of a file.

    Args:
        whole: all examples.
        chosen: int64, indices of those of the part, rising.
        words: what the part is, for a header.
        labeled: false leaves the labels out of the examples.
    """

    def __init__(
        self, whole: Sequence[Example], chosen: NDArray[np.int64], words: str = "", *, labeled: bool = True
    ) -> None:
        self.whole = whole
        self.chosen = chosen
        self.words = words
        self._labeled = labeled

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self._shown(place) for place in self.chosen[index].tolist()]
        return self._shown(int(self.chosen[index]))

    def __iter__(self) -> Iterator[Example]:
        return map(self._shown, self.chosen.tolist())

    def without_labels(self) -> SplitPart:
        """The same examples, as if nobody knew their labels."""
        return SplitPart(self.whole, self.chosen, self.words, labeled=False)

    def encoding(self, encode: Callable[[Sequence[Example]], Encoding]) -> Encoding:
        """Encodes the whole and returns the rows of the part, whose ``example_index`` counts its own examples."""
        whole = encode(self.whole)
        places = np.full(len(self.whole), -1, dtype=np.int64)
        places[self.chosen] = np.arange(len(self.chosen))
        of_rows = places[whole.batch.example_index]
        batch = whole.batch.select(np.flatnonzero(of_rows >= 0))
        truncated = places[whole.truncated]
        return Encoding(
            replace(batch, example_index=of_rows[of_rows >= 0].astype(whole.batch.example_index.dtype)),
            truncated[truncated >= 0],
            whole.notes,
        )

    def _shown(self, place: int) -> Example:
        example = self.whole[place]
        return example if self._labeled else replace(example, label=None)
