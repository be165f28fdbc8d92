"""行動を選び、遷移から学ぶエージェント。エピソードのことは知りません。"""

import copy

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.dezero_compat import F, Variable, no_grad, optimizers
from rlbook_helpers.fused import Adam, q_loss
from rlbook_helpers.networks import QNet1, QNet2, predict
from rlbook_helpers.replay_buffer import ReplayBuffer


def _of_optimizer(name: str) -> property:
    """学習率 α。オプティマイザの属性 name なので、変えれば次の更新から使われます。"""
    return property(
        lambda self: getattr(self.optimizer, name),
        lambda self, lr: setattr(self.optimizer, name, checks.number("lr", lr, 0)),
    )


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
        self.epsilon = checks.number("epsilon", epsilon, 0, 1)
        self.action_size = action_size
        self.rng = checks.generator(seed)

        self.qnet = QNet1(action_size=action_size, seed=self.rng)
        self.optimizer = optimizers.SGD(checks.positive("lr", lr)).setup(self.qnet)

    lr = _of_optimizer("lr")

    def get_action(self, state_vec: np.ndarray) -> int:
        """ε-greedy 方策で、one-hot の状態 (1, 12) から行動の番号を選びます。"""
        state_vec = self._as_state("state_vec", state_vec)
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        return int(self.action_values(state_vec).argmax())

    def greedy_action(self, state_vec: np.ndarray) -> int:
        """one-hot の状態 (1, 12) で、価値が最も大きいと見積もる行動の番号を返します。"""
        state_vec = self._as_state("state_vec", state_vec)
        return int(self.action_values(state_vec).argmax())

    def action_values(self, state_vec: np.ndarray) -> np.ndarray:
        """状態 (1, 12) の行動価値 (1, A)。計算グラフを作らないので、勾配は流れません。"""
        with no_grad():
            return self.qnet(state_vec).data

    def update(self, state, action, reward, next_state, done) -> float:
        """一つの遷移から Q 学習の更新を一回行い、損失 (更新の前の値) を返します。

        引数は DQNAgent.update と同じです。状態は one-hot (1, 12) です。
        """
        state = self._as_state("state", state)
        action = checks.integer("action", action, 0, self.action_size)
        reward = checks.number("reward", reward)
        next_state = self._as_state("next_state", next_state)
        done = checks.flag("done", done)

        # TD ターゲット
        next_q_max = self.action_values(next_state).max(axis=1)  # (1,)
        target = reward + (1 - done) * self.gamma * next_q_max  # (1,)

        qs = self.qnet(state)  # (1, A)
        q = qs[:, action]  # (1,)
        loss = F.mean_squared_error(q, target)
        value = checks.loss(float(loss.data), self)
        self.qnet.cleargrads()
        loss.backward()
        self.optimizer.update()
        return value

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
        self.epsilon = checks.number("epsilon", epsilon, 0, 1)
        self.action_size = action_size
        self.state_size = state_size
        self.rng = checks.generator(seed)
        self.num_steps = 0  # これまでに受けとった遷移の数

        self.qnet = QNet2(action_size, state_size, seed=self.rng)
        self.sync_qnet()
        self.optimizer = Adam(checks.positive("lr", lr)).setup(self.qnet)
        self.replay_buffer = ReplayBuffer(
            buffer_size, batch_size, action_size=action_size, seed=self.rng
        )
        self.replay_buffer.allocate(np.empty(state_size, np.float32))
        self.learning_start = batch_size  # 学習を始めるまでに覚える遷移の数

    lr = _of_optimizer("alpha")
    buffer_size = property(lambda self: self.replay_buffer.buffer_size)
    batch_size = property(lambda self: self.replay_buffer.batch_size)
    discount = property(lambda self: self.gamma)  # 次の状態の価値に掛ける数

    def sync_qnet(self) -> None:
        """オンラインネットワークの重みを、ターゲットネットワークに写します。"""
        self.qnet_target = copy.deepcopy(self.qnet)
        self.qnet_target.cleargrads()

    def get_action(self, state: np.ndarray) -> int:
        """ε-greedy 方策で、状態 (D,) から行動の番号を選びます。"""
        state = checks.array("state", state, (self.state_size,), np.float32)
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        return int(self.action_values(state).argmax())

    def greedy_action(self, state: np.ndarray) -> int:
        """状態 (D,) で、価値が最も大きいと見積もる行動の番号を返します。"""
        state = checks.array("state", state, (self.state_size,), np.float32)
        return int(self.action_values(state).argmax())

    def action_values(self, state: np.ndarray, qnet: QNet2 | None = None) -> np.ndarray:
        """状態 (D,) か (B, D) の行動価値 (A,) か (B, A)。qnet を省くと、オンラインネットワークのもの。"""
        qnet = qnet or self.qnet
        if isinstance(qnet, QNet2):
            return qnet.predict(state)
        return predict(qnet, state)

    def update(self, state, action, reward, next_state, done) -> float | None:
        """遷移を一つ覚え、ミニバッチで重みを一回更新します。

        引数は ReplayBuffer.add と同じです。done は、終端に達したときだけ True です。

        戻り値:
            ミニバッチの損失 (更新の前の値)。遷移がまだ batch_size 個に満たなければ None。
        """
        self.remember(state, action, reward, next_state, done)
        self.num_steps += 1
        if len(self.replay_buffer) < self.learning_start:
            return None
        batch = self.replay_buffer.get_batch()

        # TD ターゲット (B,)。終端 (done が 1) の先に価値はありません
        next_value = self.next_value(batch.next_state)
        target = batch.reward + (1 - batch.done) * self.discount * next_value
        loss = self.get_loss(batch.state, batch.action, target)
        value = checks.loss(float(loss.data), self)
        self.qnet.cleargrads()
        loss.backward()
        self.optimizer.update()
        return value

    def remember(self, state, action, reward, next_state, done) -> None:
        """遷移をリプレイバッファに覚えます。"""
        self.replay_buffer.add(state, action, reward, next_state, done)

    def next_value(self, next_state: np.ndarray) -> np.ndarray:
        """次の状態 (B, D) の価値 (B,) を、ターゲットネットワークの最大で見積もります。

        計算グラフを作らないので、勾配は流れません。
        """
        next_qs = self.action_values(next_state, self.qnet_target)  # (B, A)
        return next_qs.max(axis=1)

    def get_loss(
        self, state: np.ndarray, action: np.ndarray, target: np.ndarray
    ) -> Variable:
        """状態 (B, D) で選んだ行動 (B,) の価値と、TD ターゲット (B,) との、平均二乗誤差。"""
        if isinstance(self.qnet, QNet2) and self.qnet.is_plain:
            # DeZero のオプティマイザには、places がありません
            places = getattr(self.optimizer, "places", None)
            return q_loss(self.qnet, state, action, target, places)
        qs = self.qnet(state)  # (B, A)
        q = qs[np.arange(len(action)), action]  # (B,)
        return F.mean_squared_error(q, target)
