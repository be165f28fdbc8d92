"""Adam を、すべての重みに一度に行うオプティマイザ。"""

import math

import numpy as np

from rlbook_helpers.dezero_compat import Model, Variable, optimizers


class Adam(optimizers.Adam):
    """DeZero の Adam と同じ更新を、すべての重みをつないだ一本のベクトルに行います。

    DeZero の Adam は、重みの配列ごとに十回ほどの小さな計算をします。つないでしまえば、
    計算の回数は、配列の数によらず一定です。``setup`` は、モデルの重みの値を変えずに、
    置き場所だけをこのベクトルの中に移します。

    引数:
        alpha: 学習率 α。
        beta1, beta2: 勾配の平均と、二乗の平均の減衰率。
        eps: 0 で割らないための小さな数。
    属性:
        theta: すべての重み (P,)。モデルの重みは、どれもこの一部を指すビューです。
    出典:
        Kingma & Ba (2015) の Algorithm 1。
    """

    def setup(self, target: Model) -> "Adam":
        """更新するモデルを決めます。モデルの重みは、すべてそろっていなければなりません。"""
        super().setup(target)
        self._gather()
        self.m, self.v, self.step = (np.zeros_like(self.theta) for _ in range(3))
        return self

    def _gather(self) -> None:
        """重みを一本のベクトルに写し、それぞれの重みを、その一部を指すビューにします。"""
        self.params = list(self.target.params())
        self.theta = np.concatenate([p.data.ravel() for p in self.params])  # (P,)
        ends = np.cumsum([p.data.size for p in self.params])
        self.grad = np.zeros_like(self.theta)  # (P,)
        parts, places = (np.split(x, ends[:-1]) for x in (self.theta, self.grad))
        for p, part, place in zip(self.params, parts, places):
            p.grad_place = Variable(place.reshape(p.data.shape))
            p.data = part.reshape(p.data.shape)

    def update(self) -> None:
        """いまの勾配で、重みを一回更新します。すべての重みに、勾配が要ります。"""
        self.t += 1
        for hook in self.hooks:
            hook(self.params)
        if any(p.data.base is not self.theta for p in self.params):
            self._gather()  # 写しを作ったり、重みを読みこんだりして、ビューでなくなったとき
        for p in self.params:
            if p.grad is not p.grad_place:  # 置き場に書かれていない勾配
                p.grad_place.data[...] = p.grad.data
        grad, m, v, step = self.grad, self.m, self.v, self.step
        # m と v は、それぞれ 1 - beta1 と 1 - beta2 で割ったものを持ちます。計算が二つ減ります
        m *= self.beta1
        m += grad
        v *= self.beta2
        v += np.multiply(grad, grad, out=step)
        scale = math.sqrt(1 - self.beta2)
        np.sqrt(v, out=step)
        step += self.eps / scale
        np.divide(m, step, out=step)
        step *= self.lr * (1 - self.beta1) / scale
        self.theta -= step
        if self.t % 100 == 0:
            # 働かなくなった ReLU の重みは勾配が 0 のままで、m と v が縮みつづけます。
            # 非正規化数の計算はプロセッサによってはとても遅いので、その前に 0 にします
            m[np.abs(m) < 1e-20] = 0
            v[v < 1e-30] = 0
