"""Rows whose columns of words are several entries each: which entries are whose, and what is drawn in them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evenodds.game.arithmetic import made_once
from evenodds.parts.choosing import Block, in_rows, log_shares, picked

__all__ = ["Entries", "entries_of"]


class Entries:
    """The E entries of rows of D columns, of which W are words with C entries in all; on one device.

    Args:
        blocks: of the columns, side by side: a number, or some choices.

    Attributes:
        column: (E,) int64, the column of each entry.
        first: (D,) int64, the first entry of each column.
        words: (C,) int64, the entries of words.
        numbers: (E,) bool, which entries are numbers.
        widths: (E,) float, the entries of the column of each entry.
        word: (C,) int64, which of the W columns of words each entry of `words` is of.
    """

    def __init__(self, blocks: Sequence[Block], device: torch.device | str = "cpu") -> None:
        choices = [size for *_, size in blocks]
        column = [k for k, size in enumerate(choices) for _ in range(max(1, size))]
        first = [at for at, k in enumerate(column) if at == 0 or k != column[at - 1]]
        words = [at for at, k in enumerate(column) if choices[k]]
        sizes = [size for size in choices if size]
        padded, inside = in_rows(sizes)
        self.column = torch.tensor(column, device=device)
        self.first = torch.tensor(first, device=device)
        self.words = torch.tensor(words, dtype=torch.int64, device=device)
        self.numbers = torch.tensor([not choices[k] for k in column], device=device)
        self.widths = torch.tensor([float(max(1, choices[k])) for k in column], device=device)
        self.word = torch.tensor([k for k, size in enumerate(sizes) for _ in range(size)], dtype=torch.int64).to(device)
        self.many = len(sizes)
        self._padded, self._inside = padded.to(device), inside.to(device)

    def by_column(self, mask: Tensor) -> Tensor:
        """(N, E) alike in all entries of a column -> (N, D)."""
        return mask.index_select(1, self.first)

    def by_entry(self, mask: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return mask.index_select(-1, self.column)

    def log_shares(self, logits: Tensor) -> Tensor:
        """(N, E) -> (N, C): the logarithm of the probability of each word of a column."""
        return log_shares(logits.index_select(1, self.words), self._padded, self._inside)

    def drawn(self, logits: Tensor, noise: Tensor) -> Tensor:
        """(N, E): numbers as they are, and a word of each column drawn of logits by noise (N, C), as 1 among 0."""
        choices = picked(logits.index_select(1, self.words), noise, self._padded, self._inside)
        return logits.index_copy(1, self.words, choices.to(logits.dtype))


@made_once
def entries_of(blocks: tuple[Block, ...], device: torch.device) -> Entries:
    """Those of rows."""
    return Entries(blocks, device)
