"""Names from data as file names, and paths that cannot leave a folder."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath

from evenodds.errors import BadInput
from evenodds.files.text import encodable

__all__ = [
    "LONGEST", "below", "is_link", "is_there", "name_key", "real", "require_no_way_out", "safe_name", "safe_names",
    "safe_path",
]  # fmt: skip

LONGEST = 200
"""Bytes of a safe name in UTF-8. File systems allow 255; what is left holds endings and temporary names."""
_FORBIDDEN = '<>:"/\\|?*'
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.I | re.S)
_IGNORED = "__macosx"
"""A folder that readers of images pass over."""


def safe_name(text: str) -> str:
    """A file name of any text, that every common file system can hold.

    The result is one path component. It is not empty, is not hidden, and has at most `LONGEST` bytes.
    Printable text stays as it is, in the Unicode normal form NFC.
    Separators, control characters and the characters that Windows forbids become `_`.
    Bytes that were no UTF-8 (lone surrogates) are read as Latin-1.
    Dots and spaces at both ends are removed. Names that Windows reserves, such as `con` or `nul.txt`, begin with `_`.
    Longer texts are cut and end in a part of their SHA-256. `safe_name(safe_name(text)) == safe_name(text)`.

    Example:
        >>> from evenodds.files.names import safe_name
        >>> safe_name("T-shirt/top"), safe_name("../../x"), safe_name("NUL.txt"), safe_name("")
        ('T-shirt_top', '_.._x', '_NUL.txt', '_')
    """
    plain = unicodedata.normalize("NFC", "".join(map(_replacement, text))).strip(" .")
    if not plain or _RESERVED.fullmatch(plain) or plain.lower() == _IGNORED:
        plain = f"_{plain}"
    return plain if len(plain.encode()) <= LONGEST else _cut(plain, text)


def safe_names(texts: Sequence[str], suffix: str = "") -> list[str]:
    """A safe name for each text, followed by `suffix`.

    No two are equal, not even where case and Unicode forms do not count.
    A text whose name no other text shares has the name that `safe_name` gives it. Others begin with their position.
    """
    plain = [safe_name(text) for text in texts]
    uses = Counter(map(name_key, plain))
    used = {key for key, n in uses.items() if n == 1}
    return [(name if uses[name_key(name)] == 1 else _numbered(k, name, used)) + suffix for k, name in enumerate(plain)]


def safe_path(text: str) -> str:
    """A relative path of any text with `/` between its parts: each part is a safe name, so that none leads upwards."""
    return "/".join(safe_name(part) for part in PurePosixPath(text).parts) or safe_name(text)


def name_key(name: str) -> str:
    """What two names have in common that some file system takes for the same: case and Unicode forms do not count."""
    folded = unicodedata.normalize("NFKC", name).upper().casefold()
    return unicodedata.normalize("NFKC", folded)


def below(folder: Path, part: str | Path) -> Path:
    """`folder / part`, of which every existing part lies in the folder, links followed.

    The folder itself may be a link, as the user named it.

    Raises:
        BadInput: `part` is empty or absolute, has a drive, a `..` or a NUL, or a link in it leads out of the folder.
    """
    text = part.as_posix() if isinstance(part, Path) else part
    _require_inside(text)
    path = folder / text
    require_no_way_out(folder, path)
    return path


def require_no_way_out(folder: Path, path: Path) -> None:
    """BadInput where links lead out of the folder on the way to a path in it, which need not exist."""
    if not real(path).is_relative_to(real(folder)):
        raise BadInput(
            f"{path} leads out of {folder} by a link, so nothing is written or removed there; remove the link"
        )


def is_link(path: Path) -> bool:
    """Whether it is a symbolic link, or a junction of Windows."""
    junction = getattr(os.path, "isjunction", None)
    return path.is_symlink() or bool(junction is not None and junction(path))


def is_there(text: str) -> bool:
    """Whether a file or folder has that path; a text that no file system takes for one is not there."""
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long; NUL; lone surrogates
        return False


def real(path: Path) -> Path:
    """The path made absolute, its links followed.

    Raises:
        BadInput: links lead in a circle, or no file can have this name.
    """
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # lone surrogates; links in a circle
        raise BadInput(f"no file can be called {str(path)!a}; rename it") from error


def _require_inside(text: str) -> None:
    """BadInput where a relative path would leave its folder on any system."""
    windows = PureWindowsPath(text)
    parts = {*PurePosixPath(text).parts, *windows.parts}
    if not parts or ".." in parts or "\0" in text or text.startswith("/") or windows.drive or windows.root:
        raise BadInput(
            f"a name of a file below a folder is needed, got {text[:80]!a}; rename it, without '..' or a drive"
        )


def _replacement(character: str) -> str:
    """The character, or what stands for it in a file name."""
    if "\udc80" <= character <= "\udcff":
        character = chr(ord(character) - 0xDC00)
    category = unicodedata.category(character)
    # Spaces of other kinds, such as the no-break space, look like " " and are not removed from the ends.
    if category == "Zs":
        return " "
    if not _storable(character):
        return "_"
    return "_" if character in _FORBIDDEN or category in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp") else character


def _storable(character: str) -> bool:
    """Whether names of files can hold it here; all of Unicode but where the locale is narrower than UTF-8."""
    return encodable(character, sys.getfilesystemencoding()) == character


def _cut(plain: str, text: str) -> str:
    """The beginning of a long name, and a part of the digest of the text, so that the ends count too."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    beginning = plain.encode()[: LONGEST - len(digest) - 1].decode(errors="ignore")
    return f"{beginning.rstrip(' .')}~{digest}"


def _numbered(position: int, name: str, used: set[str]) -> str:
    """The name with its position in front, and a further number where that is taken; added to what is taken."""
    candidate, further = safe_name(f"{position:03d}-{name}"), 1
    while name_key(candidate) in used:
        further += 1
        candidate = safe_name(f"{position:03d}-{further}-{name}")
    used.add(name_key(candidate))
    return candidate
