"""The statistics of many seeds, against formulas that are written out."""

import numpy as np
import pytest

from by_hand import fisher, holm, newcombe
from rlbook_helpers.experiments.statistics import (
    bootstrap_interval,
    compare_pairs,
    compare_solved,
    interquartile_mean,
    survival,
)


def test_interquartile_mean_drops_a_quarter_at_either_end():
    assert interquartile_mean(np.array([-1000, 1, 2, 3, 4, 5, 6, 1e9])) == 3.5
    np.testing.assert_array_equal(
        interquartile_mean(np.array([[0, 9], [1, 2], [2, 3], [99, 4]]), axis=0),
        [1.5, 3.5],
    )


def test_bootstrap_takes_curves_and_depends_on_the_seed_alone():
    values = np.random.default_rng(0).random((10, 3))
    low, high = bootstrap_interval(values, 1)
    assert low.shape == high.shape == (3,)
    assert (low <= interquartile_mean(values, axis=0)).all()
    assert (interquartile_mean(values, axis=0) <= high).all()
    np.testing.assert_array_equal(bootstrap_interval(values, 1)[0], low)


@pytest.mark.parametrize("values", [[], [1.0], 3.0, [1.0, float("nan")], ["a", "b"]])
def test_bootstrap_refuses_bad_values(values):
    with pytest.raises((ValueError, TypeError), match="values"):
        bootstrap_interval(values, 0)


def check_comparison(found, counts):
    """Compare results with formulas, from name to (k, n, k0, n0)."""
    assert list(found) == list(counts)
    p_values = [fisher(*four) for four in counts.values()]
    for result, four, p, adjusted in zip(
        found.values(), counts.values(), p_values, holm(p_values)
    ):
        k, n, k0, n0 = four
        assert (result.solved, result.seeds) == (k, n)
        assert result.p_value == pytest.approx(p)
        assert result.adjusted == pytest.approx(adjusted)
        assert result.difference == pytest.approx(k / n - k0 / n0)
        assert result.interval == pytest.approx(newcombe(*four), abs=1e-6)


def solved(k, n):
    return np.arange(n) < k


def test_compare_solved_uses_fisher_newcombe_and_holm():
    counts = {"same": (12, 40), "more": (30, 40), "all": (38, 38)}
    arms = {"base": solved(12, 40)} | {name: solved(*c) for name, c in counts.items()}
    wanted = {name: (*c, 12, 40) for name, c in counts.items()}
    check_comparison(compare_solved(arms, "base"), wanted)


def test_compare_pairs_uses_the_base_of_each_pair():
    counts = {"longer": (99, 100, 131, 140), "harder": (5, 20, 20, 20)}
    pairs = {
        name: (solved(k, n), solved(*base)) for name, (k, n, *base) in counts.items()
    }
    found = compare_pairs(pairs)
    check_comparison(found, counts)
    assert found["harder"].verdict == "悪くした"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("last", [False, True])
def test_survival_is_the_kaplan_meier_estimate(last):
    """Five seeds: solved at 1, 2 and 3, not until 2, and at 4 or not until 4."""
    ended = np.array([True, True, False, True, last])
    steps, shares, low, high = survival(np.array([1, 2, 2, 3, 4]), ended)
    wanted = np.array([1, 4 / 5, 4 / 5 * 3 / 4, 4 / 5 * 3 / 4 / 2, 0])
    wanted[4] = 0 if last else wanted[3]
    assert steps.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(shares, wanted)
    assert (low[0], high[0]) == (1, 1)
    # Greenwood's variance of log S, as an interval of log(-log S)
    variance = np.cumsum([1 / (5 * 4), 1 / (4 * 3), 1 / (2 * 1)])
    half = 1.959964 * np.sqrt(variance) / np.log(wanted[1:4])
    np.testing.assert_allclose(low[1:4], wanted[1:4] ** np.exp(-half), rtol=1e-5)
    np.testing.assert_allclose(high[1:4], wanted[1:4] ** np.exp(half), rtol=1e-5)
    assert np.isnan([low[4], high[4]]).all() == last  # no interval where S is 0


@pytest.mark.parametrize(("base", "word"), [("b", "base"), ("a", "solved")])
def test_compare_solved_needs_a_base_and_another(base, word):
    with pytest.raises(ValueError, match=word):
        compare_solved({"a": np.array([True, False])}, base)
