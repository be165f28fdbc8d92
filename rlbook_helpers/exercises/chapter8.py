"""第 8 章の演習。"""

import numpy as np

from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import close, fitting


def scaled_norm(answer) -> str | None:
    """8.1: 入力を 10 倍したときの、層正規化の出力と勾配の倍率。"""
    output, gradient = answers.numbers(answer, "出力の倍率", "勾配の倍率")
    return fitting(
        output,
        1,
        [(10, "出力も 10 倍になるのは、そろえなかったときです。")],
        "出力の倍率が違います。10 倍する前と後で、式の分子と分母がどうなるかを見てください。",
        rtol=0.01,
    ) or fitting(
        gradient,
        0.1,
        [
            (
                1,
                "出力は同じでも、入力を 1 動かしたときの変わり方は、同じではありません。",
            ),
            (
                10,
                "逆です。入力が大きいほど、1 動かしたときの変わり方は小さくなります。",
            ),
            (0.01, "1 / s は、一度だけ掛けます。"),
        ],
        "勾配の倍率が違います。勾配の式の s が、何倍になるかを見てください。",
        rtol=0.01,
    )


def reuse(answer) -> str | None:
    """8.2: ミニバッチの大きさ、遷移を使う回数、一ステップあたりの更新の回数。"""
    size, uses, updates = answers.numbers(
        answer, "ミニバッチの遷移の数", "使う回数", "一ステップあたりの更新"
    )
    return (
        fitting(
            size,
            128,
            [
                (2048, "それは、集める遷移の数です。16 個のミニバッチに分けます。"),
                (2, "ミニバッチに分けるのは、すべての環境の T 歩の遷移です。"),
                (4, "ミニバッチに分けるのは、N × T 個の遷移です。"),
            ],
            "ミニバッチの遷移の数が違います。集める遷移は、N × T 個です。",
        )
        or fitting(
            uses,
            4,
            [
                (
                    64,
                    "それは、更新の回数です。一つの遷移が入るミニバッチは、一回りに一つだけです。",
                ),
                (1, "一回りに一度です。何回り学びますか。"),
            ],
            "使う回数が違います。一回りで、どの遷移も一度ずつ使います。",
        )
        or fitting(
            updates,
            1 / 32,
            [
                (
                    64,
                    "それは、T 歩集めるたびの回数です。集めた遷移の数で割ってください。",
                ),
                (1, "T 歩で割っています。ステップは、すべての環境の和で数えます。"),
                (32, "逆数です。更新の回数を、ステップの数で割ってください。"),
                (1 / 128, "4 回り学ぶことを、数えていません。"),
            ],
            "一ステップあたりの更新が違います。更新の回数を、集めた遷移の数で割ってください。",
        )
    )


def _watkins(rewards, v, terminated, truncated, greedy, gamma, lam, look=1):
    """λ 収益。歩 t + look の行動が最大でなければ、歩 t で切ります。look が 9 なら切りません。"""
    returns, following = np.empty_like(v), v[-1]
    for t in reversed(range(len(rewards))):
        cut = terminated[t] | truncated[t]
        if t + look < len(rewards):
            cut = cut | ~greedy[t + look]
        mixed = np.where(cut, v[t], (1 - lam) * v[t] + lam * following)
        following = rewards[t] + gamma * np.where(terminated[t], 0, mixed)
        returns[t] = following
    return returns


def watkins(answer) -> str | None:
    """8.3: 最大でない行動で切る λ 収益の関数。"""
    form = "watkins_returns(rewards, v, terminated, truncated, greedy, gamma, lam)"
    reader = answers.function(answer, form)
    rng = np.random.default_rng(83)
    for _ in range(20):
        rewards, v = rng.normal(size=(2, 6, 3)).astype(np.float32)
        terminated, truncated = rng.random((2, 6, 3)) < 0.15
        greedy = rng.random((6, 3)) < 0.6
        given = (rewards, v, terminated, truncated, greedy, 0.9, 0.7)
        found = answers.array(answers.call(reader, *given), (6, 3), "λ 収益")
        if close(found, _watkins(*given), rtol=1e-4, atol=1e-5):
            continue
        usual = {
            9: "最大でない行動があっても、切っていません。",
            0: "歩 t の行動で切っています。切るのは、次の歩の行動が最大でないときです。",
        }
        for look, text in usual.items():
            if close(found, _watkins(*given, look=look), rtol=1e-4, atol=1e-5):
                return text
        no_end = (rewards, v, terminated & False, truncated & False, greedy, 0.9, 0.7)
        if close(found, _watkins(*no_end), rtol=1e-4, atol=1e-5):
            return "終端と打ち切りを、見ていません。"
        as_end = (rewards, v, terminated | truncated, truncated, greedy, 0.9, 0.7)
        if close(found, _watkins(*as_end), rtol=1e-4, atol=1e-5):
            return "打ち切りの先の価値を、0 にしています。0 にするのは、終端だけです。"
        return "λ 収益が違います。切った所では、見積もり v[t] だけを使います。"
    return None


EXERCISES = {"8.1": scaled_norm, "8.2": reuse, "8.3": watkins}
