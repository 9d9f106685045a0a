"""Styles: coarse, middle and fine levels of two samples, truncation in w, noise that follows from z."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.apply.encoder import encoder_of
from evenodds.apply.inversion import invert
from evenodds.apply.items import items
from evenodds.apply.mixing import mixed, mixed_images
from evenodds.apply.selecting import sample
from evenodds.cli import main
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.parts.networks.style import Generator
from evenodds.runs.fit import fit
from evenodds.runs.session import Session

SMALL = {"generator__width": 4, "discriminator__width": 4, "images": 32, "batch": 16, "device": "cpu", "watch": "off"}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    x = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), dtype=np.uint8)
    data = from_array(x, y=["ab"[k % 2] for k in range(80)])
    out = tmp_path_factory.mktemp("styled") / "run"
    return fit(data, "color-32", out=out, generator="style", **SMALL)


def test_a_third_of_the_levels_is_that_of_the_other(session: Session) -> None:
    x = mixed(session, 3, 0, 5, "b").astype(int)
    assert x.shape == (3, 5, 3, 16, 16)
    ends = [session.sample(3, seed, y=[1] * 3).astype(int) for seed in (0, 5)]
    assert np.abs(x[:, 0] - ends[0]).max() <= 1
    assert np.abs(x[:, 4] - ends[1]).max() <= 1
    for part in range(1, 4):
        assert np.abs(x[:, part] - x[:, 0]).max() > 0
    assert np.array_equal(mixed(session, 2, 0, 0)[:, 1], mixed(session, 2, 0, 0)[:, 0])


def test_the_command_leaves_a_sheet(session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["mix", str(session.folder), "-n", "2", "--class", "a", "--out", str(tmp_path / "m.png")]
    assert main(words) == 0
    with Image.open(tmp_path / "m.png") as sheet:
        assert sheet.width > 2 * sheet.height
    assert "coarse, middle, fine levels of seed 1" in capsys.readouterr().err
    assert main([*words, "--with", "7"]) == 0  # its own file
    (tmp_path / "m.png").write_bytes(b"of the user")
    assert main(words) == 2
    assert (tmp_path / "m.png").read_bytes() == b"of the user"


def test_two_images_are_mixed_as_the_run_generates_them_again(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder, names = encoder_of(session, 64), [str(tmp_path / f"{k}.png") for k in range(2)]
    for k, name in enumerate(names):
        Image.fromarray(np.full((16, 16, 3), 90 * k + 40, dtype=np.uint8)).save(name)
    x = mixed_images(session, *names)
    assert x.shape == (1, 5, 3, 16, 16)
    for side, name in ((0, names[0]), (4, names[1])):
        codes = invert(session, items(session, name).batch(torch.arange(1))["x"], encoder)
        assert codes.x is not None
        again = np.asarray(session.card.units.to_data(codes.x))
        assert np.abs(x[0, side].astype(int) - again[0].astype(int)).max() <= 1
    words = ["mix", str(session.folder), "--from", names[0], "--out", str(tmp_path / "two.png")]
    assert main(words) == 2
    assert "give the other one too" in capsys.readouterr().err
    assert main([*words, "--to", names[1]]) == 0
    assert (tmp_path / "two.png").is_file()


def test_a_run_without_styles_is_told_how_to_get_them(session: Session) -> None:
    with pytest.raises(BadInput, match="train with --set generator=style"):
        mixed(replace(session, players={"generator": torch.nn.Identity()}), 1, 0, 1)


def test_truncation_goes_to_the_mean_of_w(session: Session) -> None:
    plain, close = (sample(session, 8, 1, y=[0] * 8, truncation=factor) for factor in (1.0, 0.01))
    assert plain.astype(float).std(0).mean() > 5 * close.astype(float).std(0).mean()
    assert np.array_equal(plain, session.sample(8, 1, y=[0] * 8))  # the run itself is not changed


def test_noise_follows_from_z_and_is_uniform_and_independent() -> None:
    torch.manual_seed(0)
    net = Generator(8, (1, 8, 8), width=4).eval()
    hand = net.hand(torch.randn(4000, 8))
    assert torch.allclose(hand.mean(0), torch.full((4,), 0.5), atol=0.02)
    layer = net.levels[1].convolutions[0]
    noise = (hand @ layer.steps).remainder(1) - 0.5
    assert torch.allclose(noise.var(0), torch.full((64,), 1 / 12), atol=0.008)
    assert (torch.corrcoef(noise.T) - torch.eye(64)).abs().max() < 0.09
    with torch.no_grad():
        for level in net.levels:
            for one in level.convolutions:
                one.strength.fill_(0.5)
        z = torch.randn(5, 8)
        torch.testing.assert_close(net(z)[2:3], net(z[2:3]), atol=1e-4, rtol=1e-3)
        assert (net(z) - net.synthesise(net.styles(z))).abs().max() > 0.01
