"""Players that are no networks: the framework asks only for functions that can be fitted (Goodfellow et al. 2014,
section 3). Discriminators that are linear in fixed features, players that are functions of examples, and generators
that are transformations of noise. Each is a module like any other; which learner suits it is said with each."""
