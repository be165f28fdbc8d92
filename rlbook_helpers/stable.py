"""第 5 章で DQN に加えるもの。第 4 章のエージェントの更新を、前後から調節します。"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.dezero_compat import Variable
from rlbook_helpers.networks import QNet2
from rlbook_helpers.replay_buffer import NStepReturns


class RunningScale:
    """状態の成分ごとに、これまでの平均を引き、標準偏差で割ります。

    環境のことは何も知りません。見た状態から、平均と分散を一つずつ更新します。二つ目の状態までと、
    一度も変わらない成分は、割らずに引くだけです。

    引数:
        size: 状態の次元 D。
    属性:
        mean, deviation: これまでの平均と標準偏差 (D,)、float32。
    出典:
        Welford (1962)。
    """

    def __init__(self, size: int):
        self.count = 0
        self._mean = np.zeros(size)  # 足しこむ誤差を小さくするため、float64 です
        self._squares = np.zeros(size)  # 平均との差の二乗の和
        self.mean = np.zeros(size, np.float32)
        self.deviation = np.ones(size, np.float32)

    def update(self, state: np.ndarray) -> None:
        """状態 (D,) を一つ加えて、平均と標準偏差を更新します。"""
        self.count += 1
        difference = state - self._mean
        self._mean += difference / self.count
        self._squares += difference * (state - self._mean)
        self.mean = self._mean.astype(np.float32)
        deviation = np.sqrt(self._squares / self.count)
        self.deviation = np.where(deviation > 0, deviation, 1).astype(np.float32)

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """状態 (D,) か (B, D) の大きさをそろえます。もとの配列は変わりません。"""
        return (state - self.mean) / self.deviation


@dataclass(frozen=True)
class LinearSchedule:
    """``start`` から、``steps`` ステップかけて直線で ``end`` になり、そのあとは変わらない値。

    出典:
        ε については Mnih ほか (2015) の Methods。
    """

    start: float
    end: float
    steps: int

    def __post_init__(self):
        checks.number("start", self.start)
        checks.number("end", self.end)
        checks.integer("steps", self.steps, 1)

    def __call__(self, step: int) -> float:
        """ステップ ``step`` (0 以上) の値を返します。"""
        progress = min(step / self.steps, 1.0)
        return self.start + (self.end - self.start) * progress


class StableDQNAgent(DQNAgent):
    """DQNAgent に、安定させるための選択肢を加えたもの。既定値なら、DQNAgent と同じです。

    引数:
        normalize: True なら、ネットワークの入力を、それまでに見た状態の平均と標準偏差でそろえます。
        learning_start: 学習を始めるまでに覚える遷移の数。None なら batch_size。
        n_steps: 遷移を何歩ぶんまとめて覚えるか。1 なら、まとめません。
        sync_steps: ターゲットネットワークを同期する間隔 (ステップ)。None なら、しません。
        tau: ソフト更新の割合 τ。0 以上 1 以下。0 なら、ソフト更新をしません。
        target_rule: 次の状態の価値の求め方。"max" か "double"。
        pessimism: 悲観の度合い λ。0 以上 1 以下。"double" の価値を、二つのネットワークの小さいほうに、
            この割合だけ近づけます。
        error_limit: TD 誤差を、大きさがこれを超えないように切ります。None なら切りません。
        average_start: 重みの平均をとりはじめるステップ。None なら平均をとりません。
            平均をとると、greedy_action は平均した重みで行動を選びます。
        schedules: "lr"、"epsilon"、"pessimism" のうち、ステップとともに変えるもののスケジュール。
        **options: DQNAgent の引数。
    出典:
        ソフト更新は Lillicrap ほか (2016)、誤差を切ることは Mnih ほか (2015)、
        重みの平均は Polyak & Juditsky (1992)。
    """

    def __init__(
        self,
        *,
        normalize: bool = False,
        learning_start: int | None = None,
        n_steps: int = 1,
        sync_steps: int | None = None,
        tau: float = 0.0,
        target_rule: str = "max",
        pessimism: float = 0.0,
        error_limit: float | None = None,
        average_start: int | None = None,
        schedules: Mapping[str, LinearSchedule] | None = None,
        **options,
    ):
        super().__init__(**options)
        if learning_start is not None:
            self.learning_start = checks.integer(
                "learning_start", learning_start, self.batch_size, self.buffer_size + 1
            )
        checks.counts(sync_steps=sync_steps, average_start=average_start)
        if error_limit is not None:
            checks.positive("error_limit", error_limit)
        normalize = checks.flag("normalize", normalize)
        self.scale = RunningScale(self.state_size) if normalize else None
        self.n_step_returns = NStepReturns(n_steps, self.gamma)
        self.sync_steps = sync_steps
        self.tau = checks.number("tau", tau, 0, 1)
        self.target_rule = checks.choice("target_rule", target_rule, ("max", "double"))
        self.pessimism = checks.number("pessimism", pessimism, 0, 1)
        self.error_limit = error_limit
        self.average_start = average_start
        self.num_averaged = 0
        self.qnet_average: QNet2 | None = None  # 平均をとりはじめるまでは、ありません
        self.schedules = dict(schedules or {})
        for name, schedule in self.schedules.items():
            checks.choice("schedules のキー", name, ("lr", "epsilon", "pessimism"))
            for value in (schedule.start, schedule.end):
                checks.number(name, value, 0, 1)
        if target_rule == "max" and (pessimism or "pessimism" in self.schedules):
            raise ValueError("pessimism は target_rule が double のときだけ使えます")
        self.follow_schedules(0)

    def follow_schedules(self, step: int) -> None:
        """学習率、ε、悲観の度合いを、ステップ step の値にします。"""
        for name, schedule in self.schedules.items():
            setattr(self, name, schedule(step))

    def update(self, state, action, reward, next_state, done) -> float | None:
        """DQNAgent と同じ更新を一回行い、ターゲットネットワークと重みの平均を進めます。"""
        self.follow_schedules(self.num_steps + 1)
        loss = super().update(state, action, reward, next_state, done)
        if self.scale:
            self.scale.update(state)
        if loss is None:
            return None
        step = self.num_steps
        if self.sync_steps and step % self.sync_steps == 0:
            self.sync_qnet()
        if self.tau:
            self.soft_update()
        if self.average_start and step >= self.average_start:
            self.average_weights()
        return loss

    discount = property(lambda self: self.gamma**self.n_step_returns.n)

    def remember(self, state, action, reward, next_state, done) -> None:
        """遷移を n 歩ぶんまとめて、リプレイバッファに覚えます。"""
        transition = self.replay_buffer.check(state, action, reward, next_state, done)
        self.n_step_returns.gamma = self.gamma  # 途中で替えられたかもしれません
        for ready in self.n_step_returns(*transition):
            self.replay_buffer.add(*ready)

    def soft_update(self) -> None:
        """ターゲットネットワークの重みを、オンラインネットワークに割合 τ だけ近づけます。"""
        for target, online in zip(self.qnet_target.params(), self.qnet.params()):
            target.data += self.tau * (online.data - target.data)

    def average_weights(self) -> None:
        """average_start からいままでの重みの平均を、いまの重みを加えて更新します。"""
        self.num_averaged += 1
        if self.qnet_average is None:
            self.qnet_average = copy.deepcopy(self.qnet)
            self.qnet_average.cleargrads()
        for average, online in zip(self.qnet_average.params(), self.qnet.params()):
            average.data += (online.data - average.data) / self.num_averaged

    def scaled(self, state: np.ndarray) -> np.ndarray:
        """ネットワークに入れる前の状態 (D,) か (B, D)。normalize なら、大きさをそろえます。"""
        return self.scale(state) if self.scale else state

    def action_values(self, state: np.ndarray, qnet: QNet2 | None = None) -> np.ndarray:
        """DQNAgent と同じです。normalize なら、状態の大きさをそろえて求めます。"""
        return super().action_values(self.scaled(state), qnet)

    def greedy_action(self, state: np.ndarray) -> int:
        """DQNAgent と同じです。重みの平均があれば、その価値で選びます。"""
        state = checks.array("state", state, (self.state_size,), np.float32)
        return int(self.action_values(state, self.qnet_average).argmax())

    def next_value(self, next_state: np.ndarray) -> np.ndarray:
        """次の状態 (B, D) の価値 (B,) を、target_rule のとおりに見積もります。

        max はターゲットネットワークの最大、double はオンラインネットワークが選ぶ行動の、
        ターゲットネットワークの値 (van Hasselt ほか, 2016) です。pessimism は、独立に学習した二つの
        小さいほうを使うこと (Fujimoto ほか, 2018) を、一つとその古い写しで、割合をつけて行います。
        """
        if self.target_rule == "max":
            return super().next_value(next_state)
        online_qs = self.action_values(next_state)  # (B, A)
        best = np.arange(len(online_qs)), online_qs.argmax(axis=1)
        value = self.action_values(next_state, self.qnet_target)[best]  # (B,)
        if self.pessimism:
            value += np.float32(self.pessimism) * np.minimum(online_qs[best] - value, 0)
        return value

    def get_loss(
        self, state: np.ndarray, action: np.ndarray, target: np.ndarray
    ) -> Variable:
        """DQNAgent と同じです。error_limit があれば、その大きさに切った TD 誤差の二乗の平均です。"""
        if self.error_limit is not None:
            q = self.action_values(state)[np.arange(len(action)), action]  # (B,)
            error = np.clip(target - q, -self.error_limit, self.error_limit)
            target = q + error.astype(np.float32)
        return super().get_loss(self.scaled(state), action, target)
