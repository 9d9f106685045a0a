"""Imputing tables, as in Table 2 of Yoon, Jordon and van der Schaar, "GAIN" (2018).

Values are missing completely at random; the error is the root mean square over the missing entries, each column scaled
to [0, 1] by its range. The mean of 64 fillings is compared with the column's mean, k nearest neighbours and iterated
ridge regressions of scikit-learn in the same run; the fillings themselves by their calibration: the error of one, and
how often the range of 39 of them covers the truth, which for fillings like the truth is in 95 % of all cases.

What results/imputation.json holds already is not done again.

    python benchmarks/imputation.py                       # 5 seeds, 20 and 50 % missing, on one thread
    python benchmarks/imputation.py --seeds 1 --missing 0.2 --tables spam
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenodds.apply.imputer import Settings, fit
from evenodds.files.write import write_json
from evenodds.runs.imputing import Imputer

RESULTS = Path(__file__).parent / "results"
ROWS = {"letter": 6_000, "spam": 4_601}
Table = NDArray[np.float64]
PUBLISHED = {
    "letter": {"GAIN": 0.1198, "MICE": 0.1537, "MissForest": 0.1605},
    "spam": {"GAIN": 0.0513, "MICE": 0.0699, "MissForest": 0.0553},
}
"""Table 2 of the paper, 20 % missing, all rows: for orientation, since its tables have more rows than ours."""


def peers(seed: int) -> dict[str, Any]:
    """Imputers of scikit-learn; they see columns scaled to [0, 1]."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    return {
        "mean": SimpleImputer(),
        "5 neighbours": KNNImputer(n_neighbors=5),
        "10 neighbours": KNNImputer(n_neighbors=10),
        "iterative": IterativeImputer(random_state=seed),
    }


def timed(do: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the seconds of processor time that it took."""
    begun = time.process_time()
    return do(), round(time.process_time() - begun, 1)


def calibration(imputer: Imputer, x: Table, truth: Table, missing: NDArray[np.bool_]) -> dict[str, float]:
    """Of 39 fillings: the error of one, the error of the mean of 8, and how often their range covers the truth."""
    draws = imputer.impute(x, 39, seed=1)
    found = np.sort(draws[:, missing], 0)
    covered = (truth[missing] >= found[0]) & (truth[missing] <= found[-1])
    return {
        "one": error(draws[0], truth, missing),
        "mean of 8": error(draws[:8].mean(0), truth, missing),
        "covered": round(float(covered.mean()), 4),
    }


def error(found: Table, truth: Table, missing: NDArray[np.bool_]) -> float:
    """Root mean squared error over the missing entries of columns scaled to [0, 1]."""
    return round(float(((found - truth)[missing] ** 2).mean() ** 0.5), 5)


def cell(truth: Table, rate: float, seed: int, settings: Settings) -> dict[str, Any]:
    """One table, one share of missing values, one seed."""
    missing = np.random.default_rng(seed).random(truth.shape) < rate
    x = np.where(missing, np.nan, truth)
    errors, seconds = {}, {}
    for name, peer in peers(seed).items():
        found, seconds[name] = timed(partial(peer.fit_transform, x))
        errors[name] = error(found, truth, missing)
    imputer, seconds["evenodds"] = timed(partial(fit, x, settings, seed))
    errors["evenodds"] = error(imputer.mean(x), truth, missing)
    return {"errors": errors, "calibration": calibration(imputer, x, truth, missing), "seconds": seconds}


def cells(arguments: argparse.Namespace) -> Iterator[tuple[str, float, int]]:
    for seed in range(arguments.seeds):
        for rate in arguments.missing:
            for name in arguments.tables:
                yield name, rate, seed


def scaled(path: Path, rows: int) -> Table:
    """The first rows of a table, each column scaled to [0, 1] by its range."""
    x: Table = np.loadtxt(path, delimiter=",", skiprows=1)[:rows]
    span = np.ptp(x, 0)
    return np.asarray((x - x.min(0)) / np.where(span > 0, span, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=[*ROWS], choices=[*ROWS])
    parser.add_argument("--missing", nargs="+", type=float, default=[0.2, 0.5])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="of each table; all of spam and 6,000 of letter where not given")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "imputation.json"
    known = json.loads(file.read_text())["cells"] if file.exists() else {}
    for name, rate, seed in cells(arguments):
        truth = scaled(arguments.data / f"{name}.csv", arguments.rows or ROWS[name])
        key = f"{name} {len(truth)} rows, {rate:.0%} missing, seed {seed}"
        if key not in known:
            known[key] = cell(truth, rate, seed, Settings())
            write_json(file, {"published": PUBLISHED, "torch": torch.__version__, "cells": known})
        print(key, json.dumps(known[key]["errors"]), json.dumps(known[key]["calibration"]), flush=True)


if __name__ == "__main__":
    main()
