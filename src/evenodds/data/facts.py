"""What is known of all values of a data set: found in one pass, a part of them in memory at a time."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Facts", "Head", "Parts", "as_notes", "block", "digests", "facts_in", "facts_of"]

BLOCKS = 256
"""Blocks of consecutive items, of each of which there is a checksum."""
ENTRIES = 1 << 24
"""Values that are looked at together."""

LONG = 8
"""Bytes of the number that tells items apart."""

_WORDS = re.compile(rb"[0-9a-f]{64}( [0-9a-f]{8})+")

Parts = Callable[[str], Iterator[Tensor]]
"""The values of x, or of what lies beside it under a name, in consecutive parts."""


class Head(NamedTuple):
    """What of a data set is in memory always, and is a part of its fingerprint."""

    shape: tuple[int, ...]
    """Of x, (N, ...)."""
    units: Mapping[str, Any]
    y: Tensor | None
    c: Tensor | None
    beside: tuple[str, ...]
    """What lies beside x, by name, in alphabetical order."""

    def digest(self) -> Any:
        """A SHA-256 that has seen the shape, the units, and whether there are labels."""
        head = {"shape": list(self.shape), "units": self.units, "labels": self.y is not None}
        return hashlib.sha256(json.dumps(head, sort_keys=True).encode())

    def key(self) -> str:
        """What facts are filed under: equal of equal heads."""
        digest = self.digest()
        for known in (self.y, self.c):
            if known is not None:
                digest.update(known.contiguous().numpy().data)
        return str(digest.hexdigest()[:16])


class Facts(NamedTuple):
    """What is known of all values."""

    fingerprint: str
    """See `Dataset.fingerprint`."""
    blocks: tuple[str, ...]
    """A checksum, 8 hexadecimal digits, of each of at most 256 parts of consecutive items."""
    sums: Tensor
    """(N,) int64, see `digests`."""
    plain: Tensor
    """(N,) bool: whether an item has one value throughout."""


def facts_of(head: Head, parts: Parts, each: bool = True) -> Facts:
    """Reads all values once.

    Args:
        each: whether items are told apart; `sums` and `plain` are empty where not.
        parts: is called once for x and for each name beside it; what is in memory at a time is theirs to say.
    """
    n = head.shape[0]
    whole, ends = head.digest(), [block(k, n) for k in range(min(BLOCKS, n))]
    of_blocks = [hashlib.sha256() for _ in ends]
    sums, plain = [], []

    def seen(values: Tensor, at: int) -> None:
        stored = values.permute(0, 2, 3, 1) if values.ndim == 4 else values
        whole.update(stored.contiguous().cpu().numpy().data)
        _into_blocks(of_blocks, ends, stored, at)

    for at, part in _placed(parts("x")):
        seen(part, at)
        if not each:
            continue
        sums.append(digests(part))
        plain.append(flat(part).amax(1) == flat(part).amin(1))
    for known in (head.y, head.c):
        if known is not None:
            seen(known, 0)
    for name in head.beside:
        for at, part in _placed(parts(name)):
            seen(part, at)
    of_items = (torch.cat(sums), torch.cat(plain)) if each else (torch.empty(0), torch.empty(0))
    return Facts(whole.hexdigest(), tuple(one.hexdigest()[:8] for one in of_blocks), *of_items)


def as_notes(facts: Facts, head: Head) -> dict[str, Tensor]:
    """Facts as tensors by name, among those of other heads."""
    words = " ".join((facts.fingerprint, *facts.blocks)).encode()
    key, text = head.key(), torch.frombuffer(bytearray(words), dtype=torch.uint8)
    return {f"{key} words": text, f"{key} sums": facts.sums, f"{key} plain": facts.plain}


def facts_in(notes: Mapping[str, Tensor], head: Head) -> Facts | None:
    """What `as_notes` has made of facts; None where nothing, or something else, is noted."""
    key, n = head.key(), head.shape[0]
    words, sums, plain = (notes.get(f"{key} {name}") for name in ("words", "sums", "plain"))
    if words is None or sums is None or plain is None:
        return None
    match = _WORDS.fullmatch(words.flatten().to(torch.uint8).numpy().tobytes())
    kinds = (sums.dtype, plain.dtype, tuple(sums.shape), tuple(plain.shape))
    if match is None or kinds != (torch.int64, torch.bool, (n,), (n,)):
        return None
    first, *blocks = match[0].decode("ascii").split()
    return Facts(first, tuple(blocks), sums, plain)


def _placed(parts: Iterator[Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Each part, with the number of items before it."""
    at = 0
    for part in parts:
        yield at, part
        at += len(part)


def block(k: int, n: int) -> tuple[int, int]:
    """The first item of one of at most 256 blocks of n items, and the one after its last."""
    blocks = min(BLOCKS, n)
    return k * n // blocks, (k + 1) * n // blocks


def _into_blocks(of_blocks: list[Any], ends: list[tuple[int, int]], part: Tensor, at: int) -> None:
    """Tells each block of its items in a part that begins at item `at`."""
    k = bisect_right([first for first, _ in ends], at) - 1
    while k < len(ends) and ends[k][0] < at + len(part):
        first, last = ends[k]
        of_blocks[k].update(part[max(first, at) - at : last - at].contiguous().cpu().numpy().data)
        k += 1


def digests(x: Tensor) -> Tensor:
    """(N,) int64, equal for equal items x (N, ...), and for others with a chance of 2^-64: BLAKE2b, RFC 7693.

    Of items of eight bytes at most they are these bytes: nothing needs to be digested of points.
    """
    rows_of = flat(x)
    if rows_of.shape[1] * rows_of.element_size() <= LONG:
        return _as_numbers(_stored(rows_of))
    rows = max(1, ENTRIES // rows_of.shape[1])
    sums = [blake2b(row, digest_size=LONG).digest() for part in torch.split(rows_of, rows) for row in _stored(part)]
    return torch.frombuffer(bytearray(b"".join(sums)), dtype=torch.int64)


def _as_numbers(rows: NDArray[Any]) -> Tensor:
    """(N,) int64: the bytes of each row, at most eight, and zeros behind them."""
    padded = np.zeros((len(rows), LONG), np.uint8)
    padded[:, : rows.shape[1] * rows.itemsize] = rows.view(np.uint8)
    return torch.from_numpy(padded.view(np.int64)[:, 0])


def flat(x: Tensor) -> Tensor:
    """(N, D): images without a copy, as they are kept channels-last."""
    return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x.flatten(1)


def _stored(part: Tensor) -> NDArray[Any]:
    """(n, D) as it lies in memory; -0.0 is 0.0."""
    return (part + 0.0 if part.is_floating_point() else part).contiguous().numpy()
