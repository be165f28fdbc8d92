"""Exercises: right answers of any form pass, usual mistakes get their sentence, nothing is given away."""

import copy
import functools
import re

import gymnasium as gym
import numpy as np
import pytest
import scipy.stats
from dezerogym.gridworld import GridWorld

from rlbook_helpers import DQNAgent, Linear, ReplayBuffer
from rlbook_helpers.clinic import adapt, judge, probes
from rlbook_helpers.clinic.examinations import Findings
from rlbook_helpers.clinic.patients import PATIENTS
from rlbook_helpers.dezero_compat import F, L, Model, Variable, no_grad, optimizers
from rlbook_helpers.exercises import CHAPTERS, check, exercises
from rlbook_helpers.exercises.chapter7 import OtherAgent

examined_once = functools.cache(Findings)


@pytest.fixture(autouse=True)
def judge_examines_once(monkeypatch):
    """The same patient has the same findings."""
    monkeypatch.setattr(judge, "Findings", examined_once)


RIGHT = "正解です。"


def reply(capsys, number, answer):
    check(number, answer)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"演習 {number}: ") and line.endswith("。"), line
    return line.removeprefix(f"演習 {number}: ")


# Chapter 1


def central(f, x0, x1, h):
    d0 = (f(x0 + h, x1) - f(x0 - h, x1)) / (2 * h)
    return d0, (f(x0, x1 + h) - f(x0, x1 - h)) / (2 * h)


def forward_difference(f, x0, x1, h):
    return (f(x0 + h, x1) - f(x0, x1)) / h, (f(x0, x1 + h) - f(x0, x1)) / h


def quiet(model, x):
    with no_grad():
        return model(x).data


class TwoLayerNet(Model):
    def __init__(self, W1, b1, W2, b2):
        super().__init__()
        rng = np.random.default_rng(0)
        self.l1, self.l2 = Linear(1, 2, rng), Linear(2, 1, rng)
        values = W1, b1, W2, b2
        for p, value in zip((self.l1.W, self.l1.b, self.l2.W, self.l2.b), values):
            p.data = np.array(value, np.float32)

    def forward(self, x):
        return self.l2(F.sigmoid(self.l1(x)))


WAVE = [[6, 12]], [-2.4, -6], [[3.6], [-3.9]], [0.4]

# Chapter 2


def expected_sarsa(epsilon, episodes, alpha, seed, *, next_value=None):
    env, rng = GridWorld(), np.random.default_rng(seed)
    Q = np.zeros((3, 4, 4))

    def act(state):
        explore = rng.random() < epsilon
        return int(rng.integers(4)) if explore else int(Q[state].argmax())

    def expected(qs, state):
        return (1 - epsilon) * qs.max() + epsilon * qs.mean()

    for _ in range(episodes):
        state, done = env.reset(), False
        while not done:
            action = act(state)
            after, reward, done = env.step(action)
            value = (next_value or expected)(Q[after], after)
            target = reward + (1 - done) * 0.9 * value
            Q[state][action] += alpha * (target - Q[state][action])
            state = after
    return Q


DICE = np.random.default_rng(0)


def with_next_value(function):
    return lambda *arguments: expected_sarsa(*arguments, next_value=function)


# Chapter 3


def n_step(episode, n, gamma, *, power=0, tail=True, constant=False):
    result = []
    last = len(episode) if tail else len(episode) - n + 1
    for k in range(last):
        parts = episode[k : k + n]
        total = sum(gamma ** (i + power) * part[2] for i, part in enumerate(parts))
        discount = gamma ** (n if constant else len(parts))
        state, action, *_ = parts[0]
        result.append((state, action, total, parts[-1][3], parts[-1][4], discount))
    return result


def undiscounted(episode, n, gamma):
    pairs = zip(n_step(episode, n, gamma), n_step(episode, n, 1))
    return [(*a[:2], b[2], *a[3:]) for a, b in pairs]


# Chapter 4


class NoMaskAgent(DQNAgent):
    def update(self, state, action, reward, next_state, done):
        return super().update(state, action, reward, next_state, False)


class LatestAgent(DQNAgent):
    def learn(self, *batch):
        return 0.0

    def update(self, *transition):
        buffer = self.replay_buffer
        buffer.add(*transition)
        if len(buffer) < 32:
            return None
        i = np.arange(buffer.num_added - 32, buffer.num_added) % 10_000
        names = "state action reward next_state done".split()
        return self.learn(*(getattr(buffer, name)[i] for name in names))


class RandomLatest(LatestAgent):
    def update(self, *transition):
        self.replay_buffer.add(*transition)
        if len(self.replay_buffer) < 32:
            return None
        return self.learn(*self.replay_buffer.get_batch())


class NoRing(LatestAgent):
    def update(self, *transition):
        buffer = self.replay_buffer
        buffer.add(*transition)
        if len(buffer) < 32:
            return None
        names = "state action reward next_state done".split()
        n = len(buffer)
        return self.learn(*(getattr(buffer, name)[n - 32 : n] for name in names))


# Chapter 5


def power(p, q, n):
    pairs = np.random.default_rng(0).binomial(n, (p, q), size=(500, 2))
    return np.mean([fisher(a, b, n) < 0.05 for a, b in pairs])


@functools.cache
def fisher(a, b, n):
    return scipy.stats.fisher_exact([[a, n - a], [b, n - b]]).pvalue


def double_estimate(select, measure):
    return [row[np.argmax(chosen)] for chosen, row in zip(select, measure)]


def peeking(a, b, looks, *, combine=any, start=0):
    found = [
        combine(
            fisher(sum(x[:n][start:]), sum(y[:n][start:]), n - start) < 0.05
            for n in looks
        )
        for x, y in zip(a, b)
    ]
    return np.mean(found)


# Chapter 6


class DriftingCatch(gym.Env):
    drift, wraps, late = 1, True, False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.ball, self.plate = self.np_random.integers(7, size=2)
        self.fallen = 0
        return self.state(), {}

    def step(self, action):
        caught = self.ball
        self.ball = self.ball + self.drift
        self.ball = self.ball % 7 if self.wraps else min(self.ball, 6)
        self.plate = min(max(self.plate + action - 1, 0), 6)
        self.fallen += 1
        ball = caught if self.late else self.ball
        ended = self.fallen == 8
        reward = (1.0 if ball == self.plate else -1.0) if ended else 0.0
        return self.state(), reward, ended, False, {}

    def state(self):
        return np.array([self.ball, self.fallen, self.plate], np.float32)


class FasterIsBetter(gym.Wrapper):
    def step(self, action):
        before = self.env.unwrapped.state[1]
        state, reward, *rest = self.env.step(action)
        return state, self.changed(reward, float(state[1]), before), *rest

    def changed(self, reward, velocity, before):
        return reward + 20 * abs(velocity)


class Door(gym.Env):
    """Open the door that the state shows."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.door, self.t = self.np_random.integers(2), 0
        return self.state(), {}

    def step(self, action):
        self.t += 1
        return self.state(), float(self.reward(action)), self.t == 5, False, {}

    def reward(self, action):
        return action == self.door

    def state(self):
        return np.array([2 * self.door - 1], np.float32)


def variant(cls, **attributes):
    return type(cls.__name__, (cls,), attributes)


# Chapter 7


class SharedAgent(DQNAgent):
    def sync_qnet(self):
        self.qnet_target = self.qnet


def remembers(program, *, n=320, draws=300, ends=True, share=1.0):
    agent = program.make_agent(seed=0)
    for k in range(n):
        state = np.full(4, k / n, np.float32)
        agent.update(state, 0, 1.0, state, ends and k % 5 == 4)
    drawn = [agent.replay_buffer.get_batch().state[:, 0] for _ in range(draws)]
    return len(set(np.concatenate(drawn))) >= share * n


def remembers_what_happens(program):
    """As remembers, by the loop."""
    agent, env = program.make_agent(seed=0), probes.Ledger()
    for _ in range(30):
        program.train_episode(env, agent)
    drawn = [agent.replay_buffer.get_batch().state[:, 0] for _ in range(300)]
    return set(np.concatenate(drawn)) == {row[0][0] for row in env.transitions}


def adapted(**changes):
    def make(seed):
        mine = OtherAgent(seed)
        names = {
            "get_action": "choose",
            "greedy_action": lambda x: mine.choose(x, explore=False),
            "update": lambda x, a, r, x2, over: mine.feed(x2, x, a, over, r),
            "gamma": "discount",
            "epsilon": "eps",
            "qnet": "q",
            "sync_qnet": "copy",
        }
        names |= changes
        return adapt(mine, **{k: v for k, v in names.items() if v is not None})

    return make


# Chapter 9


def mirror(states, actions):
    boards = states.reshape(-1, 4, 10, 10)[..., ::-1]
    return boards.reshape(states.shape), 2 - actions


def follow(state, *, sees=True):
    paddle, ball, before, _ = state.reshape(4, 10, 10)
    (_, x), (_, old) = np.argwhere(ball)[0], np.argwhere(before)[0]
    goal = x + (x - old if sees else 0) - 1
    return int(np.sign(goal - paddle[-1].argmax())) + 1


# Chapter 8


def watkins(rewards, v, terminated, truncated, greedy, gamma, lam, look=1):
    """Lambda-returns that stop at an action that is not greedy; see the solution of 8.3."""
    returns, following = np.empty_like(v), v[-1]
    ended = terminated | truncated
    for t in reversed(range(len(rewards))):
        cut = ended[t] | ~greedy[t + look] if t + look < len(rewards) else ended[t]
        future = np.where(cut, v[t], (1 - lam) * v[t] + lam * following)
        returns[t] = rewards[t] + gamma * np.where(terminated[t], 0, future)
        following = returns[t]
    return returns


def watkins_without_ends(rewards, v, terminated, truncated, *rest):
    return watkins(rewards, v, terminated & False, truncated & False, *rest)


def watkins_ends_at_truncations(rewards, v, terminated, truncated, *rest):
    return watkins(rewards, v, terminated | truncated, truncated, *rest)


def limit(times, parts):
    return sum(times.values()) / sum(t for k, t in times.items() if k not in parts)


def affine(x, W, b, out):
    np.dot(x, W, out=out)
    np.add(out, b, out=out)
    return out


def affine_with_copy(x, W, b, out):
    out[...] = x @ W + b
    return out


def affine_rebound(x, W, b, out):
    out = x @ W + b
    return out


def affine_without_bias(x, W, b, out):
    return np.dot(x, W, out=out)


def huber(qs, action, target, *, size=None, cut=True, sign=1):
    grad, total = np.zeros_like(qs), 0.0
    n = size or len(action)
    for i, a in enumerate(action):
        error = qs[i, a] - target[i]
        total += error**2 / 2 if abs(error) < 1 else abs(error) - 0.5
        grad[i, a] = sign * (max(-1, min(1, error)) if cut else error) / n
    return total / len(action), grad


# The DQN of exercise 4.6, as a reader may write it
FROM_MEMORY = """
class Net(Model):
    def __init__(self, rng):
        super().__init__()
        self.a = Linear(4, 128, rng)
        self.b = Linear(128, 128, rng)
        self.c = Linear(128, 2, rng)

    def forward(self, x):
        return self.c(F.relu(self.b(F.relu(self.a(x)))))


class DQN:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.gamma = 0.98
        self.epsilon = 0.1
        self.qnet = Net(self.rng)
        self.optimizer = optimizers.Adam(0.0005).setup(self.qnet)
        self.memory = []
        self.sync_qnet()

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(2))
        with no_grad():
            return int(self.qnet(state[None]).data.argmax())

    def update(self, state, action, reward, next_state, done):
        self.memory.append((state, action, reward, next_state, done))
        if len(self.memory) < 32:
            return None
        i = self.rng.choice(len(self.memory), size=32, replace=False)
        s, a, r, s2, d = map(np.array, zip(*[self.memory[k] for k in i]))
        with no_grad():
            next_qs = self.qnet_target(s2).data
        value = next_qs.max(axis=1)
        target = r + (1 - d) * self.gamma * value
        qs = self.qnet(s)
        q = qs[np.arange(32), a]
        loss = F.mean_squared_error(q, target.astype(np.float32))
        self.qnet.cleargrads()
        loss.backward()
        self.optimizer.update()
        return float(loss.data)

    def sync_qnet(self):
        self.qnet_target = copy.deepcopy(self.qnet)
"""
# A line, what stands there instead, and a key word of the sentence
ONE_LINE = [
    ("Linear(4, 128, rng)", "Linear(4, 64, rng)", "形"),
    ("Linear(128, 2, rng)", "Linear(128, 2, np.random.default_rng())", "seed から"),
    ("default_rng(seed)", "default_rng(seed + 1)", "はじめの重み"),
    (
        "        self.sync_qnet()\n",
        "        self.qnet_target = Net(self.rng)\n",
        "同期して",
    ),
    ("        self.sync_qnet()\n", "", "qnet_target がありません"),
    ("copy.deepcopy(self.qnet)", "self.qnet", "deepcopy"),
    ("copy.deepcopy(self.qnet)", "copy.copy(self.qnet)", "deepcopy"),
    ("< self.epsilon", "> self.epsilon", "不等号"),
    ("self.epsilon = 0.1", "self.epsilon = 0.0", "いつも貪欲"),
    ("self.epsilon = 0.1", "self.epsilon = 1.0", "割合"),
    ("data.argmax()", "data.argmin()", "argmax"),
    ("self.qnet(state[None])", "self.qnet_target(state[None])", "qnet_target で"),
    ("F.relu(self.b(F.relu(self.a(x))))", "self.b(F.relu(self.a(x)))", "forward"),
    pytest.param(
        *("data.argmax()", "data.argmax(axis=1)", "動かすと|整数"),
        marks=pytest.mark.skipif(
            np.lib.NumpyVersion(np.__version__) < "2.4.0",
            reason="takes an array of one number for a number",
        ),
    ),
    ("self.rng.integers(2)", "np.random.default_rng(0).integers(2)", "乱数生成器"),
    ("len(self.memory) < 32", "len(self.memory) <= 32", "遅れて"),
    ("size=32, replace", "size=16, replace", "動かすと"),
    ("        self.optimizer.update()\n", "", "変わりません"),
    ("(1 - d) * self.gamma", "self.gamma", "マスク"),
    ("(1 - d) * self.gamma", "d * self.gamma", "逆"),
    ("value = next_qs.max(axis=1)", "value = next_qs.max()", "axis=1"),
    ("value = next_qs.max(axis=1)", "value = next_qs.mean(axis=1)", "平均"),
    ("self.qnet_target(s2)", "self.qnet(s2)", "qnet で求め"),
    ("self.qnet_target(s2)", "self.qnet_target(s)", "いまの状態"),
    (
        "value = next_qs.max(axis=1)",
        "value = next_qs[np.arange(32), self.qnet(s2).data.argmax(axis=1)]",
        "Double",
    ),
    ("r + (1 - d)", "(1 - d)", "報酬が"),
    (
        "(1 - d) * self.gamma * value",
        "(1 - d) * self.gamma * value - d * r",
        "報酬にも",
    ),
    ("self.gamma = 0.98", "self.gamma = 0.99", "割引率"),
    ("qs[np.arange(32), a]", "qs[:, a]", "取り出し方"),
    ("qs[np.arange(32), a]", "F.reshape(qs[np.arange(32), a], (32, 1))", r"\(B, B\)"),
    (
        "F.mean_squared_error(q, target.astype(np.float32))",
        "F.sum((F.reshape(q, (32, 1)) - target) ** 2) / 32",
        r"\(B, B\)",
    ),
    ("qs[np.arange(32), a]", "F.max(qs, axis=1)", "取り出し方"),
    ("replace=False", "replace=True", "replace=False"),
    (
        "F.mean_squared_error(q, target.astype(np.float32))",
        "F.sum((q - target) ** 2)",
        "和",
    ),
    ("return float(loss.data)", "return None", "損失を返して"),
    ("optimizers.Adam(0.0005)", "optimizers.Adam(0.001)", "学習率"),
    ("optimizers.Adam(0.0005)", "optimizers.SGD(0.0005)", "Adam"),
    ("optimizers.Adam(0.0005)", "optimizers.MomentumSGD(0.0005)", "Adam"),
    ("        self.qnet.cleargrads()\n", "", "cleargrads"),
    (
        "return float(loss.data)",
        "self.sync_qnet(); return float(loss.data)",
        "sync_qnet",
    ),
    (
        "    def sync_qnet(self):\n",
        "    def sync_qnet(self):\n        if hasattr(self, 'qnet_target'): return\n",
        "変わりません",
    ),
    (
        "self.qnet_target = copy.deepcopy(self.qnet)",
        """from rlbook_helpers.networks import ordered_params
        if not hasattr(self, "qnet_target"):
            self.qnet_target = copy.deepcopy(self.qnet)
        for p, q in zip(ordered_params(self.qnet), ordered_params(self.qnet_target)):
            p.data[...] = q.data""",
        "逆",
    ),
    (
        "self.memory = []",
        "self.memory = []; self.own = np.random.default_rng(1)|self.rng.choice|self.own.choice",
        "ミニバッチ",
    ),
    (
        "self.memory.append((state,",
        "if done: self.sync_qnet()\n        self.memory.append((state,",
        "sync_qnet",
    ),
    ("int(self.rng.integers(2))", "undefined", "undefined"),
    ("self.qnet = Net(self.rng)", "self.qnet = None", "DeZero の Model"),
    ("Linear(128, 2, rng)", "L.Linear(2)", "まだありません"),
    (
        "self.c = Linear(128, 2, rng)",
        "self.c = Linear(128, 2, rng); self.c.b.data = np.zeros(2)",
        "float32",
    ),
    (
        "    def get_action(self, state):\n",
        "    def get_action(self, state):\n        self.qnet.c.b.data += 1\n",
        "重みが変わって",
    ),
    ("int(self.rng.integers(2))", "self.rng.random()", "整数を一つ"),
    (
        "len(self.memory) < 32",
        "len(self.memory) < 20|replace=False|replace=True",
        "もう",
    ),
    (
        "r + (1 - d) * self.gamma * value",
        "self.gamma * (r + (1 - d) * value)",
        "報酬にも",
    ),
    ("F.mean_squared_error(q,", "0.5 * F.mean_squared_error(q,", "半分"),
    ("F.mean_squared_error(q,", "0.7 * F.mean_squared_error(q,", "一回目の損失が違い"),
    ("loss.backward()", "(-loss).backward()", "増やす"),
    ("optimizers.Adam(0.0005)", "optimizers.AdaGrad(0.0005)", "Adam"),
    (
        "        loss.backward()\n",
        "        loss.backward()\n        self.optimizer = optimizers.Adam(0.0005).setup(self.qnet)\n",
        "作りなおし",
    ),
    (
        "self.qnet_target = copy.deepcopy(self.qnet)",
        "self.qnet_target = self.qnet if hasattr(self, 'qnet_target') else copy.deepcopy(self.qnet)",
        "写しを作って",
    ),
    (
        "self.memory = []",
        "self.memory = []; self.replay_buffer = ReplayBuffer(1_000, 32)",
        "10,000",
    ),
]


def written(source):
    namespace = {"L": L, "copy": copy, "ReplayBuffer": ReplayBuffer} | globals()
    exec(source, namespace)  # noqa: S102
    return namespace["DQN"]


class Packaged(DQNAgent):
    pass


class Staged(DQNAgent):
    """As chapter 4 writes it."""

    def __init__(self, seed=None):
        super().__init__(seed=seed)
        self.optimizer = optimizers.Adam(0.0005).setup(self.qnet)

    def get_loss(self, state, action, target):
        q = self.qnet(state)[np.arange(len(action)), action]
        return F.mean_squared_error(q, target.astype(np.float32))


@pytest.mark.parametrize("line, broken, word", ONE_LINE)
def test_the_wrong_line_of_a_dqn_is_named(capsys, line, broken, word):
    broken, *more = broken.split("|")
    source = FROM_MEMORY.replace(line, broken)
    assert source != FROM_MEMORY
    if more:
        source = source.replace(*more)
    assert re.search(word, reply(capsys, "4.5", written(source)))


# Right answers, in several forms
ACCEPTED = {
    "1.1": [central, lambda f, a, b, h: np.array(central(f, a, b, h))],
    "1.2": [1.32, np.float32(1.32), np.array([1.32]), Variable(np.array(1.32))],
    "1.3": [quiet],
    "1.4": [(0.14, 0.083), np.array([0.3, 0.09])],
    "1.5": [TwoLayerNet(*WAVE)],
    "2.1": [(5, 0.1**5 * 0.9**4), np.array([5, 6.561e-6]), [np.int64(5), 6.56e-6]],
    "2.2": [-0.171, np.float64(-0.171)],
    "2.3": [(0.648, "方策オフ型の学習"), [np.array(0.648), "off-policy"]],
    "2.4": [expected_sarsa],
    "3.1": [[5, 6, 7, 3, 4], np.array([5.0, 6, 7, 3, 4])],
    "3.2": [(False, True, 20.6, 1), [np.False_, np.True_, np.float32(20.6), 1.0]],
    "3.3": [(32, False), (np.float64(31.9), np.False_)],
    "3.4": [n_step, lambda *a: tuple(map(list, n_step(*a)))],
    "4.1": [(0.0005, 0, 0), np.array([0.0005, 0, 0], np.float32)],
    "4.2": [(50, 114, 2280), (49.99999999, np.float64(114), 2261)],
    "4.3": [NoMaskAgent],
    "4.4": [LatestAgent],
    "4.5": [written(FROM_MEMORY), Packaged, Staged],
    "5.1": [(0.98, 35), [1 - 0.02, np.int64(35)]],
    "5.2": [power],
    "5.3": [double_estimate, lambda s, m: np.array(double_estimate(s, m))],
    "5.4": [peeking],
    "6.1": [DriftingCatch],
    "6.2": [(0.2924, 36), (0.29, 36)],
    "6.3": [FasterIsBetter],
    "6.4": [Door],
    "7.1": ["hundredfold_lr"],
    "7.2": ["online_target"],
    "7.3": [["clipped_reward", "最大をとる軸をまちがえた"]],
    "7.4": [SharedAgent],
    "7.5": [remembers, remembers_what_happens],
    "7.6": [adapted(), pytest.param(adapted(epsilon=None), marks=pytest.mark.slow)],
    "7.7": ["TD ターゲット"],
    "8.1": [(1, 0.1), [np.float64(1.0), np.array([0.1])], (1.0, 0.1001)],
    "8.2": [(128, 4, 1 / 32), np.array([128, 4, 0.03125])],
    "8.3": [watkins],
    "9.1": [(36, 808), np.array([36.0, 808])],
    "9.2": [mirror, lambda s, a: list(mirror(s, a))],
    "9.3": [follow, lambda state: np.int64(follow(state))],
    "10.1": [limit],
    "10.2": [(3.1, 1.1), np.array([2.0, 0.9])],
    "10.3": [(0.04, 0.5, 0.05)],
    "10.4": [affine],
    "10.5": [huber],
}
# Usual mistakes, and a key word of the sentence
REFUSED = [
    ("1.1", forward_difference, "両側"),
    ("1.1", lambda *a: central(*a)[::-1], "順"),
    ("1.1", lambda *a: np.multiply(2, central(*a)), "分母"),
    ("1.1", lambda f, a, b, h: central(f, a, b, 1e-4), "小さく決めて"),
    ("1.2", 1.92, "足され"),
    ("1.2", 1.2, "動いたあと"),
    ("1.3", lambda model, x: model(x).data, "計算グラフ"),
    ("1.3", lambda model, x: model(x), "Variable"),
    ("1.3", lambda model, x: np.zeros((5, 2)), "値"),
    ("1.4", (0.083, 0.27), "順"),
    ("1.4", (0.083, 0.083), "小さすぎ"),
    ("1.5", TwoLayerNet([[6, 12]], [-2.4, -6], [[3.6], [-3.9]], [-0.2]), "高さ"),
    ("1.5", TwoLayerNet([[6, 12]], [-2.4, -6], [[3.6], [3.9]], [0]), "一方"),
    ("1.5", TwoLayerNet([[6, 12]], [-2.4, -6], [[-3.6], [3.9]], [0.6]), "逆"),
    ("2.1", (1, 6.561e-6), "先に"),
    ("2.1", (5, 0.6561), "一度で"),
    ("2.1", (5, 1e-5), "割り引"),
    ("2.1", (5, 6.6e-6), "丸め"),
    ("2.1", (5, 0.0), "丸め"),
    ("2.2", -0.17, "丸め"),
    ("2.2", 0.171, "符号"),
    ("2.2", -0.271, "割り引いて"),
    ("2.3", (0.864, "方策オフ型"), "微分"),
    ("2.3", (0.68, "方策オフ型"), "動いたあと"),
    ("2.3", (0.648, "関数近似"), "残って"),
    ("2.3", (0.648, "ブートストラップ"), "残って"),
    ("2.3", (0.648, "学習率"), "三要素"),
    ("2.3", (0.648, 3), "文字列"),
    ("2.4", with_next_value(lambda qs, state: qs.max()), "最大だけ"),
    ("2.4", with_next_value(lambda qs, state: DICE.choice(qs)), "ばらつ"),
    ("2.4", with_next_value(lambda qs, state: qs.mean()), "ε によらず"),
    ("2.4", lambda *a: np.zeros((3, 4, 4)), "0 のまま"),
    ("2.4", lambda e, n, a, s: expected_sarsa(e, n, a, None), "同じ seed"),
    ("3.1", [3, 4, 5, 6, 7], "並び"),
    ("3.1", [0, 1, 2, 3, 4], "上書き"),
    ("3.2", (True, True, 20.6, 1), "終端ではありません"),
    ("3.2", (False, True, 1, 20.6), "逆"),
    ("3.2", (False, True, 21, 1), "割り引いて"),
    ("3.3", (0.064, False), "一ステップ"),
    ("3.3", (32, True), "大きく"),
    ("3.4", lambda *a: n_step(*a, power=1), "はじめの報酬まで"),
    ("3.4", lambda *a: n_step(*a, tail=False), "抜けて"),
    ("3.4", lambda *a: n_step(*a, constant=True), "歩数"),
    ("3.4", undiscounted, "割り引かず"),
    ("3.4", lambda e, n, g: [(*t[:4], False, t[5]) for t in n_step(e, n, g)], "終端"),
    ("4.1", (0, 0, 0), "まだ"),
    ("4.1", (0, 0.0005, 0), "逆"),
    ("4.1", (0.0005, 0.0005, 0), "copy"),
    ("4.2", (49, 114, 2280), "一歩目"),
    ("4.2", (50, 113, 2260), "はじめて"),
    ("4.2", (50, 114, 114), "20 エピソード"),
    ("4.3", Packaged, "消えて"),
    ("4.3", lambda seed: NoMaskAgent(seed=seed), "クラス"),
    ("4.4", RandomLatest, "新しい"),
    ("4.4", NoRing, "いっぱい"),
    ("4.4", Packaged, "learn"),
    ("5.1", (0.02, 35), "縮んだ"),
    ("5.1", (0.98, 34), "半分以下"),
    ("5.2", lambda p, q, n: 100 * power(p, q, n), "%"),
    ("5.2", lambda p, q, n: 1 - power(p, q, n), "見のがす"),
    ("5.2", lambda p, q, n: float(power(p, q, n) > 0.5), "何度も"),
    ("5.3", lambda s, m: s.max(axis=1), "同じ組"),
    ("5.3", lambda s, m: m.max(axis=1), "select"),
    ("5.3", lambda s, m: double_estimate(m, s), "役割"),
    ("5.3", lambda s, m: np.mean(double_estimate(s, m)), "平均する前"),
    ("5.4", lambda a, b, looks: peeking(a, b, looks[-1:]), "最後"),
    ("5.4", lambda a, b, looks: peeking(a, b, looks[:1]), "はじめの一回"),
    ("5.4", lambda a, b, looks: peeking(a, b, looks, combine=all), "やめて"),
    ("5.4", lambda a, b, looks: peeking(a, b, looks, combine=sum), "何度も"),
    ("6.1", variant(DriftingCatch, drift=0), "変わりません"),
    ("6.1", variant(DriftingCatch, wraps=False), "左端"),
    ("6.1", variant(DriftingCatch, late=True), "動かしてから"),
    ("6.2", (1, 36), "1 だとは"),
    ("6.2", (0.368, 36), "片側"),
    ("6.2", (0.2924, 29), "片側"),
    ("6.3", variant(FasterIsBetter, changed=lambda s, r, v, b: r), "もとのまま"),
    ("6.3", variant(FasterIsBetter, changed=lambda s, r, v, b: r + v), "絶対値"),
    ("6.3", variant(FasterIsBetter, changed=lambda s, r, v, b: 9 * abs(v)), "消えて"),
    ("6.3", variant(FasterIsBetter, changed=lambda s, r, v, b: r + abs(b)), "前の速さ"),
    ("6.3", variant(FasterIsBetter, changed=lambda s, r, v, b: r - abs(v)), "符号"),
    ("6.4", variant(Door, reward=lambda self, action: 1), "同じ"),
    ("6.4", variant(Door, reward=lambda self, action: action == 1), "状態を見"),
    ("6.4", variant(Door, action_space=gym.spaces.Box(0, 1, (1,))), "Discrete"),
    ("6.4", variant(Door, observation_space=gym.spaces.Discrete(2)), "Box"),
    ("6.4", variant(Door, state=lambda self: np.zeros(3)), "check_env"),
    ("7.1", "broadcast_loss", "ではありません"),
    ("7.1", "broadcast", "表の名前"),
    ("7.2", "gradient_into_target", "ではありません"),
    ("7.3", ("max_over_all", "never_synced"), "「最大"),
    ("7.3", ("max_over_all", "max_over_all"), "二つ"),
    ("7.4", Packaged, "写し"),
    ("7.5", lambda program: True, "二つに一つ"),
    ("7.5", lambda program: False, "正しいプログラム"),
    ("7.5", lambda program: not remembers(program), "逆"),
    ("7.5", functools.partial(remembers, share=0.8), "二十に一つ"),
    ("7.5", functools.partial(remembers, ends=False), "終端の遷移だけ"),
    ("7.5", functools.partial(remembers, n=2_000, draws=2_000), "1,000"),
    (
        "7.5",
        lambda p: p is not PATIENTS["no_mask"].program and remembers(p),
        "ほかのまちがい",
    ),
    ("7.6", adapted(update="feed"), "broadcast|異常|例外"),
    pytest.param(
        *("7.6", adapted(greedy_action="choose"), "評価の方策"), marks=pytest.mark.slow
    ),
    ("7.6", adapted(greedy_action=None), "greedy_action"),
    ("7.6", adapted(get_action="best"), "探索していません"),
    ("7.6", adapted(gamma=None), "gamma"),
    ("7.6", adapted(qnet=None), "qnet"),
    ("7.6", lambda seed: adapted()(None), "seed"),
    ("7.6", lambda seed: DQNAgent(seed=seed), "OtherAgent"),
    ("7.7", "loss", "違います"),
    ("7.7", "online_target", "表の名前"),
    ("8.1", (10, 0.1), "そろえなかった"),
    ("8.1", (1, 1), "入力を 1 動かした"),
    ("8.1", (1, 10), "逆"),
    ("8.1", (1, 0.01), "一度だけ"),
    ("8.1", (3, 0.1), "出力の倍率"),
    ("8.1", (1, 3), "勾配の倍率"),
    ("8.2", (2048, 4, 1 / 32), "集める遷移"),
    ("8.2", (2, 4, 1 / 32), "すべての環境"),
    ("8.2", (4, 4, 1 / 32), "N × T"),
    ("8.2", (128, 64, 1 / 32), "更新の回数"),
    ("8.2", (128, 1, 1 / 32), "何回り"),
    ("8.2", (128, 4, 64), "割って"),
    ("8.2", (128, 4, 1), "T 歩で"),
    ("8.2", (128, 4, 32), "逆数"),
    ("8.2", (128, 4, 1 / 128), "4 回り"),
    ("8.3", functools.partial(watkins, look=9), "切っていません"),
    ("8.3", functools.partial(watkins, look=0), "次の歩"),
    ("8.3", watkins_without_ends, "終端と打ち切り"),
    ("8.3", watkins_ends_at_truncations, "打ち切りの先"),
    ("8.3", lambda rewards, *rest: rewards, "見積もり"),
    ("9.1", (100, 808), "はみ出せ"),
    ("9.1", (36, 800), "バイアス"),
    ("9.1", (36, 7), "一枚の出力"),
    ("9.1", (7, 808), "左上"),
    ("9.2", lambda s, a: (s, 2 - a), "もとのまま"),
    ("9.2", lambda s, a: (mirror(s, a)[0], a), "左へ動かす行動"),
    ("9.2", lambda s, a: (s[:, ::-1], 2 - a), "逆に並べ"),
    ("9.2", lambda s, a: (mirror(s, a)[0], a + 1), "裏返した行動"),
    ("9.2", lambda s, a: (s * 0, 2 - a), "横の軸だけ"),
    ("9.3", lambda state: 1, "玉の列"),
    ("9.3", lambda state: 3, "どれか"),
    ("9.3", lambda state: follow(state, sees=False) if state[0] else 0, "平均"),
    ("10.1", lambda times, parts: 1 / limit(times, parts), "逆数"),
    (
        "10.1",
        lambda times, parts: np.prod([limit(times, [part]) for part in parts]),
        "掛けても",
    ),
    ("10.2", (1.1, 3.1), "順"),
    ("10.3", (0.5, 0.04, 0.05), "真ん中"),
    ("10.4", affine_with_copy, "新しい配列"),
    ("10.4", affine_rebound, "名前"),
    ("10.4", affine_without_bias, "バイアス"),
    ("10.5", lambda *a: huber(*a, size=1), "ミニバッチの大きさ"),
    ("10.5", lambda *a: huber(*a, cut=False), "切られて"),
    ("10.5", lambda *a: huber(*a, sign=-1), "符号"),
]
REFUSED += [
    ("1.1", lambda f, a, b, h: np.multiply(h, central(f, a, b, h)), "h も"),
    ("1.1", lambda f, a, b, h: central(f, a, b, -h)[0:1] * 2, "h での"),
    ("1.1", lambda *a: np.negative(central(*a)), "逆"),
    (
        "1.1",
        lambda f, a, b, h: 2 * [(f(a + h, b + h) - f(a - h, b - h)) / h / 2],
        "同時",
    ),
    ("1.2", 2.4, "一回しか"),
    ("1.2", 2.0, "順に"),
    ("1.3", lambda m, x: np.sin(x @ m.l1.W.data + m.l1.b.data), "使って"),
    ("1.4", (0.14, 0.5), "雑音"),
    ("1.4", (0.9, 0.083), "大きすぎ"),
    ("1.5", TwoLayerNet([[1, 1]], [0, 0], [[1], [-1.5]], [0.4]), "まだ|一方"),
    ("2.1", (4, 6.561e-6), "数えなお"),
    ("2.1", (7, 6.561e-6), "何マス"),
    ("2.1", (5, 0.1), "何倍"),
    ("2.2", -0.2439, "多すぎ"),
    ("2.2", 3, "等しいと置いて"),
    ("2.3", (1.08, "方策オフ型"), "二つ目の遷移"),
    ("2.4", with_next_value(lambda qs, state: 0.5 * qs.mean()), "期待値の重み"),
    ("3.1", [1, 2, 3, 4, 5], "最も古い"),
    ("3.2", (False, False, 20.6, 1), "最後のステップ"),
    ("3.2", (False, True, 20.6, 0), "最後の報酬"),
    ("3.4", lambda *a: n_step(*a)[:1], "数が"),
    ("3.4", lambda *a: [(t[0] + 1, *t[1:]) for t in n_step(*a)], "状態"),
    ("3.4", lambda *a: [(*t[:3], t[3] + 1, *t[4:]) for t in n_step(*a)], "次の状態"),
    ("4.1", (0.0005, 0, 0.0005), "残って"),
    ("4.1", (0.1, 0, 0), "一回だけ"),
    ("4.2", (60, 114, 2280), "限りなく"),
    ("4.2", (50, 6, 120), r"1 - γ\^k"),
    ("4.3", variant(NoMaskAgent, next_value=lambda s, x: np.zeros(32)), "変えない"),
    ("4.4", variant(LatestAgent, update=lambda s, *t: s.learn(*t)), "32 個たまる前"),
    ("4.4", variant(LatestAgent, update=lambda s, *t: None), "呼ばれません"),
    ("5.1", (0.98, 25), "残った差"),
    ("5.2", lambda p, q, n: power(p, q, n) / 2, "両側"),
    ("5.3", lambda s, m: np.zeros(len(s)), "列"),
    ("5.4", lambda a, b, looks: 80 * peeking(a, b, looks), "試行の数"),
    ("5.4", lambda a, b, looks: 0.123, "試行ごとに"),
    ("6.1", variant(DriftingCatch, drift=2), "一マスだけ"),
    ("6.2", (0.5, 36), "二項分布"),
    ("6.2", (0.2924, 35), "まだ"),
    ("6.3", variant(FasterIsBetter, changed=lambda s, r, v, b: r + 1), "比例"),
    ("6.3", int, "動かすと|Wrapper"),
    (
        "6.4",
        variant(Door, reset=lambda self, **k: (self.np_random.random(1), {})),
        "check_env|seed",
    ),
    (
        "7.4",
        variant(
            DQNAgent,
            sync_qnet=SharedAgent.sync_qnet,
            next_value=lambda s, x: np.zeros(32),
        ),
        "ほかの所",
    ),
    ("10.1", lambda times, parts: 7.7, "すべての時間"),
    ("10.2", (0.5, 0.2), "比の"),
    ("10.2", (-1, -2), "正の数"),
    ("10.3", (0.04, 0.05, 0.045), "小さすぎ"),
    ("10.4", lambda x, W, b, out: affine(x, W, b, out) is None, "返して"),
    ("10.4", lambda x, W, b, out: affine(x, 2 * W, b, out), "xW"),
    ("10.5", lambda q, a, t: (6 * huber(q, a, t)[0], huber(q, a, t)[1]), "和"),
    ("10.5", lambda q, a, t: (0.1, huber(q, a, t)[1]), "損失の値"),
    ("10.5", lambda q, a, t: (huber(q, a, t)[0], huber(q, a, t)[1] * 3), "勾配が違い"),
]
# What no sentence may give away
SECRETS = {
    "1.2": ["1.32"],
    "2.1": ["6.5", "五", "5"],
    "2.2": ["0.171"],
    "2.3": ["0.648", "オフ"],
    "3.2": ["20.6"],
    "3.3": ["32"],
    "4.1": ["0.0005"],
    "4.2": ["50", "114", "2280", "2,280"],
    "5.1": ["0.98", "35"],
    "6.2": ["0.29", "36"],
    "7.1": ["百倍"],
    "7.2": ["オンラインネットワークで"],
    "7.3": ["報酬を切りつめた"],
    "7.7": ["平均をとった"],
    "8.1": ["0.1"],
    "8.2": ["128", "0.031"],
    "9.1": ["36", "808"],
}


class Raises:
    def __init__(self, *args, **kwargs):
        raise KeyError("mine")


def raises(*args, **kwargs):
    raise ZeroDivisionError("mine")


def modifies(*arguments):
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            argument += 1
        elif isinstance(argument, list):
            argument.clear()
        elif isinstance(argument, dict):
            argument["x"] = 1.0
    return 0.0


NONSENSE = [None, "?", float("nan"), [], {}, object(), int, Raises, raises, modifies]
NONSENSE += [
    Ellipsis,
    np.zeros((2, 2)),
    [[1], [2, 3]],
    lambda: None,
    True,
    "4",
    10**400,
]


def test_every_exercise_is_tested():
    assert [n for k in CHAPTERS for n in exercises(k)] == list(ACCEPTED)
    assert {getattr(x, "values", x)[0] for x in REFUSED} == set(ACCEPTED) - {"4.5"}


@pytest.mark.parametrize(
    "number, answer",
    [
        pytest.param(k, *getattr(x, "values", [x]), marks=getattr(x, "marks", ()))
        for k, group in ACCEPTED.items()
        for x in group
    ],
)
def test_right_answers_pass(capsys, number, answer):
    assert reply(capsys, number, answer) == RIGHT


@pytest.mark.parametrize("number, answer, word", REFUSED)
def test_usual_mistakes_get_their_sentence(capsys, number, answer, word):
    sentence = reply(capsys, number, answer)
    assert re.search(word, sentence)
    assert not any(secret in sentence for secret in SECRETS.get(number, []))


@pytest.mark.parametrize("number", ACCEPTED)
def test_nonsense_gets_a_sentence_that_gives_nothing_away(capsys, number):
    for answer in NONSENSE:
        sentence = reply(capsys, number, answer)
        assert sentence != RIGHT and re.search("[ぁ-ん]", sentence), answer
        assert not any(secret in sentence for secret in SECRETS.get(number, []))


def test_the_line_that_raises_is_named(capsys):
    assert "raise ZeroDivisionError" in reply(capsys, "1.1", raises)


def test_inputs_stay_as_they_are(capsys):
    for number in ("3.4", "5.3", "10.1", "10.5"):
        assert "書きかえて" in reply(capsys, number, modifies)


def test_unknown_exercises_are_refused():
    with pytest.raises(ValueError, match="1.1, 1.2"):
        check("9.9", 1)


def test_global_state_is_left_alone(capsys):
    before = np.random.get_state(), np.geterr()
    for number in ("1.3", "2.4", "4.5"):
        check(number, ACCEPTED[number][0])
    assert all(map(np.array_equal, np.random.get_state(), before[0]))
    assert np.geterr() == before[1]
