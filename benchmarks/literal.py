"""The original notebook's algorithm, written literally on DeZero as it is.

A deque, random.sample, float64 targets, a graph for the target network that nobody uses, and
copy.deepcopy: the reference that the package's agent is compared with, in speed and in results.
"""

import copy
import random
from collections import deque

import numpy as np

from rlbook_helpers.dezero_compat import F, L, Model, optimizers


class QNet(Model):
    def __init__(self, action_size):
        super().__init__()
        self.l1 = L.Linear(128, in_size=4)
        self.l2 = L.Linear(128, in_size=128)
        self.l3 = L.Linear(action_size, in_size=128)

    def forward(self, x):
        return self.l3(F.relu(self.l2(F.relu(self.l1(x)))))


class LiteralAgent:
    """DQN as the notebook does it; random numbers from the global generators."""

    gamma, lr, epsilon, buffer_size, batch_size, action_size = (
        0.98,
        0.0005,
        0.1,
        10_000,
        32,
        2,
    )

    def __init__(self, seed):
        random.seed(seed)
        np.random.seed(seed)
        self.buffer = deque(maxlen=self.buffer_size)
        self.qnet = QNet(self.action_size)
        self.qnet_target = QNet(self.action_size)
        self.optimizer = optimizers.Adam(self.lr).setup(self.qnet)

    def sync_qnet(self):
        self.qnet_target = copy.deepcopy(self.qnet)

    def get_action(self, state):
        if np.random.rand() < self.epsilon:
            return np.random.choice(self.action_size)
        return self.qnet(state[np.newaxis, :]).data.argmax()

    def update(self, state, action, reward, next_state, done):
        self.buffer.append((state, action, reward, next_state, done))
        if len(self.buffer) < self.batch_size:
            return None
        return self.learn(random.sample(self.buffer, self.batch_size))

    def learn(self, transitions):
        """One step of Adam on these transitions; the loss before it."""
        states, actions, rewards, next_states, dones = zip(*transitions)
        actions, rewards = np.array(actions), np.array(rewards)
        dones = np.array(dones).astype(np.int32)

        next_q_max = self.qnet_target(np.stack(next_states)).max(axis=1)
        next_q_max.unchain()
        target = rewards + (1 - dones) * self.gamma * next_q_max
        qs = self.qnet(np.stack(states))
        loss = F.mean_squared_error(qs[np.arange(len(actions)), actions], target)
        self.qnet.cleargrads()
        loss.backward()
        self.optimizer.update()
        return loss.data
