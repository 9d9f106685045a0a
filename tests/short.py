"""Settings for runs that are short."""

AT_THE_END = {"save_share": 1.0, "evaluate_share": 1.0}
"""One checkpoint and one evaluation, at the end: by default there are ten of each, and a short run consists of them."""
