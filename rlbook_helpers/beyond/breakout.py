"""この本のブロックくずし。たくさんの盤を同時に進めるクラスと、一つの盤の gymnasium.Env です。"""

from typing import Any

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.beyond.games import Step

SIDE = 10  # 盤は 10 × 10 マス
LAYERS = 4  # 皿、玉、玉の前の位置、ブロック
WALL = np.zeros((SIDE, SIDE), bool)
WALL[1:4] = True  # ブロックは、上から二段目からの三段で 30 個
WIDE = 3  # 皿の幅 (マス)
SLIP = 0.25  # 皿で受けた玉が、ねらいと逆の向きへはねかえる確率
# 画面の色: 何もないマス、皿、玉、玉の前の位置、ブロック
COLOURS = np.array(
    [(255, 255, 255), (31, 41, 51), (180, 83, 9), (239, 214, 187), (31, 111, 178)],
    np.uint8,
)


class Breakout:
    """ブロックくずしの盤を、games 個同時に進めます。

    状態は画面で、4 枚の 10 × 10 マスの 0 と 1 を一列にした (400,) です。行動は 0 (左)、1 (そのまま)、
    2 (右)。ブロックを一つ壊すたびに報酬 1 で、玉を落とすと終端、max_steps で打ち切りです。

    引数:
        games: 盤の数 N。
        max_steps: 一つのゲームを打ち切るステップ数。
        trail: False なら、玉の前の位置を画面に描きません。
    """

    action_size, state_size = 3, LAYERS * SIDE * SIDE

    def __init__(self, games: int = 1, max_steps: int = 1_000, trail: bool = True):
        self.games = checks.integer("games", games, 1)
        self.max_steps = checks.integer("max_steps", max_steps, 1)
        self.trail = checks.flag("trail", trail)

    def reset(self, rng: np.random.Generator) -> np.ndarray:
        """すべての盤をはじめからにして、状態 (N, 400) を返します。rng は、あとの盤にも使います。"""
        self.rng, self.each = rng, np.arange(self.games)
        self.x, self.y, self.dx, self.dy = np.zeros((4, self.games), int)
        self.old_x, self.old_y, self.paddle, self.t = np.zeros((4, self.games), int)
        self.bricks = np.zeros((self.games, SIDE, SIDE), bool)
        self.begin(self.each)
        return self.screen()

    def begin(self, some: np.ndarray) -> None:
        """番号が some の盤をはじめからにします。下のほうのどこかから、玉を左上か右上へ打ち出します。"""
        n = len(some)
        self.x[some] = self.rng.integers(1, SIDE - 1, n)
        self.y[some] = self.rng.integers(6, SIDE - 1, n)
        self.dx[some], self.dy[some] = self.rng.choice([-1, 1], n), -1
        self.old_x[some], self.old_y[some] = (self.x - self.dx)[some], self.y[some] + 1
        self.paddle[some] = self.rng.integers(SIDE - WIDE + 1, size=n)
        self.bricks[some] = WALL
        self.t[some] = 0

    def step(self, actions: np.ndarray) -> Step:
        """すべての盤を一歩進めます。actions は (N,) の 0、1、2 です。"""
        self.paddle = np.minimum(np.maximum(self.paddle + actions - 1, 0), SIDE - WIDE)
        self.old_x, self.old_y = self.x, self.y
        wide = self.x + self.dx
        self.dx = np.where((wide < 0) | (wide == SIDE), -self.dx, self.dx)  # 左右の壁
        self.dy = np.where(self.y + self.dy < 0, 1, self.dy)  # 上の壁
        x, y = self.x + self.dx, self.y + self.dy  # 玉が進むマス

        hit = self.bricks[self.each, y, x]
        self.bricks[self.each, y, x] = False
        place = x - self.paddle  # 皿の左端から何マス目か
        caught = (y == SIDE - 1) & (place >= 0) & (place < WIDE)
        lost = (y == SIDE - 1) & ~caught
        self.x, self.y = (
            x,
            np.where(hit | caught, self.y, y),
        )  # 当たると、その段から戻る
        self.dy = np.where(hit | caught, -self.dy, self.dy)
        aim = np.where(place == 0, -1, np.where(place == WIDE - 1, 1, self.dx))
        aim = np.where(self.rng.random(self.games) < SLIP, -aim, aim)  # たまに逆へ
        self.dx = np.where(caught, aim, self.dx)
        self.bricks[caught & ~self.bricks.any((1, 2))] = WALL  # 空なら、並べなおす

        self.t = self.t + 1
        truncated = (self.t == self.max_steps) & ~lost
        next_states = states = self.screen()
        if (lost | truncated).any():
            self.begin(np.flatnonzero(lost | truncated))
            states = self.screen()
        return Step(next_states, hit.astype(np.float32), lost, truncated, states)

    def screen(self) -> np.ndarray:
        """いまの画面 (N, 400)、float32。"""
        layers = np.zeros((self.games, LAYERS, SIDE, SIDE), np.float32)
        for k in range(WIDE):
            layers[self.each, 0, SIDE - 1, self.paddle + k] = 1
        layers[self.each, 1, self.y, self.x] = 1
        if self.trail:
            layers[self.each, 2, self.old_y, self.old_x] = 1
        layers[:, 3] = self.bricks
        return layers.reshape(self.games, -1)


class BreakoutEnv(gym.Env):
    """一つの盤の Breakout。状態、行動、報酬、終わり方は、Breakout と同じです。

    引数:
        render_mode: "rgb_array" なら、render が画面を画素の配列にします。
        **options: Breakout の max_steps と trail。
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    action_space = gym.spaces.Discrete(Breakout.action_size)
    observation_space = gym.spaces.Box(0, 1, (Breakout.state_size,), np.float32)

    def __init__(self, render_mode: str | None = None, **options: Any):
        self.render_mode = render_mode
        self.game = Breakout(**options)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """はじめの状態 (400,) と、空の辞書を返します。"""
        super().reset(seed=seed)
        self.state = self.game.reset(self.np_random)[0]
        return self.state, {}

    def step(self, action: int) -> tuple:
        """状態 (400,)、報酬、terminated、truncated、空の辞書を返します。"""
        checks.integer("action", action, 0, Breakout.action_size)
        step = self.game.step(np.array([action]))
        self.state = step.next_states[0]
        ends = bool(step.terminated[0]), bool(step.truncated[0])
        return self.state, float(step.rewards[0]), *ends, {}

    def render(self) -> np.ndarray:
        """いまの画面 (240, 240, 3)、uint8。"""
        return paint(self.state)


def paint(state: np.ndarray, size: int = 24) -> np.ndarray:
    """状態 (400,) を、一マスが size 画素の画面 (10 size, 10 size, 3)、uint8 にします。"""
    layers = np.asarray(state).reshape(LAYERS, SIDE, SIDE) > 0
    board = np.zeros((SIDE, SIDE), int)
    for layer in (3, 2, 1, 0):  # 玉と皿は、ブロックと前の位置の上に描きます
        board[layers[layer]] = layer + 1
    picture = COLOURS[board.repeat(size, 0).repeat(size, 1)]
    picture[::size] = picture[:, ::size] = 238  # マスの境の線
    return picture


gym.register("rlbook/Breakout-v0", BreakoutEnv, reward_threshold=20)
gym.register(
    "rlbook/BreakoutWithoutTrail-v0",
    BreakoutEnv,
    kwargs={"trail": False},
    reward_threshold=20,
)
