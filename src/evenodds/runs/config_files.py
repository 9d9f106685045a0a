"""Configurations from files: the recipes of the package, and YAML files of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evenodds.errors import BadInput
from evenodds.files.names import is_there, real
from evenodds.files.read import parse_yaml, read_yaml
from evenodds.files.text import from_utf8, quoted
from evenodds.runs.config import Config, from_mapping, with_texts
from evenodds.runs.find import canonical, find, names
from evenodds.runs.folder_facts import is_run
from evenodds.runs.part_options import require_no_rate
from evenodds.runs.values import Part, mapping_of

__all__ = ["origin", "read", "recipe"]


def recipe(name: str, with_parts: bool = True) -> Config:
    """A recipe of the package, or a YAML file of one's own.

    Args:
        with_parts: see `read`.
    """
    if name.endswith((".yaml", ".yml")):
        config = read(Path(name), with_parts)
        require_no_rate(config.optimizer)
        return config
    if canonical("recipes", name) is None and is_there(name):
        raise _no_recipe(name)
    text = find("recipes", name).read_text(encoding="utf-8")
    where = f"recipe '{name}'"
    values = {**mapping_of(parse_yaml(text, where), where), "recipe": canonical("recipes", name)}
    return from_mapping(values, where, with_parts)


def _no_recipe(name: str) -> BadInput:
    """The error for a path where a recipe is named."""
    if is_run(name):
        return BadInput(
            f"{name} is a run, not a recipe; go on with it: `evenodds resume {quoted(name)}`, or begin another from "
            f"its weights: `evenodds train --from {quoted(name)}`"
        )
    return BadInput(f"{name} is a path, not a recipe; data are named so: `evenodds train --data {quoted(name)}`")


def origin(config: Config) -> Config | None:
    """The recipe of the package that a configuration began from; None where it is of one's own."""
    return recipe(config.recipe, with_parts=False) if config.recipe in names("recipes") else None


def read(path: Path, with_parts: bool = True) -> Config:
    """A configuration from a YAML file.

    Args:
        with_parts: whether the options of parts are compared with what the parts take; these are imported for it.
    """
    values = with_texts(mapping_of(read_yaml(path), str(path)), from_utf8)
    config = from_mapping({"recipe": path.stem, **values}, str(path), with_parts)
    return replace(config, data=_located(config.data, path))


def _located(data: Part | None, path: Path) -> Part | None:
    """The data with the absolute path where config.yaml names them by ./ or ../, which begin at its folder.

    Where they are not there, but in the place that the name has from the working directory, it stays.
    """
    if data is None or path.name != "config.yaml" or not data.name.startswith(("./", "../")):
        return data
    place = real(real(path.parent) / data.name)
    return data if not is_there(str(place)) and is_there(data.name) else replace(data, name=str(place))
