"""Runs that make images or label maps of images, put to work on files as a user does."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.apply.answering import answered
from evenodds.apply.converting import Options, convert, network_of
from evenodds.apply.ensemble import eightfold
from evenodds.apply.folder import MOST_SAID
from evenodds.apply.making import maker_of, mixed
from evenodds.apply.photo import labels, read, through
from evenodds.cli import main
from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage
from evenodds.errors import BadInput
from evenodds.game.listeners.milestone import EARLIER
from evenodds.metrics.psnr import psnr
from evenodds.runs.session import Session

SMALL = {"device": "cpu", "batch": 4, "images": 48, "evaluate_share": 1.0, "save_share": 1.0}
RNG = np.random.default_rng(0)


def photo(height: int, width: int, channels: int = 3) -> Image.Image:
    """Something smooth with an edge."""
    y, x = np.mgrid[:height, :width] / 12
    planes = [127 + 80 * np.sin(x * (k + 1) + y) + 40 * (x > y) for k in range(channels)]
    return Image.fromarray(np.stack(planes, -1).clip(0, 255).astype(np.uint8)[..., 0 if channels == 1 else slice(None)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for k in range(10):
        photo(24, 28 + k).save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def upscaling(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    options = {**SMALL, "generator__width": 8, "generator__blocks": 1, "task__crop": 16, "size": 16}
    options["discriminator__width"] = 4
    out = tmp_path_factory.mktemp("runs") / "run"
    return evenodds.fit(photos, "upscale-x2", out=out, task__adversarial_from=0.5, **options)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Left of an edge lies one class, right of it another; above both a strip without any."""
    folder = tmp_path_factory.mktemp("scenes")
    for k in range(10):
        image, values = np.full((16, 24, 3), 40, np.uint8), np.full((16, 24), 3, np.uint8)
        image[:, 6 + k :], values[:, 6 + k :] = (200, 180, 90), 7
        values[:2] = 255
        for name, content in (("images", image), ("labels", values)):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(content).save(folder / name / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def segmenting(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    options = {**SMALL, "images": 160, "generator__width": 4, "generator__depth": 2, "task__adversarial": 0.0}
    return evenodds.fit(scenes, "segment", out=tmp_path_factory.mktemp("runs") / "run", **options)


def run(*words: object) -> int:
    return main([str(word) for word in words])


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def inside(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]


def decoded(path: Path) -> DecodedImage:
    found = read(File(path.name, lambda: path))
    assert isinstance(found, DecodedImage)
    return found


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [None, 24])
def test_a_file_is_what_the_run_answers_to_it(
    upscaling: Session, tile: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(51, 33).save(tmp_path / "a.png")
    words = ["upscale", upscaling.folder, tmp_path / "a.png", tmp_path / "b.png", *(["--tile", tile] if tile else [])]
    assert run(*words) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "b.png")]
    want = answered(upscaling, inside(pixels(tmp_path / "a.png")))["x"]
    off = np.abs(pixels(tmp_path / "b.png") - ((want[0].permute(1, 2, 0) + 1) * 127.5).numpy())
    assert off.max() <= 0.505  # rounded, of sums in single precision


def test_kinds_are_kept(upscaling: Session, tmp_path: Path) -> None:
    deep = (np.asarray(photo(9, 12, 1)).astype(np.uint16) << 8) + 77
    for name, image in {"grey": photo(9, 12, 1), "deep": Image.fromarray(deep), "clear": photo(1, 3, 4)}.items():
        image.save(tmp_path / f"{name}.png")
        assert run("upscale", upscaling.folder, tmp_path / f"{name}.png", tmp_path / "out") == 0
        made = decoded(tmp_path / "out" / f"{name}.png").pixels
        assert made.dtype == (np.uint16 if name == "deep" else np.uint8)
        assert made.shape == ((2, 6, 4) if name == "clear" else (18, 24, 1))


def test_a_session_shows_itself_in_a_line(upscaling: Session) -> None:
    assert repr(upscaling) == (
        f"<Session in '{upscaling.folder}': recipe upscale-x2, task upscale, "
        f"{upscaling.images:,} of {upscaling.config.images:,} images on cpu>"
    )


def test_mixing_is_a_line_between_two_networks(upscaling: Session) -> None:
    first, last = upscaling.players[EARLIER].state_dict(), upscaling.players["generator"].state_dict()
    assert any(not torch.equal(first[name], last[name]) for name in first)
    for share in (0.0, 0.3, 1.0):
        for name, value in mixed(upscaling, share).state_dict().items():
            torch.testing.assert_close(value, (1 - share) * first[name] + share * last[name])
    x = RNG.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    assert (maker_of(upscaling, 1.0).compute(x) == maker_of(upscaling).compute(x)).all()
    with torch.no_grad():
        want = upscaling.players[EARLIER](torch.from_numpy(x)).clamp(-1, 1).numpy()
    np.testing.assert_allclose(maker_of(upscaling, 0.0).compute(x), want, atol=1e-6)


def test_a_folder_goes_on_and_says_what_it_skips(
    upscaling: Session, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    for k, path in enumerate(sorted(photos.iterdir())[:3]):
        (source / ("deep" if k else "") / path.name).write_bytes(path.read_bytes())
    for k in range(MOST_SAID + 2):
        (source / f"broken{k:02}.jpg").write_bytes(b"\xff\xd8\xff")
    assert run("upscale", upscaling.folder, source, out) == 1
    said = capsys.readouterr()
    assert said.err.count("skipped broken") == MOST_SAID
    assert said.err.count("more are skipped; how many is said at the end") == 1
    assert f"3 images written to {out}; {MOST_SAID + 2} skipped" in said.err
    assert said.out.split() == [str(out)]
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
        "0.png",
        "deep/1.png",
        "deep/2.png",
    ]
    for path in source.glob("broken*.jpg"):
        path.unlink()
    for of_another_way in (["--ensemble"], ["--mix", "0"]):
        assert run("upscale", upscaling.folder, source, out, *of_another_way) == 2
        error = capsys.readouterr().err
        assert f"{out / '0.png'} was made by other weights or with other flags (so it is with 2 more)" in error
    (out / "0.png").unlink()
    assert run("upscale", upscaling.folder, source, out) == 0
    assert "1 image written to" in (err := capsys.readouterr().err)
    assert "2 were there already" in err


def test_scores_are_those_of_the_files(
    upscaling: Session, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, truth, out = tmp_path / "in", tmp_path / "truth", tmp_path / "out"
    source.mkdir()
    truth.mkdir()
    for name in ("0.png", "1.png", "2.png"):
        (source / name).write_bytes((photos / name).read_bytes())
    assert run("upscale", upscaling.folder, source, out) == 0
    made = pixels(out / "0.png")
    Image.fromarray(made).save(truth / "0.png")
    other = (made.astype(int) + RNG.integers(-9, 10, made.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(other).resize(pixels(out / "1.png").shape[1::-1]).save(truth / "1.tif")
    assert run("upscale", upscaling.folder, source, out, "--against", truth) == 0
    said = capsys.readouterr()
    assert "not scored: 2.png (no truth of that name)" in said.err
    found = json.loads((out / "scores.json").read_text())
    same, near = found["files"]
    assert same["psnr"] is None  # infinite
    assert same["ssim"] == pytest.approx(1)
    want = psnr(inside(pixels(out / "1.png")), inside(pixels(truth / "1.tif")), border=2)
    assert near["psnr"] == pytest.approx(float(want))
    assert found["total"]["psnr"] == near["psnr"]
    assert {"bicubic_psnr", "bicubic_ssim"} <= near.keys()
    assert "mean" in said.out


def test_colours_are_scored_where_a_run_finds_them(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The input of a run that colours is grey, so its error is that of the luma in all channels."""
    options = {**SMALL, "images": 16, "generator__width": 4, "generator__depth": 1, "task__adversarial": 0.0}
    session = evenodds.fit(photos, "colourise", out=tmp_path / "run", task__crop=16, size=16, **options)
    source = tmp_path / "in"
    source.mkdir()
    photo(20, 24).save(source / "a.png")
    photo(20, 24, 1).save(source / "b.png")
    assert run("translate", session.folder, source, tmp_path / "out", "--against", source) == 0
    colour, grey = json.loads((tmp_path / "out" / "scores.json").read_text())["files"]
    x = np.asarray(photo(20, 24)).astype(float)
    luma = (x @ [0.299, 0.587, 0.114]).round()[..., None]
    assert colour["input_colour_psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean((x - luma) ** 2)), abs=0.01)
    made = pixels(tmp_path / "out" / "a.png").astype(float)
    assert colour["colour_psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean((x - made) ** 2)))
    assert grey["input_colour_psnr"] is None  # grey is all that there is
    assert "colour PSNR" in capsys.readouterr().out


# --- maps ------------------------------------------------------------------------------------------------------------


def test_maps_have_the_values_of_the_files(
    segmenting: Session, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["segment", segmenting.folder, scenes / "images", out, "--against", scenes / "labels"]
    assert run(*words) == 0
    found = json.loads((out / "scores.json").read_text())["total"]
    matrix = np.zeros((2, 2), int)
    for path in sorted((scenes / "labels").iterdir()):
        made, true = pixels(out / "labels" / path.name), pixels(path)
        assert set(np.unique(made)) <= {3, 7}
        with Image.open(out / "labels" / path.name) as image:
            assert image.mode == "P"  # shown in colours
        assert pixels(out / "overlays" / path.name).shape == (16, 24, 3)
        np.add.at(matrix, (true[true < 255] // 7, made[true < 255] // 7), 1)
    assert found["confusion"] == matrix.tolist()
    assert found["accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum())
    overlap = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))
    assert found["iou"] == pytest.approx(overlap)
    assert found["mean_iou"] == pytest.approx(overlap.mean())
    assert found["boundary_f"] == pytest.approx(np.mean(found["boundary"]))
    assert (out / "legend.png").is_file()
    assert (out / "legend.csv").read_text().splitlines()[1].startswith("class 3,3,#")
    said = capsys.readouterr().out
    assert f"mean IoU {found['mean_iou']:.1%}, boundary F {found['boundary_f']:.1%}" in said


def test_maps_by_the_mean_with_the_mirror_image(
    segmenting: Session, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mirrored image then has the mirrored map."""
    with Image.open(scenes / "images" / "1.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    assert run("segment", segmenting.folder, scenes / "images" / "1.png", tmp_path / "a.png", "--flips") == 0
    assert run("segment", segmenting.folder, tmp_path / "mirrored.png", tmp_path / "b.png", "--flips") == 0
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")[:, ::-1])
    words = [
        "segment",
        segmenting.folder,
        scenes / "images" / "1.png",
        tmp_path / "c.png",
        "--flips",
        "--larger",
        "1.5",
    ]
    assert run(*words) == 0
    assert pixels(tmp_path / "c.png").shape == pixels(tmp_path / "a.png").shape
    assert "has seen nothing enlarged more than 1 times" in capsys.readouterr().err
    assert run("segment", segmenting.folder, scenes / "images", tmp_path / "maps") == 0
    for of_another_way in (["--flips"], ["--larger", "1.5"]):
        assert run("segment", segmenting.folder, scenes / "images", tmp_path / "maps", *of_another_way) == 2
        assert "was made by other weights or with other flags" in capsys.readouterr().err


def test_a_run_meets_its_own_maps_again(segmenting: Session, scenes: Path, tmp_path: Path) -> None:
    """What segment writes can be trained on, and held against itself is without error."""
    one = scenes / "images" / "4.png"
    assert run("segment", segmenting.folder, one, tmp_path / "a.png") == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        ".evenodds.jsonl", "a.png", "a-overlay.png", "a-legend.png", "a-legend.csv"
    }  # fmt: skip
    assert run("segment", segmenting.folder, one, tmp_path / "b.png", "--against", tmp_path / "a.png") == 0
    assert json.loads((tmp_path / "b-scores.json").read_text())["total"]["accuracy"] == 1


def test_results_within_the_source_are_no_inputs(segmenting: Session, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        photo(16, 24).save(tmp_path / name)
    words = ["segment", segmenting.folder, tmp_path, tmp_path / "out"]
    for more in ([], ["--again"]):
        assert run(*words, *more) == 0
        assert len(list((tmp_path / "out" / "labels").rglob("*.png"))) == 2
        assert len(list((tmp_path / "out" / "overlays").rglob("*.png"))) == 2
    assert run("segment", segmenting.folder, tmp_path, tmp_path) == 2
    assert run(*words, "--against", tmp_path / "out" / "labels") == 2  # results are no truth


def test_tiles_of_maps_join(segmenting: Session) -> None:
    image = DecodedImage("a", np.asarray(photo(190, 230)), (190, 230))
    whole = network_of(maker_of(segmenting), tile=4096)
    parts = network_of(maker_of(segmenting), tile=4 * whole.tiling.margin)  # type: ignore[operator]
    assert parts.tiling.exact
    assert (labels(whole, image) == labels(parts, image)).mean() > 0.9999  # ties may fall either way


# --- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["segment", "{up}", "{in}", "{out}"], "`evenodds upscale`"),
        (["upscale", "{seg}", "{in}", "{out}"], "`evenodds segment`"),
        (["upscale", "{up}", "{in}", "{out}", "--mix", "2"], "must be a number from 0 to 1"),
        (["upscale", "{up}", "{in}", "{in}"], "holds the inputs themselves"),
        (["upscale", "{up}", "{in}/missing.png", "{out}"], "no file or folder"),
        (["upscale", "{up}", "{in}", "{out}", "--tile", "0"], "tile"),
        (["upscale", "{up}", "{in}", "{out}", "--against", "{in}/missing"], "no file or folder"),
        (["upscale", "{up}", "{in}", "{out}", "--against", "{out}"], "nothing can be held against"),
    ],
)
def test_what_cannot_be_is_one_line(
    upscaling: Session,
    segmenting: Session,
    words: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    photo(8, 8).save(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    photo(8, 8).save(tmp_path / "out" / "other.png")
    places = {"up": upscaling.folder, "seg": segmenting.folder, "in": tmp_path / "in", "out": tmp_path / "out"}
    places["new"] = tmp_path / "new"
    if "--against" in words:
        words = [*words[:3], "{new}", *words[4:]]
        if said == "no file or folder":
            photo(8, 8).save(tmp_path / "in" / "b.png")
    assert run(*(word.format(**places) for word in words)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("evenodds: error")
    assert said in error


def test_runs_without_a_second_network_have_no_mix(segmenting: Session) -> None:
    with pytest.raises(evenodds.errors.BadInput, match="one network"):
        mixed(segmenting, 0.5)


def test_large_images_need_little_memory(upscaling: Session) -> None:
    """No tile is larger than asked, whatever the image is."""
    network, seen = network_of(maker_of(upscaling), tile=32), []

    def apply(x: np.ndarray) -> np.ndarray:
        seen.append(max(x.shape))
        return network.apply(x)

    watched = type(network)(apply, network.inputs, network.outputs, network.tiling, network.restores)
    assert through(watched, DecodedImage("a", np.asarray(photo(100, 90)), (100, 90))).shape == (3, 200, 180)
    assert max(seen) <= 32


def test_an_ensemble_answers_alike_from_every_side(upscaling: Session, photos: Path, tmp_path: Path) -> None:
    network = maker_of(upscaling).compute
    x = RNG.uniform(-1, 1, (1, 3, 12, 16)).astype(np.float32)
    answer = eightfold(network)(x)
    turns = [lambda y: y[..., ::-1], lambda y: np.rot90(y, 1, (2, 3)), lambda y: np.rot90(y[..., ::-1, :], 3, (2, 3))]
    for turn in turns:
        np.testing.assert_allclose(eightfold(network)(turn(x)), turn(answer), atol=1e-5, rtol=1e-4)
    assert np.abs(answer - network(x)).max() > 1e-4
    words = ["upscale", str(upscaling.folder), str(photos / "0.png"), str(tmp_path / "0.png")]
    assert main(words) == 0
    plain = np.asarray(Image.open(tmp_path / "0.png")).astype(int)
    assert main([*words, "--ensemble", "--again"]) == 0
    turned = np.asarray(Image.open(tmp_path / "0.png")).astype(int)
    assert turned.shape == plain.shape
    assert 0 < np.abs(turned - plain).max() < 64


def test_labels_have_no_mean(segmenting: Session, scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="labels have no mean"):
        convert(maker_of(segmenting), scenes / "images", tmp_path / "out", Options(ensemble=True))
