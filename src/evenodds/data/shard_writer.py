"""Tar files that are written one after the other, each up to a size."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

__all__ = ["Keys", "Writer"]

NAME = "shard-{:06d}.tar"
_BLOCK = 512
_CHANGED = re.compile(r"[.\\\x00-\x1f\x7f]")


class Keys:
    """Names of samples: those of items, without what a tar or `webdataset` would take for something else."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def of(self, name: str) -> str:
        """A key that no other item has: what stands before the last dot, with other dots as "_"."""
        folder, _, own = name.replace("\\", "/").rpartition("/")
        stem, _, ending = own.rpartition(".")
        own = f"{stem or ending}{'#' + ending.partition('#')[2] if '#' in ending and stem else ''}"
        parts = [_CHANGED.sub("_", part) for part in (*folder.split("/"), own) if part not in ("", ".", "..")]
        key = "/".join(parts) or "item"
        self._given[key] = number = self._given.get(key, 0) + 1
        return key if number == 1 else self.of(f"{key}-{number}")


class Writer:
    """Writes members to one shard after the other.

    Args:
        sizes: gets the size of each shard by name, in their order.
    """

    def __init__(self, folder: Path, most: int, sizes: dict[str, int]) -> None:
        self._folder, self._most, self._sizes = folder, most, sizes
        self._archive: tarfile.TarFile | None = None

    def put(self, key: str, members: Sequence[tuple[str, bytes]]) -> list[list[int]]:
        """The shard, offset, length and CRC-32 of each member of a sample, all of which are in one shard."""
        needed = sum(2 * _BLOCK + len(stored) for _, stored in members)
        if self._archive is not None and _closed(self._archive.offset + needed) > self._most:
            self.close()
        archive = self._archive or self._opened()
        places = []
        for suffix, stored in members:
            entry = tarfile.TarInfo(f"{key}.{suffix}")
            entry.size = len(stored)
            archive.addfile(entry, BytesIO(stored))
            archive.members.clear()  # type: ignore[attr-defined]  # it keeps all of them
            offset = archive.offset - -(-len(stored) // _BLOCK) * _BLOCK
            places.append([len(self._sizes) - 1, offset, len(stored), zlib.crc32(stored)])
        return places

    def _opened(self) -> tarfile.TarFile:
        name = NAME.format(len(self._sizes))
        self._sizes[name] = 0
        self._archive = tarfile.open(self._folder / name, "w", format=tarfile.PAX_FORMAT, encoding="utf-8")  # noqa: SIM115
        return self._archive

    def close(self) -> None:
        """Ends the shard that is being written, if there is one."""
        if self._archive is not None:
            self._archive.close()
            name = next(reversed(self._sizes))
            self._sizes[name], self._archive = (self._folder / name).stat().st_size, None


def _closed(length: int) -> int:
    """The size of an archive of so many bytes, once it is closed: two empty blocks, and whole records."""
    return -(-(length + 2 * _BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
