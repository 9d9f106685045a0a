"""Recipes: YAML files, each a complete way to train on one kind of data."""
