"""The commands that hand a run to others: export, card."""

from __future__ import annotations

from pathlib import Path

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Json, Run, Switch, app
from evenodds.cli.opening import RunOrModel, is_alone, run_or_model
from evenodds.files.terminal import result, result_json, result_table, say

__all__ = ["card", "export"]


@app.command
@loads
def export(
    run: Run,
    *,
    to: str = "onnx",
    out: Path | None = None,
    answers: str | None = None,
    uint8: Switch = False,
    fp16: Switch = False,
    one_hot: Switch = False,
    back: Switch = False,
    licence: str | None = None,
    checkpoint: Checkpoint = "last",
) -> None:
    """Write a run as one file that other programs and languages read, and check that it gives what the run gives.

    Parameters
    ----------
    to
        onnx, for onnxruntime and all that reads ONNX; or pt2, for torch.export.load.
    out
        The file to write [default: ANSWERS.onnx or ANSWERS.pt2 in the run folder, ANSWERS-back of --back].
    answers
        What the file does: sample, fill, upscale, translate, segment or classify; encode (z of items, by the encoder
        that `evenodds encode` learned); features (what the discriminator sees) [default: what the run is for].
    uint8
        Images are bytes, in the data's own units, on the way in and out [default: float32 in [-1, 1]].
    fp16
        The networks compute in float16: half the size, and less exact.
    one_hot
        Classes are asked for by a row of shares, which may mix them [default: by their number].
    back
        Of a run that learned both ways, as one of cycle: the way back, which makes images like the sources of images
        like the targets. Its file takes `source` and gives `x`, as that of the way there does.
    licence
        Of the file, written into it.
    """
    from evenodds.apply.encoder import existing_encoder
    from evenodds.export.graphs import Options
    from evenodds.export.write import export as write
    from evenodds.runs.session import load

    session = load(run, checkpoint, "cpu")
    options = Options(answers, uint8, fp16, one_hot, back)
    exported = write(session, to, out, options, licence=licence, encoder=lambda: existing_encoder(session))
    for line in exported.lines():
        say(line)
    result(exported.path)


@app.command
@loads
def card(run: RunOrModel, *, checkpoint: Checkpoint = "last", json: Json = False) -> None:
    """Print what is known of a run, or of an exported file: data, settings, scores, version; no names of files."""
    from evenodds.export.card import card_in, card_lines
    from evenodds.export.folder_card import card_in_folder

    if is_alone(run, checkpoint, "cpu"):
        facts = card_in(run)
    else:
        facts = card_in_folder(run) if checkpoint == "last" and run.is_dir() else None
    if facts is None:
        from evenodds.export.run_card import card_of

        facts = card_of(run_or_model(run, checkpoint, "cpu"))
    if json:
        result_json(facts)
        return
    result_table(card_lines(facts))
