"""Files as people have them, through a network and back: every kind keeps its kind, what is broken is skipped."""

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from evenodds.apply import folder as conversion
from evenodds.apply.folder import Convert, Converted
from evenodds.apply.photo import Network, labels, notes_on, read, through, write, write_through
from evenodds.apply.tiling import Tiling
from evenodds.data.folders.files import file_at
from evenodds.data.pictures.opening import File, Unusable
from evenodds.data.pictures.picture import DecodedImage
from evenodds.errors import BadInput
from evenodds.files.outputs import Outputs
from evenodds.parts.mappers._parts import enlarged
from tests.arrays import of_arrays
from tests.nasty import BROKEN, DEEP, READABLE, mixed_folder


def picture(name: str) -> DecodedImage:
    found = read(File(name, lambda: io.BytesIO(READABLE[name][0])))
    assert isinstance(found, DecodedImage)
    return found


def bicubic(scale: int) -> Callable[[Tensor], Tensor]:
    return lambda x: enlarged(x, scale).clamp(-1, 1)


def of_bicubic(scale: int) -> Callable[[Any], Any]:
    return of_arrays(bicubic(scale))


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_network_that_changes_nothing_changes_nothing(name: str, channels: int, tmp_path: Path) -> None:
    """Kind, depth and alpha of the file come back bit for bit, whatever the network's channels."""
    image = picture(name)
    made = through(Network(lambda x: x, channels, channels, Tiling(8, 0)), image)
    assert (made.shape[0], str(made.dtype)) == READABLE[name][1:3]
    assert np.array_equal(np.moveaxis(made, 0, -1), image.pixels)
    again = read(File(name, lambda: write(tmp_path / "a.png", made, image)))
    assert isinstance(again, DecodedImage)
    assert np.array_equal(again.pixels, image.pixels) or "1x1" in name
    assert (again.profile is not None) == ("profile" in name)


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_bicubic_network_is_bicubic_for_every_kind(name: str, channels: int, scale: int) -> None:
    """Luma and repetition commute with what is linear, so that the detour by the network's channels leaves no trace."""
    image = picture(name)
    made = through(Network(of_bicubic(scale), channels, channels, Tiling(16, 2, scale)), image)
    full = 65535 if image.pixels.dtype == np.uint16 else 255
    x = torch.from_numpy(image.pixels.astype(np.float32)).permute(2, 0, 1)[None] / full * 2 - 1
    want = ((bicubic(scale)(x)[0] + 1) / 2 * full).round()
    off = (torch.from_numpy(made.astype(np.float32)) - want).abs()
    if channels < 4 and x.shape[1] in (2, 4):  # Colours that cannot be seen are none.
        near = F.max_pool2d((x[:, -1:] == -1).float(), 5, 1, 2).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        off[:-1] *= 1 - near[0]
    # Clipping a colour's channels and clipping its luma differ where bicubic overshoots.
    apart = channels == 1 and image.pixels.shape[2] >= 3
    assert off.median() <= 1
    assert apart or off.max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_what_cannot_be_seen_leaves_no_rim(channels: int, scale: int) -> None:
    """One colour, in the midst of black that is transparent, is that colour wherever it is seen."""
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[10:20, 7:30] = (200, 100, 40, 255)
    pixels[12:14, 9:11] = 0
    made = through(
        Network(of_bicubic(scale), channels, channels, Tiling(48, 2, scale)), DecodedImage("a", pixels, (30, 40))
    )
    seen = made[3] > 0
    assert seen.sum() >= scale**2 * (10 * 23 - 4)
    assert np.abs(made[:3, seen].T.astype(int) - (200, 100, 40)).max() <= 1
    if scale == 1:
        assert np.array_equal(np.moveaxis(made, 0, -1), pixels)


def test_other_channels_out_than_in_are_the_networks() -> None:
    colours = Network(lambda x: np.concatenate([x, -x, 0 * x], 1), 1, 3, Tiling(8, 0))
    assert through(colours, picture("grey-8.png")).shape == (3, 12, 17)
    assert through(colours, picture("alpha.png")).shape == (4, 12, 17)
    deep = through(colours, picture("grey-16.png"))
    assert np.array_equal(deep[0], DEEP)
    assert np.array_equal(deep[1], 65535 - DEEP)


@pytest.mark.parametrize("name", READABLE)
def test_labels_are_of_every_pixel(name: str) -> None:
    image = picture(name)
    found = labels(Network(lambda x: (x[:, :1] > 0) + np.int64(3), 3, 1, Tiling(8, 1, 1, 4)), image)
    assert found.shape == image.size
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {3, 4}


@pytest.mark.parametrize("name", READABLE)
def test_what_was_done_is_said(name: str) -> None:
    clauses = notes_on(picture(name))
    assert any(READABLE[name][3] in clause for clause in clauses) if READABLE[name][3] else not clauses


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All of them, some in a folder within."""
    return mixed_folder(tmp_path / "photos")


def convert_all(source: Path, out: Path, work: Callable[[Outputs], Convert], **options: Any) -> Converted:
    """As the command does it, which is called upscale here."""
    outputs = Outputs(out.parent if out.suffix == ".png" else out, "upscale", damaged=conversion.is_unreadable)
    return conversion.convert_all(source, out, work(outputs), outputs, **options)


def double(outputs: Outputs) -> Convert:
    return partial(doubled, outputs)


def doubled(outputs: Outputs, image: DecodedImage, target: Path, progress: Callable[[int, int], None]) -> list[str]:
    network = Network(lambda x: x.repeat(2, 2).repeat(2, 3), 3, 3, Tiling(8, 0, 2))
    write_through(target, network, image, progress, outputs.replaced)
    return notes_on(image)


def check_all(found: Converted, out: Path) -> None:
    assert len(found.written) == len(READABLE)
    assert len(list(out.rglob("*.png"))) == len(READABLE)
    assert sorted(line.split("/")[-1].split(" (")[0] for line in found.skipped) == sorted(BROKEN)
    for line in found.skipped:
        assert BROKEN[line.split("/")[-1].split(" (")[0]][1] in line


def test_a_mixed_folder_is_done_as_far_as_it_can_be(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    out, lines, steps = tmp_path / "out", [], []
    found = convert_all(folder, out, double, say=lines.append, step=lambda *told: steps.append(told))
    check_all(found, out)
    assert len(lines) == len(BROKEN)
    assert found.ignored == 1
    done = [step[1] for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1][2]
    assert f"{len(READABLE)} images written" in found.summary(out)[-1]
    assert f"{len(BROKEN)} skipped" in found.summary(out)[-1]
    with Image.open(next(out.rglob("rotated.png"))) as image:
        assert image.size == (24, 34)
    # Names that differ in their endings alone stay apart.
    assert {path.name for path in out.rglob("grey-16*")} <= {"grey-16.png", "grey-16.png.png", "grey-16.tif.png"}
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_there_is_left_unless_again(folder: Path, tmp_path: Path) -> None:
    out = folder / "out"  # within the source: results are no inputs of the next call
    first = convert_all(folder, out, double)
    first.written[0].unlink()
    second = convert_all(folder, out, double)
    assert second.written == first.written[:1]
    assert sorted(second.there) == sorted(first.written[1:])
    assert "were there already" in second.summary(out)[-1]
    assert len(convert_all(folder, out, double, again=True).written) == len(READABLE)


def test_a_zip_is_a_folder_and_leads_nowhere_else(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in folder.rglob("*"):
            packed.write(path, path.relative_to(folder))
        for name in ("../outside.png", f"{tmp_path}/outside.png"):
            packed.writestr(name, READABLE["grey-8.png"][0])
    found = convert_all(archive, tmp_path / "out", double)
    assert any("leads out of the folder" in line for line in found.skipped)
    assert not (tmp_path / "outside.png").exists()
    assert len(found.written) == len(READABLE)


def test_interrupted_work_leaves_whole_files(folder: Path, tmp_path: Path) -> None:
    def stopped(outputs: Outputs) -> Convert:
        def work(image: DecodedImage, target: Path, progress: Callable[[int, int], None]) -> list[str]:
            if "film" in image.name:
                raise KeyboardInterrupt
            return doubled(outputs, image, target, progress)

        return work

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        convert_all(folder, out, stopped)
    there = len(list(out.rglob("*.png")))
    assert 0 < there < len(READABLE)
    found = convert_all(folder, out, double)
    assert len(found.there) == there
    assert len(found.written) == len(READABLE) - there


def test_one_file_is_always_made(folder: Path, tmp_path: Path) -> None:
    source = next(folder.rglob("colour.jpg"))
    for out, target in ((tmp_path / "a.png", "a.png"), (tmp_path / "b", "b/colour.png")):
        for _ in range(2):
            assert convert_all(source, out, double).written == [tmp_path / target]
    broken = next(folder.rglob("text.png"))
    assert convert_all(broken, tmp_path / "c.png", double).skipped == ["text.png (not an image)"]


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("missing", "out", "no file or folder"),
        ("photos", "photos", "holds the inputs"),
        ("photos", "photos/notes.txt", "need a folder"),
        ("photos/grey-8.png", "photos/grey-8.png", "is the input itself"),
        ("photos/grey-8.png", "photos", "is the input itself"),
        ("photos/grey-8.png", "out.jpg", "name it out.png"),
        ("photos/empty", "out", "holds no images"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, tmp_path: Path, source: str, out: str, message: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(BadInput, match=message):
        convert_all(tmp_path / source, tmp_path / out, double)


def test_a_result_that_is_too_large_for_an_array_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, network = picture("alpha-16.png"), Network(of_bicubic(2), 3, 3, Tiling(8, 2, 2))
    whole = through(network, image)
    monkeypatch.setattr("evenodds.apply.photo._LARGEST", 3000)
    with pytest.raises(Unusable, match="cut the image into parts"):
        through(network, image)
    assert write_through(tmp_path / "a.png", network, image) == 4
    again = read(file_at(tmp_path / "a.png"))
    assert isinstance(again, DecodedImage)
    assert np.array_equal(np.moveaxis(again.pixels, -1, 0), whole)


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("margin", [2, 30])
def test_rows_are_the_whole_and_the_file(name: str, scale: int, margin: int, tmp_path: Path) -> None:
    """By tiles that join exactly or fade, whatever the kind: what is written by rows is what the array holds."""
    image = picture(name)
    network = Network(of_bicubic(scale), 3, 3, Tiling(48, margin, scale))
    whole = through(network, image)
    assert write_through(tmp_path / "a.png", network, image) == len(whole)
    again = read(file_at(tmp_path / "a.png"))
    assert isinstance(again, DecodedImage)
    assert np.array_equal(np.moveaxis(again.pixels, -1, 0), whole)


def test_a_picture_above_the_limit_is_skipped_and_the_limit_can_be_raised(folder: Path, tmp_path: Path) -> None:
    found = convert_all(folder, tmp_path / "out", double, most_pixels=100)
    (line,) = (line for line in found.skipped if "colour.jpg" in line)
    assert line.split("/")[-1] == (
        "colour.jpg (too many pixels: 17 x 12; --most-pixels, or data.most_pixels of a run, raises the limit of 100)"
    )
    assert {path.stem for path in found.written} == {"1x1", "3-high-16", "interlaced-16"}
    with pytest.raises(BadInput, match="most_pixels needs"):
        convert_all(folder, tmp_path / "out", double, most_pixels=0)
