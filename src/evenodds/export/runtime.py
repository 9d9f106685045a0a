"""An ONNX file in onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.errors import BadInput
from evenodds.files.extras import needs

__all__ = ["Runtime", "opened"]


@dataclass(frozen=True)
class Runtime:
    """A session of onnxruntime."""

    session: Any

    def compute(self, named: dict[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        """The outputs in their order, of inputs by name."""
        try:
            return [np.asarray(value) for value in self.session.run(None, named)]
        except Exception as error:  # onnxruntime raises kinds of its own
            if "allocate" in str(error).lower():
                raise MemoryError from error
            raise BadInput(f"onnxruntime cannot compute this: {_short(error)}") from error


def opened(content: bytes, where: str = "the model") -> Runtime:
    """A model's bytes, ready to compute on the CPU; BadInput where onnxruntime cannot read them."""
    with needs("export"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        # Without its fallback, which prints what it finds in a damaged file.
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        raise BadInput(f"{where} cannot be opened by onnxruntime: {_short(error)}; export it again") from error
    return Runtime(session)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
