"""行動を選び、遷移から学ぶエージェント。エピソードのことは知りません。"""

import copy

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.dezero_compat import F, Variable, no_grad, optimizers
from rlbook_helpers.fused import Adam, q_loss
from rlbook_helpers.networks import QNet1, QNet2
from rlbook_helpers.replay_buffer import ReplayBuffer


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

    def __init__(
        self,
        *,
        gamma: float = 0.9,
        lr: float = 0.01,
        epsilon: float = 0.1,
        action_size: int = 4,
        seed: int | np.random.Generator | None = None,
    ):
        self.gamma = checks.number("gamma", gamma, 0, 1)
        self.lr = checks.positive("lr", lr)
        self.epsilon = checks.number("epsilon", epsilon, 0, 1)
        self.action_size = action_size
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
        seed: 重みの初期値、行動、ミニバッチを決めるシード、または乱数生成器。
    属性:
        qnet: オンラインネットワーク。行動を選び、学習します。
        qnet_target: ターゲットネットワーク。TD ターゲットだけに使います。
    例外:
        TypeError, ValueError: 引数の型が違う、または範囲の外にある。
    出典:
        Mnih ほか (2015) の Algorithm 1。
    """

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
        seed: int | np.random.Generator | None = None,
    ):
        self.gamma = checks.number("gamma", gamma, 0, 1)
        self.lr = checks.positive("lr", lr)
        self.epsilon = checks.number("epsilon", epsilon, 0, 1)
        self.buffer_size = buffer_size
        self.batch_size = batch_size
        self.action_size = action_size
        self.state_size = state_size
        self.rng = checks.generator(seed)

        self.qnet = QNet2(action_size, state_size, seed=self.rng)
        self.sync_qnet()
        self.optimizer = Adam(self.lr).setup(self.qnet)
        self.replay_buffer = ReplayBuffer(
            buffer_size,
            batch_size,
            state_shape=(state_size,),
            action_size=action_size,
            seed=self.rng,
        )

    def sync_qnet(self) -> None:
        """オンラインネットワークの重みを、ターゲットネットワークに写します。"""
        self.qnet_target = copy.deepcopy(self.qnet)
        self.qnet_target.cleargrads()

    def get_action(self, state: np.ndarray) -> int:
        """ε-greedy 方策で、状態 (D,) から行動の番号を選びます。"""
        state = checks.array("state", state, (self.state_size,), np.float32)
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        return int(self.qnet.predict(state).argmax())  # 行動価値 (A,) の最大

    def greedy_action(self, state: np.ndarray) -> int:
        """状態 (D,) で、価値が最も大きいと見積もる行動の番号を返します。"""
        state = checks.array("state", state, (self.state_size,), np.float32)
        return int(self.qnet.predict(state).argmax())

    def update(
        self,
        state: np.ndarray,
        action: int,
        reward: float,
        next_state: np.ndarray,
        done: bool,
    ) -> float | None:
        """遷移を一つ覚え、ミニバッチで重みを一回更新します。

        引数は ReplayBuffer.add と同じです。done は、終端に達したときだけ True です。

        戻り値:
            ミニバッチの損失 (更新の前の値)。遷移がまだ batch_size 個に満たなければ None。
        """
        self.replay_buffer.add(state, action, reward, next_state, done)
        if len(self.replay_buffer) < self.batch_size:
            return None
        state, action, reward, next_state, done = self.replay_buffer.get_batch()

        # TD ターゲット (B,)。終端 (done が 1) の先に価値はありません
        target = reward + self.gamma * self.next_value(next_state) * (done == 0)
        loss = self.get_loss(state, action, target)
        self.qnet.cleargrads()
        loss.backward()
        self.optimizer.update()
        return float(loss.data)

    def next_value(self, next_state: np.ndarray) -> np.ndarray:
        """次の状態 (B, D) の価値 (B,) を、ターゲットネットワークの最大で見積もります。

        計算グラフを作らないので、勾配は流れません。
        """
        return self.qnet_target.predict(next_state).max(axis=1)  # (B, A) から (B,)

    def get_loss(
        self, state: np.ndarray, action: np.ndarray, target: np.ndarray
    ) -> Variable:
        """状態 (B, D) で選んだ行動 (B,) の価値と、TD ターゲット (B,) との、平均二乗誤差。"""
        return q_loss(self.qnet, state, action, target)
