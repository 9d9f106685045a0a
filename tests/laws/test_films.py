"""Films: what is written of frames is what they would get alone."""

from pathlib import Path

import numpy as np
from PIL import Image

from evenodds.show.pictures import enlarge, film, to_image


def test_a_film_has_the_colours_that_its_enlarged_frames_would_get(tmp_path: Path) -> None:
    """The colours are chosen before pixels are repeated."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 3, 20, 20), dtype=np.uint8)
    with Image.open(film(tmp_path / "a.gif", frames, 3)) as image:
        for k, frame in enumerate(frames):
            image.seek(k)
            whole = to_image(enlarge(frame, 256)).convert("P", palette=Image.Palette.ADAPTIVE)
            assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(whole.convert("RGB")))
