"""evenodds with the conventions of scikit-learn. Needs scikit-learn: pip install 'evenodds[sklearn]'.

Nothing is written to disk, and torch's random state and threads are left as they were. What a fitted estimator holds is
plain values and NumPy arrays, and networks are built from them when they are needed.
"""

from evenodds.errors import BadInput

try:
    import sklearn.base  # noqa: F401
except Exception as error:  # a broken installation is as little use as none
    raise BadInput("the estimators need scikit-learn; pip install 'evenodds[sklearn]'") from error

from evenodds.estimators import _unpickling
from evenodds.estimators.classifier import GANClassifier
from evenodds.estimators.gan import GAN
from evenodds.estimators.imputer import GANImputer
from evenodds.estimators.oversampler import GANOverSampler

__all__ = ["GAN", "GANClassifier", "GANImputer", "GANOverSampler"]

_unpickling.install()
