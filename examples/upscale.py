"""Makes handwritten digits twice as large: a run on an array, its two networks, and a mixture of both."""

import tempfile

import torch

import evenodds
from evenodds.apply.answering import answered
from evenodds.apply.making import mixed
from evenodds.data.readers.digits import digits
from evenodds.metrics.psnr import psnr
from evenodds.parts.degradations import Downscale
from evenodds.parts.mappers._parts import enlarged

data = digits()
shown, held_out = data.take(torch.arange(1500)), data.take(torch.arange(1500, 1797))
small = {"task__crop": None, "generator__width": 16, "generator__blocks": 4, "discriminator__width": 16}
session = evenodds.fit(shown, "upscale-x2", images=10_000, batch=64, out=f"{tempfile.mkdtemp()}/run", **small)

x = held_out.batch(torch.arange(297))["x"]
source = Downscale(2)(x, torch.Generator())
print(f"bicubic: {psnr(enlarged(source, 2).clamp(-1, 1), x).mean():.1f} dB")
for name, share in (("by pixels", 0.0), ("half of each", 0.5), ("against a discriminator", 1.0)):
    made = answered(session, source, mixed(session, share))["x"]
    print(f"{name}: {psnr(made, x).mean():.1f} dB")
