"""DQN の内側で使う DeZero の Function。値も勾配も、NumPy の配列のまま一度に計算します。

DeZero の関数を組みあわせても、同じ値と勾配になります。まとめる理由は速さだけです。
小さなネットワークでは、計算そのものより、``Variable`` と ``Function`` を作る手間のほうが
大きいからです。
"""

from collections.abc import Sequence

import numpy as np

from rlbook_helpers.dezero_compat import Function, Variable


def relu_mlp_arrays(
    x: np.ndarray, Ws: Sequence[np.ndarray], bs: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """全結合層と ReLU を交互に重ねて計算します。最後の層のあとに ReLU はありません。

    引数:
        x: 入力 (B, I)。
        Ws: 層ごとの重み (I, O)。入力に近い順に並べます。
        bs: 層ごとのバイアス (O,)。
    戻り値:
        それぞれの層の入力と、最後の層の出力 (B, O)。
    """
    h = x
    hs = [x]
    for W, b in zip(Ws, bs):
        if h is not x:
            np.maximum(h, 0, out=h)
        h = h.dot(W)  # (B, O)
        h += b
        hs.append(h)
    return hs


class _ReluMLP(Function):
    """relu_mlp_arrays と、その逆伝播。"""

    def forward(self, x: np.ndarray, *params: np.ndarray) -> np.ndarray:
        *self.hs, y = relu_mlp_arrays(x, params[::2], params[1::2])
        return y

    def backward(self, gy: Variable) -> tuple[Variable, ...]:
        Ws = [p.data for p in self.inputs[1::2]]
        g, grads = gy.data, []  # (B, O)
        for h, W in zip(reversed(self.hs), reversed(Ws)):
            grads += g.sum(axis=0), h.T.dot(g)  # (O,), (I, O)
            g = g.dot(W.T)  # (B, I)
            if h is not self.hs[0]:
                g *= h > 0
        return tuple(Variable(x) for x in [g, *reversed(grads)])


def relu_mlp(x, *params) -> Variable:
    """relu_mlp_arrays を、計算グラフを作りながら計算します。

    DeZero の ``F.linear`` と ``F.relu`` を重ねたものと、同じ値と勾配です。
    ただし、勾配をさらに微分することはできません。
    """
    return _ReluMLP()(x, *params)


class _SelectedMSE(Function):
    """選んだ行動の価値と、TD ターゲットとの平均二乗誤差。"""

    def __init__(self, action: np.ndarray, target: np.ndarray):
        self.index = np.arange(len(action)), action
        self.target = target

    def forward(self, qs: np.ndarray) -> np.ndarray:
        self.diff = qs[self.index] - self.target  # (B,)
        return self.diff.dot(self.diff) / self.diff.dtype.type(len(self.diff))

    def backward(self, gy: Variable) -> Variable:
        gqs = np.zeros_like(self.inputs[0].data)  # (B, A) 選ばなかった行動の勾配は 0
        gqs[self.index] = self.diff * (2 * gy.data.item() / len(self.diff))
        return Variable(gqs)


def selected_mse(qs: Variable, action: np.ndarray, target: np.ndarray) -> Variable:
    """選んだ行動の価値と TD ターゲットの平均二乗誤差。

    ``F.mean_squared_error(qs[np.arange(B), action], target)`` と同じ値と勾配です。
    target はただの配列なので、勾配は qs にだけ流れます。

    引数:
        qs: すべての行動の価値 (B, A)。
        action: 選んだ行動 (B,)、整数。
        target: TD ターゲット (B,)。
    戻り値:
        損失 ()。
    """
    return _SelectedMSE(action, target)(qs)
