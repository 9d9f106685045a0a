"""What the parts of data to train on and to test on are called, in any case."""

__all__ = ["TEST", "TRAIN"]

TRAIN = ("train", "training")
TEST = ("val", "valid", "validation", "test", "testing", "eval", "holdout")
