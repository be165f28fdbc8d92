"""DQN の内側で使う DeZero の Function。値も勾配も、NumPy の配列のまま一度に計算します。

DeZero の関数を組みあわせても、同じ値と勾配になります。まとめる理由は速さだけです。
小さなネットワークでは、計算そのものより、``Variable`` と ``Function`` を作る手間のほうが
大きいからです。
"""

import numpy as np

from rlbook_helpers.dezero_compat import Function, Variable


class _Linear(Function):
    """y = xW + b、または y = max(xW + b, 0)。"""

    def __init__(self, relu: bool):
        self.relu = relu

    def forward(self, x: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        y = x @ W  # (B, O)
        y += b
        if self.relu:
            np.maximum(y, 0, out=y)
            self.y = y
        return y

    def backward(self, gy: Variable) -> tuple[Variable | None, Variable, Variable]:
        x, W, _ = self.inputs
        gy = gy.data  # (B, O)
        if self.relu:
            gy = gy * (self.y > 0)
        # 入力がデータなら、その勾配は誰も使いません
        gx = None if x.creator is None else Variable(gy @ W.data.T)  # (B, I)
        return gx, Variable(x.data.T @ gy), Variable(gy.sum(axis=0))  # (I, O), (O,)


def linear(x, W, b) -> Variable:
    """全結合層 xW + b。``F.linear`` と同じ値と勾配です。

    引数:
        x: 入力 (B, I)。
        W: 重み (I, O)。
        b: バイアス (O,)。
    戻り値:
        出力 (B, O)。x が計算で得た Variable でなければ、x の勾配は求めません。
    """
    return _Linear(relu=False)(x, W, b)


def linear_relu(x, W, b) -> Variable:
    """全結合層と ReLU。``F.relu(F.linear(x, W, b))`` と同じ値と勾配です。引数は linear と同じです。"""
    return _Linear(relu=True)(x, W, b)


class _SelectedMSE(Function):
    """選んだ行動の価値と、TD ターゲットとの平均二乗誤差。"""

    def __init__(self, action: np.ndarray, target: np.ndarray):
        self.index = np.arange(len(action)), action
        self.target = target

    def forward(self, qs: np.ndarray) -> np.ndarray:
        self.diff = qs[self.index] - self.target  # (B,)
        return np.dot(self.diff, self.diff) / len(self.diff)

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
