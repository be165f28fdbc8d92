"""The fused Functions and the flat Adam against DeZero's own, and against finite differences."""

import numpy as np
import pytest

from rlbook_helpers import QNet2
from rlbook_helpers.dezero_compat import F, Parameter, Variable, optimizers
from rlbook_helpers.functions import relu_mlp, selected_mse
from rlbook_helpers.optimizers import Adam


def parameters(seed=0):
    """Data (5, 4) and the weights and biases of three layers, float64."""
    rng = np.random.default_rng(seed)
    shapes = (4, 6), (6,), (6, 5), (5,), (5, 3), (3,)
    return rng.standard_normal((5, 4)), [
        Parameter(rng.standard_normal(s)) for s in shapes
    ]


def composed(x, W1, b1, W2, b2, W3, b3):
    """The same out of DeZero's own functions."""
    return F.linear(F.relu(F.linear(F.relu(F.linear(x, W1, b1)), W2, b2)), W3, b3)


def weighted_sum(y):
    """A number that depends on every output in another way."""
    return F.sum(y * (np.arange(1, y.size + 1).reshape(y.shape) / y.size))


def gradients(f, x, params):
    for p in params:
        p.cleargrad()
    weighted_sum(f(x, *params)).backward()
    return [p.grad.data.copy() for p in params]


def test_relu_mlp_agrees_with_dezero():
    x, params = parameters()
    ours, dezero = relu_mlp(x, *params), composed(x, *params)
    np.testing.assert_allclose(ours.data, dezero.data, rtol=1e-12)
    for got, want in zip(
        gradients(relu_mlp, x, params), gradients(composed, x, params)
    ):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_relu_mlp_agrees_with_finite_differences():
    x, params = parameters()
    h = 1e-6
    for p, got in zip(params, gradients(relu_mlp, x, params)):
        for i in np.ndindex(p.shape):
            values = []
            for sign in (1, -1):
                p.data[i] += sign * h
                values.append(weighted_sum(relu_mlp(x, *params)).data)
                p.data[i] -= sign * h
            slope = (values[0] - values[1]) / (2 * h)
            assert got[i] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_relu_mlp_leaves_its_inputs_alone():
    x, params = parameters()
    before = [x.copy(), *(p.data.copy() for p in params)]
    relu_mlp(x, *params).backward()
    for kept, now in zip(before, [x, *(p.data for p in params)]):
        np.testing.assert_array_equal(kept, now)


def test_selected_mse_agrees_with_dezero():
    rng = np.random.default_rng(0)
    qs, action, target = (
        Variable(rng.standard_normal((6, 3))),
        rng.integers(3, size=6),
        rng.standard_normal(6),
    )
    ours = selected_mse(qs, action, target)
    ours.backward()
    got = qs.grad.data
    qs.cleargrad()
    want = F.mean_squared_error(qs[np.arange(6), action], target)
    want.backward()
    np.testing.assert_allclose(ours.data, want.data, rtol=1e-12)
    np.testing.assert_allclose(got, qs.grad.data, rtol=1e-12)


def test_a_scaled_loss_has_scaled_gradients():
    qs, action, target = Variable(np.ones((2, 2))), np.array([0, 1]), np.zeros(2)
    (selected_mse(qs, action, target) * 3.0).backward()
    np.testing.assert_allclose(qs.grad.data, [[3, 0], [0, 3]])


def test_the_input_gets_its_gradient_too():
    x, params = parameters()
    gradients_of_x = []
    for f in (relu_mlp, composed):
        v = Variable(x)
        weighted_sum(f(v * 1.0, *params)).backward()
        gradients_of_x.append(v.grad.data)
    np.testing.assert_allclose(*gradients_of_x, rtol=1e-10)


def test_predict_is_forward_without_a_graph():
    net = QNet2(2, seed=0)
    x = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)
    kept = x.copy()
    np.testing.assert_array_equal(net.predict(x), net(x).data)
    np.testing.assert_array_equal(x, kept)


def test_float32_stays_float32():
    """Also where DeZero's own functions would go on in float64 (NumPy 2)."""
    net = QNet2(2, seed=0)
    x, action, target = (
        np.ones((4, 4), np.float32),
        np.zeros(4, np.int64),
        np.zeros(4, np.float32),
    )
    loss = selected_mse(net(x), action, target)
    loss.backward()
    assert loss.dtype == np.float32
    assert {p.grad.dtype for p in net.params()} == {np.dtype(np.float32)}


def test_adam_agrees_with_dezero():
    ours, dezero = QNet2(2, seed=0), QNet2(2, seed=0)
    optimizer = Adam(0.01)
    optimizer.setup(ours)
    reference = optimizers.Adam(0.01).setup(dezero)
    rng = np.random.default_rng(1)
    for _ in range(50):
        x, action = (
            rng.standard_normal((8, 4), dtype=np.float32),
            rng.integers(2, size=8),
        )
        target = rng.standard_normal(8, dtype=np.float32)
        for net, opt in ((ours, optimizer), (dezero, reference)):
            net.cleargrads()
            selected_mse(net(x), action, target).backward()
            opt.update()
    for name in ("l1", "l2", "l3"):
        a, b = getattr(ours, name), getattr(dezero, name)
        np.testing.assert_allclose(a.W.data, b.W.data, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a.b.data, b.b.data, rtol=1e-4, atol=1e-5)


def test_adam_moves_the_weights_without_changing_them():
    net = QNet2(2, seed=0)
    before = net.l2.W.data.copy()
    optimizer = Adam()
    optimizer.setup(net)
    np.testing.assert_array_equal(net.l2.W.data, before)
    assert np.shares_memory(net.l2.W.data, optimizer.theta)


def test_adam_does_not_slow_down_on_weights_whose_gradient_stays_zero():
    """Subnormal numbers make NumPy tens of times slower."""
    net = QNet2(2, seed=0)
    optimizer = Adam()
    optimizer.setup(net)
    selected_mse(
        net(np.ones((1, 4), np.float32)), np.array([0]), np.zeros(1, np.float32)
    ).backward()
    optimizer.update()
    for p in net.params():
        p.grad.data[...] = 0
    optimizer.v *= 1e-20  # as after many thousand steps
    tiny = np.finfo(np.float32).tiny
    for _ in range(2000):
        optimizer.update()
        for x in (optimizer.m, optimizer.v):
            assert not ((x != 0) & (np.abs(x) < tiny)).any()
