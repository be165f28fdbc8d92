"""The claims of chapter 9 about its game, derived again from the records by other code."""

import numpy as np

from by_hand import clopper_pearson, holm, permutation_p
from sources import games, scores, seeds, setting

BREAKOUT = "09_screen/breakout"
OTHERS = (
    "09_screen_trail/without_trail",
    "09_screen_dqn/dqn",
    "09_screen_network/convolution",
)


def test_nearly_every_seed_learns_from_the_screen():
    found = scores(BREAKOUT)
    assert len(found) == seeds(BREAKOUT) == 20
    assert sum(found >= 20) == 19 and 40 <= np.median(found) <= 55  # as predicted
    assert clopper_pearson(19, 20)[0] > 0.75
    assert games(BREAKOUT).max() > 90


def test_trail_is_needed():
    with_trail, without = scores(BREAKOUT), scores(OTHERS[0])
    assert setting(OTHERS[0], "env_id") == "rlbook/BreakoutWithoutTrail-v0"
    assert without.max() < np.median(with_trail) and np.median(without) < 10


def test_three_comparisons_end_as_the_chapter_says():
    found, rng = scores(BREAKOUT), np.random.default_rng(0)
    trail, dqn, convolution = holm(
        [permutation_p(scores(other), found, rng) for other in OTHERS]
    )
    assert trail < 0.05 and np.median(scores(OTHERS[0])) < np.median(found)
    assert dqn < 0.05 and np.median(scores(OTHERS[1])) < np.median(found)
    assert convolution > 0.05


def test_twice_the_training_helps():
    longer, rng = scores("09_screen_long/long"), np.random.default_rng(0)
    assert setting("09_screen_long/long", "steps") == 2 * setting(BREAKOUT, "steps")
    assert permutation_p(longer, scores(BREAKOUT), rng) < 0.05
    assert longer.min() >= 20 and np.median(longer) > 50  # as predicted
