"""第 1 章の演習。"""

import numpy as np

from rlbook_helpers.dezero_compat import F, L, Model, Variable, dezero
from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import fitting
from rlbook_helpers.networks import Linear


def numerical(answer) -> str | None:
    """1.1: 中心差分で、二つの変数についての微分を求める関数。"""
    reader = answers.function(answer, "numerical_gradient(f, x0, x1, h)")

    def f(x0, x1):
        return x0**3 * x1 - 2 * x1**2

    p, q, h = 0.7, -1.2, 0.1  # 前進差分と見分けられるように、h を大きくします
    found = answers.numbers(
        answers.call(reader, f, p, q, h), "x0 についての微分", "x1 についての微分"
    )
    right = np.array([f(p + h, q) - f(p - h, q), f(p, q + h) - f(p, q - h)]) / (2 * h)
    ahead = np.array([f(p + h, q) - f(p, q), f(p, q + h) - f(p, q)]) / h
    both = (f(p + h, q + h) - f(p - h, q - h)) / (2 * h)
    return fitting(
        found,
        right,
        [
            (ahead, "f(x + h) と f(x) の差を使っています。中心差分は、両側の差です。"),
            (2 * right, "分母が違います。両側の点は、どれだけ離れていますか。"),
            (right * h, "分母が違います。h も要ります。"),
            (right[::-1], "二つの微分の順が逆です。"),
            (-right, "引き算の向きが逆です。"),
            ([both, both], "二つの変数を同時に動かしています。片方は止めてください。"),
            (
                [3 * p**2 * q, p**3 - 4 * q],
                "h を小さく決めているか、式で微分しています。渡された f と h から求めてください。",
            ),
        ],
        "渡した f、点、h での中心差分と違います。h は、渡された値を使ってください。",
        rtol=1e-6,
    )


def forgotten(answer) -> str | None:
    """1.2: 勾配を消さずに、勾配降下法を二回行ったあとの x。"""
    x, grad = 3.0, 0.0
    for _ in range(2):
        grad += 2 * x
        x -= 0.1 * grad
    return fitting(
        answers.number(answer, "x"),
        x,
        [
            (
                3 * 0.8**2,
                "毎回、勾配を消しています。消さないと、二回目の勾配には、一回目のものが足されます。",
            ),
            (3 - 0.6, "まだ一回しか更新していません。"),
            (
                3 - 0.6 - 1.2,
                "二回目の勾配は、一回目の更新で動いたあとの x で求めます。",
            ),
            (3 - 0.6 - 0.6, "二回目の勾配が、一回目のままです。"),
            (12, "それは勾配です。更新したあとの x を渡してください。"),
        ],
        "一回目の更新のあとの x と、二回目に足しこまれたあとの勾配を、順に書きだしてください。",
    )


def without_graph(answer) -> str | None:
    """1.3: 計算グラフを作らずに予測する関数。"""
    reader = answers.function(answer, "predict_without_graph(model, x)")
    seen = []

    class Spy(Model):
        def __init__(self):
            super().__init__()
            self.l1 = Linear(3, 2, np.random.default_rng(13))

        def forward(self, x):
            seen.append(dezero.core.Config.enable_backprop)
            return F.sin(self.l1(x))

    model = Spy()
    x = np.random.default_rng(13).standard_normal((5, 3)).astype(np.float32)
    right = model(x).data
    seen.clear()
    result = answers.call(reader, model, x)
    if isinstance(result, Variable):
        return "Variable ではなく、中の NumPy の配列を返してください。"
    if not answers.close(answers.array(result, (5, 2)), right, atol=1e-6):
        return "値が model(x) と違います。"
    if not seen:
        return "渡された model を使って予測してください。"
    if seen[-1]:
        return "値は合っていますが、順伝播のときに計算グラフを作っています。"
    if not dezero.core.Config.enable_backprop:
        return "関数のあとも、計算グラフを作らない設定のままです。with を使うと、もとに戻ります。"
    return None


def smaller(answer) -> str | None:
    """1.4: 隠れ層のユニットが 1 個のときと 10 個のときの損失。"""
    one, ten = answers.numbers(answer, "1 個の損失", "10 個の損失")
    if one < 0.11 < ten:
        return "二つの損失の順が逆です。"
    if not 0.05 < ten < 0.11:  # 雑音の分散は 1/12 です
        return "10 個のときの損失が、雑音の分散から離れています。10,000 回更新したあとの損失ですか。"
    if one < 0.11:
        return (
            "1 個のときの損失が小さすぎます。隠れ層のユニットの数を確かめてください。"
        )
    if one > 0.6:
        return "1 個のときの損失が大きすぎます。学習したあとの損失ですか。"
    return None


def by_hand(answer) -> str | None:
    """1.5: 手で決めた重みで、2 個のユニットに正弦波を描かせたモデル。"""
    layers = [getattr(answer, name, None) for name in ("l1", "l2")]
    if isinstance(answer, type) or not all(isinstance(x, L.Linear) for x in layers):
        return "層 l1 と l2 のある TwoLayerNet を、一つ作って渡してください。"
    shapes = (1, 2), (2,), (2, 1), (1,)
    W1, b1, W2, b2 = (
        answers.array(p.data, shape, f"{layer}.{name}")
        for (layer, name, p), shape in zip(
            ((k, n, getattr(x, n)) for k, x in zip(("l1", "l2"), layers) for n in "Wb"),
            shapes,
        )
    )
    t = np.linspace(0, 1, 100)[:, np.newaxis]
    y = 1 / (1 + np.exp(-(t @ W1 + b1))) @ W2 + b2
    curve = np.sin(2 * np.pi * t) + 0.5
    if np.abs(y - curve).mean() < 0.3:
        return None
    slopes = np.sign(np.diff(y.ravel()))
    if np.abs(y - y.mean() - (curve - 0.5)).mean() < 0.3:
        return "形は合っていますが、高さがずれています。l2 のバイアスを見てください。"
    if np.abs(2 * curve.mean() - y - curve).mean() < 0.3:
        return "山と谷が逆です。l2 の重みの符号を見てください。"
    if abs(slopes.sum()) == len(slopes):
        return "予測が、上がるか下がるかの一方だけです。二つのユニットの、l2 の重みの符号を変えてみてください。"
    return "正しい曲線との差の平均が、まだ 0.3 以上です。予測を曲線と重ねて描き、一つのユニットずつ動かしてください。"


EXERCISES = {
    "1.1": numerical,
    "1.2": forgotten,
    "1.3": without_graph,
    "1.4": smaller,
    "1.5": by_hand,
}
