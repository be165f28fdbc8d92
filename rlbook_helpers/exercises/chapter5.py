"""第 5 章の演習。"""

import functools

import numpy as np
import scipy.stats

from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import fitting


def soft(answer) -> str | None:
    """5.1: τ = 0.02 のソフト更新で、差が毎回何倍になり、いつ半分以下になるか。"""
    factor, count = answers.numbers(answer, "何倍か", "何回目か")
    right = int(np.ceil(np.log(0.5) / np.log(0.98)))
    first = "差がはじめて半分以下になる回を、整数で答えてください。"
    return fitting(
        factor,
        0.98,
        [(0.02, "それは、縮んだ分です。残った差は、もとの何倍ですか。")],
        "ソフト更新の式の両辺を、オンラインネットワークの重みから引いてください。",
        rtol=1e-6,
    ) or fitting(
        count,
        right,
        [
            (right - 1, first),
            (np.log(0.5) / np.log(0.98), first),
            (
                0.5 / 0.02,
                "毎回、はじめの差の 2 % ではなく、残った差の 2 % が縮みます。",
            ),
        ],
        "毎回の倍率を n 回掛けたものが、半分以下になる n を求めてください。",
        rtol=1e-9,
    )


@functools.cache
def _p_value(a: int, b: int, n: int) -> float:
    return scipy.stats.fisher_exact([[a, n - a], [b, n - b]]).pvalue


def power(answer) -> str | None:
    """5.2: p 値が 0.05 より小さくなる割合を求める関数。"""
    reader = answers.function(answer, "power(p, q, n)")
    for p, q, n in [(0.5, 0.95, 12), (0.3, 0.6, 24), (0.7, 0.7, 12)]:
        k = np.arange(n + 1)
        ways = np.outer(*(scipy.stats.binom.pmf(k, n, x) for x in (p, q)))
        found = np.array([[_p_value(a, b, n) for b in k] for a in k])
        right = float(ways[found < 0.05].sum())
        value = answers.number(answers.call(reader, p, q, n), "power の戻り値")
        if abs(value - right) < 0.08:  # 500 回引いたときの誤差より、広くとります
            continue
        if abs(value - 100 * right) < 8 and value > 1:
            return "% ではなく、0 から 1 までの割合で返してください。"
        if abs(value - (1 - right)) < 0.08:
            return "それは、差を見のがす割合です。"
        if abs(value - float((ways * found).sum())) < 0.05:
            return "p 値の平均ではなく、0.05 より小さくなる割合を求めてください。"
        if value in (0, 1):
            return "何度も引いて、そのたびに検定してください。一度だけでは、割合になりません。"
        return f"p = {p}、q = {q}、n = {n} での割合が違います。二項分布と、両側の検定を使っていますか。"
    return None


def double(answer) -> str | None:
    """5.3: 一組で最大の行動を選び、もう一組でその値を測る関数。"""
    reader = answers.function(answer, "double_estimate(select, measure)")
    select, measure = np.random.default_rng(53).standard_normal((2, 50, 3))
    right = measure[np.arange(50), select.argmax(axis=1)]
    found = np.asarray(answers.call(reader, select, measure))
    if found.shape == ():
        return "平均する前の、状態ごとの値の配列を返してください。"
    return fitting(
        answers.array(found, (50,), "戻り値"),
        right,
        [
            (
                select.max(axis=1),
                "同じ組で選んで測っています。それでは、最大の平均と同じです。",
            ),
            (
                measure.max(axis=1),
                "select を使っていません。行動は、select で選びます。",
            ),
            (select[np.arange(50), measure.argmax(axis=1)], "二つの組の役割が逆です。"),
            (
                np.minimum(select.max(axis=1), measure.max(axis=1)),
                "小さいほうではなく、選んだ行動の measure の値を返してください。",
            ),
        ],
        "それぞれの行で、select が最大の列の番号を求め、同じ列の measure を取り出してください。",
        rtol=1e-9,
    )


def peeking(answer) -> str | None:
    """5.4: 途中で検定を見て、p 値が 0.05 より小さくなる試行の割合を求める関数。"""
    reader = answers.function(answer, "peeking(a, b, looks)")
    a, b = np.random.default_rng(54).random((2, 80, 30)) < [[[0.35]], [[0.75]]]
    looks = (6, 15, 30)

    def below(start, stop):
        """start から stop の前までのシードで検定して、p 値が 0.05 より小さいか (80,)。"""
        pairs = zip(a[:, start:stop].sum(axis=1), b[:, start:stop].sum(axis=1))
        return np.array([_p_value(*pair, stop - start) < 0.05 for pair in pairs])

    found = np.array([below(0, n) for n in looks])  # (3, 80)
    batches = np.array([below(m, n) for m, n in zip((0, *looks), looks)])
    right = found.any(axis=0).mean()
    return fitting(
        answers.number(answers.call(reader, a, b, looks), "peeking の戻り値"),
        right,
        [
            (
                found[-1].mean(),
                "最後しか見ていません。一度でも p 値が 0.05 より小さくなった試行を数えてください。",
            ),
            (found[0].mean(), "はじめの一回しか見ていません。"),
            (
                found.all(axis=0).mean(),
                "一度でも 0.05 より小さくなれば、そこでやめて「差がある」と言います。",
            ),
            (
                found.mean(),
                "見るたびの割合の平均ではなく、試行の割合を求めてください。",
            ),
            (found.sum(axis=0).mean(), "一つの試行を、何度も数えています。"),
            (
                batches.any(axis=0).mean(),
                "新しいシードだけで検定しています。それまでのすべてのシードを使ってください。",
            ),
            (right * 80, "試行の数で割ってください。"),
            (right * 100, "% ではなく、0 から 1 までの割合で返してください。"),
        ],
        "試行ごとに、looks のそれぞれの数までの結果で、両側のフィッシャーの正確検定をしてください。",
        rtol=1e-6,
    )


EXERCISES = {"5.1": soft, "5.2": power, "5.3": double, "5.4": peeking}
