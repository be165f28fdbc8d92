"""DQN の内側で使う DeZero の Function。値も勾配も、NumPy の配列のまま一度に計算します。

DeZero の関数を組みあわせても、同じ値と勾配になります。まとめる理由は速さだけです。
小さなネットワークでは、計算そのものより、``Variable`` と ``Function`` を作る手間のほうが
大きいからです。
"""

import numpy as np

from rlbook_helpers.dezero_compat import Function, Variable


class _ReluMLP(Function):
    """全結合層を重ね、最後の層のほかに ReLU を挟んだもの。"""

    def forward(self, x: np.ndarray, *params: np.ndarray) -> np.ndarray:
        self.hs = [x]  # それぞれの層の入力
        for W, b in zip(params[::2], params[1::2]):
            if len(self.hs) > 1:
                np.maximum(x, 0, out=x)
            x = x @ W  # (B, O)
            x += b
            self.hs.append(x)
        return x

    def backward(self, gy: Variable) -> tuple[Variable | None, ...]:
        g, grads = gy.data, []
        Ws = [p.data for p in self.inputs[1::2]]
        for k in reversed(range(len(Ws))):
            h = self.hs[k]  # (B, I)
            grads += Variable(g.sum(axis=0)), Variable(h.T @ g)  # (O,), (I, O)
            if k > 0:
                g = (g @ Ws[k].T) * (h > 0)  # (B, I)
        return None, *reversed(grads)  # 入力はデータなので、勾配は要りません


def relu_mlp(x, *params) -> Variable:
    """全結合層と ReLU を交互に重ねた順伝播。最後の層のあとに ReLU はありません。

    ``F.linear`` と ``F.relu`` を重ねたものと同じ値で、重みの勾配も同じです。

    引数:
        x: 入力のデータ (B, I)。x の勾配は求めません。
        params: 層ごとの重み (I, O) とバイアス (O,) を、入力に近い順に並べたもの。
    戻り値:
        最後の層の出力 (B, O)。
    """
    return _ReluMLP()(x, *params)


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
