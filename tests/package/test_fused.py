"""The fused loss and the flat Adam against DeZero and against finite differences."""

import copy

import numpy as np
import pytest

from rlbook_helpers import QNet2
from rlbook_helpers.dezero_compat import F, optimizers
from rlbook_helpers.fused import Adam, q_loss


def network(dtype=np.float64, seed=0):
    """A network with random biases too."""
    net = QNet2(3, hidden_size=6, seed=seed)
    rng = np.random.default_rng(seed)
    for p in net.params():
        p.data = rng.standard_normal(p.shape).astype(dtype)
    return net


def batch(size=5, dtype=np.float64, seed=1):
    """State (B, 4), action (B,), target (B,)."""
    rng = np.random.default_rng(seed)
    state = rng.standard_normal((size, 4)).astype(dtype)
    return state, rng.integers(3, size=size), rng.standard_normal(size).astype(dtype)


def composed(net, state, action, target):
    """q_loss out of DeZero's own functions."""
    q = net(state)[np.arange(len(action)), action]
    return F.mean_squared_error(q, target)


def gradients(f, net, *args):
    net.cleargrads()
    f(net, *args).backward()
    return [p.grad.data.copy() for p in net.params()]


def test_q_loss_agrees_with_dezero():
    net, args = network(), batch()
    loss, wanted = q_loss(net, *args).data, composed(net, *args).data
    assert loss == pytest.approx(wanted, rel=1e-12)
    wanted = gradients(composed, net, *args)
    for got, want in zip(gradients(q_loss, net, *args), wanted):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_q_loss_agrees_with_finite_differences():
    net, args = network(), batch()
    h = 1e-6
    for p, got in zip(net.params(), gradients(q_loss, net, *args)):
        for i in np.ndindex(p.shape):
            values = []
            for sign in (1, -1):
                p.data[i] += sign * h
                values.append(q_loss(net, *args).data)
                p.data[i] -= sign * h
            slope = (values[0] - values[1]) / (2 * h)
            assert got[i] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_scaled_loss_has_scaled_gradients():
    net, args = network(), batch()
    tripled = gradients(lambda *a: q_loss(*a) * 3.0, net, *args)
    for got, want in zip(tripled, gradients(q_loss, net, *args)):
        np.testing.assert_allclose(got, 3 * want, rtol=1e-12)


def test_gradients_add_up_until_they_are_cleared():
    """As in DeZero."""
    net, args = network(), batch()
    once = gradients(q_loss, net, *args)
    q_loss(net, *args).backward()
    for p, want in zip(net.params(), once):
        np.testing.assert_allclose(p.grad.data, 2 * want, rtol=1e-12)


def test_q_loss_does_not_change_its_inputs():
    net, args = network(), batch()
    before = [x.copy() for x in (*args, *(p.data for p in net.params()))]
    q_loss(net, *args).backward()
    for kept, now in zip(before, [*args, *(p.data for p in net.params())]):
        np.testing.assert_array_equal(kept, now)


def test_predict_equals_forward():
    net = QNet2(2, seed=0)
    x = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)
    kept = x.copy()
    np.testing.assert_allclose(net.predict(x), net(x).data, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.predict(x[0]), net(x[:1]).data[0], rtol=1e-5)
    np.testing.assert_array_equal(x, kept)


def test_float32_stays_float32():
    """Also where DeZero's own functions would go on in float64 (NumPy 2)."""
    net = network(np.float32)
    state, action, target = batch(dtype=np.float32)
    loss = q_loss(net, state, action, target.astype(np.float64))
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
        x, action = rng.standard_normal((8, 4), np.float32), rng.integers(2, size=8)
        target = rng.standard_normal(8, np.float32)
        for net, opt in ((ours, optimizer), (dezero, reference)):
            net.cleargrads()
            q_loss(net, x, action, target).backward()
            opt.update()
    for a, b in zip(ours.params(), dezero.params()):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4, atol=1e-5)


def test_adam_setup_moves_weights_without_changing_them():
    net = QNet2(2, seed=0)
    before = net.l2.W.data.copy()
    optimizer = Adam()
    optimizer.setup(net)
    np.testing.assert_array_equal(net.l2.W.data, before)
    assert np.shares_memory(net.l2.W.data, optimizer.theta)


@pytest.mark.parametrize("count", [1, 2])
def test_adam_finds_gradients_in_and_out_of_their_places(count):
    """One batch writes gradients in their places. A second one adds to them elsewhere."""
    batches = [batch(dtype=np.float32, seed=seed) for seed in range(count)]
    nets = [network(np.float32) for _ in range(2)]
    for net, in_places in zip(nets, (True, False)):
        optimizer = Adam(0.01).setup(net)
        for _ in range(3):
            net.cleargrads()
            for args in batches:
                q_loss(net, *args, optimizer.places if in_places else None).backward()
            shared = {
                np.shares_memory(p.grad.data, optimizer.grad) for p in net.params()
            }
            assert shared == {in_places and count == 1}
            optimizer.update()
    for a, b in zip(nets[0].params(), nets[1].params()):
        np.testing.assert_array_equal(a.data, b.data)


def test_adam_works_after_a_deep_copy():
    net, args = network(np.float32), batch(dtype=np.float32)
    optimizer = Adam(0.01)
    optimizer.setup(net)
    for _ in range(2):
        twin, twin_optimizer = copy.deepcopy((net, optimizer))
        for n, o in ((net, optimizer), (twin, twin_optimizer)):
            n.cleargrads()
            q_loss(n, *args).backward()
            o.update()
        for a, b in zip(net.params(), twin.params()):
            np.testing.assert_array_equal(a.data, b.data)
            assert not np.shares_memory(a.data, b.data)


def test_adam_keeps_no_subnormal_numbers():
    """Subnormal numbers make NumPy tens of times slower."""
    net = QNet2(2, seed=0)
    optimizer = Adam()
    optimizer.setup(net)
    state, target = np.ones((1, 4), np.float32), np.zeros(1, np.float32)
    q_loss(net, state, np.array([0]), target).backward()
    optimizer.update()
    for p in net.params():
        p.grad.data[...] = 0
    optimizer.v[...] = 5e-38  # as after many thousand steps
    tiny = np.finfo(np.float32).tiny
    for _ in range(2000):
        optimizer.update()
        for x in (optimizer.m, optimizer.v):
            assert not ((x != 0) & (np.abs(x) < tiny)).any()
