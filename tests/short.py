"""Settings for runs that are short."""

AT_THE_END = {"save_share": 1.0, "evaluate_share": 1.0, "held_out": 0.05}
"""One checkpoint, and one evaluation of few items, at the end; by default there are ten: most of a short run."""
