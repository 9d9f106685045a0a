"""Takes noise out of handwritten digits: sources are made of whole images, anew at every deal."""

import tempfile

import torch

import evenodds
from evenodds.apply.answering import answered
from evenodds.data.readers.digits import digits
from evenodds.metrics.psnr import psnr
from evenodds.parts.degradations import Noise

data = digits()
shown, held_out = data.take(torch.arange(1500)), data.take(torch.arange(1500, 1797))
small = {"task__crop": None, "task__turns": "none", "generator__width": 16, "generator__depth": 2}
once = {"save_share": 1, "evaluate_share": 1}  # at the end
session = evenodds.fit(shown, "denoise", images=10_000, batch=64, out=f"{tempfile.mkdtemp()}/run", **small, **once)

x = held_out.batch(torch.arange(297))["x"]
for strength in (15, 50):
    source = Noise(strength, strength)(x, torch.Generator().manual_seed(0))
    before, after = (psnr(guess, x).mean() for guess in (source.clamp(-1, 1), answered(session, source)["x"]))
    print(f"noise of {strength}: {before:.1f} dB as it is, {after:.1f} dB without")
