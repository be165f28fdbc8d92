"""The convolution: window by window, gradients by differences, the network around it."""

import numpy as np
import pytest

from rlbook_helpers.beyond.convolution import (
    Convolution,
    ConvolutionQNet,
    convolve,
    im2col,
)
from rlbook_helpers.dezero_compat import F, Parameter, Variable

RNG = np.random.default_rng(0)


def example(B=2, C=3, H=6, W=5, size=3, out=4):
    return [
        RNG.standard_normal(shape)
        for shape in ((B, C, H, W), (C * size * size, out), (out,))
    ]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_window_is_multiplied_by_the_same_weights(size):
    x, W, b = example(size=size)
    y = convolve(x, Variable(W), Variable(b)).data
    assert y.shape == (2, 4, 7 - size, 6 - size)
    for i in range(7 - size):
        for j in range(6 - size):
            window = x[:, :, i : i + size, j : j + size].reshape(2, -1)
            np.testing.assert_allclose(y[:, :, i, j], window @ W + b)
            assert (im2col(x, size)[:, i, j] == window).all()


def test_values_are_those_of_dezero():
    x, W, b = example()
    theirs = W.T.reshape(4, 3, 3, 3)
    np.testing.assert_allclose(
        convolve(x, Variable(W), Variable(b)).data, F.conv2d(x, theirs, b).data
    )


def test_gradients_are_the_differences():
    arrays = example()
    weights = RNG.standard_normal((2, 4, 4, 3))

    def loss(arrays):
        y = Convolution()(*map(Variable, arrays))
        return float((y.data**2 * weights).sum())

    variables = [Parameter(array.copy()) for array in arrays]
    y = Convolution()(*variables)
    F.sum(y * y * weights).backward()
    for k, variable in enumerate(variables):
        for _ in range(12):
            place = tuple(RNG.integers(n) for n in arrays[k].shape)
            moved = [array.copy() for array in arrays]
            moved[k][place] += 1e-6
            above = loss(moved)
            moved[k][place] -= 2e-6
            slope = (above - loss(moved)) / 2e-6
            assert variable.grad.data[place] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_gradient_of_the_picture_is_left_out_where_nobody_asked():
    x, W, b = example()
    W, b = Parameter(W), Parameter(b)
    F.sum(convolve(x, W, b)).backward()
    given, W2, b2 = Variable(x), Parameter(W.data), Parameter(b.data)
    F.sum(convolve(given, W2, b2)).backward()
    assert given.grad is not None
    assert (W.grad.data == W2.grad.data).all() and (b.grad.data == b2.grad.data).all()


def test_network_looks_at_the_screen():
    net = ConvolutionQNet(3, seed=0)
    states = (RNG.random((5, 400)) < 0.1).astype(np.float32)
    y = net(states)
    assert y.shape == (5, 3) and y.data.dtype == np.float32
    assert sum(p.data.size for p in net.params()) == 36 * 16 + 16 + 1024 * 64 + 64 + 195
    same = ConvolutionQNet(3, seed=0)
    assert (same(states).data == y.data).all()
    F.sum(y * y).backward()
    assert all(np.abs(p.grad.data).max() > 0 for p in net.params())
    assert all(p.grad.data.dtype == np.float32 for p in net.params())
    seen = Variable(states)
    F.sum(net(seen)).backward()
    assert seen.grad.shape == states.shape and np.abs(seen.grad.data).max() > 0


@pytest.mark.parametrize("state_size", [0, 399, 401, 16])
def test_screens_that_are_no_squares_are_refused(state_size):
    with pytest.raises(ValueError, match="state_size"):
        ConvolutionQNet(3, state_size)
