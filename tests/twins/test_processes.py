"""One process = two processes = micro-batches, in float64; an interrupted run of two goes on with the same bits."""

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from evenodds.apply.folder import convert_all
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput, Lost
from evenodds.files import kept
from evenodds.files.outputs import RECORD, Outputs
from evenodds.files.process import LAUNCHED
from evenodds.files.tensors import digest_of
from evenodds.game import checkpoint, exchange, heartbeat, processes
from evenodds.game.engine import Distributed, Local
from evenodds.game.learners.sharded import Sharded
from evenodds.parts.networks import pretrained
from evenodds.pretrained.embedding import Embedding
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.looking import seen
from evenodds.runs.run import resume, start
from evenodds.runs.session import load
from tests.behaviours.test_photos import doubled
from tests.sliced import CASES, as_launched, float64, furthest, played
from tests.stand_ins import frozen_features
from tests.twins.test_resume import StopAt

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")

TOLERANCE = 1e-10
"""Of weights and terms in float64."""
PLAYED = (
    "lazy", "share", "differences", "top", "infogan", "codes", "invertible", "segment", "batch norm of both",
    "minibatch_std", "evolution", "classify", "style", "upscale",
)  # fmt: skip
SHARED = ("lazy", "batch norm of both", "evolution")
"""Played once more with the optimizers' state shared."""
PIECES = ("lazy", "top", "lecam", "segment", "spectral", "classify", "style")
IMAGES = 1024
RING = {"images": IMAGES, "batch": 128, "device": "cpu", "save_share": 0.5, "watch": "off", "held_out": 0.02} | {
    "data.n": 4000, "optimizer.eps": 1e-4, "generator.width": 16, "discriminator.width": 16, "evaluate_share": 1.0
}  # fmt: skip


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes leave what they have played. What both import is imported once, before."""
    for name in ("torch._dynamo", "tests.fully_sharded"):
        import_module(name)
    folder = tmp_path_factory.mktemp("two")
    photos(folder / "photos")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [child(lambda rank=rank: work(folder, rank, port), folder / f"{rank}.log") for rank in range(2)]  # type: ignore[misc]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    said = "\n".join((folder / f"{rank}.log").read_text() for rank in range(2))
    assert statuses == [0, -signal.SIGKILL], said
    return folder


def child(do: Callable[[], None], log: Path) -> int:
    """The number of a process that does something and says to a file what it says."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        sys.stderr = sys.stdout = log.open("w", buffering=1)
        do()
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def work(folder: Path, rank: int, port: int) -> None:
    """What each of both processes does, one thing after the other."""
    as_launched(rank, 2, port)
    processes.join()
    facts: dict[str, Any] = {"agreed": exchange.agreed(lambda: [os.getpid(), 0.1, float("inf")]), "refused": refused()}
    with float64():
        for name in PLAYED:
            save(folder / f"{name}.{rank}", played(name))
            if name in SHARED:
                facts[f"{name} shared"] = digest(played(name, shard=True)) == digest(
                    load_file(folder / f"{name}.{rank}")
                )
        facts["penalty"] = message(penalty_through_batch_norm)
        facts |= cut_up()
    save(folder / f"half.{rank}", played("lazy", precision="bfloat16"))
    facts["drifted"] = drifting(rank)
    facts["remembers"] = remembered()
    facts["files"] = enlarged(folder / "photos", folder / "of-two")
    facts["looked"] = looked(folder / f"cache {rank}", Distributed(torch.device("cpu"), rank=rank, size=2))
    interrupted_run(folder)
    facts["other data"] = message(lambda: exchange.same_on_all("the data", str(rank)))
    (folder / f"{rank}.json").write_text(json.dumps(facts))
    if rank:
        os.kill(os.getpid(), signal.SIGKILL)
    begun = time.monotonic()
    with pytest.raises(Lost) as lost:
        exchange.total([torch.zeros(3)])
    (folder / "lost.json").write_text(json.dumps([str(lost.value), lost.value.told, time.monotonic() - begun]))


def refused() -> str:
    """What a process is told where the first one fails."""

    def fail() -> None:
        raise BadInput("there is no such file")

    return message(lambda: exchange.agreed(fail))


def message(do: Callable[[], Any]) -> str:
    """Of the BadInput that is raised; empty where none is."""
    try:
        do()
    except BadInput as error:
        return str(error)
    return ""


def cut_up() -> dict[str, Any]:
    """What FSDP2 makes of slopes, and of a game."""
    from tests import fully_sharded

    facts = {"slopes apart": fully_sharded.slopes_apart(), "slopes of r1": fully_sharded.slopes_of_r1()}
    try:
        return {**facts, "game": fully_sharded.game()}
    except RuntimeError as error:
        return {**facts, "game": str(error)}


def photos(folder: Path) -> None:
    """Five images of different sizes, two of them in a folder, and two files that are none."""
    (folder / "sub").mkdir(parents=True)
    for k in range(5):
        Image.fromarray(np.full((4 + k, 6, 3), 40 * k, np.uint8)).save(folder / f"{'sub/' if k % 2 else ''}{k}.png")
    for name in ("broken.png", "empty.jpg"):
        (folder / name).write_bytes(b"nothing"[: 7 * (name == "broken.png")])


def enlarged(source: Path, out: Path) -> list[Any]:
    """What is said while a folder is converted, and at the end; a second call, which finds all there."""
    said: list[str] = []
    outputs = Outputs(out, "upscale")
    first = convert_all(source, out, partial(doubled, outputs), outputs, say=said.append)
    again = convert_all(source, out, partial(doubled, outputs), Outputs(out, "upscale"))
    names = [path.relative_to(out).as_posix() for path in first.written]
    return [sorted(said), names, first.skipped, first.summary(Path("out")), again.summary(Path("out"))]


def looked(cache: Path, engine: Local) -> list[Any]:
    """What the pretrained network sees in some images, and then in more, of which only the first process knows some:
    digests, and how many images this process has looked at."""
    x = np.random.default_rng(0).integers(0, 256, (120, 3, 8, 8), dtype=np.uint8)
    passes: list[int] = []
    with pytest.MonkeyPatch.context() as patch, frozen_features(patch, pretrained) as network:
        patch.setenv("EVENODDS_CACHE", str(cache))
        patch.setattr(kept, "WORTH", 0.0)
        embed = network.embed
        patch.setattr(network, "embed", lambda x: (passes.append(len(x)), embed(x))[1])
        for n in (60, 120):
            found = seen(Embedding(32), from_array(x), torch.arange(n), [(), (3,)], engine, lambda line: None)
            passes.append(-int(found[n - 1].isfinite().all()))
        return [digest_of([found]), passes, cache.exists()]


def digest(values: dict[str, Tensor]) -> str:
    return digest_of(values[name] for name in sorted(values))


def drifting(rank: int) -> list[Any]:
    """Who is found out where the last process has moved; who afterwards; what all have then."""
    players = {"one": torch.nn.Linear(2, 2), "other": torch.nn.BatchNorm1d(2)}
    players["other"].get_buffer("running_mean").add_(rank)
    return [exchange.drifted(players), exchange.drifted(players), players["other"].get_buffer("running_mean").tolist()]


def remembered() -> list[int]:
    """The numbers that Adam remembers of 100 x 3 and 50 x 3 parameters and of two numbers, on this process."""
    parameters = [torch.ones(*shape, requires_grad=True) for shape in ((100, 3), (50, 3), (2,))]
    optimizer = Sharded(lambda values: torch.optim.Adam(values), parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return [sum(v.numel() for v in slots.values() if v.dim()) for slots in optimizer.state.values()]


def penalty_through_batch_norm() -> None:
    """Plays a round of a game that cannot be played."""
    case = CASES["batch norm of both"]
    CASES["refused"] = replace(case, settings={**case.settings, "penalty": "r1"})
    played("refused", rounds=1)


def interrupted_run(folder: Path) -> None:
    """A whole run, and one that is interrupted twice; in its middle part the optimizers' state is shared."""
    config = with_settings(recipe("ring"), RING)
    start(config, out=folder / "whole")
    start(config, out=folder / "halved", listeners=[StopAt(300)])
    resume(folder / "halved", settings={"shard_optimizer": True}, listeners=[StopAt(600)])
    if not processes.follows():
        shutil.copytree(folder / "halved", folder / "left")
    resume(folder / "halved", settings={"shard_optimizer": False})


def save(path: Path, values: dict[str, Tensor]) -> None:
    save_file({name: value.contiguous().clone() for name, value in values.items()}, path)


@dataclass
class Ones:
    """What one process plays, each case once."""

    results: dict[str, dict[str, Tensor]]

    def of(self, name: str) -> dict[str, Tensor]:
        if name not in self.results:
            with float64():
                self.results[name] = played(name)
        return self.results[name]


@pytest.fixture(scope="module")
def one() -> Ones:
    return Ones({})


@pytest.mark.parametrize("name", PLAYED)
def test_two_processes_play_the_game_of_one(two: Path, one: Ones, name: str) -> None:
    mine, *theirs = one.of(name), *(load_file(two / f"{name}.{rank}") for rank in range(2))
    assert all(torch.equal(theirs[0][key], theirs[1][key]) for key in mine)
    distance, where = furthest(mine, theirs[0])
    assert distance < TOLERANCE, where


@pytest.mark.parametrize("name", PIECES)
def test_micro_batches_play_the_game_of_one_batch(one: Ones, name: str) -> None:
    with float64():
        pieces = played(name, accumulate=3)
    distance, where = furthest(one.of(name), pieces)
    assert distance < TOLERANCE, where


def test_processes_that_share_the_optimizers_state_have_the_bits_of_those_that_do_not(two: Path) -> None:
    for facts in map(read, (two / "0.json", two / "1.json")):
        assert all(facts[f"{name} shared"] for name in SHARED)
    assert read(two / "0.json")["remembers"] == [600]  # Adam's two moments of the largest parameter
    assert read(two / "1.json")["remembers"] == [300, 4]


def test_slopes_of_finite_differences_pass_through_parameters_that_are_cut_and_those_of_r1_do_not(two: Path) -> None:
    facts = read(two / "0.json")
    assert facts["slopes apart"] < TOLERANCE
    assert facts["slopes of r1"] == "RuntimeError"


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="games do not know parameters that are cut (FSDP2)")
def test_a_game_is_played_with_parameters_that_are_cut(two: Path) -> None:
    distance = read(two / "0.json")["game"]
    assert isinstance(distance, float), distance
    assert distance < TOLERANCE


def test_bfloat16_rounds_in_other_places(two: Path) -> None:
    mine = played("lazy", precision="bfloat16")
    distance, where = furthest(mine, load_file(two / "half.0"))
    assert distance < 0.01, where


def test_processes_share_the_files_of_a_folder(two: Path) -> None:
    alone = enlarged(two / "photos", two / "of-one")
    first, second = (read(two / f"{rank}.json")["files"] for rank in range(2))
    assert first == alone
    assert second[1:] == alone[1:]
    assert len(alone[1]) == 5
    mine, theirs = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*.png")} for f in (two / "of-one", two / "of-two")
    )
    assert mine == theirs
    assert len((two / "of-two" / RECORD).read_text().splitlines()) == 5


def test_processes_look_at_a_share_of_the_images_each_and_see_what_one_sees(two: Path, tmp_path: Path) -> None:
    found, passes, _ = looked(tmp_path / "cache", Local("cpu"))
    assert passes == [32] * 4 + [-1] + [32] * 4 + [-1]
    for rank in range(2):
        share = [32, 32, -1, 32, 32, -1]
        assert read(two / f"{rank}.json")["looked"] == [found, share, rank == 0]


def test_players_that_drift_apart_are_handed_over_again(two: Path) -> None:
    for facts in map(read, (two / "0.json", two / "1.json")):
        assert facts["drifted"] == [[1], [], [0.0, 0.0]]


def test_what_cannot_be_shared_is_refused(two: Path) -> None:
    with float64():
        assert "set accumulate=1" in message(lambda: played("batch norm", accumulate=2))
    assert "has no item" not in message(lambda: played("plain", accumulate=13, rounds=1))
    assert "set batch=14" in message(lambda: played("plain", accumulate=14, rounds=1))
    for facts in map(read, (two / "0.json", two / "1.json")):
        assert "penalty cannot be differentiated through statistics of a batch" in facts["penalty"]
        assert facts["other data"] == "the data of process 1 differ from those of process 0"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_processes_agree_and_fail_alike(two: Path) -> None:
    first, second = read(two / "0.json"), read(two / "1.json")
    assert first["agreed"] == second["agreed"]
    assert first["refused"] == second["refused"] == "there is no such file"


def test_a_lost_process_is_named_at_once(two: Path) -> None:
    said, told, seconds = read(two / "lost.json")
    assert said.startswith("process 1 of 2 (counted from 0) has ended")
    assert "evenodds resume" in said
    assert not told
    assert seconds < 30


def tensors(folder: Path) -> dict[str, Tensor]:
    states, header = checkpoint.load(checkpoint.listing(folder / "checkpoints")[-1])
    assert header.images == IMAGES
    return {f"{part}/{name}": value for part, state in states.items() for name, value in state.tensors.items()}


def test_a_run_of_two_resumes_to_the_same_bits(two: Path) -> None:
    whole, halved = tensors(two / "whole"), tensors(two / "halved")
    assert all(torch.equal(whole[name], halved[name]) for name in whole)
    assert read(two / "whole" / "environment.json")["processes"] == [{"images": 0, "processes": 2}]


def test_a_run_of_two_goes_on_with_one(two: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    shutil.copytree(two / "left", left)
    at = load(left).images
    assert resume(left).images == IMAGES
    whole, mine = tensors(two / "whole"), tensors(left)
    assert max(float((whole[k].double() - mine[k].double()).abs().max()) for k in whole) < 1e-3  # float32, by Adam
    assert read(left / "environment.json")["processes"] == [
        {"images": 0, "processes": 2},
        {"images": at, "processes": 1},
    ]


class Store(dict[str, bytes]):
    """What processes tell one another."""

    def set(self, key: str, value: str) -> None:
        self[key] = value.encode()

    def check(self, keys: list[str]) -> bool:
        return all(key in self for key in keys)


def test_a_silent_or_hanging_process_is_named() -> None:
    store = Store()
    mine, other = (processes.Link(rank, 2, store) for rank in range(2))
    store.set("process/1", "of another machine")
    watch, its = heartbeat.Watch(mine, store, 1, 45, 600), heartbeat.Watch(other, store, 1)
    assert watch.look(0.0) == ""  # not there yet
    other.now("plays")
    its.tell()
    assert watch.look(0.0) == watch.look(44.0) == ""
    assert watch.look(46.0) == "process 1 of 2 (counted from 0) was not heard from for 45 s"
    its.tell()
    assert watch.look(599.0) == ""
    its.tell()
    assert watch.look(602.0).startswith("process 1 of 2 (counted from 0) hangs: it has been in one round for 600 s")
    other.now("works")  # an evaluation may take its time
    its.tell()
    assert watch.look(603.0) == ""
    its.tell()
    assert watch.look(6000.0) == ""
    its.tell("done")
    assert watch.look(60000.0) == ""


def test_no_launcher_is_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    assert processes.join() is None
    assert (processes.rank(), processes.size(), processes.follows()) == (0, 1, False)
