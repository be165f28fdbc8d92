"""第 10 章の演習。時間は計算機によって違うので、大小だけを調べます。"""

import tracemalloc

import numpy as np

from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import fitting


def amdahl(answer) -> str | None:
    """10.1: いくつかの部分の時間を 0 にしたとき、全体が何倍速くなるかを求める関数。"""
    reader = answers.function(answer, "limit(times, parts)")
    times = {"a": 3.0, "b": 1.0, "c": 5.0, "d": 7.0}
    for parts in (["c"], ["a", "c"], []):
        p = sum(times[part] for part in parts) / 16
        wrong = fitting(
            answers.number(answers.call(reader, times, parts), "limit の戻り値"),
            1 / (1 - p),
            [
                (p, "それは、その部分の割合です。"),
                (1 - p, "逆数です。残った時間が短いほど、何倍も速くなります。"),
                (1 / p if p else 0, "残る時間の割合は、p ではなく 1 - p です。"),
                (p / (1 - p), "全体の時間を、残った時間で割ってください。"),
                (
                    np.prod([1 / (1 - times[x] / 16) for x in parts]),
                    "部分ごとの倍率を掛けても、両方のときの倍率にはなりません。割合のほうを足してください。",
                ),
                (
                    np.sum([1 / (1 - times[x] / 16) for x in parts]),
                    "部分ごとの倍率は足せません。割合のほうを足してください。",
                ),
                (100 / (1 - p), "% ではなく、倍で返してください。"),
                (
                    1 / (1 - 2 * p) if p != 0.5 else 0,
                    "割合の分母は、すべての部分の時間の和です。",
                ),
            ],
            "渡した辞書のすべての時間の和を、parts を除いた和で割ったものになりません。",
        )
        if wrong:
            return wrong
    return None


def larger_batch(answer) -> str | None:
    """10.2: B = 4 と B = 4096 での、まとめる得。"""
    small, large = answers.numbers(answer, "B = 4 の得", "B = 4096 の得")
    if min(small, large) <= 0:
        return "得は、二つの時間の比なので、正の数です。"
    if small < 1:
        return "B = 4 では、まとめるほうが速いはずです。比の分母と分子を見てください。"
    if large >= small:
        return "B が大きいほど、得は小さくなるはずです。順と、それぞれの測り方を見てください。"
    return None


def middle(answer) -> str | None:
    """10.3: deque の端と真ん中、リストの真ん中の要素を取り出す時間。"""
    names = "deque の端", "deque の真ん中", "リストの真ん中"
    end, center, in_list = answers.numbers(answer, *names)
    if min(end, center, in_list) <= 0:
        return "時間は、正の数です。"
    if max(end, center, in_list) != center:
        return "いちばん遅いのが、deque の真ん中ではありません。三つの順と、取り出す番号を見てください。"
    if center < 1.5 * max(end, in_list):
        return "deque の真ん中と、ほかの二つの差が小さすぎます。10,000 個の deque を作り、5,000 番の要素を取り出してください。"
    return None


def reused(answer) -> str | None:
    """10.4: 全結合層を、渡された配列に計算する関数。"""
    reader = answers.function(answer, "affine(x, W, b, out)")
    rng = np.random.default_rng(84)
    x, W, b = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((512, 64), (64, 256), (256,))
    )
    right = x.dot(W) + b
    given = [v.copy() for v in (x, W, b)]
    out = np.full_like(right, np.nan)
    reader(*given, out)  # 一回目だけの手間を、数えないためです
    if not all(map(np.array_equal, given, (x, W, b))):
        return "入力、重み、バイアスのどれかが書きかわっています。"
    if np.isnan(out).all():
        return "out に、何も書かれていません。out = ... は、名前をつけかえるだけです。"
    if np.allclose(out, right - b, rtol=1e-3, atol=1e-3):
        return "バイアスを足していません。"
    if not np.allclose(out, right, rtol=1e-3, atol=1e-3):
        return "out の値が、xW + b になっていません。"
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    result = reader(*given, out)
    peak = tracemalloc.get_traced_memory()[1] - before
    if not tracing:
        tracemalloc.stop()
    if peak > right.nbytes / 2:
        return "値は合っていますが、途中で新しい配列を作っています。足し算も、out にじかに行ってください。"
    return None if result is out else "out を返してください。"


def huber(answer) -> str | None:
    """10.5: TD 誤差を 1 で切る損失と、行動価値についての勾配。"""
    reader = answers.function(answer, "huber(qs, action, target)")
    rng = np.random.default_rng(85)
    qs, target = 2 * rng.standard_normal((6, 3)), rng.standard_normal(6)
    action, i = rng.integers(3, size=6), np.arange(6)
    error = qs[i, action] - target
    small = np.abs(error) <= 1
    parts = np.where(small, error**2 / 2, np.abs(error) - 0.5)
    found = answers.items(answers.call(reader, qs, action, target), "損失", "勾配")
    wrong = fitting(
        answers.number(found[0], "損失"),
        parts.mean(),
        [
            (parts.sum(), "損失が、平均ではなく和です。"),
            (np.mean(error**2 / 2), "大きな誤差のところも、二乗のままです。"),
            (np.mean(np.abs(error)), "小さな誤差のところは、二乗の半分です。"),
            (
                np.mean(np.where(small, error**2, np.abs(error))),
                "係数を見てください。境目で、値も傾きもつながるように決めます。",
            ),
            (
                np.mean(np.where(small, error**2 / 2, np.abs(error))),
                "境目で、値がつながっていません。",
            ),
            (
                np.mean(np.clip(error, -1, 1) ** 2 / 2),
                "誤差を切ってから二乗すると、外側の傾きが 0 になります。",
            ),
        ],
        "損失の値が違います。誤差の大きさが 1 より小さいところと大きいところを、分けてください。",
    )
    if wrong:
        return wrong
    right = np.zeros_like(qs)
    right[i, action] = np.clip(error, -1, 1) / 6
    unclipped, everywhere = np.zeros_like(qs), np.zeros_like(qs)
    unclipped[i, action] = error / 6
    everywhere[:] = right[i, action][:, None]
    return fitting(
        answers.array(found[1], (6, 3), "勾配"),
        right,
        [
            (6 * right, "勾配を、ミニバッチの大きさで割っていません。"),
            (-right, "勾配の符号が逆です。"),
            (
                unclipped,
                "勾配が切られていません。外側の傾きは、誤差の符号だけで決まります。",
            ),
            (everywhere, "選ばなかった行動の勾配は 0 です。"),
            (2 * right, "勾配が二倍です。"),
        ],
        "損失は合っていますが、勾配が違います。qs の一つの要素だけを少し動かして、損失の差と比べてください。",
    )


EXERCISES = {
    "10.1": amdahl,
    "10.2": larger_batch,
    "10.3": middle,
    "10.4": reused,
    "10.5": huber,
}
