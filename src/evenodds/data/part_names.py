"""What the parts of data to train on and to test on are called, in any case, and the file of their labels."""

__all__ = ["LABELS", "SAMPLES", "TEST", "TRAIN"]

TRAIN = ("train", "training")
TEST = ("val", "valid", "validation", "dev", "test", "testing", "eval", "holdout")
LABELS = "labels.csv"
"""It lies beside the images or above their folders."""
SAMPLES = "samples.csv"
"""Samples of rows in a folder."""
