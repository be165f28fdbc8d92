"""行動価値を表すニューラルネットワークと、その入力の作り方。"""

from collections.abc import Iterator

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.dezero_compat import F, L, Model, Parameter, Variable, no_grad
from rlbook_helpers.fused import relu_mlp

GRID_SHAPE = (3, 4)  # グリッドワールドの (高さ, 幅)


def one_hot(state: tuple[int, int]) -> np.ndarray:
    """グリッドワールドのマス (行, 列) を one-hot ベクトルにします。

    引数:
        state: マスの位置 (y, x)。0 <= y < 3、0 <= x < 4。
    戻り値:
        形 (1, 12)、float32。``4 * y + x`` 番目だけが 1 で、ほかは 0。
    """
    height, width = GRID_SHAPE
    try:
        y, x = state
    except (TypeError, ValueError):
        raise ValueError(
            f"state はマスの位置 (y, x) にしてください: {state!r}"
        ) from None
    y = checks.integer("state の y", y, 0, height)
    x = checks.integer("state の x", x, 0, width)
    vec = np.zeros((1, height * width), dtype=np.float32)
    vec[0, width * y + x] = 1.0
    return vec


class Linear(L.Linear):
    """重みの初期値を、渡された乱数生成器から引く全結合層。

    DeZero の ``L.Linear`` は、最初の順伝播のときに、NumPy の大域の乱数から重みを引きます。
    それでは、ほかのコードが乱数を使うと、重みが変わってしまいます。順伝播は ``L.Linear`` のものです。

    引数:
        in_size: 入力の次元 I。
        out_size: 出力の次元 O。
        rng: 重みを引く乱数生成器。
    属性:
        W: 重み (I, O)、float32。平均 0、分散 1/I の正規分布 (LeCun ほか, 1998)。
        b: バイアス (O,)、float32。初期値は 0。
    """

    def __init__(self, in_size: int, out_size: int, rng: np.random.Generator):
        super().__init__(out_size)
        self.in_size = in_size
        W = rng.standard_normal((in_size, out_size)) / np.sqrt(in_size)
        self.W.data = W.astype(np.float32)  # (I, O)


def ordered_params(layer: L.Layer) -> Iterator[Parameter]:
    """重みとバイアスを、層に代入した順に返します。

    DeZero の params() は名前を set に持つので、起動のたびに順が変わります。
    """
    for value in vars(layer).values():
        if isinstance(value, L.Layer):
            yield from ordered_params(value)
        elif isinstance(value, Parameter):
            yield value


def predict(qnet: Model, x: np.ndarray) -> np.ndarray:
    """どのネットワークでも、状態 (D,) か (B, D) での forward の値を、計算グラフを作らずに求めます。"""
    with no_grad():
        y = qnet(x if x.ndim > 1 else x[np.newaxis]).data  # (B, A)
    return y if x.ndim > 1 else y[0]


class QNet1(Model):
    """第 2 章の Q ネットワーク。one-hot の状態 → 隠れ層 100 → 行動価値 4。

    引数:
        hidden_size: 隠れ層のユニットの数。
        action_size: 行動の数 A。
        state_size: 状態の次元 D。
        seed: 重みの初期値を決めるシード、または乱数生成器。
    """

    def __init__(
        self,
        hidden_size: int = 100,
        action_size: int = 4,
        state_size: int = GRID_SHAPE[0] * GRID_SHAPE[1],
        *,
        seed: int | np.random.Generator | None = None,
    ):
        super().__init__()
        rng = checks.generator(seed)
        hidden_size = checks.integer("hidden_size", hidden_size, 1)
        action_size = checks.integer("action_size", action_size, 1)
        state_size = checks.integer("state_size", state_size, 1)
        self.l1 = Linear(state_size, hidden_size, rng)
        self.l2 = Linear(hidden_size, action_size, rng)

    def forward(self, x: np.ndarray | Variable) -> Variable:
        """状態 (B, D) から、すべての行動の価値 (B, A) を求めます。"""
        h = F.relu(self.l1(x))  # (B, H)
        return self.l2(h)  # (B, A)


class QNet2(Model):
    """第 4 章の Q ネットワーク。状態 → 隠れ層 128 → 隠れ層 128 → 行動価値。引数の意味は QNet1 と同じです。"""

    def __init__(
        self,
        action_size: int,
        state_size: int = 4,
        hidden_size: int = 128,
        *,
        seed: int | np.random.Generator | None = None,
    ):
        super().__init__()
        rng = checks.generator(seed)
        action_size = checks.integer("action_size", action_size, 1)
        state_size = checks.integer("state_size", state_size, 1)
        hidden_size = checks.integer("hidden_size", hidden_size, 1)
        self.l1 = Linear(state_size, hidden_size, rng)
        self.l2 = Linear(hidden_size, hidden_size, rng)
        self.l3 = Linear(hidden_size, action_size, rng)

    def __setattr__(self, name: str, value) -> None:
        super().__setattr__(name, value)
        # forward も層もこのクラスのものか。そうなら、まとめて計算しても同じ値になります
        layers = (vars(self).get(f"l{k}") for k in (1, 2, 3))
        plain = type(self) is QNet2 and "forward" not in vars(self)
        self.__dict__["is_plain"] = plain and all(type(x) is Linear for x in layers)

    def params(self) -> Iterator[Parameter]:
        """重みとバイアスを、入力に近い層から順に返します。"""
        if not self.is_plain:
            return ordered_params(self)
        l1, l2, l3 = self.l1, self.l2, self.l3
        return iter((l1.W, l1.b, l2.W, l2.b, l3.W, l3.b))

    def forward(self, x: np.ndarray | Variable) -> Variable:
        """状態 (B, D) から、すべての行動の価値 (B, A) を求めます。"""
        h = F.relu(self.l1(x))  # (B, H)
        h = F.relu(self.l2(h))  # (B, H)
        return self.l3(h)  # (B, A)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """forward と同じ値 (B, A) を、計算グラフを作らずに求めます。状態 (D,) からは (A,) です。"""
        if not self.is_plain:
            return predict(self, x)
        l1, l2, l3 = self.l1, self.l2, self.l3
        Ws, bs = (l1.W.data, l2.W.data, l3.W.data), (l1.b.data, l2.b.data, l3.b.data)
        return relu_mlp(x, Ws, bs)[-1]
