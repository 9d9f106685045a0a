"""The command that measures how fast training is on this machine: bench."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from evenodds.cli.allow import loads
from evenodds.cli.app import Json, Settings, Switch, app, typed_settings
from evenodds.cli.ranges import real
from evenodds.files.terminal import result_json, result_table, say
from evenodds.files.text import aligned, quoted

__all__ = ["bench"]


@app.command
@loads
def bench(
    recipe: str | None = None,
    *,
    data: str | None = None,
    seconds: Annotated[float, real(0.1, 600)] = 2.0,
    compiled: Switch = False,
    settings: Settings = None,
    json: Json = False,
) -> int:
    """Measure how fast a recipe trains on this machine, as it is and with each setting that can make it faster.

    Nothing is trained to the end, and nothing is written.

    Parameters
    ----------
    recipe
        Name of a recipe (see: evenodds list recipes) or a YAML file [default: by the data; digits without any].
    data
        As for train.
    seconds
        For each row, about.
    compiled
        Compiled moves too; takes minutes.
    settings
        Any setting, as for train.
    """
    from evenodds.cli.bar import reading
    from evenodds.runs.bench import Pace, measure_paces, recommended
    from evenodds.runs.changes import with_settings
    from evenodds.runs.config import require_allowed
    from evenodds.runs.config_files import recipe as read_recipe
    from evenodds.runs.default_recipe import recipe_for
    from evenodds.runs.effect import require_effect
    from evenodds.runs.reading import open_data

    typed = typed_settings({"data": data}, settings)
    recipe = recipe or recipe_for(typed.get("data"), typed.get("device", "auto"))
    config = with_settings(read_recipe(recipe), typed)
    require_allowed(config, recipe)
    require_effect(config, typed)
    dataset = open_data(config, reading)
    paces = measure_paces(config, dataset, seconds, compiled, say)
    better = recommended(paces)
    if json:
        result_json({"recipe": recipe, "paces": [asdict(pace) for pace in paces], "recommended": better})
        return 0
    plain = paces[0].images_per_second
    rows = [(one.words, f"{(rate := one.images_per_second):,.0f}", f"{rate / plain:.2f}", one.note) for one in paces]
    result_table(aligned([("setting", f"{dataset.noun}/s", "times", "what it means"), *rows]))
    kept = [one for one in settings or [] if one.partition("=")[0].strip() not in better]
    named = "".join(f" {quoted(one)}" for one in [recipe, *(["--data", data] if data else []), "--set", *kept])
    say(f"try: evenodds train{named} {Pace(better).words}" if better else "no setting is faster that keeps the game")
    return 0
