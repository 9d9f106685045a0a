"""Three made tables of mixed columns, whose columns hang together: whole numbers, flags, skew, words, dates, gaps."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIXED"]

Columns = dict[str, list[Any]]
"""Cells by the name of the column; None where a cell is empty."""


def loans(n: int = 6000, seed: int = 0) -> Columns:
    """Incomes and debts with long tails, most debts 0, and whether a loan was approved."""
    rng = np.random.default_rng(seed)
    age = np.clip(np.round(18 + rng.gamma(3.0, 9.0, n)), 18, 90)
    region = rng.choice(["north", "south", "east", "west", "overseas"], n, p=[0.4, 0.3, 0.17, 0.1, 0.03])
    employed = rng.random(n) < _logistic((66 - age) / 4)
    level = 10.2 + 0.012 * (np.minimum(age, 55) - 18) + 0.35 * (region == "north") - 0.8 * ~employed
    income = np.round(np.exp(level + 0.5 * rng.standard_normal(n)), -2)
    indebted = rng.random(n) < 0.25 + 0.4 * employed
    debt = np.where(indebted, np.round(income * np.exp(rng.normal(-1.2, 1.1, n)), 2), 0.0)
    late = np.minimum(rng.poisson(0.3 + 1.5 * (debt > income)), 9)
    odds = 1.5 + 0.9 * np.log(income / 30000) - 1.2 * late - 0.8 * (debt > 0.6 * income) + 0.5 * employed
    return {
        "age": age.astype(int).tolist(),
        "region": region.tolist(),
        "employed": employed.astype(int).tolist(),
        "income": income.astype(int).tolist(),
        "debt": debt.tolist(),
        "late_payments": late.tolist(),
        "approved": np.where(rng.random(n) < _logistic(odds), "yes", "no").tolist(),
    }


def orders(n: int = 6000, seed: int = 0) -> Columns:
    """Dates with seasons, prices that end in .99, amounts that are price times quantity, and ratings that lack."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["books", "garden", "kitchen", "music", "outdoor", "toys", "tools", "wine"])
    share = np.array([0.25, 0.12, 0.15, 0.08, 0.1, 0.14, 0.1, 0.06])
    day = rng.integers(0, 1096, n)
    season = share * (1 + 0.8 * np.cos(2 * np.pi * (day[:, None] / 365.25 - np.arange(8) / 8)))
    kind = np.array([rng.choice(8, p=row / row.sum()) for row in season])
    quantity = rng.geometric(np.array([0.5, 0.7, 0.6, 0.8, 0.9, 0.4, 0.7, 0.3])[kind], n)
    middle, spread = np.array([2.5, 3.2, 3.4, 2.7, 4.4, 2.9, 3.6, 2.4]), [0.4, 0.6, 0.7, 0.3, 0.8, 0.5, 0.9, 0.6]
    price = np.exp(middle[kind] + np.array(spread)[kind] * rng.standard_normal(n))
    price = np.where(rng.random(n) < 0.3, np.floor(price) + 0.99, np.round(price, 2))
    coupon = rng.random(n) < 0.1 + 0.15 * (day % 365 > 320)
    amount = np.round(price * quantity * np.where(coupon, 0.9, 1), 2)
    returned = rng.random(n) < _logistic(-3 + 0.5 * np.log(amount) + 0.8 * (kind == 4))
    rating = np.clip(np.round(4.3 - 1.8 * returned + rng.normal(0, 0.8, n)), 1, 5)
    rated = rng.random(n) < 0.3 + 0.4 * returned
    return {
        "day": [(date(2021, 1, 1) + timedelta(int(d))).isoformat() for d in day],
        "kind": kinds[kind].tolist(),
        "quantity": quantity.astype(int).tolist(),
        "price": price.tolist(),
        "amount": amount.tolist(),
        "coupon": coupon.astype(int).tolist(),
        "returned": np.where(returned, "yes", "no").tolist(),
        "rating": [int(value) if there else None for value, there in zip(rating, rated, strict=True)],
    }


def patients(n: int = 4000, seed: int = 0) -> Columns:
    """Ages of two groups, measurements that depend on each other, tests that the old have more often."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], n, p=[0.55, 0.45])
    young = rng.random(n) < 0.3
    age = np.where(young, rng.normal(35, 10, n), rng.normal(64, 11, n)).clip(18, 97).round()
    habits = np.where(age[:, None] < 50, [0.5, 0.3, 0.2], [0.4, 0.45, 0.15])
    smoker = np.array(["never", "former", "current"])[[rng.choice(3, p=row) for row in habits]]
    bmi = np.round(np.exp(3.27 + 0.17 * rng.standard_normal(n) + 0.03 * (age > 45)), 1)
    systolic = np.round(100 + 0.45 * age + 0.9 * (bmi - 26) + 11 * rng.standard_normal(n))
    diastolic = np.round(35 + 0.36 * systolic + 6 * rng.standard_normal(n))
    diabetic = rng.random(n) < 0.1 + 0.006 * (age - 40).clip(0)
    base = 4.5 + 0.012 * (bmi - 26) + 0.1 * rng.standard_normal(n)
    glucose = np.round(np.exp(base + diabetic * np.abs(rng.normal(0.45, 0.2, n))))
    risk = -4 + 0.05 * (age - 50) + 0.9 * (smoker == "current") + 0.03 * (systolic - 130) + 0.02 * (glucose - 100)
    risk += rng.logistic(0, 0.7, n)
    rest = np.where(glucose > 140, "diabetes", np.where(risk > -2.5, "observe", "none"))
    diagnosis = np.where(risk > -0.5, "cardiac", rest)
    tested = rng.random(n) < 0.5 + 0.35 * (age > 50)
    ldl = np.round(rng.normal(120, 25, n) + 15 * (diagnosis == "cardiac") + 0.3 * (bmi - 26))
    return {
        "sex": sex.tolist(),
        "age": age.astype(int).tolist(),
        "smoker": smoker.tolist(),
        "bmi": bmi.tolist(),
        "systolic": systolic.astype(int).tolist(),
        "diastolic": diastolic.astype(int).tolist(),
        "glucose": glucose.astype(int).tolist(),
        "ldl": [int(value) if there else None for value, there in zip(ldl, tested, strict=True)],
        "diagnosis": diagnosis.tolist(),
    }


def _logistic(x: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-x))


MIXED: dict[str, tuple[Callable[..., Columns], str]] = {
    "loans": (loans, "approved"),
    "orders": (orders, "returned"),
    "patients": (patients, "diagnosis"),
}
"""Each table with the column that a classifier is to tell."""
