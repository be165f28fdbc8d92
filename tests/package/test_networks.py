"""Networks, their initial weights, and the one-hot input."""

import os
import subprocess
import sys

import numpy as np
import pytest

from rlbook_helpers import Linear, QNet1, QNet2, one_hot
from rlbook_helpers.dezero_compat import L, no_grad


def test_one_hot_marks_the_cell():
    for y in range(3):
        for x in range(4):
            vec = one_hot((y, x))
            assert vec.shape == (1, 12) and vec.dtype == np.float32
            assert vec.sum() == 1 and vec[0, 4 * y + x] == 1


@pytest.mark.parametrize(
    ("state", "name"),
    [
        *(((3, 0), "y .* 3"), ((0, 4), "x .* 4"), ((-1, 0), "y .* -1")),
        *(((0,), ""), (5, ""), ((0.5, 0), "y"), (None, "")),
    ],
)
def test_one_hot_refuses_other_cells(state, name):
    with pytest.raises((ValueError, TypeError), match=f"state .*{name}"):
        one_hot(state)


def test_shapes_of_weights_and_values():
    assert QNet1(seed=0)(one_hot((0, 0))).shape == (1, 4)
    assert QNet2(3, state_size=6)(np.zeros((5, 6), np.float32)).shape == (5, 3)
    net = QNet2(2)
    shapes = [layer.W.shape for layer in (net.l1, net.l2, net.l3)]
    assert shapes == [(4, 128), (128, 128), (128, 2)]
    assert QNet1().l1.W.shape == (12, 100)


def test_forward_is_the_formula_in_float32():
    net = QNet2(2, seed=0)
    x = np.random.default_rng(1).standard_normal((8, 4), dtype=np.float32)
    h = np.maximum(x @ net.l1.W.data + net.l1.b.data, 0)
    h = np.maximum(h @ net.l2.W.data + net.l2.b.data, 0)
    with no_grad():
        q = net(x).data
    assert q.dtype == np.float32
    wanted = h @ net.l3.W.data + net.l3.b.data
    np.testing.assert_allclose(q, wanted, rtol=1e-5, atol=1e-6)


def test_initial_weights_have_variance_one_over_the_inputs():
    W = Linear(400, 300, np.random.default_rng(0)).W.data
    assert W.dtype == np.float32
    assert abs(W.mean()) < 0.001 and abs(W.std() - 1 / 20) < 0.001


def test_dezero_linear_draws_float64_from_the_global_state():
    """Why the package has a Linear of its own."""
    state = np.random.get_state()
    try:
        layer = L.Linear(3, in_size=2)
        assert np.random.get_state()[2] != state[2]
        if int(np.__version__.split(".")[0]) >= 2:
            # asked for float32; NumPy 2 keeps the scalar's float64
            assert layer.W.data.dtype == np.float64
    finally:
        np.random.set_state(state)


HASH_SEEDS = "12"  # two that order the names of the layers differently


def test_training_is_independent_of_the_hash_seed():
    """DeZero keeps the names of the layers in a set."""
    code = """
import numpy as np
from rlbook_helpers import DQNAgent
agent, s = DQNAgent(seed=3, batch_size=2), np.ones(4, np.float32)
for _ in range(8):
    agent.update(s, agent.get_action(s), 1.0, s, False)
print([p.data.tobytes().hex() for p in agent.qnet.params()])
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed in HASH_SEEDS
    ]
    outputs = {process.communicate()[0] for process in processes}
    assert len(outputs) == 1 and len(outputs.pop()) > 100_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: QNet1(0),
        lambda: QNet1(action_size=-1),
        lambda: QNet2(2.5),
        lambda: QNet2(2, state_size=0),
    ],
)
def test_bad_sizes_are_refused(make):
    with pytest.raises((ValueError, TypeError), match="_size"):
        make()
