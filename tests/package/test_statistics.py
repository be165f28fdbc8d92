"""What sums up many seeds, against formulas that are written out."""

import numpy as np
import pytest

from by_hand import fisher, holm, newcombe
from rlbook_helpers.experiments.statistics import (
    bootstrap_interval,
    compare_pairs,
    compare_solved,
    interquartile_mean,
)


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


def test_proportions_are_compared_as_the_papers_say():
    counts = {"base": (12, 40), "same": (12, 40), "more": (30, 40), "all": (38, 38)}
    solved = {name: np.arange(n) < k for name, (k, n) in counts.items()}
    found = compare_solved(solved, "base")
    assert list(found) == ["same", "more", "all"]
    p_values = [fisher(*counts[name], 12, 40) for name in found]
    for name, p, adjusted in zip(found, p_values, holm(p_values)):
        result, (k, n) = found[name], counts[name]
        assert (result.solved, result.seeds) == (k, n)
        assert result.p_value == pytest.approx(p)
        assert result.adjusted == pytest.approx(adjusted)
        assert result.difference == pytest.approx(k / n - 12 / 40)
        assert result.interval == pytest.approx(newcombe(k, n, 12, 40), abs=1e-6)


def test_pairs_are_compared_each_with_its_own_base():
    counts = {"longer": (99, 100, 131, 140), "harder": (5, 20, 20, 20)}
    found = compare_pairs(
        {
            name: (np.arange(n) < k, np.arange(n0) < k0)
            for name, (k, n, k0, n0) in counts.items()
        }
    )
    adjusted = holm([fisher(*numbers) for numbers in counts.values()])
    for (name, (k, n, k0, n0)), p in zip(counts.items(), adjusted):
        assert (found[name].solved, found[name].seeds) == (k, n)
        assert found[name].difference == pytest.approx(k / n - k0 / n0)
        assert found[name].interval == pytest.approx(newcombe(k, n, k0, n0), abs=1e-6)
        assert found[name].adjusted == pytest.approx(p)
    assert found["harder"].verdict == "悪くした"


@pytest.mark.parametrize(("base", "word"), [("b", "base"), ("a", "solved")])
def test_a_comparison_needs_a_base_and_another(base, word):
    with pytest.raises(ValueError, match=word):
        compare_solved({"a": np.array([True, False])}, base)
