"""層正規化と、それを入れた Q ネットワーク。"""

import numpy as np

from rlbook_helpers.dezero_compat import F, Function, Variable
from rlbook_helpers.networks import QNet2


class LayerNorm(Function):
    """入力の一つひとつを、その成分の平均が 0、分散が 1 になるようにそろえます。

    学習する倍率とずらしはありません。勾配を、さらに微分することはできません。

    引数:
        epsilon: 0 で割らないように、分散に足す小さな数。
    出典:
        Ba ほか (2016)。
    """

    def __init__(self, epsilon: float = 1e-5):
        self.epsilon = epsilon

    def forward(self, x: np.ndarray) -> np.ndarray:
        """x は (B, H)。(B, C, 高さ, 幅) なら、例ごとに全部の成分でそろえます。"""
        axes = self.axes = tuple(range(1, x.ndim))
        centred = x - x.mean(axis=axes, keepdims=True)
        variance = np.square(centred).mean(axis=axes, keepdims=True)
        self.deviation = np.sqrt(variance + np.asarray(self.epsilon, x.dtype))
        self.y = centred / self.deviation
        return self.y

    def backward(self, gy: Variable) -> Variable:
        """勾配から、平均の方向と y の方向を除きます。そろえると、その二つは変わらないからです。"""
        g, y = gy.data, self.y
        mean = g.mean(axis=self.axes, keepdims=True)
        along = (g * y).mean(axis=self.axes, keepdims=True)
        return Variable((g - mean - y * along) / self.deviation)


def layer_norm(x: Variable | np.ndarray) -> Variable:
    """層正規化した x。"""
    return LayerNorm()(x)


class NormalizedQNet(QNet2):
    """QNet2 の二つの隠れ層の、ReLU の手前に層正規化を入れたもの。引数と、はじめの重みは QNet2 と同じです。"""

    def forward(self, x: np.ndarray | Variable) -> Variable:
        """状態 (B, D) から、すべての行動の価値 (B, A) を求めます。"""
        h = F.relu(layer_norm(self.l1(x)))  # (B, H)
        h = F.relu(layer_norm(self.l2(h)))  # (B, H)
        return self.l3(h)  # (B, A)
