"""With scikit-learn: fill in a table, balance its classes, and classify with few labels."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split

from evenodds.estimators import GANClassifier, GANImputer, GANOverSampler

rng = np.random.default_rng(0)
X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

missing = rng.random(X.shape) < 0.2
filled = GANImputer(rows=4_000, random_state=0).fit_transform(np.where(missing, np.nan, X))
off = ((filled - X) / X.std(0))[missing]
print(f"filled in {missing.sum()} values: off by {np.sqrt((off**2).mean()):.2f} deviations of their columns")

kept = (y == 1) | (rng.random(len(y)) < 0.1)  # class 0 becomes rare
more_X, more_y = GANOverSampler(rows=4_000, random_state=0).fit_resample(X[kept], y[kept])
for name, rows, classes in (("as it is", X[kept], y[kept]), ("balanced", more_X, more_y)):
    found = RandomForestClassifier(random_state=0).fit(rows, classes).predict(X_test)
    print(f"{name}: {np.bincount(classes)} rows; recall of class 0 is {recall_score(y_test, found, pos_label=0):.2f}")

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X.reshape(-1, 8, 8), y, stratify=y, random_state=0)
few = np.full_like(y, -1)
for digit in range(10):
    few[np.flatnonzero(y == digit)[:5]] = digit
score = GANClassifier(rows=12_000, random_state=0).fit(X, few).score(X_test, y_test)
plain = GANClassifier(unsupervised=0, rows=3_000, random_state=0).fit(X[few >= 0], few[few >= 0]).score(X_test, y_test)
print(f"5 labels per digit: {score:.1%} right with unlabelled digits, {plain:.1%} without them")
