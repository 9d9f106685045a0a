"""Near duplicates: which items a group holds, what is refused, what the command says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.evaluation import duplicates
from evenodds.metrics.duplicates import near_duplicates
from evenodds.pretrained import efficientnet_lite


def test_groups_are_the_components_of_pairs_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    angles = torch.tensor([0.0, 90, 10, 20, 91, 200, 0.0]).deg2rad()
    rows = torch.stack([angles.cos(), angles.sin()], 1) * torch.rand(7, 1).add(0.5)
    monkeypatch.setattr("evenodds.metrics.duplicates.PAIRS", 14)  # two rows at a time
    groups = near_duplicates(rows, float(torch.tensor(12.0).deg2rad().cos()))
    assert [group.items for group in groups] == [(0, 2, 3, 6), (1, 4)]  # 0 and 20 degrees are joined through 10
    assert groups[0].most == pytest.approx(1)
    assert groups[0].least == pytest.approx(float(torch.tensor(10.0).deg2rad().cos()))
    assert near_duplicates(torch.zeros(3, 2), 0.5) == []
    assert near_duplicates(torch.ones(3, 2), 1.0)[0].items == (0, 1, 2)
    for wrong, threshold, said in (
        (rows, 0.0, "cosine in"),
        (rows * torch.inf, 0.5, "finite"),
        (rows[0], 0.5, "finite"),
    ):
        with pytest.raises(BadInput, match=said):
            near_duplicates(wrong, threshold)


def test_the_command_names_copies_and_says_by_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet_lite, "is_here", lambda: False)
    rng = np.random.default_rng(0)
    for k in range(5):  # blots, each in places and colours of its own
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(
            (48, 48), Image.Resampling.BICUBIC
        )
        coarse.save(tmp_path / f"{k}.png")
        if k == 3:
            coarse.save(tmp_path / "copy.jpg", quality=80)
    words = ["duplicates", str(tmp_path), "--size", "32"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out.split()[-2:] == ["3.png", "copy.jpg"]
    assert len(said.out.splitlines()) == 1
    assert "1 group with 2 of 6 images, by random features, cosine 0.985 or more" in said.err
    assert duplicates.MISSING in said.err
    assert main([*words, "--threshold", "0.01"]) == 0
    assert "raise --threshold" in capsys.readouterr().err
    assert main([*words, "--features", "inception"]) == 2
    assert "random" in capsys.readouterr().err
    assert main(["duplicates", "ring"]) == 2
