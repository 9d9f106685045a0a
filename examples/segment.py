"""Labels each pixel: discs and boxes on a noisy ground, learned from 240 images with maps of labels."""

import tempfile

import torch

import evenodds
from evenodds.apply.answering import answered
from evenodds.data.dataset import Beside, Dataset
from evenodds.data.units import Units
from evenodds.metrics.segmentation import confusion, intersection_over_union


def scenes(n: int, seed: int) -> Dataset:
    rng = torch.Generator().manual_seed(seed)
    at, radius = torch.rand(4, n, 1, 1, generator=rng) * 24 + 4, torch.rand(2, n, 1, 1, generator=rng) * 4 + 3
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    disc = (rows - at[0]) ** 2 + (columns - at[1]) ** 2 < radius[0] ** 2
    box = torch.maximum((rows - at[2]).abs(), (columns - at[3]).abs()) < radius[1]
    labels = torch.where(disc, 1, torch.where(box, 2, 0))
    grey = 90 + 50 * (labels > 0) + 40 * torch.randn(n, 32, 32, generator=rng)  # the shape tells, not the brightness
    x = grey.clamp(0, 255).to(torch.uint8)[:, None]
    return Dataset(
        x, Units((0,), (255,), "uint8"), classes=("ground", "disc", "box"), beside={"labels": Beside(labels.byte())}
    )


small = {"generator__width": 16, "generator__depth": 3, "generator__stem": 2}
once = {"save_share": 1, "evaluate_share": 1}  # at the end
place = f"{tempfile.mkdtemp()}/run"
session = evenodds.fit(scenes(240, 0), "segment", images=2_000, batch=8, out=place, **small, **once)
real = scenes(60, 1).batch(torch.arange(60))
said = answered(session, real["x"])["labels"]
overlap = intersection_over_union(confusion(real["labels"], said, 3))
for name, value in zip(session.card.classes, overlap.tolist(), strict=True):
    print(f"{name}: {100 * value:.0f}% intersection over union")
