"""価値を暗算できる、小さな環境。

問いを一つだけ持つ環境を、やさしい順に並べると、どこでつまずくかで、疑う所がわかります。状態の次元と
行動の数は、調べるエージェントに合わせられます。

出典: Jones (2021) の probe environments、Osband ほか (2020)。
"""

import gymnasium as gym
import numpy as np


class LoopError(Exception):
    """ループが、環境の約束を守っていないこと。"""


class Probe(gym.Env):
    """検査の環境の土台。length ステップの問いのあとに、報酬 0 の休みが rest ステップあって、終わります。

    引数:
        state_size, action_size: 状態の次元と、行動の数。
        rest: 休みのステップ数。遷移を何歩ぶんかまとめるエージェントのために、長くします。
    属性:
        question: この環境が問うこと。
        length: 問いのステップ数。
        truncates: True なら、終端ではなく、打ち切りで終わります。
        sign: エピソードごとに無作為に決まる、1 か -1。
        transitions: 起きた遷移。(状態、行動、報酬、次の状態、終端か) の並びです。
        seeds: reset に渡されたシード。
    """

    question: str
    length = 1
    truncates = False

    def __init__(self, state_size: int = 4, action_size: int = 2, rest: int = 0):
        self.observation_space = gym.spaces.Box(-9, 9, (state_size,), np.float32)
        self.action_space = gym.spaces.Discrete(action_size)
        self.state_size, self.action_size, self.rest = state_size, action_size, rest
        self.transitions: list[tuple] = []
        self.seeds: list[int | None] = []
        self.over = True

    def reset(self, *, seed=None, options=None):
        """gym.Env と同じです。"""
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.sign, self.t, self.over = int(self.np_random.choice([-1, 1])), 0, False
        self.begin()
        self.last = self.state()
        return self.last.copy(), {}

    def begin(self) -> None:
        """エピソードを始めます。"""

    def step(self, action):
        """gym.Env と同じです。終わったあとに呼ぶと、LoopError を出します。"""
        if self.over:
            end = "打ち切り (truncated)" if self.truncates else "終端 (terminated)"
            raise LoopError(
                f"エピソードが{end} で終わったのに、reset せずに step を呼んでいます。"
            )
        asking = self.t < self.length
        reward = float(self.reward(int(action))) if asking else 0.0
        self.t += 1
        self.over = self.t >= self.length + self.rest
        state = self.state() if self.t <= self.length else self.observe(0)
        terminated = self.over and not self.truncates
        row = (self.last, int(action), reward, state.copy(), terminated)
        self.transitions.append(row)
        self.last = state.copy()
        return state, reward, terminated, self.over and self.truncates, {}

    def observe(self, x: float, y: float = 0.0) -> np.ndarray:
        """はじめの二つの成分が x と y で、残りが 0 の状態 (D,)、float32。"""
        state = np.zeros(self.state_size, np.float32)
        state[:2] = (x, y)[: self.state_size]
        return state

    def state(self) -> np.ndarray:
        """いまの状態 (D,)。二つ目の成分は、答えに関係のない数です。"""
        return self.observe(0.5, 0.5 * self.sign)

    def reward(self, action: int) -> float:
        """いまの状態で行動したときの報酬。"""
        return 1

    def worth(self, action: int) -> float:
        """行動の番号を、-1 から 1 までの数にしたもの。"""
        return 2 * action / (self.action_size - 1) - 1

    def best(self) -> int | None:
        """検査がここで選ぶ行動。None なら、どの行動でもよいので、無作為に選びます。"""
        return None

    def answers(self, gamma: float) -> list[tuple[np.ndarray, int, float]]:
        """正しい価値。状態 (D,)、行動、行動価値の組の並びです。"""
        return [(self.observe(0.5, 0.5), a, 1) for a in range(self.action_size)]


class Constant(Probe):
    """いつも、報酬 1 をもらって終わります。"""

    question = "報酬を覚えられるか"
    prize = 1.0

    def reward(self, action):
        """いつも prize。"""
        return self.prize


class Observed(Probe):
    """報酬は、状態の符号で決まります。"""

    question = "状態を見分けられるか"

    def state(self):
        """始まりは ±0.5、終わりは 0。"""
        return self.observe(0.5 * self.sign if self.t == 0 else 0)

    def reward(self, action):
        """状態の符号。"""
        return self.sign

    def answers(self, gamma):
        """状態の符号が、そのまま価値です。"""
        actions = range(self.action_size)
        return [(self.observe(0.5 * s), a, s) for s in (-1, 1) for a in actions]


class Acted(Probe):
    """報酬は、行動の番号で決まります。行動が二つなら、0 は -1、1 は 1 です。"""

    question = "行動を見分けられるか"

    def reward(self, action):
        """いちばん小さい番号なら -1、いちばん大きい番号なら 1。"""
        return self.worth(action)

    def answers(self, gamma):
        """行動ごとの報酬が、そのまま価値です。"""
        state = self.observe(0.5, 0.5)
        return [(state, a, self.worth(a)) for a in range(self.action_size)]


class Both(Observed):
    """報酬は、状態の符号と行動の組で決まります。"""

    question = "状態と行動の組を見分けられるか"

    def reward(self, action):
        """状態が正なら Acted と同じ、負なら符号が逆です。"""
        return self.sign * self.worth(action)

    def answers(self, gamma):
        """組ごとの報酬が、そのまま価値です。"""
        actions = range(self.action_size)
        pairs = [(s, a) for s in (-1, 1) for a in actions]
        return [(self.observe(0.5 * s), a, s * self.worth(a)) for s, a in pairs]


class Shifted(Both):
    """Both と同じ問いを、原点から離れた状態で出します。"""

    def state(self):
        """始まりは 2.5 か 3.5、終わりは 3。"""
        return self.observe(3 + (0.5 * self.sign if self.t == 0 else 0))

    def answers(self, gamma):
        """Both の状態を、ずらしたもの。"""
        first = np.eye(1, self.state_size, dtype=np.float32)[0]
        return [(s + 3 * first, a, v) for s, a, v in super().answers(gamma)]


class Delayed(Probe):
    """六つのマスの廊下。右端のマスを出るときにだけ、報酬 1 をもらって終わります。"""

    question = "次の状態の価値を、割り引いて使えるか"
    length = 6

    def begin(self):
        """どのマスからも始まります。"""
        self.t = int(self.np_random.integers(self.length))

    def place(self, t: int) -> np.ndarray:
        """t 番目のマスの状態。廊下の外は 0 です。"""
        return self.observe(0.25 * t - 0.5, 0.5) if t < self.length else self.observe(0)

    def state(self):
        """いまのマス。"""
        return self.place(self.t)

    def reward(self, action):
        """最後のマスだけ 1。"""
        return self.t == self.length - 1

    def answers(self, gamma):
        """一マス離れるごとに、γ 倍になります。"""
        actions, last = range(self.action_size), self.length - 1
        steps = range(self.length)
        return [(self.place(t), a, gamma ** (last - t)) for t in steps for a in actions]


class Turned(Probe):
    """二歩の環境。一歩目の報酬は Acted と同じで、二歩目は符号が逆です。"""

    question = "次の状態で、行動を選びなおすか"
    length = 2

    def begin(self):
        """半分のエピソードは、二歩目から始まります。"""
        self.start = self.t = int(self.sign > 0)

    def place(self, t: int) -> np.ndarray:
        """t 歩目の状態。"""
        return self.observe((0.5, -0.5, 0)[t])

    def state(self):
        """いまの状態。"""
        return self.place(self.t)

    def reward(self, action):
        """一歩目は行動の番号が大きいほど、二歩目は小さいほどよい。"""
        return (1, -1)[self.t] * self.worth(action)

    def best(self):
        """一歩目を選んだあとは、いちばんよい行動をとります。"""
        return 0 if self.t > self.start else None

    def answers(self, gamma):
        """一歩目の価値は、報酬に、二歩目のいちばんよい価値の γ 倍を足したものです。"""
        worths = [(a, self.worth(a)) for a in range(self.action_size)]
        first = [(self.place(0), a, w + gamma) for a, w in worths]
        return first + [(self.place(1), a, -w) for a, w in worths]


class Truncated(Probe):
    """二つの部屋のどちらかで、報酬 1 か -1 を毎ステップもらい、四歩で打ち切られます。

    部屋からは出られないので、本当の価値は 1 / (1 - γ) か、その符号を変えたものです。
    """

    question = "打ち切りの先の価値を数えるか"
    truncates = True
    length = 4

    def begin(self):
        """状態の二つ目の成分だけが、エピソードごとに変わります。"""
        self.mark = float(self.np_random.uniform(-0.2, 0.2))

    def state(self):
        """部屋の符号。"""
        return self.observe(0.5 * self.sign, self.mark)

    def reward(self, action):
        """部屋の符号。"""
        return self.sign

    def answers(self, gamma):
        """いつまでも、同じ報酬をもらいつづけます。"""
        value, actions = 1 / (1 - gamma), range(self.action_size)
        return [(self.observe(0.5 * s), a, s * value) for s in (-1, 1) for a in actions]


class Memorized(Probe):
    """でたらめな八つの遷移だけが起きます。"""

    question = "少ない遷移を覚えこめるか"

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        rng = np.random.default_rng(8)
        self.places = rng.uniform(-1, 1, (8, self.state_size)).astype(np.float32)

    def begin(self):
        """八つのうちの一つ。"""
        self.k = int(self.np_random.integers(8))

    def state(self):
        """終わりの状態は、始まりと同じです。"""
        return self.places[self.k].copy()

    def reward(self, action):
        """順に 1、1、-1、-1。"""
        return (-1) ** (self.k // 2)

    def best(self):
        """遷移ごとに、行動は決まっています。"""
        return self.k % self.action_size

    def answers(self, gamma):
        """報酬が、そのまま価値です。"""
        rows = enumerate(self.places)
        return [(s, k % self.action_size, (-1) ** (k // 2)) for k, s in rows]


class Ledger(Probe):
    """状態がでたらめで、終端と打ち切りで、かわるがわる終わります。

    引数:
        length: エピソードのステップ数。
    """

    question = "遷移を正しく渡すか"
    # 前の報酬、報酬の和、ステップの番号、切りすてた数の、どの一次式にもなりません
    rewards = (1.5, 4.25, 2.75, 5.5, 3.25)

    def __init__(self, *args, length: int = 5, **options):
        super().__init__(*args, **options)
        self.length = length
        self.unit = min(1.0, 10 / length)  # 長く続くときに、価値が大きくなりすぎません

    def begin(self):
        """一つおきに打ち切られます。"""
        self.truncates = not self.truncates

    def state(self):
        """でたらめな状態 (D,)。"""
        return self.np_random.uniform(-0.9, 0.9, self.state_size).astype(np.float32)

    def reward(self, action):
        """一歩ごとに違う、1.5 から 5.5 までの数。10 歩より長ければ、小さくします。"""
        return self.unit * self.rewards[self.t % 5]
