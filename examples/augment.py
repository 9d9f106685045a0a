"""Do synthetic digits help a classifier that has 8 real ones of each class? Asked before they are used."""

import tempfile

import torch

from evenodds.data.readers.digits import digits
from evenodds.evaluation.trial.generators import ConditionalRun
from evenodds.evaluation.trial.plan import TrialPlan
from evenodds.evaluation.trial.play import trial
from evenodds.evaluation.trial.written import table

data = digits()
order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))


def split(_, seed):  # noqa: ANN001, ANN201
    """Each seed has 8 training images of each class and 250 test images of its own."""
    own = order[seed * 590 : (seed + 1) * 590]
    train = torch.cat([own[250:][data.y[own[250:]] == k][:8] for k in range(10)])
    return train, own[:250]


generator = ConditionalRun(settings={"generator.width": 16, "discriminator.width": 16, "device": "cpu"})
with tempfile.TemporaryDirectory() as folder:
    result = trial(
        data,
        f"{folder}/trial",
        generator,  # trained anew on each seed's training images, and on nothing else
        seeds=3,
        splitter=split,
        plan=TrialPlan(steps=60, budget=3_000),  # steps of the classifier, images shown to each generator
        arms=["smote", "gan"],
        ratio=2.0,  # two synthetic images for each real one
    )
print(table(result))
