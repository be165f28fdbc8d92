import numpy as np
import pytest

from rlbook_helpers.statistics import bootstrap_interval, interquartile_mean


def test_the_interquartile_mean_leaves_a_quarter_out_at_either_end():
    assert interquartile_mean(np.array([-1000, 1, 2, 3, 4, 5, 6, 1e9])) == 3.5
    np.testing.assert_array_equal(
        interquartile_mean(np.array([[0, 9], [1, 2], [2, 3], [99, 4]]), axis=0),
        [1.5, 3.5],
    )


def test_the_interval_depends_on_the_seed_alone_and_takes_curves():
    values = np.random.default_rng(0).random((10, 3))
    low, high = bootstrap_interval(values, 1)
    assert low.shape == high.shape == (3,)
    assert (low <= interquartile_mean(values, axis=0)).all()
    assert (interquartile_mean(values, axis=0) <= high).all()
    np.testing.assert_array_equal(bootstrap_interval(values, 1)[0], low)


@pytest.mark.parametrize("values", [[], [1.0], 3.0, [1.0, float("nan")], ["a", "b"]])
def test_bad_values_are_refused(values):
    with pytest.raises((ValueError, TypeError), match="values"):
        bootstrap_interval(values, 0)
