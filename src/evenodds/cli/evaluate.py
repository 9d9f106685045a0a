"""The commands that judge a generator: evaluate, compare, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, Json, Run, RunData, app, listed_names
from evenodds.cli.ranges import SEEDS, Pixels, whole
from evenodds.files.terminal import result, result_json, result_table, say

__all__ = ["compare", "evaluate", "report"]

Against = Annotated[
    str | None,
    Parameter(
        help="Real data, or a run whose data and split are taken "
        "[default: the held-out data of the run that is judged]."
    ),
]
Metrics = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        consume_multiple=True,
        help="Names such as frechet kernel memorisation likelihood duality_gap, or all (see: evenodds list metrics).",
    ),
]
Features = Annotated[
    str | None,
    Parameter(
        help="pixels, random, classifier, pretrained, inception, clean or dino, or my_module:Name of your own "
        "[default: classifier for labelled images, pretrained for other photographs where it is installed, random for "
        "others]."
    ),
]
Most = Annotated[
    int, whole(1, 10**7, name=["-n", "--number"], help="At most so many samples, and so many items of real data.")
]


@Parameter(name="*")
@dataclass(frozen=True)
class EvaluationFlags:
    """The flags of commands that evaluate."""

    against: Against = None
    metrics: Metrics = None
    features: Features = None
    data: RunData = None
    n: Most = 10_000
    seed: Annotated[
        int | None, SEEDS, Parameter(help="Of a run's samples, and of every random choice [default: 0].")
    ] = None
    checkpoint: Checkpoint = "last"
    device: Device = "auto"

    def scores(self) -> dict[str, Any]:
        """What evaluations and reports take alike."""
        return {
            "against": self.against,
            "metrics": listed_names(self.metrics),
            "features": self.features,
            "data": self.data,
            "n": self.n,
            "seed": self.seed,
        }


DEFAULTS = EvaluationFlags()


@app.command
@loads
def evaluate(
    subject: Path,
    *,
    train: str | None = None,
    flags: EvaluationFlags = DEFAULTS,
    most_pixels: Pixels = None,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Judge a run, or samples of any tool, by real data: scores with intervals, floors and a fingerprint.

    Parameters
    ----------
    subject
        A run's folder; or samples: a folder or archive of images, an .npz with key x, .npy or .csv.
    train
        The data that the samples' generator was trained on, or the run, to look for copies; known for runs.
    out
        Write the result as JSON to this file [default for runs: evaluation.json in the run's folder].
    """
    from evenodds.cli.bar import Steps
    from evenodds.cli.tables import evaluation_table
    from evenodds.evaluation.evaluate import evaluate as evaluation_of
    from evenodds.evaluation.examination import missing_extra
    from evenodds.evaluation.report import write_evaluation
    from evenodds.evaluation.threads import fastest_threads
    from evenodds.files.outputs import require_owned
    from evenodds.runs.folder_facts import is_run

    target = out if out is not None else subject / "evaluation.json" if is_run(subject) else None
    if target is not None:
        require_owned(target, "evaluate", inputs=(subject, flags.against, train))
    with fastest_threads(flags.device, say), Steps() as step:
        evaluation = evaluation_of(
            str(subject),
            train=train,
            checkpoint=flags.checkpoint,
            device=flags.device,
            step=step,
            most_pixels=most_pixels,
            **flags.scores(),
        )
    if target is not None:
        say(f"written: {write_evaluation(evaluation, target)}")
    if json:
        result_json(dict(evaluation.content))
    else:
        result_table(evaluation_table(evaluation))
    content = evaluation.content
    if hint := missing_extra(content["reference"]["shape"], content["fingerprint"]["features"]):
        say(hint)


@app.command
def compare(*evaluations: Path, json: Json = False) -> None:
    """Rank evaluations by each score; those that were not made in the same way are refused, with the reason.

    Parameters
    ----------
    evaluations
        Files written by `evenodds evaluate --out`, or folders of runs that were evaluated.
    """
    from dataclasses import asdict

    from evenodds.cli.tables import comparison_table
    from evenodds.evaluation.compare import compare as rank
    from evenodds.evaluation.evaluate import read

    comparison = rank({str(path): read(path) for path in evaluations})
    if json:
        result_json(asdict(comparison))
    else:
        result_table(comparison_table(comparison))


@app.command
@loads
def report(
    run: Run,
    *,
    flags: EvaluationFlags = DEFAULTS,
    out: Path | None = None,
) -> None:
    """Evaluate a run and write everything that is known of it as one self-contained page.

    Parameters
    ----------
    out
        The page [default: report.html in the run folder].
    """
    from evenodds.cli.bar import Steps
    from evenodds.evaluation.report import report as write
    from evenodds.evaluation.threads import fastest_threads
    from evenodds.runs.session import load

    session = load(run, flags.checkpoint, flags.device)
    with fastest_threads(flags.device, say), Steps() as step:
        written = write(session, out, step=step, **flags.scores())
    for path in written:
        result(path)
