"""The fused Functions and the flat Adam against DeZero's own, and against finite differences."""

import numpy as np
import pytest

from rlbook_helpers import QNet2
from rlbook_helpers.dezero_compat import F, Parameter, Variable, optimizers
from rlbook_helpers.functions import linear, linear_relu, selected_mse
from rlbook_helpers.optimizers import Adam


def parameters(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Parameter(rng.standard_normal(shape).astype(dtype))
        for shape in ((5, 4), (4, 3), (3,))
    ]


def gradients(f, variables):
    """The gradients of sum(f(*variables) * fixed weights); the inputs are results of a computation."""
    for v in variables:
        v.cleargrad()
    x, *rest = variables
    y = f(x * 1.0, *rest)
    weights = np.arange(1, y.size + 1).reshape(y.shape) / y.size
    F.sum(y * weights).backward()
    return [v.grad.data.copy() for v in variables]


@pytest.mark.parametrize(
    ("ours", "dezero"),
    [(linear, F.linear), (linear_relu, lambda x, W, b: F.relu(F.linear(x, W, b)))],
)
def test_linear_agrees_with_dezero_and_with_finite_differences(ours, dezero):
    variables = parameters()
    np.testing.assert_allclose(
        ours(*variables).data, dezero(*variables).data, rtol=1e-12
    )
    got = gradients(ours, variables)
    for g, want in zip(got, gradients(dezero, variables)):
        np.testing.assert_allclose(g, want, rtol=1e-10, atol=1e-12)
    h = 1e-6
    for v, g in zip(variables, got):
        for i in np.ndindex(v.shape):
            values = []
            for sign in (1, -1):
                v.data[i] += sign * h
                y = ours(*variables).data
                values.append(
                    (y * np.arange(1, y.size + 1).reshape(y.shape) / y.size).sum()
                )
                v.data[i] -= sign * h
            assert g[i] == pytest.approx(
                (values[0] - values[1]) / (2 * h), rel=1e-5, abs=1e-7
            )


def test_data_gets_no_gradient():
    x, W, b = np.ones((2, 4)), *parameters()[1:]
    y = linear(x, W, b)
    y.backward()
    assert y.creator.inputs[0].grad is None and W.grad.shape == (4, 3)


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
    for _ in range(2000):
        optimizer.update()
    smallest = np.abs(optimizer.m[optimizer.m != 0]).min()
    assert smallest >= np.finfo(np.float32).tiny
