"""Batches before their turn are those of their turn, and no more of them are begun than was said."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from evenodds.data.ahead import Ahead, Sent
from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.units import Units


@dataclass
class Begun:
    """A batch that is there once somebody waits for it."""

    value: int
    there: bool = False

    def done(self) -> bool:
        return self.there

    def result(self) -> dict[str, Tensor]:
        self.there = True
        return {"x": torch.tensor([self.value])}


@dataclass
class Shelf:
    """Begins batches, and knows which."""

    there: bool = True
    begun: list[int] = field(default_factory=list)

    def __call__(self, position: int) -> Begun:
        self.begun.append(position)
        return Begun(position, self.there)


@dataclass
class StandIn:
    """A lane on the CPU that knows what was sent, and what was waited for."""

    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def send(self, parts: dict[str, Tensor]) -> Sent:
        first = int(parts["x"].flatten()[0])
        self.sent.append(first)
        return Sent(parts, first)

    def receive(self, sent: Sent) -> dict[str, Tensor]:
        self.received.append(sent.arrived)
        return sent.parts


def test_the_next_batches_are_begun_once_and_dropped_where_others_are_asked_for() -> None:
    shelf = Shelf()
    ahead = Ahead(shelf, step=8, depth=2)
    assert [int(ahead.at(position)["x"]) for position in (0, 8, 16)] == [0, 8, 16]
    assert shelf.begun == [0, 8, 16, 24, 32]
    assert int(ahead.at(100)["x"]) == 100  # as after a resume
    assert int(ahead.at(24)["x"]) == 24
    assert shelf.begun == [0, 8, 16, 24, 32, 100, 108, 116, 24, 32, 40]


@pytest.mark.parametrize(("there", "sent"), [(True, [0, 8, 16, 24]), (False, [0, 8, 16])])
def test_the_next_batch_is_sent_before_its_turn_if_it_is_there(there: bool, sent: list[int]) -> None:
    lane = StandIn()
    ahead = Ahead(Shelf(there), 8, 1, lane)
    assert [int(ahead.at(position)["x"]) for position in (0, 8, 16)] == [0, 8, 16]
    assert lane.received == [0, 8, 16]
    assert lane.sent == sent


def test_batches_travel_in_their_own_units_and_arrive_as_without_a_lane() -> None:
    x = torch.arange(10 * 3 * 4 * 4, dtype=torch.uint8).view(10, 3, 4, 4)
    data = Dataset(x, Units((0.0,), (255.0,), "uint8"), y=torch.arange(10) % 2, classes=("a", "b"))

    class Typed(StandIn):
        def send(self, parts: dict[str, Tensor]) -> Sent:
            assert parts["x"].dtype == torch.uint8
            return super().send(parts)

    plain, sent = Batches(data, None, 4, 1), Batches(data, None, 4, 1, "cpu", Typed())
    for position in (0, 4, 8, 40, 12):
        one, other = plain.at(position), sent.at(position)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
