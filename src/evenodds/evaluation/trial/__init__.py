"""Do synthetic images help a classifier on these data? Arms on the same folds, seed by seed, and a verdict."""
