"""What each trained part of a trial has seen, as hashes of the items that it got; and the check that it is no leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evenodds.data.dataset import Dataset
from evenodds.evaluation.trial.folds import digest, hashes

__all__ = ["Ledger", "verify"]


@dataclass
class Ledger:
    """A record of the items that each trained part of an arm gets: hashed from the items, not from a plan."""

    item_hashes: Sequence[str]
    """The hashes of all data."""
    saw: dict[str, str] = field(default_factory=dict)
    """Trained part, e.g. "classifier" -> digest of the set of items that it got."""
    sets: dict[str, list[int]] = field(default_factory=dict)
    """Digest -> positions of its items in the data, each item once; -1 stands for an item that is not there."""

    def record(self, learner: str, data: Dataset) -> Dataset:
        """Writes down that the learner gets the data, and returns the data unchanged."""
        places = {name: k for k, name in reversed(list(enumerate(self.item_hashes)))}
        item_digests = hashes(data)
        self.saw[learner] = digest(item_digests)
        self.sets[self.saw[learner]] = sorted({places.get(name, -1) for name in item_digests})
        return data


def verify(proof: Mapping[str, Any], data: Dataset | None = None) -> list[str]:
    """What is wrong with a proof, one sentence each; none where nothing that learnt has seen a test item.

    Args:
        proof: as in proof.json: "items" (hashes by position), "sets" (digest -> positions), and for each of "seeds" the
            digests "train" and "test" and, for each of its "arms", "saw" (part -> digest) and "synthetic_in_test".
        data: hashed anew and held against the items, where it is at hand.
    """
    items, sets, noun = proof["items"], proof["sets"], "items" if data is None else data.noun
    wrong = [] if data is None or hashes(data) == list(items) else ["the data are not those of the proof"]
    wrong += [
        f"set {name[:12]} is not what its digest says"
        for name, places in sets.items()
        if not places or not all(0 <= i < len(items) for i in places) or digest([items[i] for i in places]) != name
    ]
    for number, seed in enumerate(proof["seeds"]):
        train, test = ({items[i] for i in sets[seed[part]]} for part in ("train", "test"))
        if train & test:
            wrong.append(f"seed {number}: {len(train & test)} {noun} are trained on and tested on")
        for arm, facts in seed["arms"].items():
            for learner, name in facts["saw"].items():
                items_seen = {items[i] for i in sets.get(name, ()) if 0 <= i < len(items)}
                if items_seen & test:
                    wrong.append(f"seed {number}, {arm}: the {learner} has seen {len(items_seen & test)} test {noun}")
                if items_seen - train:
                    wrong.append(
                        f"seed {number}, {arm}: the {learner} has seen {len(items_seen - train)} {noun} not trained on"
                    )
            if facts.get("synthetic_in_test"):
                wrong.append(f"seed {number}, {arm}: {facts['synthetic_in_test']} synthetic {noun} are test {noun}")
    return wrong
