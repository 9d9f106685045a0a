"""Imputing tables with columns of words: how many hidden words are right.

A fifth of all cells is hidden completely at random. Hidden words are filled with the likeliest one and hidden numbers
with the mean of 32 fillings, beside the commonest word and the mean, ten nearest neighbours (words as one-hot columns,
numbers scaled to deviation 1) and, for each column, gradient boosting on the others; both of scikit-learn. Draws are
judged by the share of their words that are right, and by the logarithm of how often 32 of them are the truth;
boosting by that of its probability of the truth.

What results/imputation_words.json holds already is not done again.

    python benchmarks/imputation_words.py                       # 3 seeds, four tables, on one thread
    python benchmarks/imputation_words.py --seeds 1 --tables chain
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.mixed_tables import MIXED
from evenodds.apply.imputer import Settings, fit
from evenodds.files.write import write_json
from evenodds.runs.imputing import Imputer

RESULTS = Path(__file__).parent / "results"
Table = NDArray[np.float64]
HIDDEN = 0.2
DRAWS = 32


def chain(data: Path) -> tuple[Table, list[int]]:
    """A made table: six columns of 3 to 12 words, each told by the one before, in no order; and two numbers."""
    rng = np.random.default_rng(0)
    sizes, n = (6, 12, 4, 8, 3, 10), 2_000
    columns = [rng.integers(0, sizes[0], n)]
    for before, size in pairwise(sizes):
        shares = rng.dirichlet(np.full(size, 0.25), before)
        columns.append(np.array([rng.choice(size, p=shares[k]) for k in columns[-1]]))
    numbers = [rng.normal(size=sizes[at])[columns[at]] + 0.4 * rng.normal(size=n) for at in (1, 3)]
    return np.stack([*columns, *numbers], 1).astype(np.float64), list(range(6))


def patients(data: Path) -> tuple[Table, list[int]]:
    """Words, and numbers that they depend on; see common/mixed_tables.py."""
    cells = MIXED["patients"][0](2_000)
    words = [k for k, column in enumerate(cells.values()) if isinstance(column[0], str)]
    columns = [
        np.unique(np.array(column), return_inverse=True)[1] if k in words else np.array(column, float)
        for k, column in enumerate(cells.values())
    ]
    return np.stack(columns, 1).astype(np.float64), words


def letter(data: Path) -> tuple[Table, list[int]]:
    """Every other column of the letters is taken for words, up to sixteen of them."""
    x: Table = np.loadtxt(data / "letter.csv", delimiter=",", skiprows=1)[:2_000]
    words = list(range(0, 16, 2))
    return _in_another_order(x, words), words


def spam(data: Path) -> tuple[Table, list[int]]:
    """The commonest twenty columns of spam, of which ten say but "none", "some" or "much"."""
    x: Table = np.loadtxt(data / "spam.csv", delimiter=",", skiprows=1)[:2_000]
    x = x[:, np.sort(np.argsort(-(x > 0).mean(0))[:20])]
    words = list(range(0, 20, 2))
    for k in words:
        x[:, k] = np.where(x[:, k] == 0, 0, 1 + (x[:, k] > np.median(x[x[:, k] > 0, k])))
    return _in_another_order(x, words), words


TABLES = {"chain": chain, "patients": patients, "letter": letter, "spam": spam}


def _in_another_order(x: Table, words: Sequence[int]) -> Table:
    """Codes 0, 1, 2 ... of words, whose order says as little as that of the alphabet."""
    rng = np.random.default_rng(1)
    for k in words:
        distinct, codes = np.unique(x[:, k], return_inverse=True)
        x[:, k] = rng.permutation(len(distinct))[codes]
    return x


def by_neighbours(x: Table, words: Sequence[int]) -> tuple[Table, Table]:
    """Ten of them: the commonest word and the mean; none says how sure it is."""
    from sklearn.impute import KNNImputer

    parts, places = [], []
    for k, column in enumerate(x.T):
        if k in words:
            distinct = np.unique(column[~np.isnan(column)])
            codes = np.where(np.isnan(column)[:, None], np.nan, (column[:, None] == distinct) / np.sqrt(2))
            parts.append(codes)
            places.append((k, distinct))
        else:
            parts.append(((column - np.nanmean(column)) / (np.nanstd(column) or 1))[:, None])
            places.append((k, None))
    found = KNNImputer(n_neighbors=10).fit_transform(np.concatenate(parts, 1))
    made, at = x.copy(), 0
    for k, distinct in places:
        width = 1 if distinct is None else len(distinct)
        block, at = found[:, at : at + width], at + width
        if distinct is None:
            made[:, k] = block[:, 0] * (np.nanstd(x[:, k]) or 1) + np.nanmean(x[:, k])
        else:
            made[:, k] = distinct[block.argmax(1)]
    return np.where(np.isnan(x), made, x), np.full(x.shape, np.nan)


def by_boosting(x: Table, words: Sequence[int], truth: Table) -> tuple[Table, Table]:
    """Each column by gradient boosting on the others, which may be missing, and the probability of the true words."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    made, sure = x.copy(), np.full(x.shape, np.nan)
    for k in range(x.shape[1]):
        others = [j for j in range(x.shape[1]) if j != k]
        categorical = [at for at, j in enumerate(others) if j in words]
        there = ~np.isnan(x[:, k])
        kind = HistGradientBoostingClassifier if k in words else HistGradientBoostingRegressor
        stops = k not in words or np.unique(x[there, k], return_counts=True)[1].min() >= 10
        model = kind(categorical_features=categorical, early_stopping=stops, random_state=0)
        model.fit(x[there][:, others], x[there, k])
        made[~there, k] = model.predict(x[~there][:, others])
        if k in words:
            at = np.searchsorted(model.classes_, truth[~there, k]).clip(0, len(model.classes_) - 1)
            shares = model.predict_proba(x[~there][:, others])[np.arange((~there).sum()), at]
            sure[~there, k] = np.where(model.classes_[at] == truth[~there, k], shares, 0)
    return made, sure


def by_evenodds(x: Table, words: Sequence[int], truth: Table, settings: Settings, seed: int) -> tuple[Imputer, Any]:
    imputer = fit(x, settings, seed, words=words)
    return imputer, (imputer.mean(x, DRAWS, seed=1), imputer.impute(x, DRAWS, seed=1))


def simple(x: Table, words: Sequence[int]) -> Table:
    """The commonest word, and the mean."""
    made = np.where(np.isnan(x), np.nanmean(x, 0), x)
    for k in words:
        distinct, counts = np.unique(x[~np.isnan(x[:, k]), k], return_counts=True)
        made[np.isnan(x[:, k]), k] = distinct[counts.argmax()]
    return np.asarray(made)


def figures(found: Table, truth: Table, hidden: NDArray[np.bool_], words: Sequence[int]) -> dict[str, float]:
    """Hidden words that are right, and the error of hidden numbers in deviations of their columns."""
    wordy = np.isin(np.arange(truth.shape[1]), words)
    right = (found == truth)[:, wordy][hidden[:, wordy]].mean()
    numbers = {}
    if not wordy.all():
        off = ((found - truth) / np.nanstd(truth, 0))[:, ~wordy][hidden[:, ~wordy]]
        numbers = {"error": round(float((off**2).mean() ** 0.5), 4)}
    return {"right": round(float(right), 4), **numbers}


def log_score(sure: Table, hidden: NDArray[np.bool_], words: Sequence[int]) -> float:
    """The mean logarithm of the probability of what is true, which counts as at least half a draw in 32."""
    least = 0.5 / (DRAWS + 1)
    shares = sure[:, list(words)][hidden[:, list(words)]]
    return round(float(np.log(shares.clip(least)).mean()), 4)


def cell(name: str, seed: int, settings: Settings, data: Path) -> dict[str, Any]:
    """One table, one seed."""
    truth, words = TABLES[name](data)
    hidden = (np.random.default_rng(seed).random(truth.shape) < HIDDEN) & ~np.isnan(truth)
    x = np.where(hidden, np.nan, truth)
    made: dict[str, Any] = {"commonest and mean": figures(simple(x, words), truth, hidden, words)}
    for peer, do in (
        ("10 neighbours", partial(by_neighbours, x, words)),
        ("boosting", partial(by_boosting, x, words, truth)),
    ):
        (found, sure), seconds = timed(do)
        made[peer] = {**figures(found, truth, hidden, words), "seconds": seconds}
        if not np.isnan(sure).all():
            made[peer]["log"] = log_score(sure, hidden, words)
    (_, (best, draws)), seconds = timed(partial(by_evenodds, x, words, truth, settings, seed))
    one = figures(draws[0], truth, hidden, words)
    sure = (draws == truth).mean(0)
    made["evenodds"] = {
        **figures(best, truth, hidden, words), "seconds": seconds, "log": log_score(sure, hidden, words),
        "one draw right": one["right"], "due": due(draws, hidden, words),
    }  # fmt: skip
    return made


def due(draws: Table, hidden: NDArray[np.bool_], words: Sequence[int]) -> float:
    """The share of one draw's words that another has: so many of a draw are right, where draws are like the truth."""
    same = (draws[::2] == draws[1::2])[:, :, list(words)]
    return round(float(same[:, hidden[:, list(words)]].mean()), 4)


def timed(do: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the seconds of processor time that it took."""
    begun = time.process_time()
    return do(), round(time.process_time() - begun, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=[*TABLES], choices=[*TABLES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="shown in training, where the usual number is not wanted")
    parser.add_argument("--out", type=Path, default=RESULTS / "imputation_words.json")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(arguments.out.read_text())["cells"] if arguments.out.exists() else {}
    for seed in range(arguments.seeds):
        for name in arguments.tables:
            key = f"{name}, seed {seed}" + ("" if arguments.rows is None else f", {arguments.rows:,} rows shown")
            if key not in known:
                known[key] = cell(name, seed, Settings(rows=arguments.rows), arguments.data)
                write_json(arguments.out, {"torch": torch.__version__, "cells": known})
            print(key, json.dumps(known[key]), flush=True)


if __name__ == "__main__":
    main()
