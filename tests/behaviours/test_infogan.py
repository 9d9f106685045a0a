"""InfoGAN as a user meets it: a run, its samples, its codes on a sheet, and what cannot be done."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evenodds
from evenodds.cli import main
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.files.read import read_json
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.networks.mlp import Discriminator
from evenodds.parts.priors import Coded, Normal
from evenodds.parts.views import strokes
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.run import start
from evenodds.runs.session import Session
from evenodds.runs.values import IN_MEMORY, Part
from evenodds.tasks.codes import Codes
from evenodds.tasks.contest import Contest
from evenodds.tasks.infogan import InfoGAN
from tests.short import AT_THE_END
from tests.twins.test_resume import StopAt

SMALL = {
    "generator__width": 8,
    "discriminator__width": 8,
    "batch": 16,
    "device": "cpu",
    "average_half_life": 0,
    **AT_THE_END,
}
CODE = {"prior": "coded", "prior__noise": 6, "prior__classes": 3, "prior__values": 2, "task": "infogan"}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return evenodds.fit("digits", "digits", out=tmp_path_factory.mktemp("runs") / "run", images=320, **SMALL, **CODE)


def test_a_run_reads_codes_and_comes_back(session: Session) -> None:
    again = evenodds.load(session.folder, device="cpu")
    assert (again.sample(20) == session.sample(20)).all()
    assert again.conditions.kind is None
    x = again.answer(again.prior(7, 0))
    read = again.task.answer(again.players, {"x": x})
    assert read["probabilities"].shape == (7, 3)
    assert read["values"].shape == (7, 2)
    assert again.probability_real(again.sample(7)).shape == (7,)


def test_a_reader_is_chosen_on_real_images_then_codes_are_played_and_a_resume_is_the_same(
    tmp_path: Path,
) -> None:
    code = {key: value for key, value in CODE.items() if key != "task"}
    small = {**SMALL, **code, "task__reader_width": 8, "task__heads": 2, "average_half_life": 0.05, "save_share": 0.5}
    images = np.random.default_rng(0).integers(0, 256, (60, 17, 11, 3), dtype=np.uint8)
    whole = evenodds.fit(images, "codes", out=tmp_path / "whole", images=320, decay="constant", **small)
    said: list[str] = []
    for stop in (48, 240):  # before the choice, and within the game
        settings = {key.replace("__", "."): value for key, value in small.items()}
        config = with_settings(
            recipe("codes"), {**settings, "data": Part(IN_MEMORY), "images": 320, "decay": "constant"}
        )
        folder = tmp_path / str(stop)
        start(config, out=folder, dataset=from_array(images), listeners=[StopAt(stop)], say=said.append)
        rest = evenodds.resume(folder, data=images)
        assert rest.images == whole.images
        for name, player in whole.players.items():
            for key, value in player.state_dict().items():
                assert torch.equal(value, rest.players[name].state_dict()[key]), (stop, name, key)
    (line,) = (line for line in said if "of the reader goes on: mutual information of two views" in line)
    for folder in (tmp_path / "48", tmp_path / "240", whole.folder):  # written once, where the choice was made
        choices = read_json(folder / "choices.json", list[dict[str, Any]])
        (kept,) = (one for one in choices if one["setting"] == "reader.start")
        assert f"at {kept['images']} images: {kept['reason']}" == line
        assert kept["reason"].startswith(f"start {kept['value']} of 2")
    again = evenodds.load(whole.folder, device="cpu")
    read = again.task.answer(again.players, {"x": again.answer(again.prior(7, 0))})
    assert read["probabilities"].shape == (7, 3)
    assert read["values"].shape == (7, 2)
    assert main(["directions", str(whole.folder), "--how", "codes"]) == 0
    np.save(tmp_path / "new.npy", images[:5])
    assert main(["features", str(whole.folder), str(tmp_path / "new.npy"), "--device", "cpu"]) == 0
    told = np.load(whole.folder / "features.npz")
    assert (told["category"] == told["probabilities"].argmax(1)).all()
    assert (told["probabilities"].shape, told["values"].shape) == ((5, 3), (5, 2))


def test_codes_are_drawn_on_a_sheet(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["directions", str(session.folder), "--how", "codes"]) == 0
    assert Path(capsys.readouterr().out.strip()).name == "directions.png"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda contest: InfoGAN(Normal(4), contest), "needs the prior 'coded'"),  # type: ignore[arg-type]
        (lambda contest: InfoGAN(Coded(4), contest, simultaneous=True), "simultaneous"),
        (lambda contest: InfoGAN(Coded(4), contest, classes_weight=-1), "at least 0"),
        (lambda contest: InfoGAN(Coded(4), contest, consistency=1), "needs views"),
        (lambda contest: InfoGAN(Coded(4), contest, agreement=1), "agreement of infogan needs views"),
        (lambda contest: Codes(Coded(4), replace(contest, view=strokes), chosen=0.9), "chosen <= begins"),
        (lambda contest: Coded(4, 1, 0), "classes of 0 or at least 2"),
        (lambda contest: Coded(4, 0, 0), "one of both"),
    ],
)
def test_what_cannot_be_is_said(make: object, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        make(Contest(non_saturating))  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("outputs", [1, 5])
def test_a_discriminator_with_other_outputs_is_refused(outputs: int) -> None:
    task = InfoGAN(Coded(2, 3, 2), Contest(non_saturating))
    players = {"generator": torch.nn.Linear(7, 2), "discriminator": Discriminator((2,), width=8, outputs=outputs)}
    hand = task.deal({"x": torch.zeros(4, 2)}, torch.Generator().manual_seed(0))
    with pytest.raises(BadInput, match="set `outputs`"):
        task.plain_cost(players, hand)


def test_a_request_needs_x_or_z() -> None:
    with pytest.raises(BadInput, match="'x' or 'z'"):
        InfoGAN(Coded(2, 3, 2), Contest(non_saturating)).answer({}, {})
