"""The agent of the package against the algorithm of the notebook, written with DeZero alone."""

import random

import numpy as np
import pytest
from test_agents import arrays, transitions

from floor import FloorAgent
from literal import LiteralAgent
from rlbook_helpers import DQNAgent


@pytest.fixture
def pair():
    """Both agents with the same weights. The buffer of ours lacks one for a batch."""
    kept = np.random.get_state(), random.getstate()  # from which the notebook's draws
    ours, literal = DQNAgent(seed=0), LiteralAgent(0)
    for transition in transitions(31):
        ours.update(*transition)
    for a, net in ((ours.qnet, literal.qnet), (ours.qnet_target, literal.qnet_target)):
        for name in ("l1", "l2", "l3"):
            getattr(net, name).W.data = getattr(a, name).W.data.copy()
            getattr(net, name).b.data = getattr(a, name).b.data.copy()
    yield ours, literal
    np.random.set_state(kept[0])
    random.setstate(kept[1])


def learn_both(ours, literal, transition):
    batches = []
    get_batch = ours.replay_buffer.get_batch
    ours.replay_buffer.get_batch = lambda: batches.append(get_batch()) or batches[-1]
    loss = ours.update(*transition)
    ours.replay_buffer.get_batch = get_batch
    return loss, literal.learn(*batches[0])


def test_updates_equal_those_of_the_literal_version(pair):
    """Rounding differs (float32 here, partly float64 there) and grows slowly."""
    ours, literal = pair
    for k, transition in enumerate(transitions(1000, seed=1)):
        loss, literal_loss = learn_both(ours, literal, transition)
        exact = {"rel": 1e-5} if k == 0 else {"rel": 0.02, "abs": 1e-4}
        assert loss == pytest.approx(float(literal_loss), **exact)
        if k % 100 == 0:
            ours.sync_qnet()
            literal.sync_qnet()
        if k in (0, 999):
            exact = {"rtol": 1e-4, "atol": 2e-6} if k == 0 else {"atol": 0.01}
            for a, b in zip(arrays(ours.qnet), arrays(literal.qnet)):
                np.testing.assert_allclose(a, b, **exact)


def test_floor_of_the_benchmark_is_the_same_algorithm():
    """What the speed is measured against must not be a simpler computation."""
    ours, floor = DQNAgent(seed=0), FloorAgent(0)
    for a, b in zip(floor.params, arrays(ours.qnet)):
        a[...] = b
    floor.sync_qnet()
    floor.rng = np.random.default_rng(5)
    ours.replay_buffer.rng = np.random.default_rng(5)
    for transition in transitions(200):
        a, b = ours.update(*transition), floor.update(*transition)
        assert (a is None) == (b is None)
        assert a is None or a == pytest.approx(b, rel=1e-4)
