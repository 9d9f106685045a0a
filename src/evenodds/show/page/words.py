"""What every number means, in one plain sentence, for a reader who meets it for the first time."""

from __future__ import annotations

from typing import Any

from evenodds.show.page.numerals import text

__all__ = ["BETTER", "SCORES", "TERMS", "listed", "score_title", "sentence"]

SCORES = {
    "frechet": "How far the cloud of generated features lies from the cloud of real ones, each summed up by its mean "
    "and spread; 0 where both agree. FID is this distance on Inception features.",
    "kernel": "How far the two clouds of features lie apart, compared pair by pair; unlike the Fréchet distance it is "
    "not biased when examples are few. KID is this distance on Inception features.",
    "precision": "The share of samples that fall within the region of real examples: how many look real.",
    "recall": "The share of real examples that fall within the region of samples: how much of the variety of the data "
    "the generator reaches.",
    "density": "How many real neighbourhoods hold a sample on average: like precision, but not misled by outliers; "
    "may exceed 1.",
    "coverage": "The share of real examples with a sample close by: like recall, but not misled by outliers.",
    "two_sample_accuracy": "How often the nearest neighbour tells real from generated: 0.5 where they cannot be told "
    "apart, towards 1 where they differ, towards 0 where samples copy real examples.",
    "sliced_wasserstein": "How far points have to be moved, on average over many directions, to turn the samples into "
    "the real data.",
    "inception_score": "Whether a classifier is sure of each sample and sees all classes over the samples; from 1 to "
    "the number of classes. It never looks at real data.",
    "ms_ssim": "How alike two random samples look, from 0 to 1: above real data means too little variety.",
    "class_frechet": "The Fréchet distance within each class, averaged: whether each class is right by itself.",
    "accuracy_score": "How well a classifier that has only learnt from samples names real examples.",
    "reverse_accuracy_score": "How well a classifier that has learnt from real examples names samples by the class "
    "they were asked for.",
    "path_length": "How much the picture changes with a small step in the latent space: lower is smoother.",
}
"""By the name of the score."""

BETTER = {
    "lower": "lower is better",
    "higher": "higher is better",
    "middle": "best nearest to the floor",
}

TERMS = {
    "adversarial": "What this player minimises in the game; it rises when the opponent improves, so a flat line can "
    "be progress.",
    "penalty": "What smooths the discriminator, added to its cost.",
}
"""By what follows the slash in the name of a term."""


def score_title(score: Any) -> str:
    """The title of a score, else its name in words."""
    return text(score.get("title")) or text(score.get("name")).replace("_", " ") or "score without a name"


def sentence(words: str) -> str:
    """The words with a capital and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words[-1:] in ".!?" else ".")


def listed(names: list[str]) -> str:
    """One, two and three."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
