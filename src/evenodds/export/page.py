"""The page of a run that is handed on: README.md, with the front matter that hubs read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from evenodds.export.run_card import evaluation_of, score_rows
from evenodds.files.text import visible
from evenodds.runs.anonymous import anonymous
from evenodds.runs.remembering import told
from evenodds.runs.session import Session
from evenodds.runs.values import ELSEWHERE, IN_MEMORY

__all__ = ["LICENCES", "page"]

LICENCES = (
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bigscience-openrail-m", "bsd", "bsd-2-clause", "bsd-3-clause",
    "bsl-1.0", "cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "creativeml-openrail-m", "ecl-2.0", "epl-1.0", "epl-2.0", "eupl-1.1",
    "gpl", "gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ms-pl", "odbl", "odc-by",
    "openrail", "openrail++", "osl-3.0", "other", "pddl", "postgresql", "unknown", "unlicense", "wtfpl", "zlib",
)  # fmt: skip
"""Identifiers that hubs take, in lower case."""
PIPELINES = {
    "segment": "image-segmentation",
    "upscale": "image-to-image",
    "translate": "image-to-image",
    "classify": "image-classification",
}
_MARKUP = re.compile(r"([\\`*_\[\]|~#])")


def page(session: Session, facts: Mapping[str, Any], folder: Path, name: str) -> str:
    """The page.

    Args:
        facts: of the card.
        folder: what is handed on beside it.
        name: under which the run can be pulled.
    """
    parts = [
        _front(session, facts),
        f"# {text(name.rpartition('/')[2])}",
        f"Run `{facts['run']}` of [evenodds](https://pypi.org/project/evenodds/) {facts['evenodds']}: recipe "
        f"{text(facts['recipe'])}, task {text(facts['task'])}, {text(facts['trained on'])}.",
        "![samples](samples.png)" if (folder / "samples.png").is_file() else "",
        *_use(session, name),
        *_data(session, facts),
        *_scores(session, facts),
        *_limits(session, facts),
        *_settings(session, facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(value: object) -> str:
    """Plain text that Markdown and HTML take for text, in one line."""
    return _MARKUP.sub(r"\\\1", escape(visible(value), quote=False))


def _front(session: Session, facts: Mapping[str, Any]) -> str:
    """The front matter."""
    task = session.config.task.name
    images = session.card.kind == "image"
    pipeline = PIPELINES.get(task, "unconditional-image-generation" if images and session.draws else None)
    tags = ["evenodds", "gan", task, visible(session.config.recipe)]
    about: dict[str, Any] = {"library_name": "evenodds", "license": facts["licence"]}
    about |= {"pipeline_tag": pipeline} if pipeline else {}
    about |= {"license_name": "see-below"} if facts["licence"] == "other" else {}
    return f"---\n{yaml.safe_dump({**about, 'tags': tags}, sort_keys=False, allow_unicode=True)}---"


def _use(session: Session, name: str) -> list[str]:
    """How the run is used."""
    here = f"runs/{name.rpartition('/')[2]}"
    data = anonymous(session.config).data
    place = " --data PLACE" if data is not None and data.name in (ELSEWHERE, IN_MEMORY) else ""
    verb = (
        f"sample {here} -n 64 --grid samples.png"
        if session.draws
        else f"{session.task.command} {here} {session.task.usage}".rstrip()
    )
    lines = [
        "pip install 'evenodds[hub]'",
        f"evenodds pull {name}                 # every file is checked by its sum, nothing is executed",
        f"evenodds {verb}",
        f"evenodds resume {here}{place}  # only with the data that it was trained on",
    ]
    own = sorted({one.partition(":")[0] for one in _own_code(session)})
    more = (
        [f"It needs code of its author's own ({', '.join(map(text, own))}): read it, then add `--allow`."]
        if own
        else []
    )
    return ["## Use", "```sh\n" + "\n".join(lines) + "\n```", *more]


def _own_code(session: Session) -> Iterable[str]:
    """Names of code that is not evenodds'."""
    config = session.config
    parts = (config.generator, config.discriminator, config.loss, config.penalty, config.task, config.prior)
    names = (part.name for part in parts if part is not None)
    return (name for name in names if ":" in name and not name.startswith("evenodds."))


def _data(session: Session, facts: Mapping[str, Any]) -> list[str]:
    """The data statement."""
    rows = [f"- {name}: {text(value)}" for name, value in facts["data"].items()]
    words = (
        "The data themselves are not here, nor names of their files. The fingerprint tells whether others are the same."
    )
    if kept := told(session.players.values()):
        words = f"{kept[0]} The fingerprint tells whether other data are the same."
    return ["## Data", words, "\n".join(rows)]


def _scores(session: Session, facts: Mapping[str, Any]) -> list[str]:
    """Scores with intervals and floors, what they rest on, and copies."""
    rows = list(score_rows(session.folder, evaluation_of(session.folder)))
    words = "The floor is what real data reach against real data; in brackets, intervals of 95 %."
    head = ("score", "value", "floor", "better")
    table = [_row(head), _row(["---"] * len(head)), *(_row(map(text, row)) for row in rows)]
    resting = facts.get("scores are from")
    again = (
        ": `evenodds evaluate RUN --data PLACE` measures them again" if session.draws or session.task.judged_by else ""
    )
    return [
        "## Scores",
        *([words, "\n".join(table)] if rows else ["None were measured."]),
        f"They rest on: {text(resting)}." if resting else "",
        "\n".join(f"- {text(line)}" for line in facts.get("findings", {}).values()),
        f"Nothing proves that these figures were measured{again}." if rows else "",
        "## Memorisation",
        f"{text(facts.get('memorisation', 'not measured'))}.",
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _limits(session: Session, facts: Mapping[str, Any]) -> list[str]:
    """What is to be minded."""
    lines = [
        "Samples are like the data that the run was trained on, with their gaps and their bias, and not facts.",
        "A checkpoint may give items away that it was trained on.",
    ]
    if session.card.columns:
        lines.append("Words that a column may hold are in data.json: samples are made of them.")
    if session.card.conditions is not None and session.card.examples is None:
        lines.append("Attributes or values of items are not here: say what is wanted with `--given`.")
    verdict = facts.get("verdict")
    lines += [f"How the training went, in the words of its watch: {text(verdict)}."] if verdict else []
    lines += [f"It was changed on the way: {text(one)}." for one in facts.get("remedies", {}).values()]
    past = [f"- {text(one)}" for one in facts.get("past", {}).values()]
    return [
        "## Limits",
        "\n".join(f"- {line}" for line in lines),
        *(["## Where it came from", "\n".join(past)] if past else []),
        "## Licence",
        f"{text(facts['licence'])}, as stated by whoever pushed it. Mind the licence of the data too.",
    ]


def _settings(session: Session, facts: Mapping[str, Any]) -> list[str]:
    """The complete settings."""
    content: Sequence[str] = anonymous(session.config).to_yaml().splitlines()
    made = facts.get("made with")
    return [
        "## Settings",
        f"Made with {text(made)}." if made else "",
        "\n".join(
            [
                "<details><summary>config.yaml</summary>",
                "",
                *(f"    {visible(line)}" for line in content),
                "",
                "</details>",
            ]
        ),
    ]
