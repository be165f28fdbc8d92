"""The statistics of many seeds, against formulas that are written out."""

import numpy as np
import pytest

from by_hand import fisher, holm, newcombe
from rlbook_helpers.experiments.statistics import (
    bootstrap_interval,
    compare_pairs,
    compare_solved,
    hierarchical_interval,
    interquartile_mean,
    p_text,
    performance_profile,
    survival,
)


def test_interquartile_mean_drops_a_quarter_at_either_end():
    values = np.array([[-1000, 1, 2, 3, 4, 9, 9, 1e9], np.arange(8)])
    assert interquartile_mean(values).tolist() == [4.5, 3.5]
    assert interquartile_mean(values.T, axis=0).tolist() == [4.5, 3.5]


def test_bootstrap_takes_curves_and_depends_on_the_seed_alone():
    """Against resampling that is written out. The bound sees a tenth of the resamples, too."""
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(12, 30))
    draws = np.sort(values[rng.integers(12, size=(8_000, 12))], axis=1)
    means = draws[:, 3:9].mean(axis=1)
    found = bootstrap_interval(values, 1)
    gap = found - np.percentile(means, [2.5, 97.5], axis=0)
    assert np.sqrt(np.mean((gap / means.std(axis=0)) ** 2)) < 0.12
    np.testing.assert_array_equal(bootstrap_interval(values, 1), found)
    assert (np.array(bootstrap_interval(values, 2)) != found).any()
    assert bootstrap_interval([1, 2], 0) == (1, 2)  # two seeds are enough


@pytest.mark.parametrize("values", [[], [1.0], 3.0, [1.0, float("nan")], ["a", "b"]])
def test_bootstrap_refuses_bad_values(values):
    with pytest.raises((ValueError, TypeError), match="values"):
        bootstrap_interval(values, 0)


def test_hierarchical_bootstrap_draws_environments_and_seeds():
    """Against resampling that is written out. The bound sees a tenth of the resamples, too."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 5, 40)) + 2 * rng.normal(size=(6, 1, 40))
    means = []
    for _ in range(8_000):
        drawn = [values[i, rng.integers(5, size=5)] for i in rng.integers(6, size=6)]
        means.append(np.mean(drawn, axis=(0, 1)))
    found = hierarchical_interval(values, 1)
    gap = found - np.percentile(means, [2.5, 97.5], axis=0)
    assert np.sqrt(np.mean((gap / np.std(means, axis=0)) ** 2)) < 0.12
    np.testing.assert_array_equal(hierarchical_interval(values, 1), found)
    assert (np.array(hierarchical_interval(values, 2)) != found).any()


def test_hierarchical_bootstrap_knows_what_differs():
    """Seeds that agree leave the environments; environments that agree leave the seeds."""
    environments = np.array([[False] * 20, [True] * 20])
    assert hierarchical_interval(environments, 0) == (
        0,
        1,
    )  # a quarter of the draws each
    low, high = hierarchical_interval(environments.T, 0)
    assert 0.3 < low < 0.5 < high < 0.7  # 40 fair coins: 0.5 +- 0.15
    assert hierarchical_interval(np.ones((2, 2)), 0) == (1, 1)


@pytest.mark.parametrize(
    "values", [[], [1.0, 2.0], [[1.0, 2.0]], [[1.0], [2.0]], [[1, np.nan]] * 2]
)
def test_hierarchical_bootstrap_refuses_bad_values(values):
    with pytest.raises((ValueError, TypeError), match="values"):
        hierarchical_interval(values, 0)


def test_performance_profile_counts_pairs_that_reach_a_level():
    scores, levels = [[0.0, 0.5, 1.0], [1.0, 1.0, 1.2]], [0.0, 0.6, 1.0, 1.1, 2.0]
    share, low, high = performance_profile(scores, levels, 0)
    np.testing.assert_allclose(share, [1, 4 / 6, 4 / 6, 1 / 6, 0])
    assert share.shape == low.shape == high.shape
    assert (low <= share).all() and (share <= high).all()
    for ends, level in zip(zip(low, high), levels):
        solved = np.array(scores) >= level
        assert ends == pytest.approx(hierarchical_interval(solved, 0))


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


def test_p_values_are_rounded_to_three_digits():
    p_values = [0.000999, 0.001, 0.0496, 1.0]
    assert list(map(p_text, p_values)) == ["< 0.001", "0.001", "0.050", "1.000"]


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


def test_compare_solved_needs_a_base_and_another():
    arms = {"a": solved(1, 2), "b": solved(2, 2)}
    assert list(compare_solved(arms, "b")) == ["a"]
    for given, base, word in ((arms, "c", "base"), ({"a": arms["a"]}, "a", "solved")):
        with pytest.raises(ValueError, match=f"^{word}"):
            compare_solved(given, base)
