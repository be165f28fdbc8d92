"""ネットワークと損失の計算、Adam の更新を、NumPy の配列のまま一度に行います。

DeZero の関数とオプティマイザを使っても、同じ値になります。まとめる理由は速さだけです。
小さなネットワークでは、計算そのものより、``Variable`` と ``Function`` を作る手間のほうが
大きいからです。
"""

import math
from collections.abc import Sequence

import numpy as np

from rlbook_helpers.dezero_compat import Function, Model, Variable, optimizers


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

    def __init__(self, state, action, target, places):
        self.state, self.target, self.places = state, target, places
        self.index = np.arange(len(action)), action

    def forward(self, *params: np.ndarray) -> np.ndarray:
        *self.hs, qs = relu_mlp(self.state, params[::2], params[1::2])  # qs は (B, A)
        diff = qs[self.index]  # (B,)
        diff -= self.target  # target が float64 でも、float32 のままです
        self.gqs = np.zeros(qs.shape, qs.dtype)  # (B, A) 選ばなかった行動の勾配は 0
        self.gqs[self.index] = diff * (2 / len(diff))
        return diff.dot(diff) / diff.dtype.type(len(diff))

    def backward(self, gy: Variable) -> tuple[Variable, ...]:
        grads = self.places
        if grads is None or any(
            p.grad is not None or p.data.dtype != place.data.dtype
            for p, place in zip(self.inputs, grads)
        ):
            grads = [Variable(np.empty_like(p.data)) for p in self.inputs]
        g = self.gqs * gy.data  # (B, A)
        for k in reversed(range(len(self.hs))):
            np.dot(self.hs[k].T, g, out=grads[2 * k].data)  # 重み (I, O)
            np.add.reduce(g, axis=0, out=grads[2 * k + 1].data)  # バイアス (O,)
            if k > 0:
                g = g.dot(self.inputs[2 * k].data.T)  # (B, I)
                g *= self.hs[k] > 0  # ReLU の勾配
        return tuple(grads)


def q_loss(
    qnet: Model,
    state: np.ndarray,
    action: np.ndarray,
    target: np.ndarray,
    places: Sequence[Variable] | None = None,
) -> Variable:
    """選んだ行動の価値 Q(s, a) と、TD ターゲットとの平均二乗誤差。

    ``F.mean_squared_error(qnet(state)[np.arange(B), action], target)`` と同じ値と勾配です。
    ただし、勾配をさらに微分することはできません。

    引数:
        qnet: 全結合層と ReLU を重ねたネットワーク。``params()`` は、重みとバイアスを
            入力に近い層から順に返します。
        state, action, target: 状態 (B, D)、選んだ行動 (B,)、TD ターゲット (B,)。
        places: 重みごとに、勾配を書く所 (Adam の places)。None なら、新しく作ります。
    戻り値:
        損失 ()。
    """
    return _QLoss(state, action, target, places)(*qnet.params())


class Adam(optimizers.Adam):
    """DeZero の Adam と同じ更新を、すべての重みをつないだ一本のベクトルに行います。

    DeZero の Adam は、重みの配列ごとに十回ほどの小さな計算をします。つないでしまえば、
    計算の回数は、配列の数によらず一定です。``setup`` は、モデルの重みの値を変えずに、
    置き場所だけをこのベクトルの中に移します。引数は DeZero の Adam と同じです。

    属性:
        theta: すべての重み θ (P,)。モデルの重みは、どれもこの一部を指すビューです。
        grad: すべての勾配 (P,)。
        places: 重みごとの、grad の一部を指す Variable。q_loss がここに勾配を書けば、写さずに済みます。
    出典:
        Kingma & Ba (2015) の Algorithm 1 を、第 2 節の終わりの形にしたもの。
    """

    def setup(self, target: Model) -> "Adam":
        """更新するモデルを決めます。最初の順伝播で作られる重みは、最初の更新で加えます。"""
        super().setup(target)
        self.theta = np.empty(0)
        if all(p.data is not None for p in target.params()):
            self._gather()
        return self

    def _gather(self) -> None:
        """重みを一本のベクトルに写し、それぞれの重みを、その一部を指すビューにします。"""
        self.params = list(self.target.params())
        size = self.theta.size
        self.theta = np.concatenate([p.data.ravel() for p in self.params])  # (P,)
        self.grad = np.zeros_like(self.theta)  # (P,)
        if self.theta.size != size:
            self.m, self.v = self.grad.copy(), self.grad.copy()  # (P,)
        ends = np.cumsum([p.data.size for p in self.params])
        self.places, self.parts = [], []
        for p, end in zip(self.params, ends):
            part = slice(end - p.data.size, end)
            self.parts.append(part)
            self.places.append(Variable(self.grad[part].reshape(p.data.shape)))
            p.data = self.theta[part].reshape(p.data.shape)

    def update(self) -> None:
        """いまの勾配で、重みを一回更新します。勾配のない重みは変えません。"""
        self.t += 1
        if any(p.data.base is not self.theta for p in self.target.params()):
            self._gather()  # 写しを作ったり、重みを読みこんだりして、ビューでなくなったとき
        for hook in self.hooks:
            hook([p for p in self.params if p.grad is not None])
        grads = [p.grad for p in self.params]
        for grad, place in zip(grads, self.places):
            if grad is not place and grad is not None:  # ほかの所に書かれた勾配
                place.data[...] = grad.data
        vectors = self.theta, self.grad, self.m, self.v
        if not any(grad is None for grad in grads):
            self._update(*vectors)
            return
        for grad, part in zip(grads, self.parts):
            if grad is not None:
                self._update(*(x[part] for x in vectors))

    def _update(self, theta, g, m, v) -> None:
        """Algorithm 1 の一回分を行い、ベクトル theta、m、v を書きかえます。"""
        # m と v は、Algorithm 1 のものを 1 - β1、1 - β2 で割った値です。計算が二つ減ります
        beta1, beta2 = self.beta1, self.beta2
        m *= beta1
        m += g
        v *= beta2
        v += g * g
        scale = math.sqrt(1 - beta2)
        fix = math.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)  # 偏りの補正
        step_size = self.alpha * fix * (1 - beta1) / scale
        theta -= step_size * (m / (np.sqrt(v) + self.eps / scale))
        if self.t % 100 == 0:
            # 働かなくなった ReLU の重みは勾配が 0 のままで、m と v が縮みつづけます。
            # 非正規化数の計算はプロセッサによってはとても遅いので、その前に 0 にします
            m[np.abs(m) < 1e-20] = 0
            v[v < 1e-30] = 0
