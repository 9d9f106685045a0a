"""A run that fills in, as a user meets it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.apply.filling import fillings, noise
from evenodds.apply.finish import finish
from evenodds.apply.items import items
from evenodds.apply.making import filler_of
from evenodds.cli import main
from evenodds.cli.train import next_steps
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.runs.session import Session
from evenodds.tasks.fill import Fill
from tests.short import AT_THE_END

PLAIN = {"generator__width": 8, "discriminator__width": 8, "device": "cpu", **AT_THE_END}
SMALL = {**PLAIN, "batch": 16, "size": None, "prior__size": 6}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    options = {**SMALL, "task__masks": "boxes,halves"}
    return evenodds.fit("digits", "fill-32", out=tmp_path_factory.mktemp("runs") / "run", images=640, **options)


@pytest.fixture
def files(session: Session, tmp_path: Path) -> tuple[Path, Path]:
    """An image of the run's size, and a mask whose lower half is white."""
    x = session.card.eight_bit(items(session).x[:1].numpy())[0, 0]
    Image.fromarray(x).save(tmp_path / "image.png")
    Image.fromarray(np.repeat([[0], [255]], 4, 0).repeat(8, 1).astype(np.uint8)).save(tmp_path / "mask.png")
    return tmp_path / "image.png", tmp_path / "mask.png"


def test_what_is_observed_stays_and_fillings_differ(
    session: Session, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fill", str(session.folder), str(files[0]), "--mask", str(files[1]), "-n", "3", "--out", str(tmp_path)]
    assert main(words) == 0
    written = [Path(line) for line in capsys.readouterr().out.split()]
    assert [path.name for path in written] == ["filling-1.png", "filling-2.png", "filling-3.png", "fillings.png"]
    x, *made = (np.asarray(Image.open(path)) for path in (files[0], *written[:3]))
    assert all(np.array_equal(one[:4], x[:4]) for one in made)
    assert not np.array_equal(made[0][4:], made[1][4:])
    assert main([*words[:-3], "1", *words[-2:]]) == 0
    assert np.array_equal(np.asarray(Image.open(written[0])), made[0])


def test_a_folder_is_filled_in_by_masks_of_its_names(
    session: Session, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("in/a.png", "in/sub/b.jpg.png", "in/c.png", "masks/a.png", "masks/sub/b.jpg.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(files[name.startswith("masks")].read_bytes())
    words = ["fill", str(session.folder), str(tmp_path / "in"), "-n", "2", "--out", str(tmp_path / "out")]
    assert main([*words, "--mask", str(tmp_path / "masks")]) == 1
    assert "skipped c.png (no mask of its name" in capsys.readouterr().err
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")} == {
        f"filling-{k}/{name}" for k in (1, 2) for name in ("a.png", "sub/b.jpg.png")
    }
    assert main([*words, "--mask", str(files[1])]) == 0  # what is there stays, the rest is filled in by one mask
    assert "1 image written" in (said := capsys.readouterr().err)
    assert "2 were there already (--again" in said
    assert main([*words, "--mask", str(files[1]), "--seed", "1"]) == 2
    assert "was made by other weights or with other flags" in capsys.readouterr().err
    assert main([*words, "--mask", str(files[1]), "--again"]) == 0
    assert "3 images written" in capsys.readouterr().err
    alone = ["fill", str(session.folder), str(files[0]), "-n", "2", "--out", str(tmp_path / "one")]
    assert main([*alone, "--mask", str(files[1])]) == 0
    for k in (1, 2):
        assert (tmp_path / f"one/filling-{k}.png").read_bytes() == (tmp_path / f"out/filling-{k}/c.png").read_bytes()


def test_a_run_that_fills_is_a_run(session: Session, tmp_path: Path) -> None:
    assert isinstance(session.task, Fill)
    again = evenodds.load(session.folder, device="cpu")
    assert np.array_equal(again.sample(5), session.sample(5))
    x, mask = items(session).batch(torch.arange(6))["x"].numpy(), np.ones((6, 1, 8, 8), np.float32)
    mask[:, :, :, 4:] = 0
    two, four = (fillings(filler_of(one), x, mask, n, seed=3) for one, n in ((again, 2), (session, 4)))
    assert np.array_equal(two, four[:2])
    filler = filler_of(session)  # the noise of a pair of fillings is opposed, unless the prior lies to one side
    opposed, apart = (list(noise(filler.prior, one, 6, 3, seed=3)) for one in (filler.symmetric, False))
    assert np.array_equal(opposed[1], -opposed[0])
    assert np.array_equal(opposed[2], apart[2])
    assert abs(np.mean(apart[1] * apart[0])) < 0.2
    found = evaluate(session, metrics=["equilibrium", "duality_gap"], n=60)
    assert found["equilibrium"]["duality_gap"]["gap"] >= 0
    scores = [line["score"] for line in session.history() if "score" in line]
    assert scores
    assert np.isfinite(scores).all()
    with Image.open(sorted((session.folder / "samples").iterdir())[-1]) as picture:
        assert picture.size[0] > 2 * picture.size[1]  # twelve columns of five
    options = {**SMALL, "average_half_life": 0, "decay": "constant"}
    whole = evenodds.fit("digits", "fill-32", out=tmp_path / "whole", images=320, **options)
    evenodds.fit("digits", "fill-32", out=tmp_path / "parts", images=160, **options)
    rest = evenodds.resume(tmp_path / "parts", settings={"images": 320})
    for a, b in zip(whole.players["generator"].parameters(), rest.players["generator"].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mask": "black"}, "hides nothing"),
        ({"n": "0"}, "-n must be a whole number from 1"),
        ({"image": "missing.png"}, "no file or folder"),
        ({"run": "plain"}, "fills nothing in"),
    ],
)
def test_what_cannot_be_filled_is_said(
    session: Session,
    files: tuple[Path, Path],
    tmp_path: Path,
    change: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, image, mask = session.folder, *files
    if change.get("mask"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(mask)
    if change.get("run"):
        run = tmp_path / "plain"
        evenodds.fit("digits", "digits", out=run, images=64, **PLAIN)
    words = ["fill", str(run), change.get("image", str(image)), "--mask", str(mask), "-n", change.get("n", "2")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.strip().splitlines()[-1].startswith("evenodds: error")


@pytest.mark.parametrize("way", ["white", "one", "transparent", "erased", "red", "larger"])
def test_masks_as_people_paint_them(
    way: str, session: Session, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, mask = files
    hide = np.zeros((8, 8), bool)
    hide[2:6, 3:7] = True
    photo = np.repeat(np.asarray(Image.open(image))[..., None], 3, 2)
    pictures = {
        "white": (hide * 255).astype(np.uint8),
        "one": hide.astype(np.uint8),
        "transparent": np.dstack([np.full((8, 8, 3), 255, np.uint8), np.where(hide, 0, 255).astype(np.uint8)]),
        "erased": np.dstack([photo, np.where(hide, 0, 255).astype(np.uint8)]),
        "red": np.where(hide[..., None], np.uint8([250, 10, 10]), photo),
        "larger": np.kron(hide * 255, np.ones((4, 4))).astype(np.uint8),
    }
    Image.fromarray(pictures[way]).save(mask)
    words = ["fill", str(session.folder), str(image), "--mask", str(mask), "-n", "1", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert "Hidden is 25.0% of the image" in capsys.readouterr().err
    made = np.asarray(Image.open(tmp_path / "out" / "filling-1.png"))
    assert np.array_equal(made[~hide], np.asarray(Image.open(image))[~hide])
    assert not np.array_equal(made[hide], np.asarray(Image.open(image))[hide])


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.full((8, 8), 255, np.uint8), "the mask hides all of the image"),
        (np.eye(8, 16).astype(np.uint8) * 255, "the mask of 8 x 16 has other proportions than the image of 8 x 8"),
    ],
)
def test_masks_that_cannot_be_are_refused(
    mask: np.ndarray, said: str, session: Session, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(mask).save(files[1])
    assert main(["fill", str(session.folder), str(files[0]), "--mask", str(files[1])]) == 2
    assert said in capsys.readouterr().err


def test_tables_and_unknown_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no filler 'mlp'; known: images, rows"):
        evenodds.fit(np.random.default_rng(0).normal(size=(40, 3)), "table", out=tmp_path / "a", task="fill")
    with pytest.raises(BadInput, match="did you mean 'boxes'"):
        evenodds.fit("digits", "fill-32", out=tmp_path / "b", images=64, **SMALL, task__masks="boxs")


def test_a_run_that_fills_ends_with_fillings_and_says_how_to_fill(session: Session) -> None:
    """It ended with samples alone, for which such a run is least."""
    assert session.folder / "answers.png" in finish(session).written
    last = max((session.folder / "samples").glob("[0-9]*.png"))
    assert (session.folder / "answers.png").read_bytes() == last.read_bytes()
    assert "answers.png" in (session.folder / "README.txt").read_text()
    assert any(line.endswith(f"fill {session.folder} IMAGE --mask MASK") for line in next_steps(session))
