"""The average of players, taken from a checkpoint."""

import pytest
import torch
from torch import nn

from evenodds.errors import BadInput
from evenodds.game.listeners.average import Average
from evenodds.game.rules import State


def average() -> Average:
    return Average({"generator": nn.Linear(2, 2), "backward": nn.Linear(2, 2)}, ("generator", "backward"), 10.0)


def test_a_player_that_was_not_averaged_before_begins_where_it_is() -> None:
    kept, listener = average().state(), average()
    listener.restore(State({name: value for name, value in kept.tensors.items() if name.startswith("generator/")}))
    assert listener.begun == ("backward",)
    assert torch.equal(listener.copies["generator"].weight, kept.tensors["generator/weight"])


def test_the_average_of_the_generator_must_be_there() -> None:
    kept = average().state()
    with pytest.raises(BadInput, match="player 'generator' does not fit the checkpoint: 'weight' is missing"):
        average().restore(State({name: value for name, value in kept.tensors.items() if name.startswith("backward/")}))
