"""A run read backwards: features, encoder, reconstructions, directions, and their commands."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.apply.direction_sheets import directions_of
from evenodds.apply.encoder import encoder_of, existing_encoder
from evenodds.apply.encoding import encoded
from evenodds.apply.features import features
from evenodds.apply.inversion import conditions_of, invert
from evenodds.apply.items import items
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.files.tensors import read_tensors, read_tensors_and_words
from evenodds.game.checkpoint import listing
from evenodds.runs.folder_facts import ENCODER
from evenodds.runs.session import Session, load
from tests.short import AT_THE_END

SMALL = {
    "generator__width": 8,
    "discriminator__width": 8,
    "prior__size": 6,
    "device": "cpu",
    **AT_THE_END,
    "held_out": 0.2,
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = {**SMALL, "task": "generate", "batch": 16, "save_share": 0.5}
    return evenodds.fit("digits", "digits", out=folder, images=1280, **options)


def test_features_are_those_before_the_last_layer(session: Session) -> None:
    x = items(session).batch(torch.arange(300))["x"]
    discriminator = session.players["discriminator"]
    found = torch.from_numpy(features(session, x))
    with torch.no_grad():
        assert torch.allclose(discriminator.logit(found).squeeze(1), discriminator(x), atol=1e-5)


def test_an_encoder_learns_stays_and_gives_way_to_a_newer_generator(session: Session) -> None:
    z = session.prior(200, 5)
    x = session.answer(z)
    (session.folder / ENCODER).unlink(missing_ok=True)
    early = invert(session, x, encoder_of(session, 64))
    (session.folder / ENCODER).unlink()
    encoder = encoder_of(session, 15_000)
    late = invert(session, x, encoder)
    assert late.error < 0.7 * early.error
    assert torch.equal(invert(session, x, encoder_of(session)).z, late.z)
    with pytest.raises(BadInput, match="has learned from 15,000 samples; leave --images out"):
        encoder_of(session, 1)
    assert invert(session, x, encoder, steps=20).error < late.error
    earlier = load(session.folder, listing(session.folder / "checkpoints")[0].name, "cpu")
    assert earlier.images < session.images
    assert not torch.equal(invert(session, x, encoder_of(earlier, 64)).z, late.z)


def test_a_run_that_has_an_encoder_needs_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is averaged as the generator is, and answers after the run is loaded again."""
    options = {**SMALL, "task": "invertible", "batch": 16, "average_half_life": 0.05}
    session = load(evenodds.fit("digits", "digits", out=tmp_path / "run", images=320, **options).folder, device="cpu")
    encoder = encoder_of(session)
    assert encoder is existing_encoder(session) is session.players["encoder"]
    assert main(["encode", str(session.folder)]) == 0
    assert not (session.folder / ENCODER).exists()
    kept = read_tensors(listing(session.folder / "checkpoints")[-1] / "average.safetensors")
    assert {name.split("/")[0] for name in kept} == {"generator", "encoder"}
    assert main(["directions", str(session.folder), "--how", "codes"]) == 2
    assert "this run (invertible) has no code, no categories and values" in capsys.readouterr().err
    (tmp_path / "gone.png").mkdir()  # nothing of it is read
    for command in ("encode", "reconstruct"):
        assert main([command, str(session.folder), str(tmp_path / "gone.png"), "--images", "64"]) == 2
        assert "has learned with its generator; leave --images out" in capsys.readouterr().err


def test_an_encoder_that_is_kept_is_read_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was read to refuse early, and again to be used: another process may replace it in between."""
    encoder_of(session, 64)
    reads: list[Path] = []

    def noted(path: Path, advice: str) -> Any:
        reads.append(path)
        return read_tensors_and_words(path, advice)

    monkeypatch.setattr("evenodds.apply.encoder.read_tensors_and_words", noted)
    encoded(session, n=2)
    assert reads == [session.folder / ENCODER]


def test_an_encoder_that_has_learned_is_said_before_data_are_read(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (session.folder / ENCODER).unlink(missing_ok=True)
    encoder_of(session, 64)
    monkeypatch.setattr("evenodds.apply.encoding.items", lambda *_: pytest.fail("data were read"))
    assert main(["encode", str(session.folder), "--images", "63"]) == 2
    assert "leave --images out, or delete" in capsys.readouterr().err
    one = str(tmp_path / "a.png")
    words = ["walk", str(session.folder), "--from", one, "--to", one, "--steps", "1", "--out", str(tmp_path / "b.png")]
    assert main(words) == 2
    assert "needs steps >= 2" in capsys.readouterr().err


def test_the_commands_leave_their_files(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(session.folder)
    assert main(["features", run]) == 0
    (session.folder / ENCODER).unlink(missing_ok=True)
    assert main(["encode", run, "--images", "1k"]) == 0
    assert main(["reconstruct", run, "--steps", "2", "--n", "20"]) == 0
    assert main(["directions", run, "--n", "3"]) == 0
    assert main(["directions", run, "--move", "2", "--by", "2.0", "--samples", "5"]) == 0
    written = [Path(line) for line in capsys.readouterr().out.split()]
    assert [path.name for path in written] == [
        "features.npz", "codes.npz", "reconstructions.png", "directions.png", "moved.png",
    ]  # fmt: skip
    with np.load(written[0]) as arrays:
        assert len(arrays["features"]) == len(arrays["y"]) == len(arrays["held_out"]) == 1797
        assert arrays["held_out"].sum() == len(session.card.held_out)
    with np.load(written[1]) as arrays:
        assert arrays["z"].shape == (1797, 6)
    for path in written[2:]:
        with Image.open(path) as picture:
            assert min(picture.size) > 8


def test_a_walk_goes_from_one_image_to_another(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = items(session).batch(torch.tensor([0, 4]))["x"]
    for name, pixels in zip(
        ("a.png", "b.png"), session.card.eight_bit(session.card.units.to_data(ends).numpy()), strict=True
    ):
        Image.fromarray(pixels[0]).save(tmp_path / name)
    a, b, out = (str(tmp_path / name) for name in ("a.png", "b.png", "walk.png"))
    found = items(session, a).batch(torch.arange(1))["x"]
    torch.testing.assert_close(found, ends[:1], atol=0.01, rtol=0)
    assert main(["walk", str(session.folder), "--from", a, "--to", b, "--steps", "6", "--out", out]) == 0
    assert capsys.readouterr().out.split() == [out]
    with Image.open(out) as picture:
        assert picture.size[0] > 5 * picture.size[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["walk", "RUN", "--from", "a.png"], "needs both --from and --to"),
        (["encode", "RUN", "--images", "six"], "--images must be a whole number"),
        (["directions", "RUN", "--n", "7"], "z has 6 directions, got n=7"),
        (["directions", "RUN", "--move", "0"], "--move must be a whole number from 1"),
        (["directions", "RUN", "--how", "sefa"], "no way to find directions 'sefa'; known: codes, jacobian, weights"),
        (["features", "RUN", "ring"], "the items are rows of 2 numbers, and images of 8 x 8 with 1 channel are needed"),
    ],
)
def test_what_cannot_be_done_is_said(
    session: Session, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main([str(session.folder) if word == "RUN" else word for word in arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error


def test_conditional_runs_are_read_backwards_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = evenodds.fit("digits", "digits", out=tmp_path / "run", images=640, task="condition", batch=64, **SMALL)
    x = items(session).batch(torch.arange(4))["x"]
    assert features(session, x).shape[0] == 4
    data = items(session)
    c = conditions_of(session, data)
    assert c is not None
    assert data.y is not None
    assert torch.equal(c.argmax(1), data.y)
    for k in (2, 7):  # what the encoder learned to tell: which class was drawn
        drawn = session.answer(session.prior(50, 3), session.conditions.to_model([k]))
        codes = invert(session, drawn, encoder_of(session, 6400))
        assert codes.c is not None
        assert codes.c.shape == (50, 10)
        assert codes.c.sum(1).eq(1).all()
    run = str(tmp_path / "run")
    assert main(["reconstruct", run, "--n", "8", "--steps", "2"]) == 0
    assert main(["directions", run, "--n", "2", "--class", "3"]) == 0
    first = directions_of(session, 2, c=session.conditions.to_model([3]))
    assert not torch.allclose(first, directions_of(session, 2, c=session.conditions.to_model([5])))
    assert main(["directions", run, "--class", "three"]) == 2
    assert "no class 'three'" in capsys.readouterr().err
