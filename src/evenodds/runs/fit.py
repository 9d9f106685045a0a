"""From data to a trained session in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenodds.runs.allowed import allowing, modules_in, named
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config, require_allowed
from evenodds.runs.config_files import recipe as read_recipe
from evenodds.runs.default_recipe import recipe_for
from evenodds.runs.effect import require_effect
from evenodds.runs.folders import as_seconds
from evenodds.runs.reading import is_held, read_held
from evenodds.runs.run import start
from evenodds.runs.session import Session, load
from evenodds.runs.transfer import continued
from evenodds.runs.values import IN_MEMORY, Part

__all__ = ["fit"]


def fit(
    data: Any,
    recipe: str | None = None,
    *,
    out: str | Path | None = None,
    from_run: str | Path | None = None,
    allow: Sequence[str] = (),
    **overrides: Any,
) -> Session:
    """Trains a generator on data.

    Args:
        data: an array or tensor ((N, H, W), (N, C, H, W) or (N, D)), a pair (x, y) of such and of labels (N,), a data
            set of PyTorch, a data frame, a path, or the name of a source.
        recipe: see `evenodds list recipes`, or a YAML file; chosen by the data where None.
        out: the run folder; `runs/<recipe>-<n>` where None.
        from_run: the folder of a run whose weights the players start from, where they fit. Without a recipe, that of
            the run is taken. It is another run, not the same one resumed; see docs/photographs.md.
        allow: modules of your own that the recipe may import, e.g. ("my_module",). Names that are typed here, such as
            generator="my_module:Net", allow their modules by themselves.
        overrides: settings by key; a dot in a key is written as two underscores, e.g. generator__width=32, or
            data__types="id:none" of a data frame. A class or function of a module, such as loss=my_module.my_loss,
            is written down by its name.
            `budget="60s"` plans the length by the clock; with `images=` too, that is the most it may be.

    Returns:
        The trained session.

    Raises:
        BadInput: the data cannot be read, a setting is unknown, or the folder holds a run already.

    Example:
        >>> import evenodds
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype=np.uint8)  # (N, H, W)
        >>> session = evenodds.fit(images, out="my-run", images=256, generator__width=8, discriminator__width=8)
        >>> session.sample(10, seed=1).shape  # (n, C, H, W), the units of the data
        (10, 1, 8, 8)
    """
    settings = {(name := key.replace("__", ".")): named(name, value) for key, value in overrides.items()}
    with allowing(allow), allowing(modules_in(settings)):
        seconds = as_seconds(settings.pop("budget", None))
        source = None if from_run is None else load(from_run, device="cpu")
        return _fitted(data, recipe, out, seconds, settings, source)


def _fitted(
    data: Any,
    recipe: str | None,
    out: str | Path | None,
    seconds: float | None,
    settings: Mapping[str, Any],
    source: Session | None,
) -> Session:
    """`fit`, within what is allowed."""
    device, held, dataset = str(settings.get("device", "auto")), is_held(data), None
    options = {key[5:]: value for key, value in settings.items() if held and key.startswith("data.")}
    place: Any = Part(IN_MEMORY, options) if held else os.fspath(data)
    settings = {key: value for key, value in settings.items() if not (held and key.startswith("data."))}
    if source is not None and recipe is None:
        config = continued(source)
    else:
        if recipe is None and held:  # it is chosen by what the data hold
            task = {key: value for key, value in settings.items() if key == "task"}
            dataset = read_held(with_settings(Config(data=place), task), data)
        config = read_recipe(recipe or recipe_for(place if dataset is None else dataset, device))
    config = with_settings(config, {"data": place, **settings})
    require_allowed(config, recipe or config.recipe)
    require_effect(config, settings)
    if held and dataset is None:
        dataset = read_held(config, data)
    most = config.images if "images" in settings else None
    return start(config, out=out, budget=seconds, most=most, dataset=dataset, source=source)
