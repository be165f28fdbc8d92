"""Networks, their initial weights, and the one-hot input."""

import os
import subprocess
import sys

import numpy as np
import pytest
from test_agents import Deep, arrays, forward

from rlbook_helpers import Linear, QNet1, QNet2, one_hot
from rlbook_helpers.dezero_compat import L
from rlbook_helpers.networks import predict


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
    shapes = [[a.shape for a in arrays(net)] for net in (QNet1(), QNet2(2))]
    assert shapes[0] == [(12, 100), (100,), (100, 4), (4,)]
    assert shapes[1] == [(4, 128), (128,), (128, 128), (128,), (128, 2), (2,)]
    smallest = arrays(QNet1(1, 1, 1)) + arrays(QNet2(1, 1, 1))
    assert {a.size for a in smallest} == {1}


@pytest.mark.parametrize(("net", "size"), [(QNet1(seed=0), 12), (QNet2(2, seed=0), 4)])
def test_forward_and_predict_are_the_formula_in_float32(net, size):
    x = np.random.default_rng(1).standard_normal((8, size), np.float32)
    kept = x.copy()
    for a in arrays(net):
        a += 0.1  # biases start at 0
    wanted = forward(arrays(net), x)[-1]
    found = [net(x).data, predict(net, x), [predict(net, x[0])]]
    if isinstance(net, QNet2):
        found += [net.predict(x), [net.predict(x[0])]]
    for values in found:
        np.testing.assert_allclose(values, wanted[: len(values)], rtol=1e-5, atol=1e-6)
    assert found[0].dtype == np.float32
    np.testing.assert_array_equal(x, kept)


class Twice(Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize("name", ["l1", "l2", "l3"])
def test_replaced_and_added_layers_are_used(name):
    net, x = QNet2(4, hidden_size=4, seed=0), np.ones((1, 4), np.float32)
    setattr(net, name, Twice(4, 4, np.random.default_rng(1)))
    np.testing.assert_array_equal(net.predict(x), net(x).data)
    deep = Deep(2)
    assert {*map(id, deep.l4.params())} <= {*map(id, deep.params())}


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
    outputs = {
        subprocess.check_output(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in "12"  # two that order the names of the layers differently
    }
    assert len(outputs) == 1 and len(outputs.pop()) > 100_000


@pytest.mark.parametrize("bad", [0, -1, 2.5, None])
@pytest.mark.parametrize("network", [QNet1, QNet2])
def test_bad_sizes_are_refused(network, bad):
    for name in ("action_size", "state_size", "hidden_size"):
        with pytest.raises((ValueError, TypeError), match=f"^{name} "):
            network(**{"action_size": 1, name: bad})
