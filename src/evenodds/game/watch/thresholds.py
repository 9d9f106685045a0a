"""Every threshold of the verdicts on a run, in one place.

Shares and spreads are parts of 1, distances are in units of the untrained generator's, rounds count batches.
"""

__all__ = [
    "ADVANTAGE",
    "ADVANTAGE_ERRORS",
    "ALARM_LOSS",
    "ALIKE",
    "ENOUGH_PREFERENCES",
    "FARTHER",
    "FIRST_ROUNDS",
    "HALFWAY",
    "JUMPED",
    "LEAK",
    "LEAST_DUE",
    "LONG",
    "MISSING",
    "NEARER",
    "NO_NEARER",
    "ONE_POINT",
    "OPENING",
    "OVERSHOOT",
    "PARTS",
    "REACHED",
    "RECENT",
    "REPEATED",
    "REPORTED_LOSS",
    "RISING",
    "SECOND_HALF",
    "SHORT",
    "SHRUNK",
    "SPAN",
    "SPREAD_LOST",
    "STEADY",
    "STUCK",
    "TREND",
    "TWO_ERRORS",
    "VARIED",
    "WINNING",
    "WINNING_FROM",
]

# Cells: parts of the data whose shares among the samples are counted
MISSING = 0.2
"""A cell is missing below this part of its due share."""
REACHED = 0.5
"""A cell is reached from this part of its due share."""
LEAST_DUE = 0.02
"""Cells with a smaller due share are not judged: of 256 samples, five or fewer are due."""
REPORTED_LOSS = 0.1
"""The part of the data whose loss is reported, where cells are modes or classes of the data."""
ALARM_LOSS = 0.25
"""The part of the data whose loss is an alarm. Clusters are estimated, so smaller losses of theirs are not reported."""

# Glances: measurements between two evaluations
SHORT = 3
"""Glances for which a large part of the data must be missing."""
LONG = 8
"""Glances for which a smaller part, such as one class, must be missing: it comes and goes."""
RECENT = 5
"""Glances over which figures of D are averaged."""
ENOUGH_PREFERENCES = 6
"""Glances from which memorisation is judged."""

# The course of a run
OVERSHOOT = 40
"""Rounds before which samples may be far from the data, as in healthy runs whose first steps are long."""
FIRST_ROUNDS = 200
"""A generator whose samples are still alike, or far off, after so many rounds is not just slow to start."""
OPENING = 0.1
"""The part of the run after which samples must be apart from one another."""
WINNING_FROM = 0.15
"""The part of the run from which D can win."""
SECOND_HALF = 0.5
"""The part of the run from which cells must be reached, and samples must differ."""
SPAN = 0.3
"""The part of the run over which it is called improving or flat."""

# Distance of samples from held-out data
FARTHER = 1.1
"""Distance, over that of the untrained generator, beyond which samples are further from the data than noise is."""
HALFWAY = 0.5
"""Distance, over that of the untrained generator, below which samples have covered half of the way to the data."""
STUCK = 0.9
"""Distance, over that of the untrained generator, above which samples have not come nearer."""
NEARER = 0.9
"""Distance, over the first one, below which a run is called improving before there are scores."""

# Spread of samples, over that of held-out data
ONE_POINT = 0.1
"""Spread below which all samples are one and the same."""
VARIED = 0.5
"""Spread, or distance of samples from one another, from which samples vary as items do."""
SPREAD_LOST = 0.3
"""The part of the largest spread below which z has lost its effect."""
SHRUNK = 0.6
"""The part of the first spread below which the samples have shrunk. Samples that move as one to a corner of the data
and open up there are healthy before round `FIRST_ROUNDS`; samples that shrink or jump are not."""
JUMPED = 3.0
"""The ratio of the spreads of two glances in a row from which the samples have jumped."""

# Distance of samples from one another, over that of held-out items
REPEATED = 0.2
"""Distance below which samples repeat a few."""
RISING = 1.25
"""The ratio to the distance of `LONG` glances ago from which it is rising."""

# Preferences of D, as probabilities: 1/2 is none
ALIKE = 0.5
"""Preference of a D that sees no difference."""
ADVANTAGE = 0.6
"""Preference for training items from which D has memorised them."""
ADVANTAGE_ERRORS = 4
"""Standard errors that this preference must exceed that of an untrained D by."""
WINNING = 0.97
"""Preference for held-out items over samples from which D wins."""
NO_NEARER = 0.95
"""The ratio of two mean distances in a row from which samples no longer come nearer."""
LEAK = 0.15
"""More than three standard errors of a difference of two shares of 256."""

# Trend of the score
TWO_ERRORS = 2
"""Standard errors of a difference of two scores beyond which they differ."""
TREND = -2
"""z of Mann and Kendall's statistic up to which scores fall."""
PARTS = 5
"""Glances within a span are averaged to so many values."""
STEADY = 0.1
"""The part by which these values must fall: the last below the first, or the lowest below the lowest before."""
