"""Programs for the clinic: chapter 4's, as readers write it, right in many ways and wrong in others."""

import copy
import itertools
import random
from collections import deque

import gymnasium as gym
import numpy as np

from rlbook_helpers import DQNAgent, Linear, QLearningAgent
from rlbook_helpers.clinic import Program, adapt
from rlbook_helpers.clinic.judge import HEALTHY
from rlbook_helpers.clinic.patients import (
    DequeBuffer,
    PlainBuffer,
    PlainLossAgent,
    acting_and_learning,
    agent_with,
    with_line,
)
from rlbook_helpers.dezero_compat import F, Model, no_grad, optimizers
from rlbook_helpers.experiments.presets import PRESETS
from rlbook_helpers.networks import ordered_params
from rlbook_helpers.stable import StableDQNAgent

# What programs are made of


class Net(Model):
    def __init__(self, sizes, rng, bend=F.relu, out=lambda x: x):
        super().__init__()
        self.bend, self.out, self.depth = bend, out, len(sizes) - 1
        for k, (i, o) in enumerate(itertools.pairwise(sizes)):
            setattr(self, f"l{k}", Linear(i, o, rng))

    def forward(self, x):
        for k in range(self.depth - 1):
            x = self.bend(getattr(self, f"l{k}")(x))
        return self.out(getattr(self, f"l{self.depth - 1}")(x))


class DuelingNet(Model):
    def __init__(self, rng):
        super().__init__()
        self.trunk = Net((4, 64, 64), rng, out=F.relu)
        self.v, self.a = Linear(64, 1, rng), Linear(64, 2, rng)

    def forward(self, x):
        h = self.trunk(x)
        v, a = self.v(h), self.a(h)
        return a + F.broadcast_to(v - F.sum(a, axis=1, keepdims=True) / 2, a.shape)


class Memory:
    def __init__(self, capacity, batch_size, size, rng):
        self.capacity, self.batch_size, self.rng = capacity, batch_size, rng
        self.n = 0
        self.rows = [
            np.zeros((capacity, size), np.float32),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.float32),
            np.zeros((capacity, size), np.float32),
            np.zeros(capacity, np.float32),
        ]

    def __len__(self):
        return min(self.n, self.capacity)

    def add(self, *transition):
        i = self.n % self.capacity
        for column, x in zip(self.rows, transition):
            column[i] = x
        self.n += 1

    def get_batch(self):
        i = self.rng.choice(len(self), self.batch_size, replace=False)
        return [column[i] for column in self.rows]


class Mine:
    """Chapter 4's agent in one class; what varies is a method or an attribute."""

    sizes, batch_size, start, every, lr = (4, 128, 128, 2), 32, 32, 1, 0.0005
    memory_class, capacity, t = Memory, 10_000, 0

    def __init__(self, seed=None):
        self.gamma, self.epsilon = 0.98, 0.1
        self.rng = np.random.default_rng(seed)
        self.qnet = self.network()
        self.optimizer = self.optimize().setup(self.qnet)
        self.replay_buffer = self.memory()
        self.sync_qnet()

    def network(self):
        return Net(self.sizes, self.rng)

    def optimize(self):
        return optimizers.Adam(self.lr)

    def memory(self):
        return self.memory_class(
            self.capacity, self.batch_size, self.sizes[0], self.rng
        )

    def sync_qnet(self):
        self.qnet_target = copy.deepcopy(self.qnet)

    def prepared(self, state):
        return state

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.sizes[-1]))
        return self.greedy_action(state)

    def greedy_action(self, state):
        with no_grad():
            qs = self.qnet(self.prepared(state)[np.newaxis])
        return int(qs.data.argmax())

    def update(self, state, action, reward, next_state, done):
        self.replay_buffer.add(state, action, reward, next_state, done)
        self.t += 1
        loss = None
        if len(self.replay_buffer) >= self.start and self.t % self.every == 0:
            loss = self.learn(*self.replay_buffer.get_batch())
        self.after()
        return loss

    def learn(self, state, action, reward, next_state, done):
        state, next_state = self.prepared(state), self.prepared(next_state)
        next_value = self.next_value(next_state)
        target = reward + (1 - done) * self.gamma * next_value
        qs = self.qnet(state)
        q = qs[np.arange(len(action)), action]
        loss = self.loss(q, target.astype(qs.dtype))
        self.qnet.cleargrads()
        loss.backward()
        self.before_step()
        self.optimizer.update()
        return float(loss.data)

    def loss(self, q, target):
        return F.mean_squared_error(q, target)

    def next_value(self, next_state):
        with no_grad():
            qs = self.qnet_target(next_state)
        return qs.data.max(axis=1)

    def before_step(self):
        pass

    def after(self):
        pass


def play(env, agent, *, seed=None, max_steps=None):
    """The reader's loop of one episode. What it returns, the clinic does not use."""
    state, _ = env.reset(seed=seed)
    ended, t = False, 0
    while not ended and t != max_steps:
        action = agent.get_action(state)
        next_state, reward, terminated, truncated, _ = env.step(action)
        agent.update(state, action, reward, next_state, terminated)
        state = next_state
        ended = terminated or truncated
        t += 1


def mine(base=Mine, /, **changes):
    """A program whose agent differs from `base` in methods and attributes."""
    options = {k: changes.pop(k) for k in ("sync_interval", "policy") if k in changes}
    loop = changes.pop("loop", play)
    return Program(type("Changed", (base,), changes), loop, **options)


def lined(name, line, broken, base=Mine, /, **options):
    """A program with one other line in the method `name` of its agent."""
    return mine(base, **{name: with_line(getattr(base, name), line, broken)}, **options)


def remembered(name, line, broken, **options):
    """A program with one other line in a method of its replay buffer."""
    changed = with_line(getattr(Memory, name), line, broken)
    return mine(memory_class=type("Changed", (Memory,), {name: changed}), **options)


def looped(line, broken, base=Mine):
    """A program with another line in its loop."""
    return mine(base, loop=with_line(play, line, broken))


def stable(**options):
    interval = None if {"tau", "sync_steps"} & set(options) else 20
    return Program(
        lambda seed: StableDQNAgent(seed=seed, **options), sync_interval=interval
    )


def preset(name):
    """An agent of chapter 5 or 6. Its environment need not be installed."""
    sizes = {"acrobot": (6, 3), "lander": (8, 4)}.get(name, (4, 2))
    spaces = {
        "observation_space": gym.spaces.Box(-9, 9, sizes[:1], np.float32),
        "action_space": gym.spaces.Discrete(sizes[1]),
    }
    env = type("Env", (gym.Env,), spaces)()
    return Program(lambda seed: PRESETS[name].make_agent(env, seed), sync_interval=None)


def blend(share, reverse=False):
    def after(self):
        ours, theirs = self.qnet, self.qnet if reverse else self.qnet_target
        for a, b in zip(ordered_params(ours), ordered_params(theirs)):
            b.data += share * (a.data - b.data)

    return after


def own_memory(make, draw):
    """An agent whose memory is called differently, and gives its batches differently."""

    class Own(Mine):
        def memory(self):
            self.experiences = make(self)

        def update(self, *transition):
            self.experiences.append(transition)
            if len(self.experiences) >= 32:
                columns = map(np.array, zip(*draw(self)))
                state, action, reward, next_state, done = columns
                floats = reward.astype(np.float32), done.astype(np.float32)
                self.learn(state, action, floats[0], next_state, floats[1])

    return Own


class Sampled(deque):
    def sample(self, k):
        return random.sample(self, k)


class Prioritized(Mine):
    weighted = True

    def __init__(self, seed=None):
        super().__init__(seed)
        self.priorities = []

    def update(self, *transition):
        self.replay_buffer.add(*transition)
        self.priorities.append(max(self.priorities, default=1.0))
        n = len(self.replay_buffer)
        if n < 32:
            return
        p = np.array(self.priorities) / sum(self.priorities)
        self.i = self.rng.choice(n, 32, replace=False, p=p)
        w = (n * p[self.i]) ** -0.4
        self.w = (w / w.max()).astype(np.float32) if self.weighted else np.float32(1)
        self.learn(*(column[self.i] for column in self.replay_buffer.rows))

    def loss(self, q, target):
        for k, error in zip(self.i, np.abs(q.data - target)):
            self.priorities[k] = float(error) ** 0.6 + 0.001
        return F.sum(self.w * (q - target) ** 2) / len(target)


class Doubles(Mine):
    def next_value(self, next_state):
        with no_grad():
            best = self.qnet(next_state).data.argmax(axis=1)
            qs = self.qnet_target(next_state).data
        return qs[np.arange(len(best)), best]


class NSteps(Mine):
    """Three-step returns; what a truncation leaves unfinished is dropped by the loop."""

    n = 3

    def memory(self):
        self.window = deque()
        return super().memory()

    def update(self, state, action, reward, next_state, done):
        self.window.append((state, action, reward))
        while self.window and (done or len(self.window) == self.n):
            total = sum(self.gamma**k * x[2] for k, x in enumerate(self.window))
            first = self.window.popleft()
            self.replay_buffer.add(*first[:2], total, next_state, done)
        if len(self.replay_buffer) >= self.start:
            self.learn(*self.replay_buffer.get_batch())

    def next_value(self, next_state):
        value = Mine.next_value(self, next_state)
        return self.gamma ** (self.n - 1) * value


def play_n(env, agent, **options):
    play(env, agent, **options)
    agent.window.clear()


class Normalized(Mine):
    """Scales its inputs by running statistics."""

    def __init__(self, seed=None):
        super().__init__(seed)
        self.count, self.mean, self.square = 0, np.zeros(4), np.ones(4)

    def prepared(self, state):
        deviation = np.sqrt(self.square / max(self.count, 1) + 0.01)
        return ((state - self.mean) / deviation).astype(np.float32)

    def look(self, state):
        self.count += 1
        difference = state - self.mean
        self.mean = self.mean + difference / self.count
        self.square = self.square + difference * (state - self.mean)

    def update(self, state, *rest):
        self.look(state)
        return super().update(state, *rest)


def raw(agent):
    return lambda state: Mine.greedy_action(
        type("Raw", (), {"qnet": agent.qnet, "prepared": lambda self, x: x})(), state
    )


def looking(agent):
    return lambda state: agent.look(state) or agent.greedy_action(state)


class InNumPy:
    """One hidden layer, no DeZero."""

    def __init__(self, seed=None):
        self.rng = np.random.default_rng(seed)
        self.gamma, self.epsilon, self.rows = 0.98, 0.1, []
        self.w = [self.rng.normal(0, 0.5, (4, 64)), np.zeros(64)]
        self.w += [self.rng.normal(0, 0.1, (64, 2)), np.zeros(2)]
        self.sync_qnet()

    def sync_qnet(self):
        self.old = [x.copy() for x in self.w]

    def hidden(self, x, w):
        return np.maximum(x @ w[0] + w[1], 0)

    def qnet(self, x):
        return self.hidden(x, self.w) @ self.w[2] + self.w[3]

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(2))
        return self.greedy_action(state)

    def greedy_action(self, state):
        return int(self.qnet(state).argmax())

    def update(self, *transition):
        self.rows.append(transition)
        if len(self.rows) < 32:
            return
        chosen = self.rng.choice(len(self.rows), 32, replace=False)
        s, a, r, n, d = map(np.array, zip(*(self.rows[i] for i in chosen)))
        theirs = self.hidden(n, self.old) @ self.old[2] + self.old[3]
        target = r + (1 - d) * self.gamma * theirs.max(axis=1)
        h, g = self.hidden(s, self.w), np.zeros((32, 2))
        g[np.arange(32), a] = (self.qnet(s)[np.arange(32), a] - target) / 16
        gh = g @ self.w[2].T * (h > 0)
        grads = s.T @ gh, gh.sum(axis=0), h.T @ g, g.sum(axis=0)
        for x, grad in zip(self.w, grads):
            x -= 0.05 * grad


class Chapter2(QLearningAgent):
    """Chapter 2's agent. Its network takes 12 numbers: the state and eight zeros."""

    def __init__(self, seed=None):
        super().__init__(gamma=0.98, action_size=2, seed=seed)

    def wide(self, state):
        return np.pad(np.asarray(state, np.float32), (0, 8))[np.newaxis]

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(2))
        return self.greedy_action(state)

    def greedy_action(self, state):
        return super().greedy_action(self.wide(state))

    def update(self, state, action, reward, next_state, done):
        states = self.wide(state), self.wide(next_state)
        return super().update(states[0], action, reward, states[1], done)


# Right in many ways

UPDATE = "agent.update(state, action, reward, next_state, terminated)"


def huber(self, q, target):
    d = q - target
    c = F.clip(d, -1.0, 1.0)
    return F.sum(c * (d * 2 - c)) / (2 * len(target))


def cut_gradients(self):
    grads = [p.grad.data for p in self.qnet.params()]
    norm = np.sqrt(sum((g**2).sum() for g in grads))
    for g in grads:
        g *= min(1, 0.5 / (norm + 1e-6))


def falling_per_call(self, state):
    self.calls = getattr(self, "calls", 0) + 1
    self.epsilon = 0.05 + 0.85 * np.exp(-self.calls / 1_000)
    return Mine.get_action(self, state)


def play_and_decay(env, agent, **options):
    play(env, agent, **options)
    agent.epsilon = max(0.01, 0.995 * agent.epsilon)


def boltzmann(self, state):
    with no_grad():
        q = self.qnet(state[np.newaxis]).data[0]
    p = np.exp((q - q.max()) / 0.5)
    return int(self.rng.choice(2, p=p / p.sum()))


def from_one(self, seed=None):
    Mine.__init__(self, seed)
    self.epsilon = 1.0


def doubled(self, seed=None):
    Mine.__init__(self, seed)
    for p in self.qnet.params():
        p.data = p.data.astype(np.float64)
    self.sync_qnet()


def starts(gamma):
    def init(self, seed=None):
        Mine.__init__(self, seed)
        self.gamma = gamma

    return init


def updates(change):
    """An update that passes on what `change` makes of the transition."""
    return lambda self, *transition: Mine.update(self, *change(*transition))


class Renamed:
    """The same agent with the names of others, and without greedy_action."""

    def __init__(self, seed=None):
        self.body, self.epsilon = Mine(seed), 0.1

    act = property(lambda self: self.body.get_action)
    learn = property(lambda self: self.body.update)
    replace = property(lambda self: self.body.sync_qnet)
    q_net = property(lambda self: self.body.qnet)
    target_net = property(lambda self: self.body.qnet_target)
    gamma = property(
        lambda self: self.body.gamma, lambda self, x: vars(self.body).update(gamma=x)
    )


def renamed(seed):
    agent = Renamed(seed)
    names = {"get_action": "act", "update": "learn", "sync_qnet": "replace"}
    return adapt(agent, **names, greedy_action=lambda s: agent.body.greedy_action(s))


def at_the_end(env, agent, **options):
    """Learns as often as it stepped, after the episode."""
    before = agent.replay_buffer.n
    play(env, agent, **options)
    for _ in range(agent.replay_buffer.n - before):
        if len(agent.replay_buffer) >= 32:
            agent.learn(*agent.replay_buffer.get_batch())


def four_times(self, *transition):
    Mine.update(self, *transition)
    for _ in range(3 * (len(self.replay_buffer) >= 32)):
        self.learn(*self.replay_buffer.get_batch())


def random_first(self, state):
    return int(self.rng.integers(2)) if self.t < 1_000 else Mine.get_action(self, state)


def play_synced(env, agent, **options):
    agent.sync_qnet()
    play(env, agent, **options)


def rewarded(reward):
    """A loop that passes on another reward."""
    return looped(UPDATE, UPDATE.replace("reward", reward))


def rewards(change):
    """An update that passes on another reward."""
    return mine(update=updates(lambda s, a, r, n, d: (s, a, float(change(r, d)), n, d)))


def without_end(self, state, action, reward, next_state, done):
    """What follows the end is None in the loop."""
    following = np.zeros_like(state) if next_state is None else next_state
    Mine.update(self, state, action, reward, following, done)


RIGHT = {
    "chapter 2": Program(Chapter2, sync_interval=None),
    "chapter 4": HEALTHY,
    **{name: preset(name) for name in ("stable", "acrobot", "lander")},
    "reader's": mine(),
    "plain loss": Program(PlainLossAgent),
    "plain buffer": Program(agent_with(PlainBuffer)),
    "deque buffer": Program(agent_with(DequeBuffer)),
    "option sync_steps": stable(sync_steps=100),
    "option tau": stable(tau=0.005),
    "option learning_start": stable(learning_start=1_000),
    "option error_limit": stable(error_limit=1.0),
    "option n_steps": stable(n_steps=3),
    "option normalize": stable(normalize=True),
    "option pessimism": stable(target_rule="double", pessimism=0.5),
    "option average_start": stable(average_start=1),
    "lander's shape": Program(
        lambda seed: DQNAgent(state_size=8, action_size=4, seed=seed)
    ),
    "two numbers, three actions": mine(sizes=(2, 64, 64, 3)),
    "double": mine(Doubles),
    "huber": mine(loss=huber),
    "half squared error": mine(loss=lambda self, q, y: F.mean_squared_error(q, y) / 2),
    "summed error": mine(loss=lambda self, q, y: F.sum((q - y) ** 2)),
    "soft updates": mine(after=blend(0.01), sync_interval=None),
    "soft updates, slow and seldom": mine(
        every=4, after=lambda self: self.t % 4 or blend(0.001)(self), sync_interval=None
    ),
    "sync in update": mine(
        after=lambda self: self.sync_qnet() if self.t % 200 == 0 else None,
        sync_interval=None,
    ),
    "dueling": mine(network=lambda self: DuelingNet(self.rng)),
    "narrow": mine(sizes=(4, 32, 32, 2)),
    "one layer": mine(sizes=(4, 128, 2)),
    "three layers": mine(sizes=(4, 64, 64, 64, 2)),
    "tanh": mine(network=lambda self: Net(self.sizes, self.rng, F.tanh)),
    "batch 64": mine(batch_size=64, start=64),
    "batch 128": mine(batch_size=128, start=128),
    "start at 1000": mine(start=1_000),
    "every fourth step": mine(every=4),
    "slow": mine(lr=1e-4),
    "plain gradient": mine(optimize=lambda self: optimizers.SGD(0.01)),
    "momentum": mine(optimize=lambda self: optimizers.MomentumSGD(0.003)),
    "adagrad": mine(optimize=lambda self: optimizers.AdaGrad(0.01)),
    "cut gradients": mine(before_step=cut_gradients),
    "float64": mine(__init__=doubled),
    "four updates a step": mine(update=four_times),
    "learns after the episode": mine(
        update=lambda self, *t: self.replay_buffer.add(*t), loop=at_the_end
    ),
    "start at 10000": mine(start=10_000),
    "sync every 10000": mine(
        sync_every=10_000,
        after=lambda self: self.t % self.sync_every or self.sync_qnet(),
        sync_interval=None,
    ),
    "random until 1000": mine(get_action=random_first, start=1_000),
    "states scaled in the loop": looped(
        "state, _ = env.reset(seed=seed)",
        "env = gym.wrappers.TransformObservation(env, lambda x: x / 2, None)\n"
        "    state, _ = env.reset(seed=seed)",
    ),
    "None after the end": mine(
        update=without_end,
        loop=with_line(
            play,
            "next_state, terminated)",
            "None if terminated else next_state, terminated)",
        ),
    ),
    "epsilon falls to 0": mine(
        __init__=from_one,
        loop=lambda env, agent, **o: (
            play(env, agent, **o) or agent.__setattr__("epsilon", 0.97 * agent.epsilon)
        ),
    ),
    "epsilon per call": mine(get_action=falling_per_call),
    "epsilon per episode": mine(__init__=from_one, loop=play_and_decay),
    "epsilon property": mine(
        epsilon=property(lambda self: max(0.05, 1 - self.t / 5_000), lambda *_: None)
    ),
    "boltzmann": mine(get_action=boltzmann),
    "with replacement": remembered("get_batch", "replace=False", "replace=True"),
    "list and random.sample": mine(
        own_memory(lambda self: [], lambda self: random.sample(self.experiences, 32))
    ),
    "sample of a deque": mine(
        own_memory(lambda self: Sampled([], 10_000), lambda a: a.experiences.sample(32))
    ),
    "prioritized": mine(Prioritized),
    "returns nothing": mine(update=lambda self, *t: Mine.update(self, *t) and None),
    "own normalization": mine(Normalized),
    "three steps": mine(NSteps, loop=play_n),
    "eight steps": mine(NSteps, loop=play_n, n=8),
    "option n_steps=20": stable(n_steps=20),
    "sync every episode": mine(sync_interval=1),
    "sync at the start of episodes": mine(loop=play_synced, sync_interval=None),
    "sync every 300 episodes": mine(sync_interval=300),
    "half the reward": rewarded("reward / 2"),
    "reward less 1": rewarded("reward - 1"),
    "0 at the end": rewarded("(0.0 if terminated else reward)"),
    "-10 added at the end": rewarded("(reward - 10 * terminated)"),
    "-1 at the end, else 0.1": rewarded("(-1.0 if terminated else 0.1)"),
    "reward of the state alone": rewarded(
        "(0.5 - abs(float(next_state[0])) - abs(float(next_state[-1])))"
    ),
    "less the distance": rewarded("(reward - abs(float(next_state[0])))"),
    "half the reward in update": rewards(lambda reward, done: reward / 2),
    "reward less 1 in update": rewards(lambda reward, done: reward - 1),
    "0 at the end in update": rewards(lambda reward, done: 0 if done else reward),
    "gamma 0.9": mine(__init__=starts(0.9)),
    "gamma 0.3": mine(__init__=starts(0.3)),
    "shaped in update": mine(
        update=updates(lambda s, a, r, n, d: (s, a, -1.0 if d else 0.0, n, d))
    ),
    "clipped in update": mine(
        update=updates(lambda s, a, r, n, d: (s, a, float(np.clip(r, -1, 1)), n, d))
    ),
    "half precision": mine(
        update=updates(
            lambda s, a, r, n, d: (s.astype(np.float16), a, r, n.astype(np.float16), d)
        )
    ),
    "truncated not stored": looped("agent.update(", "if not truncated: agent.update("),
    "NumPy": Program(InNumPy, play),
    "act and learn": Program(renamed, play),
}

# Wrong in one way: program, the examination that says so, a suspect that must be named


def drop(self):
    def bend(x):
        return F.dropout(F.relu(x), 0.5)

    return Net(self.sizes, self.rng, bend)


def bends(out):
    return mine(network=lambda self: Net(self.sizes, self.rng, out=out))


def shared_trunk(self):
    self.qnet_target = copy.deepcopy(self.qnet)
    self.qnet_target.l0, self.qnet_target.l1 = self.qnet.l0, self.qnet.l1


def other_network(self, seed=None):
    Mine.__init__(self, seed)
    self.qnet = copy.deepcopy(self.qnet)


def remembering(self, state, *rest):
    self.now = state
    return Mine.learn(self, state, *rest)


def doubles(choosing, state, valuing):
    """Double DQN of other networks, or of another state."""
    return with_line(
        Doubles.next_value,
        "best = self.qnet(next_state).data.argmax(axis=1)\n"
        "        qs = self.qnet_target(",
        f"best = self.{choosing}({state}).data.argmax(axis=1)\n"
        f"        qs = self.{valuing}(",
    )


def online_of_eight(self, next_state):
    with no_grad():
        return self.gamma**7 * self.qnet(next_state).data.max(axis=1)


THREE = {"sizes": (4, 64, 64, 3)}


def falling(self):
    """From 1 to 0.0001 within 200 steps."""
    self.epsilon *= 0.95


def never_reached(self):
    """Learns at steps 1, 5, 9 of four; synchronizes at steps 100, 200."""
    if self.t % 101 == 100 and self.t % 4:
        self.sync_qnet()


def backwards(self):
    if hasattr(self, "qnet_target"):
        pairs = zip(ordered_params(self.qnet), ordered_params(self.qnet_target))
        for ours, theirs in pairs:
            ours.data[...] = theirs.data
    else:
        self.qnet_target = copy.deepcopy(self.qnet)


def learn_at_the_end(env, agent, **options):
    play(env, agent, **options)
    if len(agent.replay_buffer) >= 32:
        agent.learn(*agent.replay_buffer.get_batch())


def late_action(self, state, action, *rest):
    stored, self.last = getattr(self, "last", 0), action
    return Mine.update(self, state, stored, *rest)


def rate_gone(self):
    self.optimizer.alpha = 0.0


def next_row(self):
    i = self.rng.choice(len(self), self.batch_size, replace=False)
    state, action, reward, _, done = self.rows
    return [state[i], action[i], reward[i], state[(i + 1) % len(self)], done[i]]


def consecutive(self):
    i = int(self.rng.integers(len(self) - self.batch_size + 1))
    return [column[i : i + self.batch_size] for column in self.rows]


ADD = "self.replay_buffer.add(state, action, reward, next_state, done)"
NEXT = "next_value = self.next_value(next_state)"
LOSS = "loss = self.loss(q, target.astype(qs.dtype))"
CHOSEN = "get_action", "self.rng.random() < self.epsilon"
RANDOM = "get_action", "self.rng.integers(self.sizes[-1])"

WRONG = {
    # Network
    "relu at the end": (bends(F.relu), "probe_observed", "output"),
    "softmax at the end": (bends(F.softmax), "probe_constant", "output"),
    "tanh at the end": (bends(F.tanh), "probe_truncated", "output"),
    "dropout when acting": (mine(network=drop), "evaluation", "random_values"),
    # Loss and update
    "gradients kept": (
        lined("learn", "self.qnet.cleargrads()", "None"),
        *("gradient", "gradients_pile"),
    ),
    "other actions to 0": (
        lined("learn", LOSS, LOSS + " + (F.sum(qs**2) - F.sum(q**2)) / 32"),
        *("probe_constant", "other_actions"),
    ),
    "all columns": (
        lined("learn", "qs[np.arange(len(action)), action]", "qs[:, action]"),
        *("probe_observed", "mixed_rows"),
    ),
    "a column less a row": (
        lined(
            *("loss", "F.mean_squared_error(q, target)"),
            "F.sum((q - target[:, np.newaxis]) ** 2) / len(target) ** 2",
        ),
        *("probe_observed", "mixed_rows"),
    ),
    "error cut": (
        lined("loss", "(q, target)", "(F.clip(q - target, -1.0, 1.0), 0 * target)"),
        *("first_step", "clipped_error"),
    ),
    "up instead of down": (
        lined("loss", "return F", "return -F"),
        *("td_targets", "ascent"),
    ),
    "hundredfold rate": (mine(lr=0.05), "first_step", "step_size"),
    "rate falls to 0 at once": (
        mine(before_step=rate_gone),
        *("pace", "other_network"),
    ),
    "optimizer of another network": (
        mine(__init__=other_network),
        *("pace", "other_network"),
    ),
    "learns once per episode": (
        mine(update=lambda self, *t: self.replay_buffer.add(*t), loop=learn_at_the_end),
        *("pace", "outside_loop"),
    ),
    # TD target
    "no mask": (lined("learn", "(1 - done) * ", ""), "td_targets", "mask"),
    "mask inverted": (lined("learn", "(1 - done)", "done"), "td_targets", "mask"),
    "no gamma": (lined("learn", "self.gamma * ", ""), "td_targets", "gamma"),
    "reward left out": (
        lined("learn", "target = reward + ", "target = "),
        *("td_targets", "reward_changed"),
    ),
    "gradient into the target": (
        lined(
            *("learn", "self.loss(q, target.astype(qs.dtype))"),
            "self.loss(q, reward + (1 - done) * self.gamma"
            " * F.max(self.qnet(next_state), axis=1))",
        ),
        *("gradient", "gradient_into_target"),
    ),
    "online network": (
        lined("next_value", "self.qnet_target", "self.qnet"),
        *("td_targets", "which_network"),
    ),
    "double exchanged": (
        mine(next_value=doubles("qnet_target", "next_state", "qnet")),
        *("td_targets", "which_network"),
    ),
    "double of the current state": (
        mine(learn=remembering, next_value=doubles("qnet", "self.now", "qnet_target")),
        *("probe_turned", "reselected"),
    ),
    "smallest": (lined("next_value", "max(", "min("), "td_targets", "max_axis"),
    "largest of all rows": (
        lined("next_value", "max(axis=1)", "max()"),
        *("probe_delayed", "max_axis"),
    ),
    "values of the state, not the next": (
        lined("learn", NEXT, NEXT.replace("(next_", "(")),
        *("probe_delayed", "reselected"),
    ),
    # n steps
    "online network for eight steps": (
        mine(NSteps, loop=play_n, n=8, next_value=online_of_eight),
        *("td_targets", "which_network"),
    ),
    "gamma once for three steps": (
        lined("next_value", "self.gamma ** (self.n - 1) * ", "", NSteps, loop=play_n),
        *("td_targets", "gamma"),
    ),
    "window not cleared": (mine(NSteps), "buffer", "window"),
    "newest action with the oldest state": (
        lined("update", "*first[:2]", "first[0], action", NSteps, loop=play_n),
        *("buffer", "window"),
    ),
    # Target network
    "never synchronized": (mine(sync_interval=None), "synchronization", "never_synced"),
    "shared trunk": (mine(sync_qnet=shared_trunk), "synchronization", "shared"),
    "shared weights": (
        lined("sync_qnet", "copy.deepcopy(self.qnet)", "self.qnet"),
        *("synchronization", "shared"),
    ),
    "towards itself": (
        mine(after=blend(0.05, reverse=True), sync_interval=None),
        *("synchronization", "never_synced"),
    ),
    "at every update": (
        mine(after=Mine.sync_qnet, sync_interval=None),
        *("synchronization", "every_update"),
    ),
    "tau exchanged": (
        mine(after=blend(0.995), sync_interval=None),
        *("synchronization", "tau"),
    ),
    "soft and hard": (mine(after=blend(0.005)), "synchronization", "both_syncs"),
    "sync never reached": (
        mine(every=4, before_step=never_reached, sync_interval=None),
        *("synchronization", "never_synced"),
    ),
    "old weights into the online network": (
        mine(sync_qnet=backwards),
        *("synchronization", "never_synced"),
    ),
    # Exploration
    "epsilon stays 1": (mine(__init__=from_one), "actions", "epsilon_stays"),
    "epsilon gone within an episode": (
        mine(__init__=from_one, after=falling),
        *("actions", "epsilon_gone"),
    ),
    "random action always 0": (
        lined(*RANDOM, "self.rng.integers(1)"),
        *("actions", "narrow_exploration"),
    ),
    "last action never": (
        lined(*RANDOM, "self.rng.integers(2)", type("Three", (Mine,), THREE)),
        *("actions", "narrow_exploration"),
    ),
    "no exploration": (lined(*CHOSEN, "False"), "actions", "no_exploration"),
    "epsilon inverted": (
        lined(*CHOSEN, "self.rng.random() > self.epsilon"),
        *("actions", "epsilon_size"),
    ),
    "greedy action of least value": (
        lined("greedy_action", "argmax", "argmin"),
        *("actions", "not_greedy"),
    ),
    # Loop
    "truncated ignored": (
        looped("terminated or truncated", "terminated"),
        *("loop", "truncated_ignored"),
    ),
    "truncated is terminated": (
        looped(UPDATE, UPDATE.replace("terminated", "terminated or truncated")),
        *("loop", "ends"),
    ),
    "next state of the next episode": (
        looped(
            UPDATE,
            UPDATE.replace(
                "next_state",
                "env.reset()[0] if terminated or truncated else next_state",
            ),
        ),
        *("loop", "reset_state"),
    ),
    "same seed": (looped("reset(seed=seed)", "reset(seed=0)"), "loop", "reseeded"),
    "last one twice": (
        looped(UPDATE, f"{UPDATE}\n        if terminated:\n            {UPDATE}"),
        *("loop", "twice"),
    ),
    "only what is rewarded": (
        looped(UPDATE, f"if t % 2: {UPDATE}"),
        *("loop", "missing"),
    ),
    "state after the step": (
        looped(UPDATE, UPDATE.replace("(state", "(next_state")),
        *("loop", "out_of_step"),
    ),
    "reward clipped": (
        looped(UPDATE, UPDATE.replace("reward", "min(reward, 1)")),
        *("loop", "reward_changed"),
    ),
    "sum of rewards": (
        looped(
            UPDATE,
            "agent.sum = agent.sum * (t > 0) + reward\n        "
            + UPDATE.replace("reward", "agent.sum"),
            type("Sum", (Mine,), {"sum": 0.0}),
        ),
        *("loop", "reward_changed"),
    ),
    "online network, half the reward": (
        looped(
            UPDATE,
            UPDATE.replace("reward", "reward / 2"),
            type(
                "Online",
                (Mine,),
                {"next_value": with_line(Mine.next_value, "qnet_target", "qnet")},
            ),
        ),
        *("td_targets", "which_network"),
    ),
    "reward of the step before": (
        looped(
            UPDATE,
            UPDATE.replace("reward", "agent.last") + "\n        agent.last = reward",
            type("Late", (Mine,), {"last": 0.0}),
        ),
        *("loop", "reward_changed"),
    ),
    "reward negated": (
        looped(UPDATE, UPDATE.replace("reward", "-reward")),
        *("loop", "reward_changed"),
    ),
    "other action executed": (
        looped("env.step(action)", "env.step(1 - action)"),
        *("loop", "other_action"),
    ),
    # Replay buffer
    "action one step late": (mine(update=late_action), "buffer", "buffer_place"),
    "greedy action stored": (
        lined("update", ADD, ADD.replace("action", "self.greedy_action(state)")),
        *("buffer", "other_action"),
    ),
    "reward not stored": (
        lined("update", ADD, ADD.replace("reward", "0.0")),
        *("probe_constant", "reward_changed"),
    ),
    "oldest only": (
        remembered("get_batch", "len(self)", "32"),
        *("buffer", "old_only"),
    ),
    "next state of the next row": (
        mine(memory_class=type("Changed", (Memory,), {"get_batch": next_row})),
        *("buffer", "buffer_place"),
    ),
    "shared by all": (
        mine(memory=lambda self, kept={}: kept.setdefault(0, Mine.memory(self))),
        *("buffer", "shared_buffer"),
    ),
    "in a row": (
        mine(memory_class=type("Changed", (Memory,), {"get_batch": consecutive})),
        *("buffer", "consecutive"),
    ),
    "of one batch": (mine(capacity=32), "buffer", "small_buffer"),
    "wrong place when full": (
        remembered(
            *("add", "self.n % self.capacity"),
            "self.n if self.n < self.capacity else 0",
        ),
        *("buffer", "buffer_place"),
    ),
    "actions and states apart": (
        remembered("add", "column[i] = x", "column[i - np.ndim(x)] = x"),
        *("buffer", "buffer_place"),
    ),
    "whole numbers": (
        remembered("add", "column[i] = x", "column[i] = np.trunc(x)"),
        *("buffer", "buffer_type"),
    ),
    # Evaluation
    "evaluation explores": (
        mine(policy=lambda agent: agent.get_action),
        *("evaluation", "evaluation_explores"),
    ),
    "evaluation does not scale": (
        mine(Normalized, policy=raw),
        *("evaluation", "evaluation_differs"),
    ),
    "evaluation moves the averages": (
        mine(Normalized, policy=looking),
        *("evaluation", "evaluation_changes"),
    ),
    "evaluation learns": (
        mine(policy=acting_and_learning),
        *("evaluation", "evaluation_changes"),
    ),
    "evaluation takes the worst": (
        mine(policy=lambda agent: lambda state: 1 - agent.greedy_action(state)),
        *("evaluation", "evaluation_differs"),
    ),
}
