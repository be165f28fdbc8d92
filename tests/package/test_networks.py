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


@pytest.mark.parametrize("state", [(3, 0), (0, 4), (-1, 0), (0,), 5, (0.5, 0), None])
def test_one_hot_refuses_what_is_not_a_cell(state):
    with pytest.raises((ValueError, TypeError), match="state"):
        one_hot(state)


def test_shapes_and_sizes():
    assert QNet1(seed=0)(one_hot((0, 0))).shape == (1, 4)
    assert QNet2(2, seed=0)(np.zeros((32, 4), dtype=np.float32)).shape == (32, 2)
    assert QNet2(3, state_size=6, seed=0)(np.zeros((5, 6), dtype=np.float32)).shape == (
        5,
        3,
    )
    net = QNet2(2)
    assert [layer.W.shape for layer in (net.l1, net.l2, net.l3)] == [
        (4, 128),
        (128, 128),
        (128, 2),
    ]
    assert QNet1().l1.W.shape == (12, 100)


def test_forward_is_the_formula_in_float32():
    net = QNet2(2, seed=0)
    x = np.random.default_rng(1).standard_normal((8, 4), dtype=np.float32)
    h = np.maximum(x @ net.l1.W.data + net.l1.b.data, 0)
    h = np.maximum(h @ net.l2.W.data + net.l2.b.data, 0)
    with no_grad():
        q = net(x).data
    assert q.dtype == np.float32
    np.testing.assert_allclose(
        q, h @ net.l3.W.data + net.l3.b.data, rtol=1e-5, atol=1e-6
    )


def test_initial_weights_have_variance_one_over_the_inputs():
    W = Linear(400, 300, np.random.default_rng(0)).W.data
    assert W.dtype == np.float32
    assert abs(W.mean()) < 0.001 and abs(W.std() - 1 / 20) < 0.001


def test_linear_of_dezero_draws_from_the_global_generator_and_in_float64():
    """Why the package has a Linear of its own."""
    state = np.random.get_state()
    try:
        layer = L.Linear(3, in_size=2)
        assert np.random.get_state()[2] != state[2]
        if int(np.__version__.split(".")[0]) >= 2:
            assert (
                layer.W.data.dtype == np.float64
            )  # asked for float32; NumPy 2 keeps the scalar's float64
    finally:
        np.random.set_state(state)


def test_same_seed_same_weights_whatever_the_hash_seed():
    code = (
        "from rlbook_helpers import DQNAgent; import numpy as np; a = DQNAgent(seed=3, batch_size=2);"
        "s = np.ones(4, dtype=np.float32); [a.update(s, a.get_action(s), 1.0, s, False) for _ in range(8)];"
        "print([a.qnet.l1.W.data.tobytes().hex()[:64], a.qnet.l3.W.data.tobytes().hex()[:64], a.get_action(s)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }
    assert len(outputs) == 1


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
