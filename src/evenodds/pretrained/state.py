"""Files of weights: where they are, whether they are the right ones, what they hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.files.cache import cache_folder
from evenodds.files.regular import sha256_of
from evenodds.files.tensors import digest_of, read_tensors
from evenodds.files.write import write_text

__all__ = ["digest", "fill", "find_weights", "located", "read_weights"]


def find_weights(name: str, file: str, sha256: str, url: str) -> Path:
    """The file with a network's weights, found on this machine and checked; nothing is downloaded.

    It is looked for in $EVENODDS_WEIGHTS, then in `weights/` of the cache folder, there also under the same stem with
    the suffix .safetensors. A file whose SHA-256 nobody published is pinned: the digest is written beside it at the
    first use, and another content is refused from then on.

    Args:
        name: of the network, for the message.
        file: the file's name.
        sha256: its digest in hex, or how it begins; "" where it is not known.
        url: where it can be had.

    Raises:
        BadInput: no such file, or another content.
    """
    path = located(file)
    if path is None:
        raise BadInput(
            f"'{name}' needs the file {file}, which is not here; download {url} and put it into {_folders()[0]} "
            "(or set EVENODDS_WEIGHTS to its folder)"
        )
    _check(path, sha256 if path.name == file else "", url)
    return path


def located(file: str) -> Path | None:
    """Where `find_weights` finds a file; None where it does not."""
    names = (file, str(Path(file).with_suffix(".safetensors")))
    return next((folder / name for name in names for folder in _folders() if (folder / name).is_file()), None)


def _folders() -> list[Path]:
    folder = os.environ.get("EVENODDS_WEIGHTS")
    return [*([Path(folder).expanduser()] if folder else []), cache_folder() / "weights"]


def _check(path: Path, expected: str, url: str) -> None:
    digest_of_file = sha256_of(path)
    pin = path.with_name(f"{path.name}.sha256")
    if not expected and not pin.is_file():
        with suppress(OSError):  # a folder that may only be read: nothing can be pinned there
            write_text(pin, f"{digest_of_file}  {path.name}\n")
        return
    expected_digest = expected or pin.read_text(encoding="utf-8").split(maxsplit=1)[0]
    if not digest_of_file.startswith(expected_digest):
        remedy = f"download it again from {url}" if expected else f"delete {pin.name} if the change was meant"
        raise BadInput(f"{path} must have SHA-256 {expected_digest}, got {digest_of_file}; {remedy}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file that torch or safetensors wrote, on the CPU; nothing in it is executed.

    Raises:
        BadInput: it cannot be read, or holds something other than named tensors.
    """
    try:
        state = (
            read_tensors(path, "")
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # damaged files fail in many ways, most of them private to what reads them
        raise BadInput(f"{path} cannot be read as weights: {str(error).splitlines()[0]}; get it again") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BadInput(f"{path} must hold named tensors, got something else; give the file with the weights alone")
    return dict(state)


def fill(network: nn.Module, state: Mapping[str, Tensor], name: str) -> nn.Module:
    """Gives a network on the meta device its weights, as float32; ready for inference.

    Raises:
        BadInput: other names or shapes than the network's.
    """
    expected = network.state_dict()
    # Counters that some writers leave out; inference does not read them.
    counters = {key: torch.zeros((), dtype=torch.int64) for key in expected if key.endswith("num_batches_tracked")}
    state = {**counters, **state}
    wrong = sorted(set(expected) ^ set(state)) or [key for key in expected if expected[key].shape != state[key].shape]
    if wrong:
        raise BadInput(
            f"these are not the weights of '{name}': {len(wrong)} tensors do not fit, the first is {wrong[0]}; "
            "take the published file"
        )
    as_float = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    network.load_state_dict(as_float, assign=True)
    return network.eval().requires_grad_(False)


def digest(state: Mapping[str, Tensor]) -> str:
    """ "sha256:" and the digest (hex) of the tensors' bytes in the order of their names."""
    return f"sha256:{digest_of(state[name] for name in sorted(state))}"
