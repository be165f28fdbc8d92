"""行動を選び、遷移から学ぶエージェント。エピソードのことは知りません。"""

import copy
from collections.abc import Mapping

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.dezero_compat import F, no_grad, optimizers
from rlbook_helpers.functions import q_loss
from rlbook_helpers.networks import QNet1, QNet2
from rlbook_helpers.optimizers import Adam
from rlbook_helpers.replay_buffer import ReplayBuffer
from rlbook_helpers.schedules import LinearSchedule


class QLearningAgent:
    """Q 学習のエージェント。表の代わりに、ネットワーク QNet1 で行動価値を表します。

    引数:
        gamma: 割引率 γ。0 以上 1 以下。
        lr: 学習率 α。正の数。
        epsilon: 行動を一様に選ぶ確率 ε。0 以上 1 以下。
        action_size: 行動の数 A。
        seed: 重みの初期値と行動を決めるシード、または乱数生成器。
    属性:
        qnet: Q ネットワーク。one-hot の状態 (1, 12) から行動価値 (1, A) を求めます。
        optimizer: オプティマイザ (SGD)。
    例外:
        TypeError, ValueError: 引数の型が違う、または範囲の外にある。
    出典:
        Watkins & Dayan (1992)。
    """

    gamma = checks.Probability()
    epsilon = checks.Probability()

    def __init__(
        self,
        *,
        gamma: float = 0.9,
        lr: float = 0.01,
        epsilon: float = 0.1,
        action_size: int = 4,
        seed: int | np.random.Generator | None = None,
    ):
        self.gamma = gamma
        self.lr = checks.positive("lr", lr)
        self.epsilon = epsilon
        self.action_size = checks.integer("action_size", action_size, 1)
        self.rng = checks.generator(seed)

        self.qnet = QNet1(action_size=action_size, seed=self.rng)
        self.optimizer = optimizers.SGD(self.lr)
        self.optimizer.setup(self.qnet)

    def get_action(self, state_vec: np.ndarray) -> int:
        """ε-greedy 方策で行動を選びます。

        引数:
            state_vec: one-hot の状態 (1, 12)。
        戻り値:
            行動の番号。確率 ε で一様に選び、残りは greedy_action に従います。
        """
        state_vec = self._as_state("state_vec", state_vec)
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        return self.greedy_action(state_vec)

    def greedy_action(self, state_vec: np.ndarray) -> int:
        """価値が最も大きいと見積もる行動の番号を返します。

        例外:
            TypeError, ValueError: state_vec が有限な数の配列 (1, 12) でない。
        """
        state_vec = self._as_state("state_vec", state_vec)
        with no_grad():
            qs = self.qnet(state_vec)  # (1, A)
        return int(qs.data.argmax())

    def update(
        self,
        state: np.ndarray,
        action: int,
        reward: float,
        next_state: np.ndarray,
        done: bool,
    ) -> float:
        """一つの遷移から Q 学習の更新を一回行い、損失を返します。

        引数:
            state: 行動の前の状態 (1, 12)。
            action: 行動の番号。
            reward: 報酬。
            next_state: 行動の後の状態 (1, 12)。
            done: 終端に達したなら True。
        戻り値:
            損失 (更新の前の値)。
        例外:
            TypeError, ValueError: 型や形が違う、NaN を含む、行動が範囲の外にある。
        """
        state = self._as_state("state", state)
        action = checks.integer("action", action, 0, self.action_size)
        reward = checks.number("reward", reward)
        next_state = self._as_state("next_state", next_state)
        done = checks.flag("done", done)

        # TD ターゲット。数として求めるので、勾配は流れません
        with no_grad():
            next_qs = self.qnet(next_state)  # (1, A)
        next_q_max = next_qs.data.max(axis=1)  # (1,)
        target = reward + (1 - done) * self.gamma * next_q_max  # (1,)

        qs = self.qnet(state)  # (1, A)
        q = qs[:, action]  # (1,)
        loss = F.mean_squared_error(q, target)
        self.qnet.cleargrads()
        loss.backward()
        self.optimizer.update()
        return float(loss.data)

    def _as_state(self, name: str, value: np.ndarray) -> np.ndarray:
        return checks.array(name, value, (1, self.qnet.l1.in_size), np.float32)


class DQNAgent:
    """DQN のエージェント。Q 学習に、経験再生とターゲットネットワークを加えたものです。

    引数:
        gamma: 割引率 γ。0 以上 1 以下。
        lr: 学習率 (Adam の α)。正の数。
        epsilon: 行動を一様に選ぶ確率 ε。0 以上 1 以下。
        buffer_size: リプレイバッファに覚える遷移の数 N。
        batch_size: ミニバッチの遷移の数 B。
        action_size: 行動の数 A。
        state_size: 状態の次元 D。
        learning_start: 学習を始めるまでに覚える遷移の数。None なら batch_size。
        tau: ソフト更新の割合 τ。0 以上 1 以下。0 なら、ソフト更新をしません。
        target_rule: TD ターゲットの求め方。"max"、"double"、"clipped" のどれか。
        average_start: 重みの平均をとりはじめるステップ。None なら平均をとりません。
            平均をとると、greedy_action は平均した重みで行動を選びます。
        schedules: "lr" と "epsilon" の一方か両方を、ステップとともに変えるスケジュール。
        seed: 重みの初期値、行動、ミニバッチを決めるシード、または乱数生成器。
    属性:
        qnet: オンラインネットワーク。行動を選び、学習します。
        qnet_target: ターゲットネットワーク。TD ターゲットだけに使います。
        optimizer: オプティマイザ (Adam)。
        replay_buffer: リプレイバッファ。
    例外:
        TypeError, ValueError: 引数の型が違う、または範囲の外にある。
    出典:
        Mnih ほか (2015) の Algorithm 1。ソフト更新は Lillicrap ほか (2016)。
    """

    gamma = checks.Probability()
    epsilon = checks.Probability()
    tau = checks.Probability()

    def __init__(
        self,
        *,
        gamma: float = 0.98,
        lr: float = 0.0005,
        epsilon: float = 0.1,
        buffer_size: int = 10_000,
        batch_size: int = 32,
        action_size: int = 2,
        state_size: int = 4,
        learning_start: int | None = None,
        tau: float = 0.0,
        target_rule: str = "max",
        average_start: int | None = None,
        schedules: Mapping[str, LinearSchedule] | None = None,
        seed: int | np.random.Generator | None = None,
    ):
        self.gamma = gamma
        self.epsilon = epsilon
        self.tau = tau
        self.target_rule = checks.choice(
            "target_rule", target_rule, ("max", "double", "clipped")
        )
        self.action_size = checks.integer("action_size", action_size, 1)
        self.state_size = checks.integer("state_size", state_size, 1)
        self.rng = checks.generator(seed)

        self.replay_buffer = ReplayBuffer(
            buffer_size, batch_size, state_shape=(self.state_size,), seed=self.rng
        )
        self.buffer_size = self.replay_buffer.buffer_size
        self.batch_size = self.replay_buffer.batch_size
        self.learning_start = checks.integer(
            "learning_start",
            batch_size if learning_start is None else learning_start,
            self.batch_size,
            self.buffer_size + 1,
        )
        if average_start is not None:
            checks.integer("average_start", average_start, 1)
        self.average_start = average_start
        self.num_steps = 0  # これまでに update した回数
        self.qnet = QNet2(action_size, state_size, seed=self.rng)
        self.sync_qnet()
        self.qnet_average = None  # 平均をとりはじめるまでは、ありません
        self.num_averaged = 0
        self.optimizer = Adam(checks.positive("lr", lr))
        self.optimizer.setup(self.qnet)
        self.schedules = dict(schedules or {})
        for name in self.schedules:
            checks.choice("schedules のキー", name, ("lr", "epsilon"))
        self._follow_schedules()

    @property
    def lr(self) -> float:
        """いまの学習率。"""
        return self.optimizer.alpha

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer.alpha = checks.number("lr", value, 0)

    def _follow_schedules(self) -> None:
        for name, schedule in self.schedules.items():
            setattr(self, name, schedule(self.num_steps))

    def sync_qnet(self) -> None:
        """オンラインネットワークの重みを、ターゲットネットワークに写します。"""
        self.qnet_target = copy.deepcopy(self.qnet)
        self.qnet_target.cleargrads()

    def soft_update(self) -> None:
        """ターゲットネットワークの重みを、オンラインネットワークに割合 τ だけ近づけます。"""
        for target, online in zip(self.qnet_target.params(), self.qnet.params()):
            target.data += self.tau * (online.data - target.data)

    def get_action(self, state: np.ndarray) -> int:
        """ε-greedy 方策で行動を選びます。

        引数:
            state: 状態 (D,)。
        戻り値:
            行動の番号。確率 ε で一様に選び、残りはオンラインネットワークの価値が最大の行動です。
        """
        state = checks.array("state", state, (self.state_size,), np.float32)
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        return int(self.qnet.predict(state).argmax())  # 行動価値 (A,) の最大

    def greedy_action(self, state: np.ndarray) -> int:
        """価値が最も大きいと見積もる行動の番号を返します。重みの平均があれば、それを使います。

        例外:
            TypeError, ValueError: state が有限な数の配列 (D,) でない。
        """
        state = checks.array("state", state, (self.state_size,), np.float32)
        qnet = self.qnet_average or self.qnet
        return int(qnet.predict(state).argmax())

    def update(
        self,
        state: np.ndarray,
        action: int,
        reward: float,
        next_state: np.ndarray,
        done: bool,
    ) -> float | None:
        """遷移を一つ覚え、ミニバッチで重みを一回更新します。

        引数:
            state: 行動の前の状態 (D,)。
            action: 行動の番号。
            reward: 報酬。
            next_state: 行動の後の状態 (D,)。
            done: 終端に達した (terminated) なら True。打ち切り (truncated) は False。
        戻り値:
            ミニバッチの損失 (更新の前の値)。遷移がまだ learning_start 個に満たなければ None。
        例外:
            TypeError, ValueError: 型や形が違う、NaN を含む、行動が範囲の外にある。
        """
        action = checks.integer("action", action, 0, self.action_size)
        self.replay_buffer.add(state, action, reward, next_state, done)
        self.num_steps += 1
        self._follow_schedules()
        if len(self.replay_buffer) < self.learning_start:
            return None
        state, action, reward, next_state, done = self.replay_buffer.get_batch()

        # TD ターゲット (B,)。終端 (done が 1) の先に価値はありません
        target = reward + self.gamma * self.next_value(next_state) * (done == 0)

        grads = self.optimizer.grads  # 勾配を、オプティマイザの置き場にじかに書きます
        loss = q_loss(self.qnet, state, action, target, out=grads)
        self.qnet.cleargrads()
        loss.backward()
        self.optimizer.update()
        if self.tau:
            self.soft_update()
        if self.average_start and self.num_steps >= self.average_start:
            self.average_weights()
        return float(loss.data)

    def average_weights(self) -> None:
        """average_start からいままでの重みの平均を、いまの重みを加えて更新します。

        出典:
            Polyak & Juditsky (1992)、Izmailov ほか (2018)。
        """
        self.num_averaged += 1
        if self.qnet_average is None:
            self.qnet_average = copy.deepcopy(self.qnet)
        for average, online in zip(self.qnet_average.params(), self.qnet.params()):
            average.data += (online.data - average.data) / self.num_averaged

    def next_value(self, next_state: np.ndarray) -> np.ndarray:
        """次の状態の価値を見積もります。計算グラフを作らないので、勾配は流れません。

        引数:
            next_state: 行動の後の状態 (B, D)。
        戻り値:
            価値 (B,)。求め方は target_rule で決まります。
                max: ターゲットネットワークの最大 (DQN)。
                double: オンラインネットワークが選ぶ行動の、ターゲットネットワークの値
                    (Double DQN、van Hasselt ほか, 2016)。
                clipped: その行動の、二つのネットワークの値の小さいほう
                    (Fujimoto ほか, 2018 の clipped double Q-learning)。
        """
        next_qs = self.qnet_target.predict(next_state)  # (B, A)
        if self.target_rule == "max":
            return next_qs.max(axis=1)
        online_qs = self.qnet.predict(next_state)  # (B, A)
        best = np.arange(len(online_qs)), online_qs.argmax(axis=1)
        if self.target_rule == "double":
            return next_qs[best]
        return np.minimum(next_qs[best], online_qs[best])
