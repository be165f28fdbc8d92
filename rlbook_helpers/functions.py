"""DQN の内側で使う、ネットワークと損失の計算。値も勾配も、NumPy の配列のまま一度に求めます。

DeZero の関数を組みあわせても、同じ値と勾配になります。まとめる理由は速さだけです。
小さなネットワークでは、計算そのものより、``Variable`` と ``Function`` を作る手間のほうが
大きいからです。
"""

from collections.abc import Sequence

import numpy as np

from rlbook_helpers.dezero_compat import Function, Model, Parameter, Variable


def relu_mlp(
    x: np.ndarray, Ws: Sequence[np.ndarray], bs: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """全結合層と ReLU を交互に重ねて計算します。最後の層のあとに ReLU はありません。

    引数:
        x: 入力 (B, I)。一つだけの入力 (I,) も渡せます。
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


class _QLoss(Function):
    """q_loss の順伝播と逆伝播。入力は重みだけなので、勾配は重みにだけ流れます。"""

    def __init__(self, state, action, target):
        self.state, self.target = state, target
        self.index = np.arange(len(action)), action

    def forward(self, *params: np.ndarray) -> np.ndarray:
        *self.hs, qs = relu_mlp(self.state, params[::2], params[1::2])  # qs は (B, A)
        diff = qs[self.index] - self.target  # (B,)
        self.gqs = np.zeros(qs.shape, qs.dtype)  # (B, A) 選ばなかった行動の勾配は 0
        self.gqs[self.index] = diff * (2 / len(diff))
        return diff.dot(diff) / diff.dtype.type(len(diff))

    def backward(self, gy: Variable) -> tuple[Variable, ...]:
        grads = [grad_place(p) for p in self.inputs]
        g = self.gqs * gy.data  # (B, A)
        for k in reversed(range(len(self.hs))):
            np.dot(self.hs[k].T, g, out=grads[2 * k].data)  # 重み (I, O)
            np.add.reduce(g, axis=0, out=grads[2 * k + 1].data)  # バイアス (O,)
            if k > 0:
                g = g.dot(self.inputs[2 * k].data.T)  # (B, I)
                g *= self.hs[k] > 0  # ReLU の勾配
        return tuple(grads)


def grad_place(p: Parameter) -> Variable:
    """重み p の勾配を書く所。Adam が決めた置き場があり、空いていれば、そこです。"""
    place = getattr(p, "grad_place", None)
    if place is None or p.grad is not None:
        return Variable(np.empty_like(p.data))
    return place


def q_loss(
    qnet: Model, state: np.ndarray, action: np.ndarray, target: np.ndarray
) -> Variable:
    """選んだ行動の価値 Q(s, a) と、TD ターゲットとの平均二乗誤差。

    ``F.mean_squared_error(qnet(state)[np.arange(B), action], target)`` と同じ値と勾配です。
    ただし、勾配をさらに微分することはできません。

    引数:
        qnet: 全結合層と ReLU を重ねたネットワーク。``params()`` は、重みとバイアスを
            入力に近い層から順に返します。
        state: 状態 (B, D)。
        action: 選んだ行動 (B,)、整数。
        target: TD ターゲット (B,)。
    戻り値:
        損失 ()。
    """
    return _QLoss(state, action, target)(*qnet.params())
