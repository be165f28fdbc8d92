"""The original notebook's algorithm, written literally on DeZero as it is.

A deque, random.sample, float64 targets, a graph for the target network that nobody uses, and
copy.deepcopy: the reference that the package's agent is compared with, in speed and in results.
Cut into methods so that `ladder.py` can replace one at a time.
"""

import copy
import random
from collections import deque

import numpy as np

from measuring import Notebook
from rlbook_helpers.dezero_compat import F, L, Model, optimizers


class QNet(Model):
    def __init__(self, action_size):
        super().__init__()
        self.l1 = L.Linear(128, in_size=4)
        self.l2 = L.Linear(128, in_size=128)
        self.l3 = L.Linear(action_size, in_size=128)

    def forward(self, x):
        return self.l3(F.relu(self.l2(F.relu(self.l1(x)))))


class LiteralAgent(Notebook):
    """第 4 章の DQN を、元のノートブックのように書いたもの。乱数は、大域の乱数生成器から引きます。"""

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
        return self.greedy_action(state)

    def greedy_action(self, state):
        return self.qnet(state[np.newaxis, :]).data.argmax()

    def update(self, state, action, reward, next_state, done):
        self.add(state, action, reward, next_state, done)
        if len(self.buffer) < self.batch_size:
            return None
        return self.learn(*self.get_batch())

    def add(self, *transition):
        self.buffer.append(transition)

    def get_batch(self):
        transitions = random.sample(self.buffer, self.batch_size)
        states, actions, rewards, next_states, dones = zip(*transitions)
        return (
            np.stack(states),
            np.array(actions),
            np.array(rewards),
            np.stack(next_states),
            np.array(dones).astype(np.int32),
        )

    def learn(self, state, action, reward, next_state, done):
        """ミニバッチで重みを一回更新し、その前の損失を返します。"""
        target = self.get_target(reward, next_state, done)
        loss = self.get_loss(state, action, target)
        self.backward(loss)
        self.optimize()
        return loss.data

    def get_target(self, reward, next_state, done):
        next_q_max = self.qnet_target(next_state).max(axis=1)
        next_q_max.unchain()
        return reward + (1 - done) * self.gamma * next_q_max

    def get_loss(self, state, action, target):
        qs = self.qnet(state)
        return F.mean_squared_error(qs[np.arange(len(action)), action], target)

    def backward(self, loss):
        self.qnet.cleargrads()
        loss.backward()

    def optimize(self):
        self.optimizer.update()
