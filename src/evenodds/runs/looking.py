"""What a frozen network sees in images: looked at once, and kept for later runs and for those that are put to work.

It is kept as decoded images are, see `evenodds.files.kept`, and known by all that decides it: the images' own values,
the weights, the size in which they are looked at, whether they are mirrored, and what computes. A pass has always as
many images, the last one filled up: what is seen in an image then depends on no other, and on no number of threads, to
the bit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.wording import count
from evenodds.files import kept
from evenodds.game import exchange
from evenodds.game.engine import Engine
from evenodds.pretrained.embedding import PASS, Embedding
from evenodds.pretrained.state import digest
from evenodds.runs.machine import processor
from evenodds.version import __version__

__all__ = ["seen"]

AT_ONCE = 8 * PASS
"""Images that are in memory at a time."""
EVERY = 10.0
"""Seconds between two sentences on how far that is."""
_FORMAT = 1


@torch.no_grad()
def seen(
    embedding: Embedding,
    dataset: Dataset,
    index: Tensor,
    mirrors: Sequence[Sequence[int]],
    engine: Engine,
    say: Callable[[str], None],
) -> Tensor:
    """(N, M, F) float32: what it sees in the items of index (n,), mirrored in each of M ways; NaN for all other items.

    Several processes look at a share each; the first of them takes what is kept, and keeps what all have seen.

    Args:
        mirrors: of (N, C, H, W), the axes along which images are mirrored; none for images as they are.
        say: gets a sentence before images are looked at, and others on how far that is.
    """
    found = torch.full((len(dataset), len(mirrors), embedding.length), torch.nan)
    known = torch.zeros(len(dataset), len(mirrors), dtype=torch.uint8)
    stores = _stores(embedding, dataset, mirrors, engine)
    for way, store in enumerate(stores):
        rows = store.rows[torch.isin(store.rows, index)]
        known[rows, way] = 1
        found[rows, way] = store.features[torch.isin(store.rows, index)]
    if engine.size > 1:
        first = exchange.handed(0, {"known": known[index], "found": found[index]})
        known[index], found[index] = first["known"], first["found"]
    lacking = index[known[index].amin(1) == 0]
    tell, before = kept.told() if stores else None, len(index) - len(lacking)
    if tell is not None and before:
        tell(f"{count(before, 'image')}: as seen before, from {stores[0].place.parent} (--no-cache looks anew)")
    if not len(lacking):
        return found
    shares = torch.tensor_split(lacking, engine.size)
    begun, mine = time.perf_counter(), shares[engine.rank]
    beside = f" and {'its' if len(lacking) == 1 else 'their'} mirror images" * (len(mirrors) > 1)
    side = f"{embedding.side} x {embedding.side}"
    say(f"{count(len(lacking), 'image')}{beside}: looked at once, in {side}, by the pretrained network")
    for part in _told(torch.split(mine, AT_ONCE), len(mine), say):
        x = dataset.batch(part, engine.device)["x"]
        for way, axes in enumerate(mirrors):
            new = known[part, way] == 0
            if new.any():
                found[part[new], way] = _embedded(embedding, x[new.to(x.device)].flip([*axes]))
    if engine.size > 1:
        for share, one in zip(shares, exchange.gather([found[mine]], [*map(len, shares)]), strict=True):
            found[share] = one
    if time.perf_counter() - begun >= kept.WORTH and tell is not None:
        try:
            for way, store in enumerate(stores):
                store.keep(lacking[known[lacking, way] == 0], found[:, way])
        except OSError:  # the next run then looks again
            return found
        tell(f"what the pretrained network saw is kept in {stores[0].place.parent} (--no-cache keeps nothing)")
    return found


def _told(parts: Sequence[Tensor], items: int, say: Callable[[str], None]) -> Iterator[Tensor]:
    """The parts, one after another; it is said how far that is, where it takes long."""
    done, begun = 0, time.perf_counter()
    said = begun
    for part in parts:
        yield part
        done, now = done + len(part), time.perf_counter()
        if now - said >= EVERY and done < items:
            left, said = (now - begun) * (items / done - 1), now
            say(f"{done:,} of {items:,} images looked at, {left:,.0f} s left")


def _embedded(embedding: Embedding, x: Tensor) -> Tensor:
    """(n, F) of images (n, C, H, W), in whole passes."""
    whole = torch.empty(
        (len(x) + -len(x) % PASS, *x.shape[1:]),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    whole[: len(x)], whole[len(x) :] = x, x[:1]
    features: Tensor = embedding(whole)
    return features[: len(x)].float().cpu()


# What is kept --------------------------------------------------------------------------------------------------------


@dataclass
class _Store:
    """The file of what was seen in images that are mirrored in one way.

    Args:
        words: what it is of.
        width: F.
    """

    words: str
    width: int
    place: Path = field(init=False)
    rows: Tensor = field(init=False)
    """(k,) int64: the items that were looked at, each once."""
    features: Tensor = field(init=False)
    """(k, F)."""

    def __post_init__(self) -> None:
        self.place = kept.place_of(self.words)
        tensors, _ = kept.taken(self.place, self.words) or ({}, "")
        self.rows = tensors.get("rows", torch.empty(0, dtype=torch.int64))
        self.features = tensors.get("features", torch.empty(0, self.width))

    def keep(self, rows: Tensor, found: Tensor) -> None:
        """Adds what was seen in further items, of found (N, F); OSError where it cannot be kept."""
        tensors = {"rows": torch.cat([self.rows, rows]), "features": torch.cat([self.features, found[rows]])}
        kept.keep(self.place, self.words, tensors)


def _stores(embedding: Embedding, dataset: Dataset, mirrors: Sequence[Sequence[int]], engine: Engine) -> list[_Store]:
    """The file of each way of mirroring; none where nothing is kept, or another process keeps it."""
    if kept.told() is None or engine.rank:
        return []
    head: list[Any] = ["seen", _FORMAT, __version__, torch.__version__, _computes(engine.device)]
    head += [digest(embedding.network(engine.device).state_dict()), embedding.side, PASS]
    head += [list(dataset.x.shape), dataset.units.line(), sha256(dataset.facts.sums.numpy().tobytes()).hexdigest()]
    return [_Store(json.dumps([*head, list(axes)]), embedding.length) for axes in mirrors]


def _computes(device: torch.device) -> list[str]:
    """What decides how numbers are rounded."""
    if device.type != "cuda":
        return [device.type, processor()]
    tensor_cores = [torch.get_float32_matmul_precision(), str(torch.backends.cudnn.allow_tf32)]
    return [torch.cuda.get_device_name(device), str(torch.version.cuda), *tensor_cores]
