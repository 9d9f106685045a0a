"""Today's names of modules and classes that were stored under earlier ones.

Run folders name classes as `module:Class`, and pickled estimators name the modules of what they hold. Both outlive a
move of the code.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MOVED", "current"]

MOVED: Mapping[str, str] = {
    "evenodds.columns": "evenodds.data.tables.columns",
    "evenodds.data.columns": "evenodds.data.tables.columns",
    "evenodds.data.rows": "evenodds.data.tables.rows",
    "evenodds.degradations": "evenodds.parts.degradations",
    "evenodds.dial": "evenodds.game.dial",
    "evenodds.dial:Weighed": "evenodds.experimental.balance:Weighed",
    "evenodds.estimators._core:Items": "evenodds.estimators.items:Items",
    "evenodds.estimators._core:Kept": "evenodds.estimators.stored:StoredNetwork",
    "evenodds.features": "evenodds.metrics.features",
    "evenodds.fillers": "evenodds.parts.fillers",
    "evenodds.imputer": "evenodds.apply.imputer",
    "evenodds.learners": "evenodds.game.learners",
    "evenodds.learners:Extragradient": "evenodds.experimental.extragradient:Extragradient",
    "evenodds.learners:Lookahead": "evenodds.experimental.lookahead:Lookahead",
    "evenodds.learners.extragradient": "evenodds.experimental.extragradient",
    "evenodds.learners.extragradient:Lookahead": "evenodds.experimental.lookahead:Lookahead",
    "evenodds.learners.optimistic": "evenodds.experimental.optimistic",
    "evenodds.listeners": "evenodds.game.listeners",
    "evenodds.listeners.balance": "evenodds.experimental.balance",
    "evenodds.listeners.turn": "evenodds.game.listeners.scheduled",
    "evenodds.losses": "evenodds.parts.losses",
    "evenodds.mappers": "evenodds.parts.mappers",
    "evenodds.masks": "evenodds.parts.masks",
    "evenodds.networks": "evenodds.parts.networks",
    "evenodds.networks._learned": "evenodds.experimental.learned",
    "evenodds.players": "evenodds.parts.nonneural",
    "evenodds.priors": "evenodds.parts.priors",
    "evenodds.priors:Growing": "evenodds.experimental.growing:Growing",
    "evenodds.priors:Learned": "evenodds.experimental.learned:Learned",
    "evenodds.schedule": "evenodds.game.schedule",
    "evenodds.selecting": "evenodds.apply.selecting",
    "evenodds.tasks.logan": "evenodds.experimental.logan",
    "evenodds.views": "evenodds.parts.views",
}
"""Earlier name -> today's name, of packages, of modules and of single classes (`module:Class`)."""


def current(name: str) -> str:
    """Today's name of `package.module` or `package.module:Member`; any other name as it is.

    The longest entry of `MOVED` that `name` starts with decides.
    """
    if name in MOVED:
        return MOVED[name]
    module, colon, member = name.partition(":")
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        moved = MOVED.get(".".join(parts[:end]))
        if moved is not None:
            return ".".join([moved, *parts[end:]]) + colon + member
    return name
