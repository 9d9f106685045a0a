"""What the parts of data to train on and to test on are called, in any case, and where their labels are."""

from collections.abc import Sequence

__all__ = ["LABELS", "SAMPLES", "TEST", "TRAIN", "label_column"]

TRAIN = ("train", "training")
TEST = ("val", "valid", "validation", "dev", "test", "testing", "eval", "holdout")
LABELS = "labels.csv"
"""It lies beside the images or above their folders."""
SAMPLES = "samples.csv"
"""Samples of rows in a folder."""


def label_column(header: Sequence[str], others: Sequence[str]) -> str:
    """The name of the column with the class in a table: of a header, that which is none of the others."""
    return next((name for name in header if name not in others), "label")
