"""Parts of one's own: what is wrong with them is said before a run, in one line, by their name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.game.schedule import Progress
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.runs.allowed import allowing
from evenodds.runs.assembly import Run
from evenodds.runs.at_once import scores_items_alone
from evenodds.runs.build import build_decay, build_task
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.own_parts import _Trial, require_own_parts
from evenodds.runs.reading import open_data
from evenodds.runs.run import resume, start
from evenodds.tasks._loss_check import require_loss, require_trained
from evenodds.tasks.contest import Contest

OWN = """
import torch
from torch import nn


def fails(real, fake):
    raise KeyError("oops")


def gradient_norm(score, real, fake, *, power=2.0):
    (slope,) = torch.autograd.grad(score(real).sum(), real, create_graph=True)
    return slope.flatten(1).norm(dim=1) ** power


def summed(score, real, fake):
    return gradient_norm(score, real, fake).sum()


def flat(score, real, fake):
    (slope,) = torch.autograd.grad(score(real).sum(), real)
    return slope.flatten(1).norm(dim=1)


def mirrored(x):
    return -x


def halves(progress, *, times=4.0):
    return 0.5 ** (times * progress.share)


class Stepper:
    def step(self):
        pass


class Generator(nn.Module):
    def __init__(self, latent, shape):
        super().__init__()
        self.layer = nn.Linear(latent, shape[0])
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, z):
        self.passes += 1
        return self.layer(z)


class Two(Generator):
    def forward(self, z):
        return super().forward(z), z


class Wide(Generator):
    def forward(self, z):
        return super().forward(z).repeat(1, 2)


class Double(Generator):
    def forward(self, z):
        return super().forward(z).double()


class Image(Generator):
    def forward(self, z):
        return nn.functional.conv2d(z, z)


class Unfinished(nn.Module):
    def __init__(self, latent, shape):
        self.layer = nn.Linear(latent, shape[0])


class Plain:
    def __init__(self, latent, shape):
        pass

    def forward(self, z):
        return z


class Judge(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.layer = nn.Linear(shape[0], 1)

    def forward(self, x):
        return self.layer(x)[:, 0]


class Sure(Judge):
    def forward(self, x):
        return super().forward(x).sigmoid()


class Mean(Judge):
    def forward(self, x):
        return super().forward(x).mean()


class Greedy(Judge):
    def forward(self, x):
        with torch.no_grad():
            x *= 2
        return super().forward(x)


class Normed(Judge):
    def forward(self, x):
        return super().forward(x / x.norm(dim=1, keepdim=True)).abs() / 10 + 0 * self.layer.bias


class Groups(Judge):
    def forward(self, x):
        spread = x.reshape(4, -1, x.shape[1]).var(0).mean()
        return super().forward(x) + spread


class Packs(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.layer = nn.Linear(4 * shape[0], 1)

    def forward(self, x):
        return self.layer(x.reshape(len(x) // 4, -1))[:, 0]


class Exact(Judge):
    def __init__(self, shape):
        super().__init__(shape)
        self.layer.double()

    def forward(self, x):
        return super().forward(x.double())


class Counting(Judge):
    calls = 0

    def forward(self, x):
        self.calls += 1
        x.clamp_(-1, 1)
        return super().forward(x) + 0.01 * torch.randn(len(x))


class Moving(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("level", torch.zeros(()))

    def forward(self, real, fake):
        with torch.no_grad():
            self.level.add_(1)
        return nn.functional.softplus(-real) + nn.functional.softplus(fake), nn.functional.softplus(-fake)


class Later:
    calls = 0

    def __init__(self, view: str = "flip"):
        self.view = view

    def __call__(self, score, real, fake):
        self.calls += 1
        return torch.zeros(len(real)) if self.calls < 10 else score(real) ** 2


def of_images(score, real, fake):
    n, c, h, w = real.shape
    return (score(real) - score(real.flip(3))) ** 2


def reduced(real, fake):
    return (fake - real).mean(), -fake.mean()


def adam(parameters, *, lr: float):
    return torch.optim.Adam(parameters, lr=lr)


def none(parameters, *, lr: float):
    pass


class Cut(Judge):
    def forward(self, x):
        return super().forward(x).detach()
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of one's own in the working folder."""
    (tmp_path / "own_parts_here.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with allowing(["own_parts_here"]):
        yield


def config(**settings: Any) -> Config:
    named = {
        key: f"own_parts_here:{value}" if isinstance(value, str) and ":" not in value else value
        for key, value in settings.items()
    }
    return with_settings(recipe("ring"), {"data.n": 100, "device": "cpu", "threads": 1, **named})


def run(**settings: Any) -> Run:
    """A run of ring whose own parts were tried."""
    tried = untried(config(**settings))
    require_own_parts(tried)
    return tried


def untried(whole: Config) -> Run:
    return Run(whole, open_data(whole))


@pytest.mark.parametrize(
    ("loss", "fragment"),
    [
        (lambda real, fake: real + fake, "must return two tensors"),
        (lambda real, fake: (real, fake, fake), "got 3 values"),
        (lambda real, fake: ((real - fake).mean(), fake), "its mean or sum; leave it unreduced"),
        (lambda real, fake: (real[:, None] - fake, fake), r"\(4, 4\) for logits \(4,\)"),
        (lambda real, fake: (real.log() + fake, fake), "is not finite at logits"),
        (lambda real, fake: ((real - fake).detach(), fake), "the discriminator's cost .* has no slope"),
        (lambda real, fake: (real - fake, real), "the generator's cost .* has no slope"),
        (lambda real, fake: (real.detach().numpy(), fake), "must be a tensor, got ndarray"),
        (lambda real: (real, real), r"is called with the logits of real and fake"),
    ],
)
def test_what_is_no_loss_is_refused(loss: Callable[..., Any], fragment: str) -> None:
    with pytest.raises(BadInput, match=fragment):
        require_loss(loss)


def test_parameters_of_a_loss_that_nothing_would_train_are_refused() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
            return self.weight * non_saturating(real, fake)[0], -fake

    with pytest.raises(BadInput, match="has parameters, which no move trains"):
        require_trained(Weighted(), moved=False)
    require_trained(Weighted(), moved=True)


@pytest.mark.parametrize(
    ("settings", "fragment"),
    [
        ({"generator": "Two"}, r"must return one tensor \(N, 2\), got tuple"),
        ({"generator": "Wide"}, r"must turn z \(N, \d+\) into items \(N, 2\), in \[-1, 1\], got \(256, 4\) for 256 z"),
        ({"generator": "Double"}, "must return float32 for this discriminator, got float64"),
        ({"generator": "Image"}, r"fails on \(256, \d+\) float32: own_parts_here.py, line \d+, in forward"),
        ({"generator": "Plain"}, "must inherit from torch.nn.Module, got Plain"),
        ({"discriminator": "Sure"}, "must return logits, .*leave the sigmoid at its end out"),
        ({"discriminator": "Mean"}, r"into \(N,\), a logit for each item, got \(\) for 256 items"),
        ({"discriminator": "Greedy"}, "changes its input in place"),
        ({"discriminator": "Cut"}, "returns logits without a slope"),
        ({"penalty": "summed"}, r"must return one number for each item, \(N,\), got \(\)"),
        ({"penalty": "flat"}, "has no slope in the discriminator's weights"),
        ({"views": ["own_parts_here:mirrored"]}, r"is called as \(x, uniform\)"),
        ({"optimizer": "Stepper"}, "must be a class that inherits from torch.optim.Optimizer"),
    ],
)
def test_what_is_wrong_with_a_part_is_said_by_its_name(settings: dict[str, Any], fragment: str) -> None:
    with pytest.raises(BadInput, match=fragment) as told:
        run(**settings)
    name = next(iter(settings.values()))
    assert (name if isinstance(name, str) else "mirrored") in str(told.value)


def test_parts_that_are_right_are_tried_and_left_as_they_were() -> None:
    played = run(generator="Generator", discriminator="Judge", penalty="gradient_norm")
    assert played.game.players["generator"].passes == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"discriminator": "Groups", "fused": False},
        {"discriminator": "Packs", "fused": False},
        {"discriminator": "Exact"},
        {"discriminator": "Counting"},
        {"discriminator": "Normed"},
        {"discriminator": "Sure", "loss": "evenodds.parts.losses.adversarial:least_squares"},
        {"penalty": "Later"},
        {"optimizer": "adam"},
    ],
)
def test_parts_that_can_be_played_are_not_refused(settings: dict[str, Any]) -> None:
    run(**settings)


def test_a_penalty_of_images_is_tried_on_images() -> None:
    whole = with_settings(recipe("digits"), {"penalty": "own_parts_here:of_images", "batch": 8})
    whole = with_settings(whole, {"task": "generate", "simultaneous": False, "penalty_weight": 1.0})
    require_own_parts(untried(whole))


def test_nothing_of_a_run_is_changed_by_trying_its_parts() -> None:
    before = torch.random.get_rng_state()
    played = run(loss="Moving", penalty="Later", discriminator="Counting")
    assert torch.equal(torch.random.get_rng_state(), before)
    plain = untried(config(loss="Moving", penalty="Later", discriminator="Counting"))
    assert played.task.contest.loss.level == plain.task.contest.loss.level  # type: ignore[attr-defined]
    assert played.task.contest.penalty.calls == plain.task.contest.penalty.calls  # type: ignore[union-attr]
    assert played.game.players["discriminator"].calls == 0


def test_parts_are_tried_once_whatever_is_measured_before_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every run that was thrown away tried them again."""
    tried, built = [], []
    on, begun = _Trial.on, Run.__post_init__
    monkeypatch.setattr(_Trial, "on", lambda self, count: tried.append(count) or on(self, count))
    monkeypatch.setattr(Run, "__post_init__", lambda self: built.append(self.config) or begun(self))
    short = {"simultaneous": None, "images": 16, "batch": 8}
    start(with_settings(config(discriminator="Judge"), short), out=tmp_path / "run")
    assert tried == [2]
    assert len(built) > 2
    resume(tmp_path / "run", settings={"images": 32})
    assert tried == [2, 2]


def test_no_item_is_read_where_no_part_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = config()
    data = open_data(whole)
    asked: list[int] = []
    batch = type(data).batch
    monkeypatch.setattr(type(data), "batch", lambda self, index, *rest: asked.append(len(index)) or batch(self, index))
    require_own_parts(Run(whole, data))
    assert asked == [1]


def test_the_loss_of_an_older_run_is_not_tried_where_none_plays() -> None:
    """Its mean was played before."""
    whole = config(loss="reduced")
    assert isinstance(build_task(whole, open_data(whole)).contest, Contest)
    with pytest.raises(BadInput, match="leave it unreduced"):
        run(loss="reduced")


def test_an_optimizer_that_a_function_does_not_make_is_named() -> None:
    with pytest.raises(BadInput, match="must make one of torch\\.optim\\.Optimizer, got NoneType"):
        run(optimizer="none")


def test_a_network_that_does_not_take_what_the_task_gives_is_told_so() -> None:
    settings = {"task": "condition", "simultaneous": False, "generator": "own_parts_here:Generator"}
    whole = with_settings(recipe("digits"), settings)
    with pytest.raises(BadInput, match=r"task 'condition' gives generator .* condition=10, which it does not take"):
        Run(whole, open_data(whole))


def test_a_decay_may_be_the_factor_itself() -> None:
    decay = build_decay(config(decay="halves", **{"decay.times": 2.0}))
    assert decay(Progress(total=100, images=50)) == 0.5


def test_options_stay_where_the_part_is_named_behind_them() -> None:
    """The size was dropped without a word."""
    changed = with_settings(recipe("ring"), {"prior.size": 100, "prior": "uniform"})
    assert (changed.prior.name, changed.prior.options) == ("uniform", {"size": 100})


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("own_parts_here.py:fails", "leave .py out: own_parts_here:Name names"),
        ("./own_parts_here.py", "named by module and member, as in own_parts_here:Name"),
        ("own_parts_here.fails", "named by module and member, as in own_parts_here:fails"),
        ("own_parts_here:fail", "no member of own_parts_here 'fail'; did you mean 'fails'?"),
    ],
)
def test_how_code_of_ones_own_is_named(name: str, fragment: str) -> None:
    def tried() -> None:
        whole = with_settings(recipe("ring"), {"data.n": 100, "device": "cpu", "loss": name})
        Run(whole, open_data(whole))

    with allowing(["own_parts_here.py"]), pytest.raises(BadInput) as told:
        tried()
    assert fragment in str(told.value)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("loss=own_parts_here:fails", "in fails: KeyError: 'oops'"),
        ("generator=own_parts_here:Unfinished", "in __init__"),
    ],
)
def test_an_error_in_code_of_ones_own_names_its_line(
    setting: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "ring", "--quiet", "--out", "new", "--set", setting, "data.n=100", "threads=1"]) == 1
    said = capsys.readouterr().err
    assert "own_parts_here.py, line " in said
    assert line in said
    assert "unexpected" not in said


def test_a_discriminator_with_batch_norm_can_be_asked_whether_it_scores_items_alone() -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert scores_items_alone(nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), x)
    assert not scores_items_alone(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)), x)


def test_a_discriminator_that_needs_more_items_does_not_score_them_alone() -> None:
    class Groups(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1) + x.view(4, -1, 3).var(0).sum()

    assert not scores_items_alone(Groups(), torch.zeros(4, 3))


def test_a_discriminator_that_looks_at_pairs_does_not_score_items_alone() -> None:
    class Pairs(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.sum(1).view(-1, 2) + x.sum(1).view(-1, 2).mean(1, keepdim=True)).flatten()

    assert not scores_items_alone(Pairs(), torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))


PRIORS = """
import torch
from torch import nn


class Prior:
    size = 4

    def between(self, start, end, share):
        return torch.lerp(start, end, share)


class Planes(Prior):
    def __call__(self, n, rng):
        return torch.randn(n, 4, 2, generator=rng)


class Unseeded(Prior):
    def __call__(self, n, rng):
        return torch.randn(n, 4)


class Learned(nn.Module, Prior):
    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(4))

    def forward(self, n, rng):
        return self.mean + torch.randn(n, 4, generator=rng)


class Drawn(Prior):
    def __init__(self):
        self.mean = torch.randn(4)

    def __call__(self, n, rng):
        return self.mean + torch.randn(n, 4, generator=rng)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Planes", r"must draw z \(N, 4\), got \(2, 4, 2\) for 2 z"),
        ("Unseeded", r"draws other z by the same rng; all numbers must be drawn by that generator"),
        ("Learned", r"has parameters, which nothing trains or keeps; make them layers of the generator"),
        ("Drawn", r"draws other z by the same rng when it is made again, as for samples"),
    ],
)
def test_a_prior_that_is_none_is_refused(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_priors.py").write_text(PRIORS)
    monkeypatch.syspath_prepend(tmp_path)
    config = with_settings(recipe("ring"), {"prior": f"own_priors:{name}", "data.n": 100})
    with allowing(["own_priors"]), pytest.raises(BadInput, match=f"prior 'own_priors:{name}' {said}"):
        require_own_parts(untried(config))
