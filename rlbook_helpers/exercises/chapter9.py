"""第 9 章の演習。"""

import numpy as np

from rlbook_helpers.beyond.breakout import SIDE, Breakout
from rlbook_helpers.beyond.games import play
from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import Reply, fitting


def windows(answer) -> str | None:
    """9.1: 10 × 10 マス、4 枚の画面に、5 × 5 の窓、8 枚の出力で畳み込むときの、窓の数と重みの総数。"""
    places, weights = answers.numbers(answer, "窓の数", "重みの総数")
    return fitting(
        places,
        36,
        [
            (100, "外側は補わないので、窓は盤からはみ出せません。"),
            (4, "窓は、重ならないように並べるのではなく、一マスずつずらします。"),
            (
                25,
                "一辺に置ける窓の数は、10 - 5 ではありません。端の窓も数えてください。",
            ),
            (8 * 36, "窓の場所の数を答えてください。出力の枚数は掛けません。"),
            (6, "縦にも、横にもずらします。"),
        ],
        "窓の左上のマスが、縦と横に何通りずつあるかを数えてください。",
        rtol=1e-9,
    ) or fitting(
        weights,
        808,
        [
            (800, "バイアスも数えてください。出力の一枚に一つです。"),
            (208, "窓は、4 枚の画面のすべてを見ます。"),
            (200, "窓は、4 枚の画面のすべてを見ます。バイアスも数えてください。"),
            (
                808 * 36,
                "どの窓にも同じ重みを掛けるので、窓の数だけ増えることはありません。",
            ),
            (801, "バイアスは、出力の一枚に一つずつあります。"),
            (400 * 288 + 288, "それは、同じ大きさの出力を作る全結合層の重みの数です。"),
        ],
        "一枚の出力を作る重みの数を、まず数えてください。",
        rtol=1e-9,
    )


def mirrored(answer) -> str | None:
    """9.2: 状態 (B, 400) と行動 (B,) を、左右に裏返す関数。"""
    mirror = answers.function(answer, "mirror(states, actions)")
    rng = np.random.default_rng(92)
    states = (rng.random((6, 400)) < 0.2).astype(np.float32)
    actions = np.array([0, 1, 2, 2, 0, 1])
    result = answers.call(mirror, states, actions)
    found, acted = answers.items(result, "裏返した状態", "裏返した行動")
    found = answers.array(found, (6, 400), "裏返した状態")
    acted = answers.array(acted, (6,), "裏返した行動")
    boards = states.reshape(6, 4, SIDE, SIDE)
    usual = {
        "状態が、もとのままです。": boards,
        "上下に裏返しています。裏返すのは左右です。": boards[:, :, ::-1],
        "縦と横を入れかえています。左右に裏返してください。": boards.swapaxes(2, 3),
        "画面の順番まで裏返しています。皿、玉、前の位置、ブロックの順は、そのままです。": boards[
            :, ::-1, :, ::-1
        ],
        "400 個の数を、逆に並べています。形を (B, 4, 10, 10) にしてから、左右に裏返してください。": boards[
            :, ::-1, ::-1, ::-1
        ],
    }
    if not np.array_equal(found, boards[..., ::-1].reshape(6, 400)):
        for sentence, wrong in usual.items():
            if np.array_equal(found, wrong.reshape(6, 400)):
                return sentence
        return "裏返した状態が違います。形を (B, 4, 10, 10) にして、横の軸だけを逆にします。"
    if np.array_equal(acted, actions):
        return "行動が、もとのままです。左右を裏返すと、左へ動かす行動は、右へ動かす行動になります。"
    if not np.array_equal(acted, [2, 1, 0, 0, 2, 1]):
        return "裏返した行動が違います。0 は左、1 はそのまま、2 は右です。"
    return None


def by_hand(answer) -> str | None:
    """9.3: 状態 (400,) を見て行動を選ぶ、手で書いた方策。"""
    policy = answers.function(answer, "follow(state)")

    def act(states: np.ndarray) -> np.ndarray:
        actions = [answers.number(answers.call(policy, state)) for state in states]
        if not set(actions) <= {0, 1, 2}:
            raise Reply("返す行動は、0 (左)、1 (そのまま)、2 (右) のどれかです。")
        return np.array(actions, int)

    totals = play(Breakout(20, max_steps=300), act, np.random.default_rng(93))
    if totals.mean() > 15:
        return None
    mean = f"300 ステップまでのゲームで、平均 {totals.mean():.1f} 個でした。15 個より多く壊してください。"
    if totals.mean() < 4:
        return f"{mean}皿を、玉の列へ動かしていますか。"
    return f"{mean}玉の前の位置から、玉が次に来る列がわかります。"


EXERCISES = {"9.1": windows, "9.2": mirrored, "9.3": by_hand}
