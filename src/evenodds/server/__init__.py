"""The HTTP application: who may ask, how much, and what a run answers. `evenodds studio` is built on it."""
