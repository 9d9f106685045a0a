"""Tables: rows of a recipe, of independent columns and of a Gaussian copula, held against real rows.

A fifth of the rows is held out and seen by nobody. Scores, by gradient boosting of scikit-learn:
- told apart: accuracy of a classifier of held-out rows against as many made ones, fitted on half, tested on the rest;
- useful: accuracy on held-out rows of a classifier of one column that learned from made rows, beside one that learned
  from real rows;
- recall of held-out rows by made ones, and by real rows, in what players see (Kynkäänniemi et al. 2019);
- invalid: the share of cells that the column could not hold.

What results/tables.json holds already is not done again. `letter` and `spam` are read from a folder of data.

    python benchmarks/tables.py                                        # 3 made tables, 3 seeds, on one thread
    python benchmarks/tables.py --data DATA --tables spam --seeds 5 --recipe small-table --classes 1
    python benchmarks/tables.py --data DATA --tables letter spam --seeds 3 --images 2M
    python benchmarks/tables.py --data DATA --tables spam spam-distinct --seeds 5 --recipe small-table
"""

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

import evenodds
from common.mixed_tables import MIXED
from common.stored import stored_results
from evenodds.data.dataset import Dataset
from evenodds.data.sources import load
from evenodds.files.write import write_json
from evenodds.metrics.manifold import precision_recall

RESULTS = Path(__file__).parent / "results"
Rows = NDArray[np.float64]
DISTINCT = "-distinct"
TARGETS = {**{name: target for name, (_, target) in MIXED.items()}, "letter": "Cat 12", "spam": "Cont 57"}
"""The column that a classifier is to tell: its words, or whether it is above its median."""
MANY = 4
"""Times as many made rows as real ones that a classifier learns from, beside as many."""
MOST = 1000
"""Rows on each side of recall."""


def target_of(name: str) -> str:
    """The column that a classifier of that table is to tell."""
    return TARGETS[name.removesuffix(DISTINCT)]


def columns(name: str, data: Path | None) -> dict[str, list[Any]]:
    """A made table, or one of the folder; with DISTINCT behind the name, each of its rows once."""
    if name.endswith(DISTINCT):
        table = columns(name.removesuffix(DISTINCT), data)
        lines = dict.fromkeys(zip(*table.values(), strict=True))
        return dict(zip(table, map(list, zip(*lines, strict=True)), strict=True))
    if name in MIXED:
        return MIXED[name][0]()
    if data is None:
        raise SystemExit(f"{name} needs --data, the folder with {name}.csv")
    rows = list(csv.reader((data / f"{name}.csv").open(encoding="utf-8")))
    return {head.strip(): [row[k] for row in rows[1:]] for k, head in enumerate(rows[0])}


def written(path: Path, table: dict[str, list[Any]], index: NDArray[np.int64]) -> Path:
    """Some rows of a table as CSV."""
    lines = list(zip(*table.values(), strict=True))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows([["" if cell is None else cell for cell in lines[k]] for k in index])
    return path


def independent(real: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Each column drawn by itself from its cells."""
    return np.stack([rng.choice(column, n) for column in real.T], 1)


def copula(real: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Normal scores of the ranks, ties broken at random, with their correlations; then the cells of those ranks.

    An empty cell ranks below all numbers.
    """
    ordered, scores = np.empty(real.shape), np.empty(real.shape)
    places = torch.special.ndtri(torch.arange(len(real), dtype=torch.float64).add(0.5) / len(real)).numpy()
    for k, column in enumerate(real.T):
        order = np.lexsort((rng.random(len(real)), np.nan_to_num(column, nan=-np.inf)))
        ordered[:, k], scores[order, k] = column[order], places
    drawn = rng.multivariate_normal(np.zeros(real.shape[1]), np.corrcoef(scores.T), n, method="eigh")
    shares = torch.special.ndtr(torch.from_numpy(drawn)).numpy()
    return np.take_along_axis(ordered, (shares * len(real)).astype(int).clip(0, len(real) - 1), 0)


def told_apart(held_out: Rows, made: Rows, seed: int) -> float:
    """Accuracy of a fresh classifier; 0.5 is none."""
    n = min(len(held_out), len(made))
    half = n // 2
    model = HistGradientBoostingClassifier(random_state=seed)
    model.fit(np.concatenate([held_out[:half], made[:half]]), np.repeat([0, 1], half))
    rest = np.concatenate([held_out[half:n], made[half:n]])
    return float(model.score(rest, np.repeat([0, 1], n - half)))


def useful(rows: Rows, held_out: Rows, at: int, middle: float | None, seed: int) -> float:
    """Accuracy on held-out rows of a classifier of one column that learned from these rows."""

    def target(x: Rows) -> NDArray[Any]:
        return np.nan_to_num(x[:, at]) if middle is None else x[:, at] > middle

    if len(np.unique(target(rows))) < 2:
        return 0.0
    model = HistGradientBoostingClassifier(random_state=seed).fit(np.delete(rows, at, 1), target(rows))
    return float(model.score(np.delete(held_out, at, 1), target(held_out)))


def usefulness(data: Dataset, real: Rows, held_out: Rows, made: Rows, target: str, seed: int) -> float:
    """`useful` of the table's column: its words, or whether a number is above its median."""
    at = data.columns.index(target)
    middle = None if data.units.columns[at].form == "words" else float(np.median(real[:, at]))
    return useful(made, held_out, at, middle, seed)


def scores(data: Dataset, real: Rows, held_out: Rows, made: Rows, target: str, seed: int) -> dict[str, float]:
    """All scores of one set of rows, in the data's own numbers."""
    seen = [data.units.to_model(torch.from_numpy(side[:MOST])) for side in (held_out, made)]
    fits = [column.allows(made[:, k]) for k, column in enumerate(data.units.columns)]
    return {
        "told_apart": told_apart(held_out, made, seed),
        "useful": usefulness(data, real, held_out, made, target, seed),
        "recall": float(precision_recall(*seen).recall),
        "invalid": float(1 - np.stack(fits).mean()),
    }


def cell(name: str, seed: int, recipe: str, settings: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """One table and one seed."""
    table = columns(name, data)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table[target_of(name)]))
    count = len(order) // 5
    with tempfile.TemporaryDirectory() as folder:
        train = written(Path(folder) / "train.csv", table, order[count:])
        whole = load(written(Path(folder) / "all.csv", table, order))
        begun = time.process_time()
        session = evenodds.fit(
            str(train), recipe, out=Path(folder) / "run", **settings, seed=seed, watch="off", device="cpu"
        )
        seconds = time.process_time() - begun
        made, many = (whole_numbers(session, whole, times * (len(order) - count)) for times in (1, MANY))
    held_out, real = whole.x[:count].numpy(), whole.x[count:].numpy()
    sides = {
        "real": real[rng.permutation(len(real))],
        "evenodds": made,
        "gaussian copula": copula(real, len(real), rng),
        "independent columns": independent(real, len(real), rng),
    }
    found = {side: scores(whole, real, held_out, rows, target_of(name), seed) for side, rows in sides.items()}
    found["evenodds"]["useful_of_many"] = usefulness(whole, real, held_out, many, target_of(name), seed)
    return {"processor_seconds": round(seconds, 1), "images": session.images, **found}


def whole_numbers(session: evenodds.Session, whole: Dataset, n: int) -> Rows:
    """Rows of a run in the numbers of the whole table, whose words may have other places."""
    places = [whole.columns.index(column.name) for column in session.card.units.columns]
    rows, made = session.numbers(n, seed=1), np.full((n, len(whole.columns)), np.nan)
    for k, (column, place) in enumerate(zip(session.card.units.columns, places, strict=True)):
        other = whole.units.columns[place]
        codes = {float(j): float(other.words.index(word)) for j, word in enumerate(column.words)}
        made[:, place] = [codes.get(value, value) for value in rows[:, k].tolist()] if codes else rows[:, k]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(MIXED))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="table")
    parser.add_argument("--images", help="Of the run; 1M, and 20k of small-table, whose rows do not depend on it.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--classes", type=int, help="Latent classes of small-table, where they are not its own.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "tables.json"
    images = options.images or ("1M" if options.recipe == "table" else "20k")
    classes = {} if options.classes is None else {"generator__classes": options.classes}
    played = images if options.recipe == "table" else options.recipe + (f" of {options.classes}" if classes else "")
    settings = {"images": images, **classes}
    for seed in range(options.seeds):
        for name in options.tables:
            key = f"{name}, {played}, seed {seed}"
            if key not in stored_results(path):
                found = cell(name, seed, options.recipe, settings, options.data)
                write_json(path, {**stored_results(path), key: found})
                print(key, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
