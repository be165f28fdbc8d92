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
        """gy (B, H) から、入力の勾配 (B, H) を求めます。"""
        return Variable(self.slope(gy.data))

    def slope(self, g: np.ndarray) -> np.ndarray:
        """勾配から、平均の方向と y の方向を除きます。そろえると、その二つは変わらないからです。"""
        mean = g.mean(axis=self.axes, keepdims=True)
        along = (g * self.y).mean(axis=self.axes, keepdims=True)
        return (g - mean - self.y * along) / self.deviation


def layer_norm(x: Variable | np.ndarray) -> Variable:
    """層正規化した x。"""
    return LayerNorm()(x)


class _NormalizedQLoss(Function):
    """fused.q_loss と同じものを、層正規化のあるネットワークで。入力は重みだけです。"""

    def __init__(self, state, action, target):
        self.state, self.target = state, target
        self.index = np.arange(len(action)), action

    def forward(self, *params: np.ndarray) -> np.ndarray:
        h, self.hs, self.norms = self.state, [self.state], []
        for W, b in zip(params[:-2:2], params[1:-2:2]):
            self.norms.append(LayerNorm())
            h = np.maximum(self.norms[-1].forward(h.dot(W) + b), 0)  # (B, H)
            self.hs.append(h)
        qs = h.dot(params[-2]) + params[-1]  # (B, A)
        diff = qs[self.index] - self.target  # (B,)
        self.gqs = np.zeros_like(qs)  # (B, A) 選ばなかった行動の勾配は 0
        self.gqs[self.index] = diff * (2 / len(diff))
        return diff.dot(diff) / diff.dtype.type(len(diff))

    def backward(self, gy: Variable) -> tuple[Variable, ...]:
        grads, g = [], self.gqs * gy.data  # (B, A)
        for k in reversed(range(len(self.hs))):
            grads += [Variable(g.sum(axis=0)), Variable(self.hs[k].T.dot(g))]
            if k > 0:
                g = g.dot(self.inputs[2 * k].data.T) * (self.hs[k] > 0)  # (B, H)
                g = self.norms[k - 1].slope(g)
        return tuple(reversed(grads))


class NormalizedQNet(QNet2):
    """QNet2 の二つの隠れ層の、ReLU の手前に層正規化を入れたもの。引数と、はじめの重みは QNet2 と同じです。"""

    def forward(self, x: np.ndarray | Variable) -> Variable:
        """状態 (B, D) から、すべての行動の価値 (B, A) を求めます。"""
        h = F.relu(layer_norm(self.l1(x)))  # (B, H)
        h = F.relu(layer_norm(self.l2(h)))  # (B, H)
        return self.l3(h)  # (B, A)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """forward と同じ値 (B, A) を、計算グラフを作らずに求めます。状態 (D,) からは (A,) です。"""
        h = x if x.ndim > 1 else x[np.newaxis]
        for layer in (self.l1, self.l2):
            z = LayerNorm().forward(h.dot(layer.W.data) + layer.b.data)
            h = np.maximum(z, 0, out=z)  # (B, H)
        y = h.dot(self.l3.W.data) + self.l3.b.data  # (B, A)
        return y if x.ndim > 1 else y[0]

    def q_loss(
        self, state: np.ndarray, action: np.ndarray, target: np.ndarray
    ) -> Variable:
        """F.mean_squared_error(self(state)[np.arange(B), action], target) と同じ値と勾配。"""
        return _NormalizedQLoss(state, action, target)(*self.params())
