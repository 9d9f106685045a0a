"""The estimators keep scikit-learn's conventions, and do what they say."""

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from evenodds.errors import BadInput
from evenodds.estimators import GAN, GANClassifier, GANImputer, GANOverSampler

SMALL: dict[str, Any] = {"rows": 512, "width": 16, "batch_size": 64, "random_state": 0}
ALL = [GAN, GANImputer, GANOverSampler, GANClassifier]


def table(n: int = 400) -> np.ndarray:
    """(n, 3): a normal column of mean 5, another that follows it, and one with two values."""
    rng = np.random.default_rng(0)
    first = rng.normal(5, 2, n)
    return np.stack([first, 100 * first + rng.normal(0, 20, n), rng.integers(0, 2, n)], 1)


def fitted(estimator: Any) -> Any:
    return estimator.fit(table(64), np.arange(64) % 3)


def used(estimator: Any) -> Any:
    """What it makes of a few rows."""
    x = table(8)
    if isinstance(estimator, GANOverSampler):
        return estimator.sample([0, 1, 2])
    if isinstance(estimator, GANImputer):
        return estimator.transform(np.where(np.eye(8, 3) > 0, np.nan, x))
    return estimator.score_samples(x) if isinstance(estimator, GAN) else estimator.predict_proba(x)


@pytest.mark.parametrize(
    "estimator",
    [
        GAN(**{**SMALL, "rows": 128}, windows=50),
        GANImputer(**{**SMALL, "rows": 128}, n_draws=2),
        GANOverSampler(**{**SMALL, "rows": 128}),
        GANClassifier(rows=120, batch_size=8, noise=0.1, width=16, learning_rate=2e-2, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn(estimator: Any) -> None:
    if not hasattr(sys.modules["sklearn.utils.estimator_checks"], "estimator_checks_generator"):
        pytest.skip("scikit-learn below 1.6 says less of its checks")
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(found) > 30
    assert [(check["check_name"], check["exception"]) for check in found if check["status"] == "failed"] == []


@pytest.mark.parametrize("kind", ALL)
def test_constructor_options_are_parameters(kind: Any) -> None:
    estimator = kind(random_state=3)
    assert clone(estimator).get_params() == estimator.get_params()
    assert {"random_state", "verbose"} <= set(estimator.get_params())
    assert vars(estimator) == estimator.get_params()


@pytest.mark.parametrize("kind", ALL)
def test_what_is_pickled_is_state(kind: Any) -> None:
    estimator = fitted(kind(**SMALL))
    before = used(estimator)
    packed = pickle.dumps(estimator)
    assert b"torch" not in packed
    assert np.array_equal(used(pickle.loads(packed)), before)


@pytest.mark.parametrize("kind", ALL)
def test_torch_is_left_as_it_was(kind: Any) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    used(fitted(kind(**SMALL)))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_gan_draws_rows_like_those_of_the_table() -> None:
    x = table()
    gan = GAN(rows=20_000, width=64, random_state=0).fit(x)
    made, labels = gan.sample(1000)
    assert labels is None
    assert made.shape == (1000, 3)
    assert made[:, 0].mean() == pytest.approx(5, abs=0.4)
    assert made[:, 0].std() == pytest.approx(2, abs=0.5)
    assert np.corrcoef(made[:, 0], made[:, 1])[0, 1] == pytest.approx(0.995, abs=0.02)
    assert set(made[:, 2]) == {0.0, 1.0}
    assert np.array_equal(gan.sample(1000)[0], made)


def test_log_densities_follow_the_units() -> None:
    x = table()[:, :2]
    density = GAN(**SMALL).fit(x).score_samples(x[:5])
    # A column ten times as long has a tenth of the density.
    stretched = GAN(**SMALL).fit(x * [10, 1]).score_samples(x[:5] * [10, 1])
    assert stretched == pytest.approx(density - np.log(10), abs=1e-3)


def test_log_densities_are_those_of_a_normal_column() -> None:
    x = np.random.default_rng(0).normal(3, 2, (1000, 1))
    gan = GAN(rows=10_000, width=64, random_state=0).fit(x)
    assert gan.score(x) == pytest.approx(-0.5 * np.log(2 * np.pi * np.e * 4), abs=0.15)


@pytest.mark.filterwarnings("error")
def test_rows_of_any_layout_and_size() -> None:
    x = table(40)
    x.flags.writeable = False
    gan = GAN(**{**SMALL, "rows": 64})
    made, _ = gan.fit(x).sample(5)
    assert np.array_equal(gan.fit(x[:, ::-1][:, ::-1]).sample(5)[0], made)
    nanoseconds = np.full((40, 1), 1_700_000_000_000_000_000)  # 1 more is the same number in float64
    made, _ = gan.fit(np.hstack([nanoseconds, np.arange(40)[:, None]])).sample(5)
    assert set(made[:, 0]) == {1_700_000_000_000_000_000}
    most = np.full((40, 1), np.iinfo(np.uint64).max)
    assert (gan.fit(most).sample(5)[0] > 0.999 * float(most[0, 0])).all()
    with pytest.raises(BadInput, match=r"numbers of a table are at most 1e\+150, got 9e\+299; divide their column"):
        gan.fit(np.arange(10.0)[:, None] * 1e299)


def test_images_keep_shape_dtype_and_range() -> None:
    for shape, dtype in (((30, 8, 8), np.uint8), ((30, 3, 16, 18), np.float32)):
        x = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
        made, labels = GAN(conditional=True, **{**SMALL, "rows": 64}).fit(x, np.arange(30) % 2).sample(5)
        assert made.shape == (5, *shape[1:])
        assert made.dtype == dtype
        assert made.min() >= 0
        assert made.max() <= 255
        assert labels is not None
        assert set(labels) <= {0, 1}


def test_imputer_leaves_what_is_observed_and_knows_the_columns() -> None:
    x = table()
    holes = x.copy()
    holes[::4, 1] = np.nan
    holes[1::4, 2] = np.nan
    imputer = GANImputer(rows=8_000, width=64, random_state=0).set_output(transform="default")
    filled = imputer.fit_transform(holes)
    seen = ~np.isnan(holes)
    assert np.array_equal(filled[seen], holes[seen])
    error = (filled - x)[::4, 1]
    assert np.sqrt((error**2).mean()) < 60  # the column's deviation is 200, the least possible error 20
    draws = imputer.sample_posterior(holes, 5)
    assert draws.shape == (5, 400, 3)
    assert np.array_equal(draws[3][seen], holes[seen])
    assert set(draws[:, 1::4, 2].ravel()) == {0.0, 1.0}
    assert draws[:, ::4, 1].std(0).mean() > 2
    assert list(imputer.get_feature_names_out(["a", "b", "c"])) == ["a", "b", "c"]
    once = GANImputer(strategy="draw", **SMALL).fit(holes)
    assert set(once.transform(holes)[:, 2]) == {0.0, 1.0}


@pytest.mark.parametrize("way", ["projection", "concatenation"])
def test_oversampler_adds_rare_items_behind(way: str) -> None:
    x, y = load_iris(return_X_y=True)
    kept = np.r_[0:50, 50:60, 100:125]
    x, y = x[kept], np.array(["a", "b", "c"])[y[kept]]
    more, classes = GANOverSampler(way=way, rows=20_000, width=64, random_state=0).fit_resample(x, y)
    assert np.array_equal(more[:85], x)
    assert np.array_equal(classes[:85], y)
    assert dict(zip(*np.unique(classes, return_counts=True), strict=True)) == {"a": 50, "b": 50, "c": 50}
    new = more[85:][classes[85:] == "b"]
    for other in "abc":  # petals of the class asked for: nearer to its own mean than to the others'
        near = np.linalg.norm(new.mean(0) - x[y == "b"].mean(0)) < 0.5 * np.linalg.norm(
            new.mean(0) - x[y == other].mean(0)
        )
        assert near == (other != "b")


def test_oversampler_strategies() -> None:
    x, y = table(40), np.repeat([0, 1, 2], [20, 15, 5])
    for strategy, counts in (("minority", [20, 15, 20]), ({1: 30}, [20, 30, 5]), ("auto", [20, 20, 20])):
        found = GANOverSampler(sampling_strategy=strategy, **SMALL).fit_resample(x, y)[1]
        assert np.bincount(found).tolist() == counts
    for strategy in ("most", {7: 10}, {0: 3}):
        with pytest.raises(BadInput):
            GANOverSampler(sampling_strategy=strategy, **SMALL).fit_resample(x, y)


def test_oversampler_takes_images() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:60].reshape(-1, 8, 8), (y[:60] == 0).astype(int)
    more, classes = GANOverSampler(**SMALL).fit_resample(x, y)
    assert more.shape == (2 * (y == 0).sum(), 8, 8)
    assert np.bincount(classes).tolist() == [(y == 0).sum()] * 2


def test_classifier_learns_from_few_labels() -> None:
    x, y = load_iris(return_X_y=True)
    names = np.array([10, 20, 30])[y]
    few = np.full_like(names, -1)
    few[::10] = names[::10]
    classifier = GANClassifier(rows=12_000, width=64, random_state=0).fit(x, few)
    assert classifier.classes_.tolist() == [10, 20, 30]
    assert 0.85 <= classifier.score(x, names) <= 1
    assert classifier.predict_proba(x).sum(1) == pytest.approx(1)


def test_classifier_aligns_with_the_shares_of_classes() -> None:
    x, y = load_iris(return_X_y=True)
    few = np.full_like(y, -1)
    few[::10] = y[::10]
    of = {kind: GANClassifier(**SMALL, shares=shares) for kind, shares in [("equal", (1, 1, 1)), ("own", "labelled")]}
    equal, own = (classifier.fit(x, few).predict_proba(x) for classifier in of.values())
    assert np.array_equal(equal, own)  # five labels of each class
    assert not np.array_equal(equal, GANClassifier(**SMALL).fit(x, few).predict_proba(x))
    with pytest.raises(BadInput, match="must be 'labelled', numbers, or None, got 'equal'"):
        GANClassifier(**SMALL, shares="equal").fit(x, few)
    with pytest.raises(BadInput, match="must be 3 numbers above 0"):
        GANClassifier(**SMALL, shares=(0.5, 0.5)).fit(x, few)


def test_minus_one_is_a_class_of_two() -> None:
    x = np.r_[np.zeros((20, 2)), np.ones((20, 2))]
    y = np.repeat([-1, 1], 20)
    classifier = GANClassifier(**SMALL).fit(x, y)
    assert classifier.classes_.tolist() == [-1, 1]


def test_they_take_part_in_pipelines() -> None:
    x, y = load_iris(return_X_y=True)
    x = np.where(np.random.default_rng(0).random(x.shape) < 0.1, np.nan, x)
    both = make_pipeline(GANImputer(**SMALL), GANClassifier(**SMALL))
    assert both.fit(x, y).predict(x).shape == y.shape


def test_errors_say_what_to_change() -> None:
    with pytest.raises(NotFittedError):
        GAN().sample()
    with pytest.raises(BadInput, match="column 1 has no observed value"):
        GANImputer(**SMALL).fit([[1, np.nan], [2, np.nan]])
    with pytest.raises(BadInput, match="strategy"):
        GANImputer(strategy="median").fit(table(9))
    with pytest.raises(BadInput, match="'rows' must be at least 1, got 0"):
        GAN(rows=0).fit(table(9))
    with pytest.raises(BadInput, match="as in fit"):
        GAN(**{**SMALL, "rows": 64}).fit(np.zeros((4, 8, 8))).score_samples(np.zeros((4, 8, 9)))


def test_messages_name_columns_of_data_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(BadInput, match="column height has no observed value"):
        GANImputer(**SMALL).fit(pandas.DataFrame({"age": [1.0, 2.0], "height": [np.nan] * 2}))
    monkeypatch.setattr("evenodds.data.tables.columns.MOST_WORDS", 2)
    with pytest.raises(BadInput, match=r"got 4, of which column 'city' has 3; leave that column out"):
        GANImputer(**SMALL).fit(pandas.DataFrame({"n": [1.0, 2.0, 3.0], "a": list("xxx"), "city": list("abc")}))


def test_scikit_learn_is_imported_for_the_estimators_alone() -> None:
    code = (
        "import sys, evenodds; evenodds.train; assert 'sklearn' not in sys.modules; sys.modules['sklearn'] = None\n"
        "try:\n    import evenodds.estimators\n"
        "except ValueError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "the estimators need scikit-learn; pip install 'evenodds[sklearn]'"
