"""The fused loss and the flat Adam against DeZero."""

import copy

import numpy as np
import pytest

from rlbook_helpers import QNet2
from rlbook_helpers.dezero_compat import F, optimizers
from rlbook_helpers.fused import Adam, q_loss


def network(dtype=np.float64, seed=0, hidden_size=6):
    """A network with random biases too."""
    net = QNet2(3, hidden_size=hidden_size, seed=seed)
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


@pytest.mark.parametrize("times", [1, 2])
def test_q_loss_agrees_with_dezero(times):
    """Also when it is scaled, and when gradients add up. A second loss sees unchanged inputs."""
    net, args, found = network(), batch(), []
    for f in (composed, q_loss):
        net.cleargrads()
        for _ in range(times):
            loss = f(net, *args)
            (loss * 3.0).backward()
        found.append([loss.data, *(p.grad.data for p in net.params())])
    for want, got in zip(*found):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_float32_stays_float32():
    """Also where DeZero's own functions would go on in float64 (NumPy 2)."""
    net = network(np.float32)
    state, action, target = batch(dtype=np.float32)
    loss = q_loss(net, state, action, target.astype(np.float64))
    loss.backward()
    assert loss.dtype == np.float32
    assert {p.grad.dtype for p in net.params()} == {np.dtype(np.float32)}


def exchange_layers(net):
    """All for larger ones. The old are kept: DeZero tells weights apart by their addresses."""
    net.old = [*getattr(net, "old", []), net.l1, net.l2, net.l3]
    larger = network(np.float32, hidden_size=net.l1.W.shape[1] + 1)
    net.l1, net.l2, net.l3 = larger.l1, larger.l2, larger.l3


EVENTS = {
    "nothing": lambda net: None,
    "no gradient for a layer": lambda net: net.l2.cleargrads(),
    "exchanged weights": lambda net: setattr(net.l1.W, "data", net.l1.W.data * 2),
    "exchanged layers": exchange_layers,
}


@pytest.mark.parametrize("event", EVENTS)
def test_adam_agrees_with_dezero(event):
    nets = [network(np.float32) for _ in range(2)]
    adams = [adam(0.01).setup(net) for adam, net in zip((Adam, optimizers.Adam), nets)]
    for step in range(50):
        for net, adam in zip(nets, adams):
            net.cleargrads()
            q_loss(net, *batch(8, np.float32, seed=step)).backward()
            if step % 5 == 3:
                EVENTS[event](net)
            if step == 20:
                adam.add_hook(optimizers.WeightDecay(0.1))
            adam.update()
    for a, b in zip(nets[0].params(), nets[1].params()):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4, atol=1e-5)


def test_adam_setup_moves_weights_without_changing_them():
    net = QNet2(2, seed=0)
    before = net.l2.W.data.copy()
    optimizer = Adam().setup(net)
    np.testing.assert_array_equal(net.l2.W.data, before)
    assert np.shares_memory(net.l2.W.data, optimizer.theta)


def test_adam_works_after_a_deep_copy():
    net, args = network(np.float32), batch(dtype=np.float32)
    optimizer = Adam(0.01).setup(net)
    for _ in range(2):
        twin, twin_optimizer = copy.deepcopy((net, optimizer))
        for n, o in ((net, optimizer), (twin, twin_optimizer)):
            n.cleargrads()
            q_loss(n, *args).backward()
            o.update()
        for a, b in zip(net.params(), twin.params()):
            np.testing.assert_array_equal(a.data, b.data)
            assert not np.shares_memory(a.data, b.data)


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
