"""The terms of a game as a configuration names them: loss, penalty and views; masks and degradations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.dial import Chanced, View
from evenodds.parts import views
from evenodds.parts.degradations import Chain, Degradation
from evenodds.parts.masks import Masks, OneOf
from evenodds.runs.allowed import is_external
from evenodds.runs.config import Config
from evenodds.runs.extras import build_extras
from evenodds.runs.find import accepts, describe, find, make
from evenodds.runs.options import require_options
from evenodds.tasks.contest import Adversarial, Contest, Penalty, draws_of

__all__ = ["bound", "build_contest", "build_degradation", "build_masks", "build_view", "require_sizes"]

GIVEN = frozenset({"view"})
"""Arguments by name that a run gives."""

LARGEST = 1e6
"""Size of a number among the options of a task, a loss or a penalty: weights, powers, ends."""


def build_contest(config: Config) -> Contest:
    """Loss, penalty and views."""
    contest = Contest(
        loss=build_loss(config),
        penalty=build_penalty(config),
        weight=settled(config.penalty_weight),
        every=config.penalty_every,
        share=config.penalty_share,
        view=build_view(config),
        view_dice=(4 + (config.view_chance.name != "always")) * len(config.views),
        fused=config.fused,
    )
    if config.view_chance.name == "adaptive" and not contest.oriented:
        raise BadInput(
            f"view_chance=adaptive follows which items the discriminator takes for real, which loss "
            f"'{config.loss.name}' does not say; set view_chance=fixed"
        )
    for extra in build_extras(config):
        contest = extra.contest(contest)
    return contest


def settled(weight: float | None) -> float:
    """The weight of the penalty; BadInput where it was left open."""
    if weight is None:
        raise BadInput("penalty_weight=auto is found when a run starts; give a number to build a game by hand")
    return weight


def build_loss(config: Config) -> Adversarial:
    """The loss as a function of (real, fake) logits."""
    maker, what = find("losses", config.loss.name), f"loss '{config.loss.name}'"
    require_sizes(what, config.loss.options)
    made = make if isinstance(maker, type) else partial(bound, names=("real", "fake"), called=_called(config))
    loss: Adversarial = made(what, maker, config.loss.options)
    return loss


def build_penalty(config: Config) -> Penalty | None:
    """The penalty as a function of (score, real, fake) and its draws."""
    if config.penalty is None:
        return None
    maker = find("penalties", config.penalty.name)
    what = f"penalty '{config.penalty.name}'"
    require_sizes(what, config.penalty.options)
    if isinstance(maker, type):
        penalty: Penalty = make(what, maker, config.penalty.options)
    else:
        penalty = bound(
            what, maker, config.penalty.options, ("score", "real", "fake"), draws_of(maker), _called(config)
        )
        if "view" in accepts(maker):
            return partial(penalty, view=_mirrored_and_moved)
    return penalty


def _called(config: Config) -> bool:
    """Whether parts are called as tasks of the package call them; one of one's own calls them as it likes."""
    return not is_external(config.task.name)


def _mirrored_and_moved(x: Tensor, uniform: Tensor) -> Tensor:
    """The views of Zhang et al. (2020), from different columns of the same (N, 4) numbers; vectors are jittered."""
    if x.dim() == 2:
        return views.jitter(x, uniform)
    return views.translation(views.flip(x, uniform.flip(1)), uniform)


def build_view(config: Config) -> View | None:
    """What the discriminator sees items through."""
    if "auto" in config.views:
        raise BadInput("views=auto are chosen when a run starts; name them to build a game by hand")
    chance = find("chances", config.view_chance.name)  # an unknown name is an error with or without views
    members = [bound(f"view '{name}'", find("views", name), {}, ("x", "uniform")) for name in config.views]
    if not members:
        if config.view_chance.name != "always":
            raise BadInput(f"view_chance={config.view_chance.name} needs views; name some, or set view_chance=always")
        return None
    if chance is views.compose:
        whole: View = views.compose(members)
        return whole
    options = config.view_chance.options if config.view_chance.name == "fixed" else {}
    view: Chanced = make(f"view_chance '{config.view_chance.name}'", Chanced, options, members)
    return view


def build_masks(names: str | Sequence[str] | None) -> Masks:
    """A mixture of masks by their names, in a list or with commas between them; all that there are where None."""
    if names is None:
        names = [name for name, _ in describe("masks")]
    names = names.split(",") if isinstance(names, str) else names
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise BadInput(f"masks need names, as in 'boxes,strokes', got {names!r}; evenodds list masks shows them")
    return OneOf(tuple(find("masks", name.strip())() for name in names))


def build_degradation(value: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]) -> Degradation:
    """How sources are made of images.

    Args:
        value: a name, a mapping of the name and its options, {name: noise, low: 10, high: 50}, or several of these, one
            after another, in a list or as names with commas between them.
    """
    if isinstance(value, str) and "," in value:
        value = [name.strip() for name in value.split(",")]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Chain(tuple(build_degradation(part) for part in value))
    named = {"name": value} if isinstance(value, str) else value
    options: dict[str, Any] = dict(named) if isinstance(named, Mapping) else {}
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise BadInput(f"a degradation needs a name, as in {{name: noise, low: 10, high: 50}}, got {value!r}")
    if "masks" in options:
        options["masks"] = build_masks(options["masks"])
    degradation: Degradation = make(f"degradation '{name}'", find("degradations", name), options)
    return degradation


def require_sizes(what: str, options: Mapping[str, Any]) -> None:
    """BadInput where a number drowns whatever else is computed."""
    for name, value in options.items():
        if isinstance(value, int | float) and not abs(value) <= LARGEST:
            raise BadInput(f"option '{name}' of {what} must lie within {-LARGEST:g} and {LARGEST:g}, got {value:g}")


def bound(
    what: str,
    function: Any,
    options: Mapping[str, Any],
    names: Sequence[str],
    draws: Sequence[str] = (),
    called: bool = True,
) -> Any:
    """The function with its options fixed.

    Args:
        what: names it in messages.
        names: of the arguments that it is called with.
        draws: of random numbers that it gets beside them, by name.
        called: whether it is surely called so.
    """
    require_options(what, function, options, len(names))
    given = dict.fromkeys((*draws, *GIVEN.intersection(accepts(function))))
    try:
        signature(function).bind(*names, **options, **given)
    except TypeError as error:
        if not called:
            return partial(function, **options) if options else function
        raise BadInput(f"{what} is called as ({', '.join([*names, *draws, *options])}): {error}") from error
    return partial(function, **options) if options else function
