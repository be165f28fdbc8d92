"""経験再生のための、遷移の置き場と、その手前で遷移を n 歩ぶんまとめるもの。"""

from collections import deque
from typing import NamedTuple

import numpy as np

from rlbook_helpers import checks


class Batch(NamedTuple):
    """ミニバッチ: B 個の遷移の、項目ごとの配列。"""

    state: np.ndarray  # (B, *状態の形)
    action: np.ndarray  # (B,)、int64
    reward: np.ndarray  # (B,)、float32
    next_state: np.ndarray  # (B, *状態の形)
    done: np.ndarray  # (B,)、float32。終端なら 1、ほかは 0


class ReplayBuffer:
    """新しい遷移を ``buffer_size`` 個まで覚え、そこから無作為にミニバッチを取り出します。

    状態の形と dtype は、最初に覚える状態のものです。置き場の配列は一度だけ確保し、満杯になると、
    最も古い遷移に上書きします (リングバッファ)。

    引数:
        buffer_size: 覚えておく遷移の数 N。
        batch_size: ミニバッチの遷移の数 B。N 以下。
        action_size: 行動の数。None なら、行動の番号の上限を調べません。
        seed: 取り出しの乱数のシード、または乱数生成器。
    例外:
        TypeError, ValueError: 大きさが 1 以上の整数でない、または batch_size が buffer_size を超える。
    出典:
        Lin (1992)、Mnih ほか (2015)。
    """

    def __init__(
        self,
        buffer_size: int,
        batch_size: int,
        *,
        action_size: int | None = None,
        seed: int | np.random.Generator | None = None,
    ):
        self.buffer_size = checks.integer("buffer_size", buffer_size, 1)
        self.batch_size = checks.integer("batch_size", batch_size, 1)
        if batch_size > buffer_size:
            raise ValueError(
                f"batch_size は buffer_size ({buffer_size}) 以下にしてください: {batch_size}"
            )
        self.action_size = 2**63 if action_size is None else action_size
        self.rng = checks.generator(seed)
        self.num_added = 0  # これまでに add した遷移の総数
        self.allocated = False

    def allocate(self, state: np.ndarray) -> None:
        """state と同じ形と dtype の状態を覚える配列を確保します。最初の add が呼びます。"""
        n = self.buffer_size
        self.action = np.empty(n, np.int64)  # (N,)
        self.reward = np.empty(n, np.float32)  # (N,)
        self.done = np.empty(n, np.float32)  # (N,)
        self.state = np.empty((n, *state.shape), state.dtype)  # (N, *状態の形)
        self.next_state = np.empty_like(self.state)
        self.allocated = True

    def __len__(self) -> int:
        """いま覚えている遷移の数。``buffer_size`` で止まります。"""
        return min(self.num_added, self.buffer_size)

    def add(
        self,
        state: np.ndarray,
        action: int,
        reward: float,
        next_state: np.ndarray,
        done: bool,
    ) -> None:
        """遷移を一つ覚えます。悪い値のときは、何も書かずに例外を出します。

        引数:
            state: 行動の前の状態。形は、覚えている状態とそろえます。
            action: 行動の番号。0 以上の整数。
            reward: 報酬。float32 にして覚えます。
            next_state: 行動の後の状態。state と同じ形。
            done: 終端に達した (terminated) なら True。打ち切り (truncated) は False。
        例外:
            TypeError: 型が違う、または状態の dtype に変換できない。
            ValueError: 形が違う、NaN や無限大を含む、範囲の外にある。
        """
        transition = self.check(state, action, reward, next_state, done)
        if not self.allocated:
            self.allocate(transition[0])
        i = self.num_added % self.buffer_size  # 満杯なら、ここが最も古い遷移です
        self.state[i], self.action[i], self.reward[i] = transition[:3]
        self.next_state[i], self.done[i] = transition[3:]
        self.num_added += 1

    def check(self, state, action, reward, next_state, done) -> tuple:
        """add が覚える遷移。引数と例外は add と同じですが、覚えません。"""
        if self.allocated:
            shape, dtype = self.state.shape[1:], self.state.dtype
            state = checks.array("state", state, shape, dtype)
        else:
            state = checks.array("state", state)
        next_state = checks.array("next_state", next_state, state.shape, state.dtype)
        action = checks.integer("action", action, 0, self.action_size)
        reward = checks.number("reward", reward)
        return state, action, reward, next_state, checks.flag("done", done)

    def get_batch(self) -> Batch:
        """覚えている遷移から ``batch_size`` 個を、重複なしで一様に取り出します。

        戻り値:
            ミニバッチ。どの配列も写しなので、書きかえてもバッファは変わりません。
        例外:
            ValueError: 覚えている遷移が batch_size より少ない。
        """
        if len(self) < self.batch_size:
            raise ValueError(
                f"batch_size ({self.batch_size}) 個の遷移を取り出せません: いま {len(self)} 個です"
            )
        i = self.rng.choice(len(self), size=self.batch_size, replace=False)  # (B,)
        return Batch(
            self.state.take(i, axis=0),
            self.action.take(i),
            self.reward.take(i),
            self.next_state.take(i, axis=0),
            self.done.take(i),
        )


class NStepReturns:
    """遷移を n 歩ぶんまとめて、リプレイバッファに渡せる遷移にします。

    まとめた遷移の報酬は、n 歩の報酬を割り引いた和で、次の状態は n 歩先の状態です。終端に達したら、
    n 歩に足りないものも、終端までの和にして渡します。打ち切られたら、足りないものは捨てます。
    前の遷移の続きでない遷移が来たことから、打ち切られたとわかります。

    引数:
        n: まとめる歩数。1 なら、遷移をそのまま渡します。
        gamma: 割引率 γ。
    出典:
        Sutton & Barto (2018) の 7.1 節、Hessel ほか (2018)。
    """

    def __init__(self, n: int, gamma: float):
        self.n = checks.integer("n", n, 1)
        self.gamma = gamma
        self.waiting: deque[list] = deque()  # 状態、行動、これまでの報酬の和
        self.last_state = np.empty(0)

    def __call__(self, state, action, reward, next_state, done) -> list[tuple]:
        """遷移を一つ受けとり、まとめおわった遷移を、古い順に返します。"""
        if self.waiting and not np.array_equal(state, self.last_state):
            self.waiting.clear()  # 打ち切られました
        self.last_state = np.array(next_state)
        self.waiting.append([np.array(state), action, 0.0])
        for k, start in enumerate(reversed(self.waiting)):
            start[2] += self.gamma**k * reward
        ready = []
        while self.waiting and (done or len(self.waiting) == self.n):
            ready.append((*self.waiting.popleft(), next_state, done))
        return ready
