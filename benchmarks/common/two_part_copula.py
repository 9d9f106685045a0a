"""A Gaussian copula of tables in which many cells are 0: whether a cell is the least number, and how much it is if not.

Each column has one or two latent normal numbers: one that says which choice a cell is (of a column with choices), or
whether it is the least number (where a tenth of the cells are), and one of its amount, which nothing is known of where
the cell is a choice or the least number. Ranks give the rest: a latent number of tied cells lies between the normal
scores of their ranks (Hoff 2007, "Extending the rank likelihood for semiparametric copula estimation"). What is not
known is drawn from its distribution given all others of the row, in turns, and the covariance is the mean over turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from evenodds.data.rows import Column

__all__ = ["two_part_copula"]

Rows = NDArray[np.float64]
SPIKE = 0.1
"""From this share of the cells on, the least number has a latent number of its own."""
SWEEPS, RIDGE = 44, 1e-3


@dataclass(frozen=True)
class _Latent:
    """A latent number of a column, between bounds (N,) that the data give."""

    low: Rows
    high: Rows
    scaled: bool
    """Whether it has unit variance, as what says which choice a cell is."""


def two_part_copula(columns: Sequence[Column], real: Rows, n: int, seed: int = 0) -> Rows:
    """(n, D) rows like real ones (N, D), in the data's own numbers."""
    rng = np.random.default_rng(seed)
    parts = [_parts(column, real[:, k]) for k, column in enumerate(columns)]
    latents = [latent for one in parts for latent in one]
    mean, covariance = _fitted(latents, rng)
    drawn = rng.multivariate_normal(mean, covariance, n, method="cholesky")
    made, at = np.empty((n, len(columns))), 0
    for k, (column, one) in enumerate(zip(columns, parts, strict=True)):
        made[:, k] = _cells(column, real[:, k], drawn[:, at : at + len(one)])
        at += len(one)
    return made


def _choice(column: Column, cells: Rows) -> tuple[NDArray[np.int64], int]:
    """Of each cell: 0 of an amount, or which choice it is; and how many there are."""
    if column.choices:
        seen = column.to_model(cells)[:, bool(column.knots) :]
        return seen.argmax(1).numpy(), column.choices
    least = cells == cells.min()
    return (np.where(least, 0, 1), 2) if least.mean() >= SPIKE else (np.zeros(len(cells), np.int64), 1)


def _amount(column: Column, cells: Rows) -> NDArray[np.bool_]:
    """Which cells are amounts."""
    code, count = _choice(column, cells)
    if column.choices:
        return (code == 0) & bool(column.knots)
    return code == count - 1


def _parts(column: Column, cells: Rows) -> list[_Latent]:
    code, count = _choice(column, cells)
    parts = []
    if count > 1:
        cuts = _cuts(code, count)
        parts.append(_Latent(cuts[code], cuts[code + 1], True))
    amount = _amount(column, cells)
    if amount.any():
        _, place, counts = np.unique(cells[amount], return_inverse=True, return_counts=True)
        tops = counts.cumsum()
        low, high = np.full(len(cells), -np.inf), np.full(len(cells), np.inf)
        low[amount], high[amount] = _scores((tops - counts) / tops[-1])[place], _scores(tops / tops[-1])[place]
        parts.append(_Latent(low, high, False))
    return parts


def _cuts(code: NDArray[np.int64], count: int) -> Rows:
    """Where the choices end on a normal latent number."""
    shares = np.bincount(code, minlength=count).cumsum()[:-1] / len(code)
    return np.concatenate([[-np.inf], _scores(shares.clip(1e-6, 1 - 1e-6)), [np.inf]])


def _fitted(latents: Sequence[_Latent], rng: np.random.Generator) -> tuple[Rows, Rows]:
    low, high = (np.stack([getattr(one, end) for one in latents], 1) for end in ("low", "high"))
    scaled = np.array([one.scaled for one in latents])
    z = _between(low, high, rng)
    means, covariances = [], []
    for sweep in range(SWEEPS):
        mean = np.where(scaled, 0.0, z.mean(0))
        covariance = np.cov(z.T) + RIDGE * np.eye(len(latents))
        size = np.where(scaled, np.sqrt(np.diag(covariance)), 1.0)
        covariance /= np.outer(size, size)
        precision = np.linalg.inv(covariance)
        if 2 * sweep >= SWEEPS:
            means.append(mean)
            covariances.append(covariance)
        for k in range(len(latents)):
            spread = 1 / math.sqrt(precision[k, k])
            others = (z - mean) @ precision[:, k] - (z[:, k] - mean[k]) * precision[k, k]
            middle = mean[k] - others * spread**2
            z[:, k] = middle + spread * _between((low[:, k] - middle) / spread, (high[:, k] - middle) / spread, rng)
    return np.mean(means, 0), np.mean(covariances, 0)


def _between(low: Rows, high: Rows, rng: np.random.Generator) -> Rows:
    """Draws of a normal number between bounds."""
    first, last = _shares(low), _shares(high)
    return _scores((first + (last - first) * rng.random(low.shape)).clip(1e-7, 1 - 1e-7))


def _cells(column: Column, cells: Rows, z: Rows) -> Rows:
    """The cells that latent numbers (n, 1 or 2) stand for."""
    code, count = _choice(column, cells)
    amount = _amount(column, cells)
    made = np.zeros(len(z))
    if amount.any():
        ordered = np.sort(cells[amount])
        made = ordered[(_shares(z[:, -1]) * len(ordered)).astype(int).clip(0, len(ordered) - 1)]
    if count > 1:
        picked = np.searchsorted(_cuts(code, count)[1:-1], z[:, 0])
        levels = np.array([cells[code == k][0] if (code == k).any() else np.nan for k in range(count)])
        of_amount = (picked == (0 if column.choices else count - 1)) & bool(amount.any())
        made = np.where(of_amount, made, levels[picked])
    return made


def _scores(shares: Rows) -> Rows:
    scores: Rows = torch.special.ndtri(torch.from_numpy(np.asarray(shares))).numpy()
    return scores


def _shares(scores: Rows) -> Rows:
    shares: Rows = torch.special.ndtr(torch.from_numpy(np.asarray(scores))).numpy()
    return shares
