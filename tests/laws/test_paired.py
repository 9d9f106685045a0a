"""Laws of games in which x follows from a source: pieces, stages, what the discriminator is shown, cycles."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.data.palette import IGNORED
from evenodds.errors import BadInput
from evenodds.game.rules import Game, Progress
from evenodds.parts.losses.adversarial import hinge, non_saturating, relativistic_paired
from evenodds.tasks._crops import TURNS, deal_piece
from evenodds.tasks._image_to_image import SourceAware
from evenodds.tasks.contest import Contest
from evenodds.tasks.cycle import Cycle
from evenodds.tasks.segment import Segment
from evenodds.tasks.translate import Translate
from evenodds.tasks.upscale import Upscale

CONTEST = Contest(non_saturating)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Scorer(nn.Module):
    """Counts how often it is asked."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, generator=rng(1)))
        self.calls = 0

    def forward(self, x: Tensor, features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        self.calls += 1
        seen = x.mean((2, 3))
        return (seen @ self.weight, seen) if features else seen @ self.weight


# --- pieces ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", TURNS)
def test_pieces_commute_with_what_is_done_pixel_by_pixel(turns: str) -> None:
    x = torch.rand(16, 3, 12, 10, generator=rng())
    piece = deal_piece(x, 6, turns, rng(1))
    assert torch.equal(piece.of(x.square()), piece.of(x).square())
    assert torch.equal(piece.of(x[:, 0]), piece.of(x)[:, 0])


@pytest.mark.parametrize("turns", TURNS)
def test_pieces_of_an_enlarged_image_are_the_enlarged_pieces(turns: str) -> None:
    x = torch.rand(16, 2, 9, 9, generator=rng())
    large = F.interpolate(x, scale_factor=3, mode="nearest")
    piece = deal_piece(x, 5, turns, rng(1))
    assert torch.equal(piece.of(large, 3), F.interpolate(piece.of(x), scale_factor=3, mode="nearest"))


def test_every_place_and_every_symmetry_is_dealt_as_often() -> None:
    x = torch.arange(9.0).view(1, 1, 3, 3).expand(8000, 1, 3, 3)
    corners = deal_piece(x, 2, "none", rng()).of(x)[:, 0, 0, 0]
    assert sorted(set(corners.tolist())) == [0, 1, 3, 4]
    whole = deal_piece(x, None, "all", rng(2)).of(x).flatten(1).unique(dim=0, return_counts=True)
    assert len(whole[0]) == 8  # the dihedral group of the square
    assert float(whole[1].float().std()) < 4 * math.sqrt(8000 / 8)
    assert len(deal_piece(x, None, "mirror", rng()).of(x).flatten(1).unique(dim=0)) == 2


def test_pieces_that_cannot_be_are_refused() -> None:
    x = torch.zeros(2, 1, 4, 6)
    cases = ((5, "none", "task.crop=4 or less"), (None, "all", "every way"), (2, "some", "kind of turns"))
    for crop, turns, said in cases:
        with pytest.raises(BadInput, match=said):
            deal_piece(x, crop, turns, rng())


# --- stages ----------------------------------------------------------------------------------------------------------


def test_the_discriminator_enters_at_its_share_of_the_run() -> None:
    task = Translate(CONTEST, inputs=1, adversarial_from=0.5)
    players = {"generator": nn.Conv2d(1, 1, 1), "discriminator": Scorer(2)}
    early, late = Progress(total=100, images=49), Progress(total=100, images=50)
    played = [[move.movers for move in Game(task, players).moves if move.when(at)] for at in (early, late)]
    assert played == [[("generator",)], [("discriminator",), ("generator",)]]
    assert task.stages == (0.5,)


def test_without_an_adversary_there_is_no_discriminator() -> None:
    task = Translate(CONTEST, inputs=3, adversarial=0.0)
    assert task.roles == ("generator",)
    assert set(task.networks((3, 8, 8))) == {"generator"}
    assert [move.movers for move in task.moves()] == [("generator",)]


@pytest.mark.parametrize("loss", [non_saturating, relativistic_paired])
def test_matching_features_costs_no_pass_beyond_one_of_each_side(loss: object) -> None:
    task = Translate(Contest(loss), inputs=1, matching=1.0)  # type: ignore[arg-type]
    discriminator = Scorer(2)
    hand = task.deal({"x": torch.rand(4, 1, 8, 8), "source": torch.rand(4, 1, 8, 8)}, rng())
    costs = task.generator_cost({"generator": nn.Conv2d(1, 1, 1), "discriminator": discriminator}, hand)
    assert discriminator.calls == 2
    assert set(costs) == {"pixel", "adversarial", "matching"}


def test_features_of_the_truth_match_themselves() -> None:
    discriminator = SourceAware(Scorer(1), None, remembers=True)
    x = torch.rand(3, 1, 4, 4)
    discriminator(x)
    assert torch.equal(discriminator.features(x), discriminator.features(x.clone()))


def test_the_source_lies_beside_each_item_when_both_sides_are_judged_at_once() -> None:
    source, x = torch.rand(3, 1, 4, 4), torch.rand(6, 1, 4, 4)
    discriminator = Scorer(2)
    both = SourceAware(discriminator, source)(x)
    parts = torch.cat([discriminator(torch.cat([half, source], 1)) for half in x.split(3)])  # type: ignore[misc]
    assert torch.allclose(both, parts)


def test_a_translation_learns_a_map_of_colours() -> None:
    task = Translate(CONTEST, inputs=3, adversarial=0.0, crop=4)
    matrix = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.2, -0.4]])
    generator = nn.Conv2d(3, 3, 1)
    adam = torch.optim.Adam(generator.parameters(), 0.02)
    for step in range(400):
        source = 2 * torch.rand(8, 3, 6, 6, generator=rng(step)) - 1
        x = torch.einsum("ij,njhw->nihw", matrix, source)
        cost = task.fit_cost({"generator": generator}, task.deal({"x": x, "source": source}, rng(step)))
        adam.zero_grad()
        cost.total().backward()
        adam.step()
    assert torch.allclose(generator.weight[:, :, 0, 0], matrix, atol=0.03)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_error_that_repeats_as_the_grid_does_costs_all_of_it_and_one_that_does_not_a_ninth(scale: int) -> None:
    contest = Contest(relativistic_paired)
    task = Upscale(contest, inputs=1, scale=scale, comb=2.0, adversarial_from=0.5)
    tile = torch.randn(1, 1, scale, scale, generator=rng())
    x, places = torch.zeros(1, 1, 6 * scale, 6 * scale), torch.arange(6)
    signs = (1 - 2.0 * ((places[:, None] + places) % 2)).repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    for error, share in ((tile.repeat(1, 1, 6, 6), 1), (tile.repeat(1, 1, 6, 6) * signs, 1 / 9)):
        cost = task.late_costs({}, x + error, {"x": x})["comb"]
        assert float(cost) == pytest.approx(2 * share * float(tile.abs().mean()), rel=1e-4)
    assert Upscale(contest, inputs=1, scale=scale, comb=2.0, adversarial=0).late_costs({}, x + error, {"x": x}) == {}
    with pytest.raises(BadInput, match="comb is a weight of at least 0, got -1"):
        Upscale(contest, inputs=1, comb=-1)
    small = Upscale(contest, inputs=1, scale=scale, comb=1.0, crop=2 * scale)
    with pytest.raises(BadInput, match=f"pieces of at least {3 * scale} x {3 * scale}"):
        small.networks((1, 6 * scale, 6 * scale))


def test_saturated_pixels_weigh_more_by_their_chroma() -> None:
    task = Translate(CONTEST, inputs=1, pixel=2.0, saturation=3.0)
    x = torch.tensor([[0.5, 0.5, 0.5], [1.0, 0.0, -1.0]]).T[None, :, None]  # a grey pixel, and one of chroma 2/3
    assert float(task.fit_costs(x + 0.1, {"x": x})["pixel"]) == pytest.approx(2 * 0.1 * (1 + (1 + 3 * 2 / 3)) / 2)
    with pytest.raises(BadInput, match="saturation is a weight of at least 0, got -1"):
        Translate(CONTEST, inputs=1, saturation=-1)


def test_the_figure_of_a_translation_is_its_error() -> None:
    task = Translate(CONTEST, inputs=1)
    x = torch.zeros(4, 1, 5, 5)
    figures = task.figures(task.tally({"x": x}, {"x": x + 0.2}))
    assert figures["score"] == pytest.approx(0.2)
    assert figures["psnr"] == pytest.approx(20)  # 20 log10(2 / 0.2)


# --- labels ----------------------------------------------------------------------------------------------------------


def segmented(**options: float) -> tuple[Segment, Tensor, Tensor]:
    task = Segment(CONTEST, classes=4, **options)  # type: ignore[arg-type]
    labels = torch.randint(4, (3, 6, 6), generator=rng())
    labels[:, 0] = IGNORED
    return task, labels, torch.randn(3, 4, 6, 6, generator=rng(1))


def test_the_truth_is_shown_as_the_nearest_map_that_is_sure_of_it() -> None:
    task, labels, made = segmented(sure=0.9)
    real, fake = task.discriminator_inputs(made, {"labels": labels})
    assert torch.allclose(real.sum(1), torch.ones(3, 6, 6), atol=1e-5)
    known = labels != IGNORED
    true = real.gather(1, labels.where(known, 0)[:, None])[:, 0]
    mine = fake.gather(1, labels.where(known, 0)[:, None])[:, 0]
    assert torch.allclose(true[known], mine[known].clamp(min=0.9))
    assert torch.equal(real.permute(0, 2, 3, 1)[~known], fake.permute(0, 2, 3, 1)[~known])
    others = (real / fake).permute(0, 2, 3, 1)[known].sort(1).values  # all but the true class shrink alike
    assert torch.allclose(others[:, 0], others[:, 2], rtol=1e-3)


def test_costs_of_labels_vanish_for_the_truth_and_do_not_see_what_is_ignored() -> None:
    task, labels, made = segmented()
    sure = 200 * F.one_hot(labels.where(labels != IGNORED, 0), 4).permute(0, 3, 1, 2).float()
    assert all(float(cost) < 1e-5 for cost in task.fit_costs(sure, {"labels": labels}).values())
    other = made.clone()
    other[:, :, 0] += torch.randn(3, 4, 6)
    before, after = (task.fit_costs(logits, {"labels": labels}) for logits in (made, other))
    assert {name: float(cost) for name, cost in before.items()} == {name: float(cost) for name, cost in after.items()}


def test_rare_classes_weigh_as_much_as_asked() -> None:
    labels = torch.tensor([[[0, 0, 0, 1]]])
    made = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 1, 4)
    common, odd = (float(F.cross_entropy(made[..., 0], torch.tensor([[k]]))) for k in (0, 1))
    for rare, weights in ((0.0, (3, 1)), (0.5, (3 * 0.75**-0.5, 0.25**-0.5)), (1.0, (1, 1))):
        cost = Segment(CONTEST, classes=2, rare=rare).fit_costs(made, {"labels": labels})["cross_entropy"]
        assert float(cost) == pytest.approx((weights[0] * common + weights[1] * odd) / sum(weights))


def test_overlap_of_even_odds_in_closed_form() -> None:
    task = Segment(CONTEST, classes=2)
    labels = torch.tensor([[[0, 0, 0, 1]]])
    # p = 1/2 everywhere: class 0 shares 1.5 of 2 + 3 - 1.5, class 1 shares 0.5 of 2 + 1 - 0.5.
    due = 1 - (1.5 / 3.5 + 0.5 / 2.5) / 2
    assert float(task.fit_costs(torch.zeros(1, 2, 1, 4), {"labels": labels})["overlap"]) == pytest.approx(due)


def test_the_figure_of_labels_is_the_mean_overlap_of_the_classes_that_occur() -> None:
    task = Segment(CONTEST, classes=3)
    real, said = torch.tensor([[[0, 0, 1, IGNORED]]]), torch.tensor([[[0, 1, 1, 2]]])
    figures = task.figures(task.tally({"labels": real}, {"labels": said}).float())
    assert figures["mean_iou"] == pytest.approx(0.5)  # 1/2 and 1/2; class 2 occurs nowhere that counts
    assert figures["boundary_f"] == 0  # it lies one pixel from the true one, which is too far in so small an image
    assert figures["accuracy"] == pytest.approx(2 / 3)


def test_pieces_of_scenes_carry_their_labels() -> None:
    """Each label goes where the pixel of its value goes; what lies beyond the image has none."""
    labels = torch.randint(5, (40, 12, 18), generator=rng()).repeat_interleave(2, 1).repeat_interleave(2, 2)
    labels[:, 4, 6] = IGNORED
    x = torch.stack([labels.where(labels != IGNORED, 0).float(), *torch.rand(2, 40, 24, 36)], 1)
    for crop, turns, zoom, focus in ((None, "mirror", 1.0, 0.0), (None, "mirror", 2.0, 0.5), (16, "all", 1.3, 1.0)):
        task = Segment(CONTEST, classes=5, adversarial=0.0, crop=crop, turns=turns, zoom=zoom, focus=focus)
        hand = task.deal({"x": x, "labels": labels}, rng())
        source, dealt = hand["source"], hand["labels"]
        assert source.shape[2:] == dealt.shape[1:] == ((24, 36) if crop is None else (16, 16))
        inner = (source[:, 0] - source[:, 0].round()).abs() < 1e-3  # where four pixels of one class are seen
        same = (source[:, 0].round() == dealt) | (dealt == IGNORED)
        assert (inner & same).sum() > 0.99 * inner.sum()
        assert (dealt == IGNORED).float().mean() < (0.3 if zoom > 1 else 0.01)
        if zoom == 1:
            piece = task.piece(x, rng())
            assert torch.equal(source, piece.of(x))
            assert torch.equal(dealt, piece.of(labels))


def test_pieces_lie_about_rare_classes_as_often_as_asked() -> None:
    labels = torch.zeros(300, 48, 48, dtype=torch.int64)
    labels[:, 6:12, 33:39] = 1
    x = torch.zeros(300, 1, 48, 48)
    shares = []
    for focus in (0.0, 1.0):
        task = Segment(CONTEST, classes=2, adversarial=0.0, crop=12, focus=focus, turns="none")
        shares.append(float((task.deal({"x": x, "labels": labels}, rng())["labels"] == 1).any(2).any(1).float().mean()))
    assert shares[0] < 0.3  # about 17 * 17 of 37 * 37 places
    assert 0.5 <= shares[1] < 0.7  # one half is about this class, the other about what is everywhere


def test_jitter_changes_colours_and_nothing_else() -> None:
    x, labels = torch.rand(50, 3, 8, 8, generator=rng()) - 0.5, torch.zeros(50, 8, 8, dtype=torch.int64)
    plain, jittered = (
        Segment(CONTEST, classes=1, adversarial=0.0, jitter=jitter).deal({"x": x, "labels": labels}, rng())["source"]
        for jitter in (0.0, 0.4)
    )
    for before, after in zip(plain, jittered, strict=True):  # one affine map of colours for each image
        colours = torch.cat([before.flatten(1), torch.ones(1, 64)]).T
        fitted = colours @ torch.linalg.lstsq(colours, after.flatten(1).T).solution
        assert torch.allclose(fitted.T, after.flatten(1), atol=1e-4)
    assert 0.05 < (jittered - plain).abs().mean() < 0.4
    for wrong in ({"zoom": 0.5}, {"focus": 2.0}, {"jitter": -1.0}):
        with pytest.raises(BadInput, match=r"task\.zoom=1 task\.focus=0 task\.jitter=0"):
            Segment(CONTEST, classes=1, **wrong)


def test_flips_answer_mirror_images_by_mirrored_maps() -> None:
    net, x = nn.Conv2d(1, 4, 3, padding=1), torch.randn(2, 1, 9, 11, generator=rng())
    answers = []
    for flips in (False, True):
        task = Segment(CONTEST, classes=4, adversarial=0.0, flips=flips)
        left, right = (task.answer({"generator": net}, {"source": one})["labels"] for one in (x, x.flip(3)))
        answers.append(torch.equal(left, right.flip(2)))
    assert answers == [False, True]


def test_larger_images_are_asked_as_well() -> None:
    """What a net says of images larger than 8 pixels outvotes a weaker answer for those as they are."""

    class Sized(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            said = torch.tensor([2.0, 0.0] if x.shape[2:] == (8, 6) else [0.0, 3.0])
            assert x.shape[2:] in ((8, 6), (12, 9))
            return said[None, :, None, None].expand(len(x), 2, *x.shape[2:])

    x, answers = torch.randn(2, 1, 8, 6, generator=rng()), []
    for larger in (1.0, 1.5):
        task = Segment(CONTEST, classes=2, adversarial=0.0, larger=larger)
        answers.append(task.answer({"generator": Sized()}, {"source": x})["labels"])
    assert torch.equal(answers[0], torch.zeros(2, 8, 6).long())
    assert torch.equal(answers[1], torch.ones(2, 8, 6).long())
    with pytest.raises(BadInput, match=r"larger must be in \[1, 4\], got 0\.5"):
        Segment(CONTEST, classes=2, larger=0.5)


# --- cycles ----------------------------------------------------------------------------------------------------------


def test_there_and_back_is_home_for_inverse_maps() -> None:
    task = Cycle(Contest(hinge), inputs=2, identity=1.0)
    turn = nn.Conv2d(2, 2, 1, bias=False)
    turn.weight.data = torch.tensor([[0.0, -1.0], [1.0, 0.0]])[:, :, None, None]
    back = nn.Conv2d(2, 2, 1, bias=False)
    back.weight.data = turn.weight.data.transpose(0, 1).contiguous()
    players = {"generator": turn, "backward": back, "discriminator": Scorer(2), "discriminator_source": Scorer(2)}
    hand = task.deal({"x": torch.rand(4, 2, 8, 8), "source": torch.rand(4, 2, 8, 8)}, rng())
    assert float(task.generator_cost(players, hand)["cycle"].detach()) < 1e-5
    answer = task.answer(players, {"source": hand["source"].clamp(0, 1)})
    assert task.figures(task.tally({"source": hand["source"]}, answer))["score"] < 1e-3


def test_both_discriminators_move_at_once_and_each_judges_its_own_side() -> None:
    task = Cycle(CONTEST, inputs=1)
    players = {"generator": nn.Conv2d(1, 3, 1), "backward": nn.Conv2d(3, 1, 1)}
    judges = {"discriminator": Scorer(3), "discriminator_source": Scorer(1)}
    hand = task.deal({"x": torch.rand(4, 3, 8, 8), "source": torch.rand(4, 1, 8, 8)}, rng())
    move = task.moves()[0]
    assert set(move.movers) == set(judges)
    assert set(move.cost({**players, **judges}, hand)) == {"adversarial", "adversarial_source"}


def test_no_source_keeps_the_company_of_its_x() -> None:
    task = Cycle(CONTEST, inputs=1, turns="none")
    same = torch.arange(64.0).view(64, 1, 1, 1).expand(64, 1, 2, 2)
    hand = task.deal({"x": same, "source": same}, rng())
    assert torch.equal(hand["source"].sort(0).values, same)
    assert (hand["source"] != hand["x"]).float().mean() > 0.8
