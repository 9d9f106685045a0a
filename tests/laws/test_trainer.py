"""The trainer's own laws: who moves, how often, what is frozen, what is drawn."""

import pytest
import torch
from torch import nn

from evenodds.errors import BadInput
from evenodds.game.engine import Engine, Local
from evenodds.game.learners import Gradient, frozen
from evenodds.game.rules import Batch, Costs, Game, Move, Players, Progress, State
from evenodds.game.schedule import after, but_every, cosine, every, linear
from evenodds.game.seeds import mix
from evenodds.game.trainer import Training, train
from evenodds.parts.losses.penalties import dragan, gradient_penalty, r1
from tests.games import Points, small_game, small_players, small_task


class Recorder:
    """A listener that keeps every term and the positions."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, float]] = []
        self.ended = False

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        self.rounds.append(training.engine.read(training.terms))
        training.terms.clear()

    def end(self, training: Training) -> None:
        self.ended = True


def test_a_move_changes_its_movers_alone() -> None:
    game, learner, engine = small_game()
    before = {n: [p.clone() for p in player.parameters()] for n, player in game.players.items()}
    for move in game.moves:
        hand = game.task.deal(Points().at(0), torch.Generator().manual_seed(1))
        learner.improve(move, game.players, hand, engine, Progress(total=100))
        for name, player in game.players.items():
            same = all(torch.equal(a, b) for a, b in zip(before[name], player.parameters(), strict=True))
            assert same == (name not in move.movers)
            before[name] = [p.clone() for p in player.parameters()]


def test_frozen_players_get_no_gradient_and_thaw() -> None:
    game, _, _ = small_game()
    held = next(game.players["generator"].parameters()).requires_grad_(False)  # frozen by the user: stays so
    with frozen(game.players, but=("discriminator",)):
        assert not any(p.requires_grad for p in game.players["generator"].parameters())
        assert all(p.requires_grad for p in game.players["discriminator"].parameters())
    assert not held.requires_grad
    assert [p.requires_grad for p in game.players["generator"].parameters()].count(True) == 3


@pytest.mark.parametrize(("k", "g", "shown"), [(1, 1, 8), (5, 1, 40), (1, 3, 24)])
def test_images_are_counted_as_shown(k: int, g: int, shown: int) -> None:
    game, learner, engine = small_game(discriminator_steps=k, generator_steps=g)
    data = Points()
    progress = train(game, data, learner, engine, images=2 * shown)
    assert (progress.round, progress.images) == (2, 2 * shown)
    assert data.asked == list(range(0, 2 * shown, 8))  # every image once, in order


def test_penalty_is_played_every_nth_round_with_n_times_its_weight() -> None:
    game, learner, engine = small_game(penalty=r1, weight=0.5, every=3)
    ear = Recorder()
    train(game, Points(), learner, engine, images=6 * 8, listeners=[ear])
    assert ["discriminator/penalty" in terms for terms in ear.rounds] == [True, False, False] * 2
    real = Points().at(0)["x"].requires_grad_()
    fresh = small_players()["discriminator"]
    eager = 0.5 * r1(fresh, real, real).mean()
    assert ear.rounds[0]["discriminator/penalty"] == pytest.approx(3 * float(eager), rel=1e-5)


@pytest.mark.parametrize(("penalty", "dealt"), [(r1, set()), (gradient_penalty, {"uniform"}), (dragan, {"normal"})])
def test_a_penalty_is_dealt_the_numbers_that_it_names(penalty: object, dealt: set[str]) -> None:
    hand = small_task(penalty=penalty).deal(Points().at(0), torch.Generator().manual_seed(0))
    assert set(hand) - {"x", "z"} == dealt


def test_a_learner_needs_no_gradient() -> None:
    class Search:
        """Keeps a random change of the mover where the cost falls."""

        def __init__(self) -> None:
            self.rng = torch.Generator().manual_seed(0)

        @torch.no_grad()
        def improve(self, move: Move, players: Players, hand: Batch, engine: Engine, progress: Progress) -> Costs:
            costs = Costs(move.cost(players, hand))
            parameter = players["point"].weight
            old = parameter.clone()
            parameter += 0.3 * torch.randn(parameter.shape, generator=self.rng)
            if Costs(move.cost(players, hand)).total() > costs.total():
                parameter.copy_(old)
            return costs

        def state(self) -> State:
            return State()

        def restore(self, state: State) -> None: ...

    class Nearest:
        roles = ("point",)

        def deal(self, real: Batch, rng: torch.Generator) -> Batch:
            return real

        def moves(self) -> list[Move]:
            return [Move("near", ("point",), lambda p, h: {"distance": (p["point"].weight - h["x"]).square().mean()})]

    game = Game(Nearest(), {"point": nn.Linear(2, 1)})  # type: ignore[arg-type]
    train(game, Points(), Search(), Local(), images=8 * 300)
    torch.testing.assert_close(game.players["point"].weight.data, torch.tensor([[1.0, -1.0]]), atol=0.15, rtol=0)


def test_the_callers_random_state_is_left_alone() -> None:
    game, learner, engine = small_game()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(game, Points(), learner, engine, images=16)
    assert torch.equal(torch.rand(3), expected)


def test_listeners_are_told_of_the_end_also_after_a_failure() -> None:
    class Fails(Recorder):
        def after_round(self, training: Training) -> None:
            raise RuntimeError("planted")

    game, learner, engine = small_game()
    ear, fails = Recorder(), Fails()
    with pytest.raises(RuntimeError, match="planted"):
        train(game, Points(), learner, engine, images=16, listeners=[ear, fails])
    assert ear.ended
    assert fails.ended


def test_a_game_without_a_needed_player_names_it() -> None:
    with pytest.raises(BadInput, match="needs players discriminator, got generator"):
        Game(small_task(), {"generator": nn.Linear(1, 1)})


def test_schedules() -> None:
    at = [Progress(total=100, images=10 * k, round=k) for k in range(11)]
    assert [every(3)(p) for p in at] == [k % 3 == 0 for k in range(11)]
    assert all(every(3)(p) != but_every(3)(p) for p in at)
    assert [after(50)(p) for p in at] == [k >= 5 for k in range(11)]
    assert [linear(0.5, 0.0)(p) for p in at][5:] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    curve = [cosine(0.2, 0.1)(p) for p in at]
    assert curve[:3] == [1, 1, 1]
    assert curve[6] == pytest.approx(0.55)
    assert curve[10] == pytest.approx(0.1)


def test_the_rate_follows_the_schedule() -> None:
    players = small_players()
    sgd = torch.optim.SGD(players["generator"].parameters(), lr=2.0)
    learner = Gradient({"generator": sgd}, linear(0.0, 0.0))
    move = Move("go", ("generator",), lambda p, h: {"sum": p["generator"][2].bias.sum()})  # type: ignore[index]
    for images, expected in ((0, 2.0), (25, 1.5), (100, 0.0)):
        before = players["generator"][2].bias.clone()  # type: ignore[index]
        learner.improve(move, players, {}, Local(), Progress(total=100, images=images))
        torch.testing.assert_close(before - players["generator"][2].bias, torch.full((2,), expected))  # type: ignore[index]


def test_mixed_seeds_do_not_collide() -> None:
    seeds = {mix(seed, round_) for seed in range(50) for round_ in range(200)}
    assert len(seeds) == 50 * 200
    assert all(0 <= seed < 2**63 for seed in seeds)
    low_bits = torch.tensor([mix(0, k) & 0xFFFF for k in range(20_000)]).float() / 0xFFFF
    assert float(low_bits.mean()) == pytest.approx(0.5, abs=0.01)
