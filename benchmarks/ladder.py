"""From the notebook's algorithm to `DQNAgent`, one change at a time, and where the time goes.

Each rung inherits from the one before and replaces one thing, so that the difference of their
speeds is the gain of that change.
"""

import time
from collections import defaultdict

import numpy as np

from literal import LiteralAgent
from rlbook_helpers import DQNAgent, QNet2, ReplayBuffer
from rlbook_helpers.dezero_compat import no_grad
from rlbook_helpers.fused import Adam, q_loss


class Float32(LiteralAgent):
    """Weights, rewards and targets in float32."""

    def __init__(self, seed):
        super().__init__(seed)
        for net in (self.qnet, self.qnet_target):
            for p in net.params():
                p.data = p.data.astype(np.float32)

    def get_target(self, reward, next_state, done):
        target = super().get_target(reward, next_state, done)
        return target.data.astype(np.float32)


class NoGraph(Float32):
    """No graph where no gradient is wanted: for the target and for the choice of an action."""

    def greedy_action(self, state):
        with no_grad():
            return super().greedy_action(state)

    def get_target(self, reward, next_state, done):
        with no_grad():
            return super().get_target(reward, next_state, done)


class Ring(NoGraph):
    """Transitions in arrays, and sampled with one index."""

    def __init__(self, seed):
        super().__init__(seed)
        self.buffer = ReplayBuffer(self.buffer_size, self.batch_size, seed=seed)

    def add(self, *transition):
        self.buffer.add(*transition)

    def get_batch(self):
        return self.buffer.get_batch()


class FlatAdam(Ring):
    """Adam on one vector of all weights."""

    def __init__(self, seed):
        super().__init__(seed)
        self.make_optimizer()

    def make_optimizer(self):
        self.optimizer = Adam(self.lr).setup(self.qnet)


class Arrays(FlatAdam):
    """Arrays alone, without Variables, where no gradient is wanted."""

    def __init__(self, seed):
        super().__init__(seed)
        rng = np.random.default_rng(seed)
        self.qnet, self.qnet_target = (QNet2(self.action_size, seed=rng) for _ in "12")
        self.make_optimizer()

    def greedy_action(self, state):
        return int(self.qnet.predict(state).argmax())

    def get_target(self, reward, next_state, done):
        next_q_max = self.qnet_target.predict(next_state).max(axis=1)
        return reward + self.gamma * next_q_max * (1 - done)


class Fused(Arrays):
    """Network, selected values and loss as one Function."""

    def get_loss(self, state, action, target):
        places = self.optimizer.places  # where the optimizer keeps its gradients
        return q_loss(self.qnet, state, action, target, places)


def dqn_agent(seed):
    return DQNAgent(seed=seed)


LADDER = {
    "literal": LiteralAgent,
    "float32": Float32,
    "no_graph": NoGraph,
    "ring": Ring,
    "flat_adam": FlatAdam,
    "arrays": Arrays,
    "fused": Fused,
    "ours": dqn_agent,
}

PARTS = (
    "greedy_action",
    "add",
    "get_batch",
    "get_target",
    "get_loss",
    "backward",
    "optimize",
)


def watch(agent) -> dict[str, float]:
    """Make the agent add up the seconds that each of its parts takes; the sums so far."""
    seconds = defaultdict(float)

    def timed(name, method):
        def call(*args):
            start = time.perf_counter()
            result = method(*args)
            seconds[name] += time.perf_counter() - start
            return result

        return call

    for name in PARTS:
        setattr(agent, name, timed(name, getattr(agent, name)))
    return seconds
