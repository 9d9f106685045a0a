"""The families of networks that play both roles, because they exist: a new file under networks/ is tested by them."""

import pkgutil
from importlib import import_module

from evenodds.parts import networks

__all__ = ["FAMILIES"]

FAMILIES = [
    module.name
    for module in pkgutil.iter_modules(networks.__path__)
    if not module.name.startswith("_") and hasattr(import_module(f"{networks.__name__}.{module.name}"), "Generator")
]
"""A discriminator that goes with any generator is not among them."""
