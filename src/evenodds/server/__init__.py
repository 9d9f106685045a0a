"""The HTTP application: who may ask, how much, and what a run answers; of `evenodds serve` and `evenodds studio`."""
