"""A run that starts from the weights of another one: of all tensors that fit, by their order, shapes and classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.data.wording import some_names
from evenodds.errors import BadInput
from evenodds.files.text import quoted
from evenodds.runs.assembly import Run
from evenodds.runs.build import build_players
from evenodds.runs.card import DataCard
from evenodds.runs.choosing import Choice
from evenodds.runs.config import AUTO_TASK, Config
from evenodds.runs.find import find
from evenodds.runs.peak import on_meta
from evenodds.runs.session import Session
from evenodds.runs.values import ELSEWHERE, IN_MEMORY, Part
from evenodds.tasks._playable import Playable

__all__ = ["continued", "require_data", "require_kind", "transfer"]

OPEN = ("generate", "condition")
"""Tasks between which a run with other classes may change."""


def continued(source: Session) -> Config:
    """The configuration of a run like `source`, on data that are not named yet: its recipe, its size, an open task.

    A task whose samples are asked for by attributes or values stays.
    """
    config, shape = source.config, source.card.shape
    task, kind = config.task, source.task.condition_kind
    if task.name in OPEN:
        by_class = kind in (None, "classes")
        task = Part(AUTO_TASK, task.options) if by_class else Part(task.name, {**task.options, "kind": kind})
    square = source.card.kind == "image" and shape[1] == shape[2]
    return replace(config, data=None, task=task, size=config.size or (shape[1] if square else None))


def require_data(config: Config, source: Session) -> None:
    """BadInput where a run that starts from the weights of another has no data: it says which that one learned from."""
    if config.data is not None:
        return
    before = source.config.data.name if source.config.data is not None else IN_MEMORY
    again = "" if before in (IN_MEMORY, ELSEWHERE) else f"; that run learned from --data {quoted(before)}"
    raise BadInput(
        f"--from takes the weights of {quoted(source.folder)}, not its data: name what is to be learned with --data"
        f"{again}"
    )


def require_kind(source: Session, config: Config, dataset: Dataset) -> None:
    """BadInput where the data are of another kind than those of the run, or something would be taken for something
    else by its place: its weights, or its shares of the classes, mean nothing for them.

    Args:
        config: of the run that starts.
    """
    if source.card.kind != dataset.kind:
        raise BadInput(
            f"the run {quoted(source.folder)} has learned from data of kind '{source.card.kind}', and these are of "
            f"kind '{dataset.kind}'; start without --from"
        )
    if source.card.shape == dataset.shape and (other := _other_column(source.card, dataset)):
        raise BadInput(
            f"the run {quoted(source.folder)} has learned from other columns: {other}; bring them to the names, the "
            "words, the levels and the order of that run, or leave --from out"
        )
    shares, classes = config.task.options.get("shares"), source.card.classes
    if shares is not None and shares == source.config.task.options.get("shares") and len({*shares}) > 1:
        if dict(zip(classes, shares, strict=False)) == dict(zip(dataset.classes, shares, strict=False)):
            return
        raise BadInput(
            f"task.shares are those of {some_names(classes)}, the classes of {quoted(source.folder)} in their order, "
            f"and these are {some_names(dataset.classes)}; set task.shares=null, or to theirs"
        )


def _other_column(card: DataCard, dataset: Dataset) -> str:
    """The first column of a table that is another one at its place, in words; empty where none is."""
    pairs = zip(card.columns, _columns(card), dataset.columns, _columns(dataset), strict=False)
    for number, (was, (words, choices), name, (new_words, new_choices)) in enumerate(pairs, 1):
        if name != was:
            return f"column {number} is '{name}', and was '{was}'"
        if words != new_words:
            return f"column '{name}' has the words {some_names(new_words)}, and had {some_names(words)}"
        if choices != new_choices:
            more, fewer = [c for c in new_choices if c not in choices], [c for c in choices if c not in new_choices]
            said = [f"cells of {some_names(more)}"] * bool(more) + [f"none of {some_names(fewer)}"] * bool(fewer)
            return f"column '{name}' has {' and '.join(said)}"
    return ""


def _columns(data: DataCard | Dataset) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Of each column of a table its words, and its choices, each of which has weights of its own."""
    if not (columns := data.units.columns):
        return [((), ())] * len(data.columns)
    return [(one.words, () if data.has_gaps else one.chosen) for one in columns]


def _ranges(card: DataCard) -> dict[str, str]:
    """The range of each value that samples are asked for by, as it is said."""
    if (conditions := card.conditions) is None or conditions.binary:
        return {}
    low, high = (side * (len(conditions.names) // len(side)) for side in (conditions.units.low, conditions.units.high))
    return {name: f"{a:g} to {b:g}" for name, a, b in zip(conditions.names, low, high, strict=True)}


def transfer(source: Session, run: Run) -> Choice:
    """Gives the players of a run that was not played yet, and their averages, all of `source` that fits.

    Tensors are paired in the order of their layers, from the finest level on, where their names are alike and their
    shapes the same: a network with one level more keeps all others. Along classes, tensors keep what belongs to a class
    of the same name. Along channels, grey weights are repeated for colours, and those of colours are added up.

    Returns:
        What was taken, as it is kept in choices.json.

    Raises:
        BadInput: nothing of the generator fits, or of the discriminator where nothing is generated.
    """
    old, new = _Side.of(source.config, source.task, source.card), _Side.of(run.config, run.task, run.card_light)
    taken: dict[str, dict[str, Any]] = {}
    for name, player in run.game.players.items():
        if name in source.players and any(True for _ in player.parameters()):
            taken[name] = _filled(name, source.players[name], player, old, new)
    role = "generator" if "generator" in run.game.players else "discriminator"
    if not any(_begins(run.game.players[name], one) for name, one in taken.items() if name.startswith(role)):
        theirs = getattr(source.config, role).name if role in source.players else "it has none"
        mine = getattr(run.config, role).name
        recipe = "leave the recipe out to take that of the run"
        how = recipe if theirs != mine else "start from a run of data that are more alike, or from none"
        raise BadInput(f"nothing of the {role} of {quoted(source.folder)} ({theirs}) fits this one ({mine}); {how}")
    if run.average is not None:
        for name, copy in run.average.copies.items():
            copy.load_state_dict(run.game.players[name].state_dict())
    known = [c for c in new.classes if c in old.classes]
    classes = {"known": known, "new": [c for c in new.classes if c not in known]}
    figures = {"images": source.images, "players": taken, "classes": classes}
    before, now = _ranges(source.card), _ranges(run.card_light)
    moved = [f"; {k}: {now[k]} is here what {before[k]} was" for k in now if now[k] != before.get(k, now[k])]
    return Choice("from", str(source.folder), _in_words(source, taken, classes) + "".join(moved), figures)


def _begins(player: nn.Module, taken: Mapping[str, Any]) -> bool:
    """Whether anything that a player learns was taken; what is frozen fits always."""
    return any(name not in taken["new"] for name, _ in player.named_parameters())


def _in_words(source: Session, taken: Mapping[str, Mapping[str, Any]], classes: Mapping[str, Sequence[str]]) -> str:
    """What was taken, in a sentence."""
    parts = [
        f"{name}: {one['tensors']} of {one['of']} tensors, {int(100 * one['share'])}% of its numbers"
        for name, one in taken.items()
    ]
    counts = {"known before": classes["known"], "new": classes["new"]}
    known = ", ".join(f"{len(of)} {how} ({some_names(of)})" if of else f"0 {how}" for how, of in counts.items())
    named = f"; classes: {known}" if any(counts.values()) else ""
    shown = f"{source.images:,} {source.card.noun}"
    return f"weights of {source.folder.name} after {shown}: {'; '.join(parts)}{named}"


# Where classes and channels are ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Side:
    """What the tensors of one of two runs mean."""

    classes: tuple[str, ...]
    """Names along axes of classes, or of attributes and values."""
    classes_first: bool
    """Along these axes: before all else, each class with all of its numbers; else behind, one class after another."""
    channels: int
    class_axes: Mapping[str, int]
    """By player/tensor: the axis that is as long as there are classes, or longer."""
    class_blocks: Mapping[str, int]
    """By player/tensor: how many numbers there are of each class along that axis."""
    channel_axes: Mapping[str, int]

    @classmethod
    def of(cls, config: Config, task: Playable, card: DataCard) -> _Side:
        """Found by building the players again, without memory, with one class and with one channel more."""
        shape = tuple(card.shape)
        as_is = _shapes(partial(build_players, config, task, shape, card.row_blocks))
        wider = as_is
        if card.kind == "image":
            with suppress(BadInput):  # of players that take no such number of channels, none are along an axis
                wider = _shapes(partial(build_players, config, task, (shape[0] + 1, *shape[1:])))
        more = _with_one_more(config, task)
        known = as_is if more is None else _shapes(partial(build_players, config, more, shape, card.row_blocks))
        attributes = card.conditions.names if card.conditions is not None else ()
        names = card.classes if task.condition_kind in (None, "classes") else attributes
        by_class, by_channel = _longer(as_is, known), _longer(as_is, wider)
        return cls(
            tuple(names) if task.of_one_more_class() is not None else (),
            task.classes_first,
            shape[0],
            {name: axis for name, (axis, _) in by_class.items()},
            {name: blocks for name, (_, blocks) in by_class.items()},
            {name: axis for name, (axis, more) in by_channel.items() if more == 1},
        )

    def form(self, name: str, tensor: Tensor) -> tuple[Any, ...]:
        """The tensor's name without the numbers of layers, and its shape without classes and channels."""
        sizes: list[Any] = list(tensor.shape)
        if (axis := self.class_axes.get(name)) is not None:
            sizes[axis] = f"{sizes[axis] - self.of_classes(name)} and classes"
        if (axis := self.channel_axis(name)) is not None:
            sizes[axis] = "channels"
        return (re.sub(r"\d+", "", name), *sizes)

    def of_classes(self, name: str) -> int:
        """How many places along a tensor's axis of classes are of classes."""
        return self.class_blocks[name] * len(self.classes)

    def places(self, name: str, number: int, length: int) -> list[int]:
        """Where a class lies along a tensor's axis of classes.

        Args:
            number: of the class.
            length: of the axis.
        """
        blocks, base = self.class_blocks[name], length - self.of_classes(name)
        if self.classes_first:
            return [number * blocks + block for block in range(blocks)]
        return [base + block * len(self.classes) + number for block in range(blocks)]

    def other_places(self, name: str, length: int) -> slice:
        """Where what is of no class lies along that axis."""
        return slice(self.of_classes(name), length) if self.classes_first else slice(length - self.of_classes(name))

    def channel_axis(self, name: str) -> int | None:
        """Of a tensor, where classes do not lie along it too."""
        axis = self.channel_axes.get(name)
        return axis if axis != self.class_axes.get(name) else None


def _with_one_more(config: Config, task: Playable) -> Playable | None:
    """The task with one class more; None where its players know none."""
    if config.task.name == "generate":  # which a run by class may go on from, and the other way round
        conditional: Playable = find("tasks", "condition")(prior=task.prior, contest=task.contest, length=1)
        return conditional
    return task.of_one_more_class()


def _shapes(build: Callable[[], Mapping[str, nn.Module]]) -> dict[str, tuple[int, ...]]:
    """Of all tensors, by player/name."""
    players = on_meta(build)
    return {f"{name}/{k}": tuple(v.shape) for name, player in players.items() for k, v in player.state_dict().items()}


def _longer(before: Mapping[str, tuple[int, ...]], after: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """The axes that are longer, and by how much, of tensors that differ in nothing else."""
    axes = {}
    for name, shape in before.items():
        other = after.get(name, ())
        grown = [axis for axis, (a, b) in enumerate(zip(shape, other, strict=False)) if a != b]
        if len(shape) == len(other) and len(grown) == 1 and other[grown[0]] > shape[grown[0]]:
            axes[name] = grown[0], other[grown[0]] - shape[grown[0]]
    return axes


# Which tensor becomes which ----------------------------------------------------------------------------------------


@torch.no_grad()
def _filled(name: str, source: nn.Module, player: nn.Module, old: _Side, new: _Side) -> dict[str, Any]:
    """Gives a player what fits; how many of its tensors and of its numbers that are, and which are new."""
    theirs = {f"{name}/{k}": v.detach().to("cpu") for k, v in source.state_dict().items()}
    mine = {f"{name}/{k}": v for k, v in player.state_dict().items()}
    first = -1 if name.startswith("generator") else 1  # a generator's finest level is its last
    pairs = _aligned(
        [(k, old.form(k, v)) for k, v in theirs.items()][::first],
        [(k, new.form(k, v)) for k, v in mine.items()][::first],
    )
    counts = {
        target: _taken(theirs[origin], origin, mine[target], target, old, new) for target, origin in pairs.items()
    }
    numbers = sum(v.numel() for v in mine.values())
    fresh = [k.partition("/")[2] for k in mine if not counts.get(k)]
    share = round(sum(counts.values()) / max(1, numbers), 4)
    return {"tensors": len(mine) - len(fresh), "of": len(mine), "share": share, "new": fresh}


def _aligned(old: Sequence[tuple[str, Any]], new: Sequence[tuple[str, Any]]) -> dict[str, str]:
    """The longest common subsequence by form, as early as possible: names in `new` -> names in `old`."""
    length = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            same = old[i][1] == new[j][1]
            length[i][j] = 1 + length[i + 1][j + 1] if same else max(length[i + 1][j], length[i][j + 1])
    pairs, i, j = {}, 0, 0
    while i < len(old) and j < len(new):
        if old[i][1] == new[j][1]:
            pairs[new[j][0]] = old[i][0]
            i, j = i + 1, j + 1
        elif length[i + 1][j] >= length[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _taken(value: Tensor, origin: str, fresh: Tensor, target: str, old: _Side, new: _Side) -> int:
    """Fills a new tensor with what is known of an old one; how many of its numbers that are."""
    channel, axis, before = new.channel_axis(target), new.class_axes.get(target), old.class_axes.get(origin)
    if channel is not None and old.channel_axis(origin) is not None:
        value = _in_channels(value, channel, old.channels, new.channels, target.startswith("generator"))
    value = value.to(fresh)
    if axis is None or before is None:
        fresh.copy_(value)
        return fresh.numel()
    ours, theirs = fresh.transpose(0, axis), value.transpose(0, axis)  # views: places of classes come first
    others, length = new.other_places(target, len(ours)), len(theirs)
    ours[others] = theirs[old.other_places(origin, length)]
    taken = len(ours[others])
    for number, name in enumerate(new.classes):
        if name in old.classes:
            places = old.places(origin, old.classes.index(name), length)
            pairs = list(zip(new.places(target, number, len(ours)), places, strict=False))
            for to, at in pairs:
                ours[to] = theirs[at]
            taken += len(pairs)
    return taken * fresh.numel() // max(1, len(ours))


def _in_channels(value: Tensor, axis: int, before: int, after: int, output: bool) -> Tensor:
    """Weights of `before` channels as those of `after`; of outputs, all get the mean, of inputs, the sum stays."""
    channels = value.shape[axis]
    if before == after or channels != before:
        return value
    mean = value.mean(axis, keepdim=True)
    sizes = [after if k == axis else -1 for k in range(value.dim())]
    return (mean if output else mean * before / after).expand(sizes)
