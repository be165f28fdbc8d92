"""The same algorithm in NumPy alone, fused by hand: the floor that a framework cannot get under.

No objects between the arrays: one vector for all weights, one for all gradients, every
intermediate result in an array that was allocated once.
"""

from itertools import pairwise

import numpy as np

from measuring import Notebook

SIZES = (4, 128, 128, 2)


def views(vector):
    """W1, b1, W2, b2, W3, b3 as views of one vector."""
    result, start = [], 0
    for i, o in pairwise(SIZES):
        for shape in ((i, o), (o,)):
            size = int(np.prod(shape))
            result.append(vector[start : start + size].reshape(shape))
            start += size
    return result


class FloorAgent(Notebook):
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        count = sum(i * o + o for i, o in pairwise(SIZES))
        self.theta, self.grad, self.m, self.v, self.step = np.zeros(
            (5, count), np.float32
        )
        self.params, self.grads = views(self.theta), views(self.grad)
        for W, i in zip(self.params[::2], SIZES):
            W[...] = self.rng.standard_normal(W.shape) / np.sqrt(i)
        self.theta_target = self.theta.copy()
        self.params_target = views(self.theta_target)
        self.t = 0

        n, b = self.buffer_size, self.batch_size
        self.states = np.empty((2, n, 4), np.float32)  # state and next_state
        self.action = np.empty(n, np.int64)
        self.reward = np.empty(n, np.float32)
        self.discount = np.empty(n, np.float32)  # gamma, or 0 after the end
        self.num_added = 0
        self.rows = np.arange(b)
        self.batch = np.empty((2, b, 4), np.float32)
        self.h = [np.empty((b, o), np.float32) for o in SIZES[1:]]
        self.h_target = [np.empty((b, o), np.float32) for o in SIZES[1:]]
        self.one = [np.empty(o, np.float32) for o in SIZES[1:]]
        self.g = [np.empty((b, o), np.float32) for o in SIZES[1:]]
        self.mask = np.empty((b, 128), bool)

    def sync_qnet(self):
        self.theta_target[...] = self.theta

    @staticmethod
    def forward(params, x, outs):
        W1, b1, W2, b2, W3, b3 = params
        h1, h2, q = outs
        np.dot(x, W1, out=h1)
        h1 += b1
        np.maximum(h1, 0, out=h1)
        np.dot(h1, W2, out=h2)
        h2 += b2
        np.maximum(h2, 0, out=h2)
        np.dot(h2, W3, out=q)
        q += b3
        return q

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        return int(self.forward(self.params, state, self.one).argmax())

    def update(self, state, action, reward, next_state, done):
        i = self.num_added % self.buffer_size
        self.states[0, i] = state
        self.states[1, i] = next_state
        self.action[i] = action
        self.reward[i] = reward
        self.discount[i] = 0 if done else self.gamma
        self.num_added += 1
        count = min(self.num_added, self.buffer_size)
        if count < self.batch_size:
            return None
        i = self.rng.choice(count, self.batch_size, replace=False)
        x, x_next = np.take(self.states, i, axis=1, out=self.batch, mode="clip")

        target = self.forward(self.params_target, x_next, self.h_target).max(axis=1)
        target *= self.discount[i]
        target += self.reward[i]
        qs = self.forward(self.params, x, self.h)
        action = self.action[i]
        error = qs[self.rows, action]
        error -= target
        loss = float(error @ error) / self.batch_size

        h1, h2, _ = self.h
        g1, g2, g3 = self.g
        _, _, W2, _, W3, _ = self.params
        gW1, gb1, gW2, gb2, gW3, gb3 = self.grads
        error *= 2 / self.batch_size
        g3[...] = 0
        g3[self.rows, action] = error
        np.dot(h2.T, g3, out=gW3)
        np.add.reduce(g3, axis=0, out=gb3)
        np.dot(g3, W3.T, out=g2)
        np.greater(h2, 0, out=self.mask)
        g2 *= self.mask
        np.dot(h1.T, g2, out=gW2)
        np.add.reduce(g2, axis=0, out=gb2)
        np.dot(g2, W2.T, out=g1)
        np.greater(h1, 0, out=self.mask)
        g1 *= self.mask
        np.dot(x.T, g1, out=gW1)
        np.add.reduce(g1, axis=0, out=gb1)
        self.adam()
        return loss

    def adam(self):
        self.t += 1
        grad, m, v, step = self.grad, self.m, self.v, self.step
        # m and v divided by 1 - beta1 and 1 - beta2, which saves two passes
        m *= 0.9
        m += grad
        v *= 0.999
        v += np.multiply(grad, grad, out=step)
        scale = 0.001**0.5
        np.sqrt(v, out=step)
        step += 1e-8 / scale
        np.divide(m, step, out=step)
        fix = (1 - 0.999**self.t) ** 0.5 / (1 - 0.9**self.t)
        step *= self.lr * fix * 0.1 / scale
        self.theta -= step
        if self.t % 100 == 0:  # no subnormal numbers, see rlbook_helpers.fused
            m[np.abs(m) < 1e-20] = 0
