"""Runs that go wrong say so, go back, change one thing and go on; the same across a resume, and within their time."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from evenodds.cli import main
from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.errors import Diverged
from evenodds.game import checkpoint
from evenodds.game.checkpoint import best_of
from evenodds.game.engine import Local
from evenodds.game.history import read_history
from evenodds.game.listeners.deadline import Deadline
from evenodds.game.trainer import Training, train
from evenodds.game.watch.verdict import Verdict
from evenodds.runs import remedy
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.held_out import held_out
from evenodds.runs.run import resume, start
from tests.clock import Clock
from tests.faults import Plant
from tests.games import Points, small_game

SMALL = {"generator.width": 16, "discriminator.width": 16, "save_share": 0.25, "evaluate_share": 0.25}
QUICK = {"device": "cpu", "batch": 64, "images": 9_600, **SMALL}
WILD = {**QUICK, "penalty": None, "learning_rate": 0.06}
"""The ring without a penalty and with 20 times the learning rate: all z give one point within a few rounds."""


def run(folder: Path, settings: dict[str, Any], **more: Any) -> Any:
    return start(with_settings(recipe("ring"), {"watch": "act", **settings}), out=folder, **more)


@pytest.fixture(scope="module")
def remedied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "wild"
    run(folder, WILD)
    return folder


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    _, states, _, _ = checkpoint.newest(folder / "checkpoints")
    return {f"{part}/{name}": value for part, state in states.items() for name, value in state.tensors.items()}


def same(a: Path, b: Path) -> None:
    mine, other = tensors(a), tensors(b)
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_a_collapse_is_seen_early_and_remedied(remedied: Path) -> None:
    tried = remedy.read(remedied)
    assert tried[0].word == "collapsing"
    assert tried[0].at <= 6 * 10 * 64  # six glances, of which two must agree
    assert tried[0].settings == {"penalty": "r1_r2"}
    assert len(tried) <= remedy.MOST
    told = [line for line in read_history(remedied / "metrics.jsonl").values if "remedy" in line or "verdict" in line]
    assert sum("remedy" in line for line in told) >= 1
    assert told[-1]["verdict"] in ("improving", "flat")


def test_the_remedy_is_shown(remedied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(remedied)]) == 0
    said = capsys.readouterr().out
    assert "remedy 1" in said
    assert "penalty=r1_r2" in said
    assert "verdict" in said
    assert " to " in next(line for line in said.splitlines() if line.startswith("best"))


class StopAfterRemedy:
    """Ends the run some rounds after its last remedy."""

    def __init__(self, folder: Path, remedies: int, rounds: int) -> None:
        self.folder, self.remedies, self.rounds, self.heard = folder, remedies, rounds, 0

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        self.heard += len(remedy.read(self.folder)) == self.remedies
        training.stop = training.stop or self.heard >= self.rounds

    def end(self, training: Training) -> None: ...


@pytest.mark.parametrize("rounds", [50])
def test_a_resumed_run_goes_on_with_its_remedies(remedied: Path, tmp_path: Path, rounds: int) -> None:
    folder, tried = tmp_path / "run", remedy.read(remedied)
    run(folder, WILD, listeners=[StopAfterRemedy(folder, len(tried), rounds)])
    assert [one.settings for one in remedy.read(folder)] == [one.settings for one in tried]
    assert resume(folder).images >= 9_600
    same(remedied, folder)


def test_stale_checkpoints_do_not_survive_a_remedy(remedied: Path, tmp_path: Path) -> None:
    headers = [checkpoint.read_header(path) for path in checkpoint.listing(remedied / "checkpoints")]
    assert {header.remedies for header in headers} <= set(range(len(remedy.read(remedied)) + 1))
    last = headers[-1].remedies
    assert last == len(remedy.read(remedied))


@pytest.mark.parametrize("watch", ["warn", "off"])
def test_without_leave_to_act_nothing_changes(tmp_path: Path, watch: str) -> None:
    folder = tmp_path / watch
    said: list[str] = []
    session = run(folder, {**WILD, "images": 3840, "watch": watch}, say=said.append)
    assert session.images >= 3840
    assert not remedy.read(folder)
    assert any("collapsing" in line for line in said) == (watch == "warn")
    assert any("verdict" in line for line in session.history()) == (watch == "warn")


def test_the_watch_changes_no_bit_of_a_healthy_run(tmp_path: Path) -> None:
    short = {**QUICK, "images": 1920}
    for watch in ("off", "act"):
        run(tmp_path / watch, {**short, "watch": watch})
    same(tmp_path / "off", tmp_path / "act")


@pytest.mark.parametrize("player", ["discriminator"])
def test_a_run_with_one_bad_gradient_ends_as_well(tmp_path: Path, player: str) -> None:
    settings, said = {**QUICK, "images": 2560, "evaluate_share": 1}, []
    plain = run(tmp_path / "plain", settings).history()
    plant = Plant(player, 20)
    spoilt = run(tmp_path / "spoilt", settings, listeners=[plant], say=said.append).history()
    assert plant.seen == 1
    assert plant.finite
    assert any(f"a gradient of '{player}' was not finite" in line for line in said)
    assert [line["left_out"] for line in spoilt if "left_out" in line] == [{player: 1}]
    (a, b) = ([line for line in lines if "score" in line][-1] for lines in (plain, spoilt))
    assert b["score"] < 1.2 * a["score_high"]


class Poison:
    """Makes every gradient of the generator NaN, as a broken loss would."""

    def begin(self, training: Training) -> None:
        next(iter(training.game.players["generator"].parameters())).register_hook(lambda g: g * float("nan"))

    def after_round(self, training: Training) -> None: ...

    def end(self, training: Training) -> None: ...


def test_a_remedy_goes_back_to_the_recipe_before_it_goes_slower() -> None:
    verdict, base = Verdict("collapsing", "told"), recipe("ring")

    def changed(**settings: Any) -> dict[str, Any]:
        return remedy.prescribe(with_settings(base, settings), verdict, 100, 0).settings

    assert changed(penalty=None, learning_rate=0.06) == {"penalty": base.penalty.name}
    assert changed(learning_rate=0.06) == {"learning_rate": base.learning_rate}
    assert changed(discriminator_learning_rate=0.06) == {"discriminator_learning_rate": base.learning_rate}
    assert changed() == {"learning_rate": pytest.approx(0.2 * base.learning_rate)}
    assert changed(learning_rate=0.06, optimizer="SGD") == {"learning_rate": pytest.approx(0.012)}
    assert changed(learning_rate=0.06, recipe="mine") == {"learning_rate": pytest.approx(0.012)}
    alone = with_settings(recipe("denoise"), {"penalty": None, "discriminator_learning_rate": 0.06, "learning_rate": 1})
    assert {*remedy.prescribe(alone, verdict, 100, 0).settings} == {"learning_rate"}, "nothing of a player it lacks"


def test_what_cannot_be_helped_is_given_up_after_three_tries(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="3 remedies did not help"):
        run(tmp_path / "run", QUICK, listeners=[Poison()])
    rates = [one.settings["learning_rate"] for one in remedy.read(tmp_path / "run")]
    assert rates == pytest.approx([6e-4, 1.2e-4, 2.4e-5])
    with pytest.raises(Diverged, match="none reached the weights"):
        run(tmp_path / "warned", {**QUICK, "watch": "warn"}, listeners=[Poison()])


def test_patience_ends_a_run_that_is_flat(tmp_path: Path) -> None:
    flat = {**QUICK, "learning_rate": 0.0, "patience": 0.2, "decay": "constant", "evaluate_share": 0.05}
    session = run(tmp_path / "flat", {**flat, "images": 25_600, "watch": "warn"})
    assert session.images < 0.7 * 25_600


class Slow:
    """Every round takes 0.01 s."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        self.clock.now += 0.01

    def end(self, training: Training) -> None: ...


def test_a_deadline_is_kept_and_the_decay_drawn_in(clock: Clock) -> None:
    game, learner, engine = small_game()
    until = clock.now + 2.5
    deadline = Deadline(until, 0.2)
    progress = train(game, Points(), learner, engine, images=10**6, listeners=[deadline, Slow(clock)])
    assert until - 0.4 < clock.now < until - 0.2 + 0.02  # the reserve is kept, and hardly more
    assert progress.total == pytest.approx(230 * 8, rel=0.1)  # a million images were planned
    assert progress.share > 0.9


def test_the_report_tells_what_was_said(remedied: Path, tmp_path: Path) -> None:
    from evenodds.show.page.history import course

    shown = str(course(read_history(remedied / "metrics.jsonl").values, "images"))
    assert "What the watch said" in shown
    assert "Remedy: collapsing" in shown
    assert "D prefers" in shown


def test_a_settings_file_keeps_what_was_asked(remedied: Path) -> None:
    assert json.loads((remedied / "remedies.json").read_text())[0]["back_to"] == 0
    assert "penalty: null" in (remedied / "config.yaml").read_text()


def test_the_best_checkpoint_is_none_whose_samples_are_copies(tmp_path: Path) -> None:
    scores = {1: (0.1, 0.4), 2: (0.3, 0.0), 3: (0.2, 0.0)}
    for images, (score, copies) in scores.items():
        header = {"progress": {"total": 3}, "score": score, "copies": copies}
        checkpoint.save(tmp_path / f"{images:012d}", {}, header)
    assert best_of(tmp_path) == tmp_path / f"{3:012d}"
    for images in (2, 3):
        checkpoint.remove(tmp_path / f"{images:012d}")
    assert best_of(tmp_path) == tmp_path / f"{1:012d}"


class Drawing:
    """A task whose samples are these images."""

    scoring = None
    learns_labels = False

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def request_for(self, real: dict[str, torch.Tensor], rng: torch.Generator) -> dict[str, torch.Tensor]:
        return {"at": torch.arange(len(real["x"])) % len(self.x)}

    def answer(self, players: object, request: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"x": self.x[request["at"]]}


def test_copies_of_few_training_images_are_seen_while_a_run_learns() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (200, 3, 16, 16), generator=rng).to(torch.uint8)
    data = Dataset(x, Units((0.0,), (255.0,), "uint8"))
    learned, apart = torch.arange(160), torch.arange(160, 200)
    new = data.units.to_model(torch.randint(0, 256, (40, 3, 16, 16), generator=rng).to(torch.uint8))
    copied = torch.cat([data.batch(learned[:20])["x"], new[:20]])

    def copies(samples: torch.Tensor) -> float | None:
        measured = held_out(Drawing(samples), data, apart, learned, 0, Local())  # type: ignore[arg-type]
        assert measured is not None
        return measured.measure({}).get("copies")

    assert copies(new) == 0
    assert copies(copied) == pytest.approx(0.5, abs=0.05)
