"""流れてくる遷移を、一つずつ、一度だけ使う Q 学習: stream Q(λ)。"""

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.beyond.layer_norm import layer_norm
from rlbook_helpers.dezero_compat import F, Model, Variable
from rlbook_helpers.networks import QNet2, ordered_params, predict
from rlbook_helpers.stable import LinearSchedule, RunningScale


class SparseQNet(QNet2):
    """層正規化と leaky ReLU の、はじめはまばらな Q ネットワーク。

    引数:
        sparsity: ユニットごとに、はじめの重みのうち 0 にする割合。端数は捨てます。
        ほか: QNet2 と同じです。
    出典:
        Elsayed ほか (2024)。著者たちのプログラムは端数を切り上げますが、それでは、入力が 4 個の層の重みがすべて 0 になります。
    """

    def __init__(self, *sizes: int, sparsity: float = 0.9, seed=None, **options):
        rng = checks.generator(seed)
        super().__init__(*sizes, seed=rng, **options)
        checks.number("sparsity", sparsity, 0, 1)
        for layer in (self.l1, self.l2, self.l3):
            inputs, units = layer.W.shape
            W = rng.uniform(-1, 1, (inputs, units)) / np.sqrt(inputs)
            order = rng.random((inputs, units)).argsort(axis=0)
            W[order < int(sparsity * inputs)] = 0  # どのユニットも、同じ個数です
            layer.W.data = W.astype(np.float32)

    def forward(self, x: np.ndarray | Variable) -> Variable:
        """状態 (B, D) から、すべての行動の価値 (B, A) を求めます。"""
        h = F.leaky_relu(layer_norm(self.l1(x)), 0.01)  # (B, H)
        h = F.leaky_relu(layer_norm(self.l2(h)), 0.01)  # (B, H)
        return self.l3(h)  # (B, A)


class StreamQ:
    """stream Q(λ) のエージェント。train に、DQNAgent と同じように渡せます。

    引数:
        network: 行動価値のネットワーク。状態 (B, D) から (B, A) を求める DeZero のモデルです。
        steps: 学習の長さ (ステップ)。ε を下げる速さが、これで決まります。
        gamma, lam: 割引率 γ と、トレースの減りかた λ。0 以上 1 以下。
        lr: 歩幅の上限 α。
        kappa: 歩幅の決まりの κ。大きいほど、小さく動きます。
        epsilon, epsilon_end, epsilon_part: ε の、はじめと終わり。steps のこの割合をかけて、直線で変わります。
        seed: 行動の乱数のシード、または乱数生成器。
    属性:
        trace: 重みごとの、これまでの勾配の、減っていく和 z (P,)。
    出典:
        Elsayed ほか (2024)。
    """

    def __init__(
        self,
        network: Model,
        *,
        steps: int,
        state_size: int = 4,
        action_size: int = 2,
        gamma: float = 0.99,
        lam: float = 0.8,
        lr: float = 1.0,
        kappa: float = 2.0,
        epsilon: float = 1.0,
        epsilon_end: float = 0.01,
        epsilon_part: float = 0.2,
        seed: int | np.random.Generator | None = None,
    ):
        self.network = network
        self.state_size = checks.integer("state_size", state_size, 1)
        self.action_size = checks.integer("action_size", action_size, 1)
        self.gamma = checks.number("gamma", gamma, 0, 1)
        self.lam = checks.number("lam", lam, 0, 1)
        self.lr, self.kappa = checks.positive("lr", lr), checks.positive("kappa", kappa)
        for name, value in {"epsilon": epsilon, "epsilon_end": epsilon_end}.items():
            checks.number(name, value, 0, 1)
        checks.integer("steps", steps, 1)
        checks.number("epsilon_part", epsilon_part, 0, 1)
        self.epsilon_schedule = LinearSchedule(
            epsilon, epsilon_end, max(1, round(epsilon_part * steps))
        )
        self.rng = checks.generator(seed)

        self.params = list(ordered_params(network))
        self.trace = np.zeros(sum(p.data.size for p in self.params), np.float32)
        self.scale, self.reward_scale = RunningScale(state_size), RunningScale(1)
        self.discounted = 0.0  # いまの報酬までの、割り引いた和
        self.num_steps = 0
        self.last_state: np.ndarray | None = None

    epsilon = property(lambda self: self.epsilon_schedule(self.num_steps))
    qnet = property(lambda self: self.network)

    def action_values(self, state: np.ndarray) -> np.ndarray:
        """状態 (D,) か (B, D) の行動価値 (A,) か (B, A)。大きさをそろえた報酬での見積もりです。"""
        return predict(self.network, self.scale(state))

    def greedy_action(self, state: np.ndarray) -> int:
        """状態 (D,) で、価値が最も大きいと見積もる行動の番号を返します。"""
        return int(self.action_values(state).argmax())

    def greedy_actions(self, states: np.ndarray) -> np.ndarray:
        """状態 (N, D) の、貪欲な行動 (N,)。"""
        return self.action_values(states).argmax(axis=1)

    def get_action(self, state: np.ndarray) -> int:
        """ε-greedy 方策で、状態 (D,) から行動の番号を選びます。"""
        self.scale.update(state)
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(self.action_size))
        return self.greedy_action(state)

    def update(self, state, action, reward, next_state, done) -> float:
        """遷移を一つ使って、重みを一回動かし、TD 誤差の二乗を返します。遷移は覚えません。"""
        if self.last_state is not None and not np.array_equal(state, self.last_state):
            self.forget()  # 前のエピソードは、打ち切られました
        self.last_state = np.array(next_state)
        self.num_steps += 1
        reward = self.scaled_reward(reward, done)
        qs = self.network(self.scale(state[np.newaxis]))  # (1, A)
        greedy = qs.data[0, action] == qs.data.max()
        next_value = 0.0 if done else float(self.action_values(next_state).max())
        error = reward + self.gamma * next_value - float(qs.data[0, action])
        checks.loss(error**2, self)

        self.network.cleargrads()
        qs[:, action].backward()
        gradient = np.concatenate([p.grad.data.ravel() for p in self.params])
        self.trace *= self.gamma * self.lam
        self.trace += gradient
        self.move(error)
        if done or not greedy:  # 最大でない行動の先は、貪欲な方策の収益ではありません
            self.forget()
        return error**2

    def move(self, error: float) -> None:
        """重みを、トレースの向きに動かします。歩幅は、誤差を行きすぎないところまでに抑えます。"""
        length = float(np.abs(self.trace).sum())
        effect = self.lr * self.kappa * max(abs(error), 1.0) * length
        step_size = self.lr / max(effect, 1.0)
        change, start = step_size * error * self.trace, 0
        for p in self.params:
            p.data += change[start : start + p.data.size].reshape(p.data.shape)
            start += p.data.size

    def forget(self) -> None:
        """トレースを 0 にします。"""
        self.trace[:] = 0

    def scaled_reward(self, reward: float, done: bool) -> float:
        """報酬を、割り引いた和の標準偏差で割ります。平均は引きません。"""
        self.discounted = self.gamma * self.discounted + reward
        self.reward_scale.update(np.array([self.discounted]))
        if done:
            self.discounted = 0.0
        return reward / float(self.reward_scale.deviation[0])

    def sync_qnet(self) -> None:
        """何もしません。ターゲットネットワークがないからです。"""
