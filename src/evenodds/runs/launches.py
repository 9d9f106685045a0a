"""Whether moves are compiled, or replayed as CUDA graphs, where a configuration leaves that open: measured before it.

Both compute the same and launch less. A graph costs next to nothing to record. To compile takes a minute and more, so
that it is tried in long runs alone, for a small share of them, and kept where the rest of the run pays for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from evenodds.errors import Remark
from evenodds.files.text import reason_of
from evenodds.game import processes
from evenodds.game.engine import pick_device
from evenodds.game.learners.compiled import missing
from evenodds.game.learners.graphs import WARM_UP, is_recordable
from evenodds.runs import probing
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.probing import Ahead, in_words, rates_of, rounded

__all__ = ["choose_compiled", "choose_graphs", "choose_launches"]

GAIN = 1.05
"""So many times as fast as moves that are played as they are: less may be chance."""
SECONDS = 4.0
"""Of a comparison."""
LONG = 3600.0
"""Seconds of a run below which nothing is compiled to try it. That takes 45 to 70 s of a core and gains 3 to 9 % of the
rounds on a CPU (benchmarks/step.md), so that it pays for itself after a quarter of an hour, where it does."""
FEWEST_ROUNDS = 1000
"""Of a run without a budget, whose length is not even measured for compilation where it has fewer."""
SHARE = 0.04
"""Of a run, that compilation may take to be tried; what comes after it is played as it is."""
MOST_ROUNDS = 256
"""That are played to record every variant of the moves."""


def choose_launches(config: Config, ahead: Ahead, say: Callable[[str], None]) -> tuple[Config, list[Choice]]:
    """The configuration with `graphs` and `compile` where they were left open, and the choices that were measured."""
    config, graphs = choose_graphs(config, ahead, say)
    config, compiled = choose_compiled(config, ahead, say)
    return config, [*graphs, *compiled]


# Graphs ---------------------------------------------------------------------------------------------------------------


def choose_graphs(config: Config, ahead: Ahead, say: Callable[[str], None]) -> tuple[Config, list[Choice]]:
    """CUDA graphs where rounds of the run are faster by them, in a run of one process that takes 30 seconds."""
    if config.graphs is not None:
        device = pick_device(config.device)
        if config.graphs and not is_recordable(device):
            say(f"graphs=true has no effect: moves on the {device.type} cannot be recorded, those on CUDA devices can")
        return config, []
    plain = replace(config, graphs=False)
    alone = processes.size() * config.accumulate == 1
    if not alone or not is_recordable(pick_device(config.device)) or not ahead.takes(probing.WORTHWHILE, plain):
        return plain, []
    choice = _of_graphs(plain, ahead)
    say(f"graphs={str(choice.value).lower()}: {choice.reason}")
    return replace(config, graphs=choice.value), [choice]


def _of_graphs(plain: Config, ahead: Ahead) -> Choice:
    """What replays bring; whatever goes wrong with them is a reason to do without."""
    try:
        with _quiet():
            probe = ahead.probe(replace(plain, graphs=True))
            probe.play(min(MOST_ROUNDS, WARM_UP * plain.penalty_every + 1))
            rates = rates_of({"as they are": ahead.probe(plain), "replayed": probe}, SECONDS)
    except Exception as error:
        ahead.forget()
        return Choice("graphs", False, f"moves cannot be recorded: {reason_of(error)}")
    graphs = probe.run.learner.graphs
    if not graphs.replays:
        why = "; ".join(f"move '{name}': {reason}" for name, reason in graphs.reasons.items())
        return Choice("graphs", False, why or "the learner records no moves")
    figures = {"images_per_second": rounded(rates), "replays": dict(graphs.replays), "not_recorded": graphs.reasons}
    return Choice("graphs", rates["replayed"] >= GAIN * rates["as they are"], in_words(rates, probe.noun), figures)


# Compilation ----------------------------------------------------------------------------------------------------------


def choose_compiled(config: Config, ahead: Ahead, say: Callable[[str], None]) -> tuple[Config, list[Choice]]:
    """Compiled moves where rounds of the run are faster by them, and the rest of the run pays for the compilation."""
    if config.compile is not None:
        return config, []
    plain = replace(config, compile=False)
    if ahead.rounds < FEWEST_ROUNDS or processes.size() > 1 or not ahead.takes(LONG, plain):
        return plain, []
    lacking = missing("inductor", pick_device(config.device))
    choice = Choice("compile", False, lacking) if lacking else _of_compilation(plain, ahead)
    say(f"compile={str(choice.value).lower()}: {choice.reason}")
    return replace(config, compile=choice.value), [choice]


def _of_compilation(plain: Config, ahead: Ahead) -> Choice:
    """What compiled moves bring, and what it takes to compile them."""
    whole = ahead.seconds(plain)
    try:
        with _quiet():
            probe = ahead.probe(replace(plain, compile=True))
            compiled = probe.run.learner.compiled
            compiled.allowed = SHARE * whole
            probe.play(min(MOST_ROUNDS, plain.penalty_every + 1))
            rates = rates_of({"as they are": ahead.probe(plain), "compiled": probe}, SECONDS)
    except Exception as error:
        ahead.forget()
        return Choice("compile", False, f"compiled moves cannot be played: {reason_of(error)}")
    spent = {"seconds_of_compilation": round(compiled.seconds, 1)}
    if compiled.reasons or not compiled.variants:
        why = "; ".join(f"move '{name}': {reason}" for name, reason in compiled.reasons.items())
        return Choice("compile", False, why or "the learner compiles no moves", spent)
    saved = whole * (1 - rates["as they are"] / rates["compiled"])
    pays = rates["compiled"] >= GAIN * rates["as they are"] and saved > compiled.seconds
    took = f"to compile took {compiled.seconds:.0f} s, and saves {max(0.0, saved):,.0f} s of the run"
    words = f"{in_words(rates, probe.noun)}; {took}"
    return Choice("compile", pays, words, {"images_per_second": rounded(rates), **spent})


# Both -----------------------------------------------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """Remarks on moves of a run that is thrown away are not shown: they are reasons of the choice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Remark)
        yield
