"""The training of the live figure 学習を見る, in NumPy, and the picture printed in its place.

book/static/figures/training.js computes the same, with the same random numbers: PQN on 16 poles, whose
parts are on switches. Both were written for the figure; the package's PQN is faster and has other numbers.
"""

from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "book" / "figures" / "training.svg"

GAMES, STEPS, ROUNDS = 16, 16, 200  # poles; steps of a round; rounds of a training
HIDDEN, EPOCHS, MINIBATCHES = 32, 2, 4
GAMMA, LAMBDA, RATE, SCALE = 0.99, 0.9, 0.003, 0.05
KEPT = 640  # pieces of STEPS transitions, in the replay buffer: those of 40 rounds
SYNC = 4  # rounds between two synchronisations
EXPLORING = 40  # rounds, until ε has come down to 0.05
MAX_X, MAX_THETA, LONGEST = 2.4, 12 * 2 * np.pi / 360, 500


class Random:
    """mulberry32, many numbers at a time: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c"""

    def __init__(self, seed: int):
        self.seed = seed

    def __call__(self, count: int) -> np.ndarray:
        full = np.uint64(2**32 - 1)
        z = np.arange(1, count + 1, dtype=np.uint64) * 0x6D2B79F5 + self.seed & full
        self.seed = int(z[-1])
        t = (z ^ z >> 15) * (z | 1) & full
        t = (t + ((t ^ t >> 7) * (t | 61) & full) & full) ^ t
        return (t ^ t >> 14) / 2**32


def move(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Poles (N, 4) of CartPole-v1, one step later."""
    _, velocity, theta, spin = states.T
    force = np.where(actions == 1, 10.0, -10.0)
    cos, sin = np.cos(theta), np.sin(theta)
    push = (force + 0.05 * spin**2 * sin) / 1.1
    turn = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    speed_up = push - 0.05 * turn * cos / 1.1
    return states + 0.02 * np.stack([velocity, speed_up, spin, turn], axis=1)


def fallen(states: np.ndarray) -> np.ndarray:
    return (abs(states[:, 0]) > MAX_X) | (abs(states[:, 2]) > MAX_THETA)


class Learner:
    """A training: the parts target, replay and norm are there or not."""

    def __init__(self, seed: int, target=False, replay=False, norm=True):
        self.target, self.replay, self.norm = target, replay, norm
        self.random = Random(seed)
        self.weights = []  # W (inputs, outputs), b (outputs,) of each layer
        for inputs, outputs in ((4, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2)):
            W = (2 * self.random(inputs * outputs) - 1) * np.sqrt(3 / inputs)
            self.weights += [W.reshape(inputs, outputs), np.zeros(outputs)]
        self.old = [w.copy() for w in self.weights]  # of the target network
        self.means = [np.zeros_like(w) for w in self.weights]  # Adam
        self.squares = [np.zeros_like(w) for w in self.weights]
        self.states, self.lengths = self.start(GAMES), np.zeros(GAMES, int)
        self.kept: list[tuple] = []
        self.totals: list[int] = []
        self.rounds = self.updates = 0

    def start(self, poles: int) -> np.ndarray:
        return 0.1 * self.random(4 * poles).reshape(poles, 4) - 0.05

    def values(self, weights, states, passed=None) -> np.ndarray:
        """Of the actions (B, 2). passed: what the way back needs of each layer."""
        h, passed = states, [] if passed is None else passed
        for W, b in zip(weights[:4:2], weights[1:4:2]):
            z, s = h @ W + b, 1.0
            if self.norm:
                centred = z - z.mean(axis=1, keepdims=True)
                s = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
                z = centred / s
            passed.append((h, z, s))
            h = np.maximum(z, 0)
        passed.append((h, None, None))
        return h @ weights[4] + weights[5]

    def round(self) -> float:
        """STEPS steps of all poles, and what is learnt of them. The mean of the last 20 totals."""
        epsilon = max(0.05, 1 - 0.95 * self.rounds / EXPLORING)
        steps = []
        for _ in range(STEPS):
            u, q = self.random(GAMES), self.values(self.weights, self.states)
            actions = np.where(u < epsilon, u < epsilon / 2, q[:, 1] > q[:, 0])
            after = move(self.states, actions)
            self.lengths += 1
            ends = [fallen(after), self.lengths == LONGEST]
            steps.append((self.states, actions.astype(int), after, *ends))
            self.states = after.copy()
            for k in np.flatnonzero(ends[0] | ends[1]):
                self.totals.append(int(self.lengths[k]))
                self.states[k], self.lengths[k] = self.start(1)[0], 0
        pieces = [
            tuple(np.stack([part[k] for part in parts]) for parts in zip(*steps))
            for k in range(GAMES)
        ]
        if self.replay:
            self.kept = (self.kept + pieces)[-KEPT:]
            chosen = self.random(GAMES) * len(self.kept)
            pieces = [self.kept[int(k)] for k in chosen]
        self.learn(*map(np.stack, zip(*pieces)))
        self.rounds += 1
        if self.rounds % SYNC == 0:
            self.old = [w.copy() for w in self.weights]
        return float(np.mean(self.totals[-20:])) if self.totals else 0.0

    def learn(self, states, actions, after, terminated, truncated) -> None:
        """From GAMES pieces (GAMES, STEPS, ...), by their λ-returns."""
        weights = self.old if self.target else self.weights
        v = self.values(weights, after.reshape(-1, 4)).max(axis=1)
        v = v.reshape(GAMES, STEPS)
        y, following = np.empty_like(v), v[:, -1]
        for t in reversed(range(STEPS)):
            mixed = (1 - LAMBDA) * v[:, t] + LAMBDA * following
            future = np.where(truncated[:, t], v[:, t], mixed)
            future = np.where(terminated[:, t], 0, future)
            y[:, t] = following = SCALE + GAMMA * future
        s, a, y = states.reshape(-1, 4), actions.ravel(), y.ravel()
        for _ in range(EPOCHS):
            order = np.argsort(self.random(len(y)))
            for batch in np.split(order, MINIBATCHES):
                self.fit(s[batch], a[batch], y[batch])

    def fit(self, states, actions, y) -> None:
        """One step of Adam."""
        passed: list[tuple] = []
        q, rows = self.values(self.weights, states, passed), np.arange(len(y))
        g = np.zeros_like(q)
        g[rows, actions] = 2 * (q[rows, actions] - y) / len(y)
        gradients = []
        for layer in (2, 1, 0):
            h, z, s = passed[layer]
            if z is not None:
                g = g * (z > 0)
            if z is not None and self.norm:
                along = (g * z).mean(axis=1, keepdims=True)
                g = (g - g.mean(axis=1, keepdims=True) - z * along) / s
            gradients = [h.T @ g, g.sum(axis=0), *gradients]
            g = g @ self.weights[2 * layer].T
        self.updates += 1
        rate = RATE * (1 - self.rounds / ROUNDS)
        rate *= np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        for w, g, m, v in zip(self.weights, gradients, self.means, self.squares):
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            w -= rate * m / (np.sqrt(v) + 1e-8)

    def score(self) -> float:
        """The mean of 20 totals of the greedy policy."""
        states, lengths = self.start(20), np.zeros(20)
        up = np.ones(20, bool)
        for _ in range(LONGEST):
            q = self.values(self.weights, states)
            states = move(states, q[:, 1] > q[:, 0])
            lengths += up
            up &= ~fallen(states)
        return float(lengths.mean())


# The printed picture

SEEDS = range(1, 7)
PANELS = [
    ("層正規化だけ（PQN）", {}),
    ("ターゲットネットワークと経験再生だけ", {"target": 1, "replay": 1, "norm": 0}),
]
EVERY = 4  # rounds from one point of a curve to the next
LEFT, WIDTH, BOTTOM, HEIGHT = (44, 372), 294, 226, 170


def curve(seed: int, rounds: int = ROUNDS, **parts) -> list[float]:
    learner = Learner(seed, **parts)
    return [learner.round() for _ in range(rounds)]


def picture() -> str:
    parts = []
    for left, (name, switches) in zip(LEFT, PANELS):
        parts.append(f'<text class="m" x="{left + WIDTH / 2}" y="26">{name}</text>')
        for mean in (0, 250, 500):
            y = BOTTOM - mean / 500 * HEIGHT
            parts += [
                f'<path class="grid" d="M{left},{y} h{WIDTH}"/>',
                f'<text class="e s" x="{left - 6}" y="{y + 5}">{mean}</text>',
            ]
        for rounds in (0, ROUNDS // 2, ROUNDS):
            x, steps = left + rounds / ROUNDS * WIDTH, rounds * STEPS * GAMES
            anchor = "e" if rounds == ROUNDS else "m"
            parts.append(f'<text class="{anchor} s" x="{x}" y="246">{steps:,}</text>')
        for seed in SEEDS:
            means = curve(seed, **switches)[EVERY - 1 :: EVERY]
            points = " ".join(
                f"{left + EVERY * k / ROUNDS * WIDTH:.1f},{BOTTOM - mean / 500 * HEIGHT:.1f}"
                for k, mean in enumerate(means, 1)
            )
            parts.append(f'<polyline class="curve" points="{points}"/>')
    return FRAME.replace("PARTS", "\n  ".join(parts))


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="training-title training-desc" width="680" height="272" viewBox="0 0 680 272">
  <title id="training-title">六つのシードの学習曲線、二つの設定</title>
  <desc id="training-desc">横軸はステップ (0 から 51,200)、縦軸は直近 20 エピソードの平均 (0 から 500)。左は層正規化だけ、右はターゲットネットワークと経験再生だけの設定で、どちらにも六つのシードの線がある。どちらの設定でも、線は上がったり下がったりし、終わりの高さはシードによって大きく違う。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 16px; fill: #1f2933; }
    .fig .s { font-size: 14px; }
    .fig .m { text-anchor: middle; }
    .fig .e { text-anchor: end; }
    .fig .grid { stroke: #d5dae0; }
    .fig .curve { fill: none; stroke: #1f6fb2; stroke-width: 1.5; stroke-linejoin: round; }
  </style>
  PARTS
  <text class="m s" x="352" y="265">ステップ</text>
</svg>
"""


def main() -> None:
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
