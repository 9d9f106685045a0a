"""How long an imputer of a small table has to learn: errors of hidden cells by the number of rows shown.

Tables of scikit-learn, whose class is a word beside the numbers; a fifth of the cells is hidden. Errors are in
deviations of the columns. What results/imputation_length.json holds already is not done again.

    python benchmarks/imputation_length.py                      # on one thread
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenodds.apply.imputer import Settings, fit
from evenodds.files.write import write_json

RESULTS = Path(__file__).parent / "results" / "imputation_length.json"
Table = NDArray[np.float64]


def table(name: str) -> Table:
    """Numbers, and behind them the place of a word, or none: diabetes has no classes."""
    from sklearn import datasets

    kind = name.partition(" ")[0]
    bunch = getattr(datasets, f"load_{kind}")()
    x = np.asarray(bunch.data, np.float64)
    if kind != "diabetes":
        x = np.concatenate([x, np.asarray(bunch.target, np.float64)[:, None]], 1)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order[:40]] if name.endswith("40 rows") else x[order]


TABLES = ("wine 40 rows", "iris", "wine", "diabetes", "breast_cancer")


def cell(name: str, rows: int, seed: int) -> dict[str, float]:
    """One table, one length, one seed."""
    truth = table(name)
    words = [] if name == "diabetes" else [truth.shape[1] - 1]
    hidden = np.random.default_rng(seed).random(truth.shape) < 0.2
    x = np.where(hidden, np.nan, truth)
    begun = time.process_time()
    imputer = fit(x, Settings(rows=rows), seed, words=words)
    seconds = time.process_time() - begun
    made = imputer.mean(x, seed=1)
    numbers = np.isin(np.arange(truth.shape[1]), words, invert=True)
    off = ((made - truth) / truth.std(0))[:, numbers][hidden[:, numbers]]
    found: dict[str, Any] = {"error": round(float((off**2).mean() ** 0.5), 4), "seconds": round(seconds, 1)}
    if words:
        found["right"] = round(float((made == truth)[:, ~numbers][hidden[:, ~numbers]].mean()), 4)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=[*TABLES], choices=[*TABLES])
    parser.add_argument("--rows", nargs="+", type=int, default=[10_000, 20_000, 50_000, 200_000])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(RESULTS.read_text())["cells"] if RESULTS.exists() else {}
    for seed in range(arguments.seeds):
        for name in arguments.tables:
            for rows in arguments.rows:
                key = f"{name}, {rows:,} rows shown, seed {seed}"
                if key not in known:
                    known[key] = cell(name, rows, seed)
                    write_json(RESULTS, {"torch": torch.__version__, "cells": known})
                print(key, json.dumps(known[key]), flush=True)


if __name__ == "__main__":
    main()
