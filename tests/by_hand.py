"""The statistics of the book by other means: written out, or by drawing instead of formulas."""

import math

import numpy as np


def fisher(k, n, k0, n0):
    """Two-sided: all tables with these margins that are at most as likely as this one."""
    total = k + k0

    def ways(i):
        return math.comb(n, i) * math.comb(n0, total - i)

    possible = range(max(0, total - n0), min(n, total) + 1)
    rare = sum(ways(i) for i in possible if ways(i) <= ways(k))
    return rare / math.comb(n + n0, total)


def wilson(k, n, z=1.959964):
    center, half = k + z * z / 2, z * math.sqrt(k * (n - k) / n + z * z / 4)
    return (center - half) / (n + z * z), (center + half) / (n + z * z)


def newcombe(k, n, k0, n0):
    """The interval of a difference of proportions, from two intervals of Wilson's."""
    p, p0 = k / n, k0 / n0
    (low, high), (low0, high0) = wilson(k, n), wilson(k0, n0)
    return (
        p - p0 - math.hypot(p - low, high0 - p0),
        p - p0 + math.hypot(high - p, p0 - low0),
    )


def clopper_pearson(k, n):
    """The proportions with which so many, or so few, happen in 2.5 % of all cases."""

    def at_least(j, p):
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(j, n + 1))

    def lowest(j):
        low, high = 0.0, 1.0
        for _ in range(50):
            p = (low + high) / 2
            low, high = (low, p) if at_least(j, p) > 0.025 else (p, high)
        return low if j else 0.0

    return lowest(k), 1 - lowest(n - k)


def holm(p_values):
    """From the smallest to the largest, times how many are left."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, smallest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        smallest = max(smallest, min(1, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = smallest
    return adjusted


def middle_mean(values):
    """The mean of the middle half."""
    n = len(values)
    return np.sort(values)[n // 4 : n - n // 4].mean()


def bootstrap(values, rng, count=4_000):
    """Percentile interval of the mean of the middle half, resampled here."""
    draws = rng.choice(values, size=(count, len(values)))
    return np.percentile([middle_mean(draw) for draw in draws], [2.5, 97.5])


def u_statistic(a, b):
    """How many pairs a wins, a draw counts half."""
    differences = np.subtract.outer(a, b)
    return (differences > 0).sum() + (differences == 0).sum() / 2


def permutation_p(a, b, rng, count=4_000):
    """How often a random split of all values has a U as far from the middle."""
    middle, pooled = len(a) * len(b) / 2, np.concatenate([a, b])
    splits = (rng.permutation(pooled) for _ in range(count))
    us = [u_statistic(x[: len(a)], x[len(a) :]) for x in splits]
    distance = abs(u_statistic(a, b) - middle)
    return np.mean(np.abs(np.array(us) - middle) >= distance)


def exact_p(a, b):
    """permutation_p over all splits: in how many ways so many ranks (doubled) have each sum."""
    pooled = np.concatenate([a, b])
    twice = [int((pooled < x).sum() + (pooled <= x).sum()) + 1 for x in pooled]
    ways = np.zeros((len(a) + 1, sum(twice) + 1))
    ways[0, 0] = 1
    for rank in twice:
        ways[1:, rank:] += ways[:-1, :-rank]
    distance = np.abs(np.arange(ways.shape[1]) - len(a) * (len(pooled) + 1))
    far = distance >= distance[sum(twice[: len(a)])]
    return ways[-1, far].sum() / ways[-1].sum()


def best_and_random(model, start, steps):
    """The mean totals of the best and of the uniform policy, backwards from the last of so many steps.

    The model is that of Gymnasium's toy texts: model[state][action] lists (probability, next state,
    reward, whether it is the end). Start: the probability of each state.
    """
    states, actions = len(model), len(model[0])
    reward, after = np.zeros((states, actions)), np.zeros((states, actions, states))
    for state in range(states):
        for action in range(actions):
            for p, to, gain, end in model[state][action]:
                reward[state, action] += p * gain
                after[state, action, to] += p * (not end)
    best = uniform = np.zeros(states)
    for _ in range(steps):
        best = (reward + after @ best).max(axis=1)
        uniform = (reward + after @ uniform).mean(axis=1)
    return float(start @ best), float(start @ uniform)
