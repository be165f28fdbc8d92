"""PQN: リプレイバッファもターゲットネットワークもない、Q 学習。"""

import copy
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from rlbook_helpers import checks, fused, networks
from rlbook_helpers.beyond.games import Games, Step
from rlbook_helpers.dezero_compat import F, Model, Variable, optimizers
from rlbook_helpers.fused import Adam
from rlbook_helpers.stable import LinearSchedule
from rlbook_helpers.training import OnStep, TrainingRecord, progress_bar


def lambda_returns(
    rewards: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    gamma: float,
    lam: float,
) -> np.ndarray:
    """N 個の環境の、続いた T 歩の λ 収益 (T, N)。後ろから順に求めます。

    引数:
        rewards: 報酬 (T, N)。
        next_values: 本当の次の状態の価値の見積もり (T, N)。終わった所でも、始めなおす前の状態のものです。
        terminated, truncated: 終端に達したか、打ち切られたか (T, N)、bool。
        gamma: 割引率 γ。
        lam: λ。0 なら一歩の TD ターゲット、1 なら、終わりか T 歩目までの報酬の和を使います。
    出典:
        Sutton & Barto (2018) の 12.1 節。行動は最大のものとは限らないので、Peng & Williams (1996) の
        Q(λ) です。
    """
    returns = np.empty_like(next_values)
    ended = terminated | truncated
    following = next_values[-1]  # 次の歩の λ 収益。最後の歩の先は、見積もりだけです
    for t in reversed(range(len(rewards))):
        mixed = (1 - lam) * next_values[t] + lam * following
        future = np.where(ended[t], next_values[t], mixed)  # 次のエピソードは混ぜません
        returns[t] = rewards[t] + gamma * np.where(terminated[t], 0, future)
        following = returns[t]
    return returns


def predict(network: Model, states: np.ndarray) -> np.ndarray:
    """network の行動価値を、計算グラフを作らずに求めます。predict があれば、それを使います。"""
    if hasattr(network, "predict"):
        return network.predict(states)
    return networks.predict(network, states)


def q_loss(network: Model, states, actions, targets) -> Variable:
    """選んだ行動の価値 (B,) と targets (B,) の平均二乗誤差。q_loss があれば、それを使います。"""
    if hasattr(network, "q_loss"):
        return network.q_loss(states, actions, targets)
    if getattr(network, "is_plain", False):
        return fused.q_loss(network, states, actions, targets)
    qs = network(states)[np.arange(len(actions)), actions]  # (B,)
    error = qs - targets.astype(np.float32)  # 勾配も float32 のままです
    return F.sum(error * error) * np.float32(1 / len(targets))


class PQNAgent:
    """PQN のエージェント。たくさんの環境の T 歩を集めては、λ 収益に近づけ、捨てます。

    引数:
        network: 行動価値のネットワーク。状態 (B, *状態の形) から (B, A) を求める DeZero のモデルです。
        steps: 学習の長さ (すべての環境のステップ数の和)。学習率と ε を下げる速さが、これで決まります。
        gamma, lam: 割引率 γ と、λ 収益の λ。0 以上 1 以下。
        lr, lr_end: Adam の学習率の、はじめと終わり。直線で変わります。
        epsilon, epsilon_end, epsilon_part: ε の、はじめと終わり。steps のこの割合をかけて、直線で変わります。
        reward_scale: 報酬に掛ける数。行動価値の大きさを、ネットワークの出しやすい大きさにします。
        rollout: 一度に集める歩数 T。
        epochs: 集めたものを、何回りして学ぶか。
        minibatches: 一回りを、いくつのミニバッチに分けるか。
        gradient_limit: 勾配の長さの上限。
        sync_updates: ターゲットネットワークに写す間隔 (重みの更新の回数)。None なら、ターゲットネットワークを
            使いません。
        seed: 行動とミニバッチの乱数のシード、または乱数生成器。ネットワークは、渡す前に作ってあります。
    出典:
        Gallici ほか (2025)。
    """

    def __init__(
        self,
        network: Model,
        *,
        steps: int,
        gamma: float = 0.99,
        lam: float = 0.9,
        lr: float = 0.001,
        lr_end: float = 0.0,
        epsilon: float = 1.0,
        epsilon_end: float = 0.05,
        epsilon_part: float = 0.2,
        reward_scale: float = 1.0,
        rollout: int = 16,
        epochs: int = 2,
        minibatches: int = 4,
        gradient_limit: float = 10.0,
        sync_updates: int | None = None,
        seed: int | np.random.Generator | None = None,
    ):
        self.network = network
        self.gamma = checks.number("gamma", gamma, 0, 1)
        self.lam = checks.number("lam", lam, 0, 1)
        for name, value in {"lr": lr, "lr_end": lr_end}.items():
            checks.number(name, value, 0, 1)
        for name, value in {"epsilon": epsilon, "epsilon_end": epsilon_end}.items():
            checks.number(name, value, 0, 1)
        checks.number("epsilon_part", epsilon_part, 0, 1)
        checks.integer("steps", steps, 1)
        self.lr_schedule = LinearSchedule(lr, lr_end, steps)
        self.epsilon_schedule = LinearSchedule(
            epsilon, epsilon_end, max(1, round(epsilon_part * steps))
        )
        self.reward_scale = checks.positive("reward_scale", reward_scale)
        self.rollout = checks.integer("rollout", rollout, 1)
        self.epochs = checks.integer("epochs", epochs, 1)
        self.minibatches = checks.integer("minibatches", minibatches, 1)
        checks.counts(sync_updates=sync_updates)
        self.sync_updates = sync_updates
        self.rng = checks.generator(seed)

        self.optimizer = Adam(lr).setup(network)
        self.optimizer.add_hook(
            optimizers.ClipGrad(checks.positive("gradient_limit", gradient_limit))
        )
        self.target = copy.deepcopy(network) if sync_updates else network
        self.num_steps = self.num_updates = 0
        self.waiting: list[tuple[np.ndarray, np.ndarray, Step]] = []

    epsilon = property(lambda self: self.epsilon_schedule(self.num_steps))
    lr = property(lambda self: self.lr_schedule(self.num_steps))
    qnet = property(lambda self: self.network)

    def action_values(self, states: np.ndarray) -> np.ndarray:
        """状態一つか (B, *状態の形) の行動価値 (A,) か (B, A)。"""
        return predict(self.network, states)

    def greedy_action(self, state: np.ndarray) -> int:
        """状態一つで、価値が最も大きいと見積もる行動の番号を返します。"""
        return int(predict(self.network, state[np.newaxis])[0].argmax())

    def greedy_actions(self, states: np.ndarray) -> np.ndarray:
        """状態 (N, *状態の形) の、貪欲な行動 (N,)。"""
        return predict(self.network, states).argmax(axis=1)

    def get_actions(self, states: np.ndarray) -> np.ndarray:
        """ε-greedy 方策で、状態 (N, *状態の形) から行動 (N,) を選びます。"""
        qs = predict(self.network, states)  # (N, A)
        explore = self.rng.random(len(qs)) < self.epsilon
        return np.where(
            explore, self.rng.integers(qs.shape[1], size=len(qs)), qs.argmax(axis=1)
        )

    def update(self, states: np.ndarray, actions: np.ndarray, step: Step) -> None:
        """N 個の遷移を受けとります。T 歩ぶんたまったら、学んで、捨てます。"""
        self.waiting.append((states, actions, step))
        self.num_steps += len(actions)
        if len(self.waiting) == self.rollout:
            self.learn()
            self.waiting.clear()

    def learn(self) -> None:
        """たまった T × N 個の遷移の λ 収益を求め、ミニバッチに分けて近づけます。"""
        states = np.stack([s for s, _, _ in self.waiting])  # (T, N, *状態の形)
        actions = np.stack([a for _, a, _ in self.waiting]).ravel()  # (T * N,)
        after = Step(*map(np.stack, zip(*(step for _, _, step in self.waiting))))
        T, N = after.rewards.shape
        shape = states.shape[2:]
        next_qs = predict(self.target, after.next_states.reshape(-1, *shape))
        targets = lambda_returns(
            after.rewards * self.reward_scale,
            next_qs.max(axis=1).reshape(T, N),
            after.terminated,
            after.truncated,
            self.gamma,
            self.lam,
        ).ravel()
        states = states.reshape(-1, *shape)  # (T * N, *状態の形)
        self.optimizer.alpha = self.lr
        for _ in range(self.epochs):
            order = self.rng.permutation(len(targets))
            for batch in np.array_split(order, self.minibatches):
                self.fit(states[batch], actions[batch], targets[batch])

    def fit(self, states, actions, targets) -> None:
        """選んだ行動の価値を、ターゲット (B,) に一歩近づけます。"""
        loss = q_loss(self.network, states, actions, targets)
        checks.loss(float(loss.data), self)
        self.network.cleargrads()
        loss.backward()
        self.optimizer.update()
        self.num_updates += 1
        if self.sync_updates and self.num_updates % self.sync_updates == 0:
            self.target = copy.deepcopy(self.network)


def train_parallel(
    games: Games,
    agent: Any,
    steps: int,
    rng: np.random.Generator,
    on_step: OnStep | None = None,
) -> TrainingRecord:
    """N 個の環境を同時に動かして学習させ、終わった順に、エピソードの記録を返します。

    引数:
        games: N 個の環境。
        agent: get_actions と update を持つエージェント。
        steps: すべての環境のステップ数の和。N で割った余りは、進めません。
        rng: 環境の乱数生成器。
        on_step: 一歩ごとに、ステップ数の和と、どれかのエピソードが終わったかを渡して呼ぶ関数。
    例外:
        FloatingPointError: 損失か重みが有限でなくなった。
    """
    checks.integer("steps", steps, games.games)
    record = TrainingRecord()
    totals, lengths = np.zeros(games.games), np.zeros(games.games, int)
    with (
        progress_bar(total=steps, desc="学習", unit="ステップ") as bar,
        threadpool_limits(1, user_api="blas"),
    ):
        states = games.reset(rng)
        for done in range(games.games, steps + 1, games.games):
            actions = agent.get_actions(states)
            step = games.step(actions)
            agent.update(states, actions, step)
            states = step.states
            totals += step.rewards
            lengths += 1
            ended = np.flatnonzero(step.terminated | step.truncated)
            record.returns += totals[ended].tolist()
            record.lengths += lengths[ended].tolist()
            totals[ended] = lengths[ended] = 0
            bar.update(games.games)
            if on_step is not None:
                on_step(done, bool(ended.size))
    checks.weights(agent)
    return record
