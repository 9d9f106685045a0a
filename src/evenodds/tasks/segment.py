"""Semantic segmentation with an adversary (Luc et al. 2016): a class for each pixel of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.data.palette import IGNORED
from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Players
from evenodds.game.slices import addend, summed
from evenodds.game.wide import wide
from evenodds.metrics.segmentation import boundary_scores, confusions, mean_overlap, pixel_accuracy
from evenodds.pretrained.efficientnet_lite import NEEDED, is_here
from evenodds.tasks._description import DataDescription
from evenodds.tasks._image_to_image import Paired
from evenodds.tasks._playable import Conversion, NetworkSpec
from evenodds.tasks._scenes import Scenes

__all__ = ["MOST_LARGER", "Segment"]

MOST_LARGER = 4
"""How many times as large an image may be looked at."""

_LEAST_SIDE = 48
"""Of images in which a pretrained encoder, whose features lie up to 16 pixels apart, may find anything."""


@dataclass(frozen=True, kw_only=True)
class Segment(Paired):
    """A generator labels each pixel; a discriminator tells its maps of probabilities from the truth, given the image.

    A true map of zeros and ones would give itself away by its sharpness. So the truth is shown as the map nearest to
    the generator's that gives at least `sure` to the true class (Luc et al. 2016, section 3.2, "scaling"); where
    there is no label, as the generator's own.

    Args:
        classes: how many; follows from the data.
        overlap: weight of 1 less the mean soft intersection over union of the classes in a batch (Rahman and Wang
            2016), which counts rare classes as much as common ones; the cross-entropy has weight 1.
        rare: pixels of a class weigh its share of the batch to the power of -rare in the cross-entropy: 0 counts pixels
            alike, 1 counts classes alike.
        sure: least probability of the true class in the maps that the discriminator is shown as true, in (0, 1].
        zoom: pieces are enlarged by a factor in [1 / zoom, zoom], drawn for each; 1 for none.
        focus: share of the pieces that are dealt about a pixel of a class that the image shows, each class as likely.
        jitter: largest change of brightness, contrast and saturation of a piece, as a share.
        flips: answer by the mean of the probabilities for an image and for its mirror image, in twice the time.
        larger: answer by the mean with those for the image so many times as large, which helps a generator that learned
            with zoom; 1 for the image alone.
    """

    classes: int
    overlap: float = 1.0
    rare: float = 0.0
    sure: float = 0.9
    zoom: float = 1.0
    focus: float = 0.0
    jitter: float = 0.0
    flips: bool = False
    larger: float = 1.0
    command: ClassVar[str] = "segment"
    worst: ClassVar[float] = 1.0
    classes_first: ClassVar[bool] = True
    of_discriminator: ClassVar[tuple[str, ...]] = (*Paired.of_discriminator, "sure")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.overlap < 0 or not (0 <= self.rare <= 1 and 0 < self.sure <= 1):
            raise BadInput(
                "overlap must be at least 0, rare in [0, 1] and sure in (0, 1], got "
                f"{self.overlap}, {self.rare} and {self.sure}"
            )
        if not 1 <= self.larger <= MOST_LARGER:
            raise BadInput(f"larger must be in [1, {MOST_LARGER}], got {self.larger:g}")
        self._scenes()

    def _scenes(self) -> Scenes:
        return Scenes(self.crop, self.turns, self.zoom, self.focus, self.jitter)

    @property
    def sees_x_alone(self) -> bool:
        """The discriminator sees maps."""
        return False

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """Images and maps of labels."""
        return "maps"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """How many classes there are."""
        if "labels" not in data.beside:
            raise BadInput(
                "segmentation learns from images with a map of labels for each; give a folder or zip that holds both, "
                "such as images/ and labels/ with files of equal names"
            )
        return {"classes": len(data.classes)}

    @classmethod
    def augmentation(cls, shape: Sequence[int], options: Mapping[str, Any]) -> str:
        """Pieces nearer and further, about rare classes, in other colours; not turned, as scenes have an upper end."""
        shown = any(options.get(name) for name in ("focus", "jitter")) or options.get("zoom", 1.0) != 1
        return "" if shown else "task.zoom=1.5 task.focus=0.5 task.jitter=0.2"

    @classmethod
    def better_networks(cls, generator: str, discriminator: str, shape: Sequence[int]) -> str:
        """Of colour photographs, one that begins with what was learned from others."""
        if generator == "pretrained" or shape[0] != 3 or min(shape[1:]) < _LEAST_SIDE:
            return ""
        how = "An encoder trained on photographs labels scenes better in the same time: --set generator=pretrained"
        return how if is_here() else f"{how} ({NEEDED})"

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for images x of that shape."""
        mapper = {"generator": NetworkSpec(self.generator_kind, (shape[0], self.classes))}
        return mapper | self.discriminator_spec(self.classes + shape[0] * self.sees_source, shape)

    def of_one_more_class(self) -> Segment:
        """With a map more."""
        return replace(self, classes=self.classes + 1)

    def conversion(self, shape: Sequence[int]) -> Conversion:
        """Labels of the pixels of an image x."""
        return Conversion(shape[0], 1, labels=True)

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Pieces "source" of the images with their "labels", and the contest's draws, which are for maps."""
        source, labels = self._scenes().deal(real["x"], real["labels"], rng)
        maps = source[:, :1].expand(-1, self.classes, -1, -1)
        return {"source": source, "labels": labels, **self.contest.deal(maps, rng)}

    def fit_costs(self, output: Tensor, hand: Batch) -> dict[str, Tensor]:
        """Cross-entropy over the pixels that have a label, and what is lacking in the overlap of the classes."""
        # Pixels are counted, which bfloat16 cannot do.
        output = wide(output)
        labels = hand["labels"]
        labelled = labels != IGNORED
        truth = F.one_hot(labels.where(labelled, 0), self.classes).permute(0, 3, 1, 2) * labelled[:, None]
        pixels = summed(truth.sum((0, 2, 3)).to(output))
        weights = (pixels / pixels.sum().clamp(min=1)).clamp(min=1e-6) ** -self.rare
        loss = F.cross_entropy(output, labels, weights, ignore_index=IGNORED, reduction="sum")
        # A batch without any label has the cost 0 rather than 0 / 0.
        costs = {"cross_entropy": addend(loss) / (weights * pixels).sum().clamp(min=1e-6)}
        if self.overlap:
            costs["overlap"] = self.overlap * _lacking_overlap(output.softmax(1), truth, pixels, labelled)
        return costs

    def discriminator_inputs(self, output: Tensor, hand: Batch) -> tuple[Tensor, Tensor]:
        """Maps of probabilities (N, classes, H, W)."""
        fake = output.softmax(1)
        labels = hand["labels"]
        labelled = (labels != IGNORED)[:, None]
        with torch.no_grad():
            at = labels.where(labelled[:, 0], 0)[:, None]
            sure_now = fake.gather(1, at)
            sure_then = sure_now.clamp(min=self.sure)
            rest = fake * ((1 - sure_then) / (1 - sure_now).clamp(min=1e-6))
            real = torch.where(labelled, rest.scatter(1, at, sure_then), fake)
        return real, fake

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """The whole images."""
        return {"source": real["x"]}

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "source" (N, C, H, W) in [-1, 1]; answers "labels" (N, H, W) int64."""
        source, generator = request["source"], players["generator"]
        with torch.no_grad():
            if not self.flips and self.larger == 1:
                return {"labels": generator(source).argmax(1)}
            found = self._probabilities(generator, source)
            if self.larger != 1:
                large = F.interpolate(source, scale_factor=self.larger, mode="bilinear")
                more = self._probabilities(generator, large)
                found = found + F.interpolate(more, source.shape[2:], mode="bilinear")
            return {"labels": found.argmax(1)}

    def _probabilities(self, generator: nn.Module, x: Tensor) -> Tensor:
        """(N, classes, H, W) for images x, with those of their mirror images added where these are asked for."""
        found: Tensor = generator(x).softmax(1)
        return found + generator(x.flip(3)).softmax(1).flip(3) if self.flips else found

    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, classes * (classes + 2)): of each image the confusion matrix, true classes by rows; the boundary F-score
        of each class, or 0; and whether it has one."""
        both = real["labels"], answer["labels"]
        matrices = confusions(*both, self.classes, IGNORED).flatten(1)
        boundaries = boundary_scores(*both, self.classes, IGNORED)
        return torch.cat([matrices, boundaries.nan_to_num(), ~boundaries.isnan()], 1)

    def figures(self, tallies: Tensor) -> dict[str, float]:
        """ "score" is 1 less the mean intersection over union of the classes that occur; boundary F-score, accuracy."""
        rows = tallies.double().sum(0).view(self.classes + 2, self.classes)
        matrix, boundaries = rows[: self.classes], rows[self.classes] / rows[self.classes + 1]
        overlap, boundary = float(mean_overlap(matrix)), float(boundaries.nanmean())
        accuracy = float(pixel_accuracy(matrix))
        return {"score": 1 - overlap, "mean_iou": overlap, "boundary_f": boundary, "accuracy": accuracy}

    @property
    def score_is(self) -> str:
        """What the score means."""
        return "1 - mean intersection over union of the classes"

    @property
    def by_appearance(self) -> bool:
        """Labels are right or wrong."""
        return False


def _lacking_overlap(probabilities: Tensor, truth: Tensor, pixels: Tensor, labelled: Tensor) -> Tensor:
    """1 - the mean over classes, where they occur in the batch, of sum p t / sum (p + t - p t); sum t is `pixels`."""
    shared = summed((probabilities * truth).sum((0, 2, 3)))
    union = summed((probabilities * labelled[:, None]).sum((0, 2, 3))) + pixels - shared
    occurs = (pixels > 0).to(shared)
    return 1 - (occurs * shared / union.clamp(min=1e-6)).sum() / occurs.sum().clamp(min=1)
