"""Adam を、すべての重みに一度に行うオプティマイザ。"""

import numpy as np

from rlbook_helpers.dezero_compat import Model, optimizers

TINY = 1e-18  # 二乗しても float32 の正規化数


class Adam(optimizers.Adam):
    """DeZero の Adam と同じ更新を、すべての重みをつないだ一本のベクトルに行います。

    DeZero の Adam は、重みの配列ごとに十回ほどの小さな計算をします。つないでしまえば、
    計算の回数は、配列の数によらず一定です。``setup`` は、モデルの重みの値を変えずに、
    置き場所だけをこのベクトルの中に移します。

    引数:
        alpha: 学習率 α。
        beta1, beta2: 勾配の平均と、二乗の平均の減衰率。
        eps: 0 で割らないための小さな数。
    出典:
        Kingma & Ba (2015) の Algorithm 1。
    """

    def setup(self, target: Model) -> "Adam":
        """更新するモデルを決めます。重みは、すべてそろっていなければなりません。"""
        super().setup(target)
        self.params = list(target.params())
        self.theta = np.concatenate([p.data.ravel() for p in self.params])  # (P,)
        self.grad, self.m, self.v, self.step = (
            np.zeros_like(self.theta) for _ in range(4)
        )
        start = 0
        for p in self.params:
            p.data = self.theta[start : start + p.data.size].reshape(p.data.shape)
            start += p.data.size
        return self

    def update(self) -> None:
        """いまの勾配で、重みを一回更新します。"""
        self.t += 1
        np.concatenate([p.grad.data.ravel() for p in self.params], out=self.grad)
        grad, m, v, step = self.grad, self.m, self.v, self.step
        # 働かなくなった ReLU の重みは、勾配が 0 のままです。その m が 0 に近づいて非正規化数になると、
        # 計算が何十倍も遅くなります。結果を変えないほど小さな数を足して、防ぎます
        grad += TINY
        # m += (1 - beta1) * (grad - m)、v += (1 - beta2) * (grad**2 - v)
        np.subtract(grad, m, out=step)
        step *= 1 - self.beta1
        m += step
        np.multiply(grad, grad, out=step)
        step -= v
        step *= 1 - self.beta2
        v += step
        # theta -= lr * m / (sqrt(v) + eps)
        np.sqrt(v, out=step)
        step += self.eps
        np.divide(m, step, out=step)
        step *= self.lr
        self.theta -= step
