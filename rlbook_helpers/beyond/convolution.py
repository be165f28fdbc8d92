"""畳み込みと、それを入れた Q ネットワーク。"""

import math
from collections.abc import Iterator

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.beyond.layer_norm import layer_norm
from rlbook_helpers.dezero_compat import F, Function, Model, Parameter, Variable
from rlbook_helpers.networks import Linear, ordered_params


def im2col(x: np.ndarray, size: int) -> np.ndarray:
    """画像 (B, C, H, W) から、size × size マスの窓をすべて取り出します。

    戻り値:
        窓 (B, H - size + 1, W - size + 1, C * size * size)。
    """
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    windows = windows.transpose(0, 2, 3, 1, 4, 5)  # (B, OH, OW, C, size, size)
    return windows.reshape(*windows.shape[:3], -1)


class Convolution(Function):
    """畳み込み。どの窓にも同じ重みを掛けます。窓は一マスずつずらし、外側は補いません。

    引数:
        needs_gx: False なら、画像の勾配を求めません。はじめの層では要らず、省くと速くなります。
    """

    def __init__(self, needs_gx: bool = True):
        self.needs_gx = needs_gx

    def forward(self, x: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        """画像 (B, C, H, W)、重み (C * size * size, O)、バイアス (O,) から (B, O, OH, OW)。"""
        size = self.size = round((len(W) / x.shape[1]) ** 0.5)
        windows = im2col(x, size)
        self.windows = windows.reshape(-1, len(W))  # (B * OH * OW, C * size * size)
        y = self.windows.dot(W)
        y += b
        return y.reshape(*windows.shape[:3], -1).transpose(0, 3, 1, 2)

    def backward(self, gy: Variable) -> tuple[Variable | None, Variable, Variable]:
        """画像、重み、バイアスの勾配。さらに微分することはできません。"""
        x, W, _ = self.inputs
        B, C, H, width = x.shape
        g = gy.data.astype(x.dtype, copy=False).transpose(0, 2, 3, 1)  # (B, OH, OW, O)
        _, OH, OW, O = g.shape
        g = g.reshape(-1, O)
        gW, gb = self.windows.T.dot(g), g.sum(axis=0)
        if not self.needs_gx:
            return None, Variable(gW), Variable(gb)
        windows = g.dot(W.data.T).reshape(B, OH, OW, C, self.size, self.size)
        gx = np.zeros((B, H, width, C), g.dtype)
        for i in range(self.size):  # 窓の勾配を、もとのマスに足します
            for j in range(self.size):
                gx[:, i : i + OH, j : j + OW] += windows[..., i, j]
        return Variable(gx.transpose(0, 3, 1, 2)), Variable(gW), Variable(gb)


def convolve(x: np.ndarray | Variable, W: Variable, b: Variable) -> Variable:
    """畳み込み (B, O, OH, OW)。x が Variable でなければ、画像の勾配は求めません。"""
    return Convolution(needs_gx=isinstance(x, Variable))(x, W, b)


class ConvolutionQNet(Model):
    """画面 → 3 × 3 の畳み込み → 全結合の隠れ層 → 行動価値。二つの ReLU の手前に、層正規化があります。

    引数:
        action_size: 行動の数 A。
        state_size: 状態の次元 D。正方形の画面を layers 枚重ねて、一列にしたものです。
        layers: 画面の枚数 C。
        filters: 畳み込みの出力の枚数。
        hidden_size: 隠れ層のユニットの数。
        seed: 重みの初期値を決めるシード、または乱数生成器。
    """

    size = 3

    def __init__(
        self,
        action_size: int,
        state_size: int = 400,
        layers: int = 4,
        filters: int = 16,
        hidden_size: int = 64,
        *,
        seed: int | np.random.Generator | None = None,
    ):
        super().__init__()
        rng = checks.generator(seed)
        side = math.isqrt(checks.integer("state_size", state_size, 1) // layers)
        if layers * side**2 != state_size or side < self.size:
            raise ValueError(
                f"state_size は、一辺が {self.size} 以上の正方形の画面 {layers} 枚の大きさに"
                f"してください: {state_size!r}"
            )
        self.shape = layers, side, side
        inputs = layers * self.size**2
        W = rng.standard_normal((inputs, filters)) / np.sqrt(inputs)
        self.W = Parameter(W.astype(np.float32), name="W")
        self.b = Parameter(np.zeros(filters, np.float32), name="b")
        places = (side - self.size + 1) ** 2
        self.l1 = Linear(filters * places, hidden_size, rng)
        self.l2 = Linear(hidden_size, action_size, rng)

    def params(self) -> Iterator[Parameter]:
        """重みとバイアスを、入力に近い層から順に返します。"""
        return ordered_params(self)

    def forward(self, x: np.ndarray | Variable) -> Variable:
        """状態 (B, D) から、すべての行動の価値 (B, A) を求めます。"""
        x = x.reshape(-1, *self.shape)
        h = F.relu(layer_norm(convolve(x, self.W, self.b)))  # (B, O, OH, OW)
        h = F.reshape(h, (len(h), -1))
        h = F.relu(layer_norm(self.l1(h)))  # (B, H)
        return self.l2(h)
