"""第 6 章の演習。"""

import gymnasium as gym
import numpy as np
import scipy.stats
from gymnasium.utils.env_checker import check_env

from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import fitting


def drifting(answer) -> str | None:
    """6.1: 玉が右へ流れる Catch のクラス。"""
    env = answers.class_(answer, "DriftingCatch")()
    for seed in range(30):
        state, _ = env.reset(seed=seed)
        ball, fallen, plate = map(int, state)
        ended = False
        while not ended:
            state, reward, ended, _, _ = env.step(2 - seed % 3)
            before, ball = ball, int(state[0])
            fallen, plate = fallen + 1, min(max(plate + 1 - seed % 3, 0), 6)
            if ball != (before + 1) % 7:
                if before == 6 and ball == 7:
                    return "右端の玉が、盤の外へ出ています。右端の次は左端です。"
                if before == 6 and ball == 6:
                    return "右端の玉が、そこにとどまっています。右端の次は左端です。"
                if ball == before:
                    return "玉の位置が変わりません。"
                return (
                    "玉の動きが違います。一ステップに一マスだけ、右へ動かしてください。"
                )
            if (state[1], state[2]) != (fallen, plate):
                return "玉の横の位置のほかの、落ちた段数か皿の動きが変わっています。"
            if ended and reward != (1.0 if ball == plate else -1.0):
                return "最後の報酬が、状態と合いません。玉を動かしてから、受けたかどうかを決めてください。"
            if ended != (fallen == 8):
                return "エピソードの終わりが、もとの Catch と違います。"
            if not ended and reward != 0:
                return "途中の報酬は、0 のままにしてください。"
    return None


def all_three(answer) -> str | None:
    """6.2: 3 個とも解けたときの、割合の 95 % 区間の下限と、下限が 90 % を超えるシードの数。"""
    low, count = answers.numbers(answer, "区間の下限", "シードの数")
    right = scipy.stats.binomtest(3, 3).proportion_ci().low
    n = int(np.ceil(np.log(0.025) / np.log(0.9)))
    one_sided = "片側の区間です。両側に 2.5 % ずつ残す、95 % 区間にしてください。"
    return fitting(
        low,
        right,
        [
            (1, "3 個すべてが解けても、割合が 1 だとは言えません。"),
            (0.05 ** (1 / 3), one_sided),
            (100 * right, "0 から 1 までの割合で答えてください。"),
            (
                3 / (3 + 1.96**2),  # ウィルソンの区間
                "クロッパー・ピアソンの区間を使ってください。proportion_ci の既定のものです。",
            ),
        ],
        "区間の下限が違います。3 個のうち 3 個が解けたときの、二項分布の割合の区間です。",
        rtol=0.02,
    ) or fitting(
        count,
        n,
        [
            (n - 1, "その数では、下限がまだ 90 % を超えません。"),
            (np.ceil(np.log(0.05) / np.log(0.9)), one_sided),
            (10, "10 個すべてが解けたときの下限を、計算してみてください。"),
        ],
        "すべてのシードが解けたときの下限が、はじめて 90 % を超える数を探してください。",
        rtol=1e-9,
    )


def faster(answer) -> str | None:
    """6.3: MountainCar の報酬に、速さの絶対値に比例する報酬を加えるラッパー。"""
    make = answers.class_(answer, "FasterIsBetter")
    env, plain = make(gym.make("MountainCar-v0")), gym.make("MountainCar-v0")
    if not isinstance(env, gym.Env):
        return "gymnasium.Wrapper のサブクラスにしてください。"
    state, _ = env.reset(seed=63)
    plain.reset(seed=63)
    added, speeds = [], [float(state[1])]
    for t in range(120):
        action = 2 * (t // 30 % 2)
        state, reward, *ends, _ = env.step(action)
        right, base, *right_ends, _ = plain.step(action)
        if not np.array_equal(state, right) or ends != right_ends:
            return "報酬のほかの、状態か終わりの印が変わっています。"
        added.append(float(reward) - float(base))
        speeds.append(float(state[1]))
    extra, velocity = np.array(added), np.array(speeds)
    if not extra.any():
        return "報酬が、もとのままです。"
    if _proportional(extra, np.abs(velocity[1:])):
        if extra.max() > 0:
            return None
        return "速いほど報酬が減っています。符号を見てください。"
    if _proportional(extra, np.abs(velocity[:-1])):
        return "行動の前の速さを使っています。step の返した、次の状態の速さを使ってください。"
    if _proportional(extra, velocity[1:]):
        return "左へ速く動くと、報酬が減っています。速さの絶対値を使ってください。"
    if _proportional(extra + (-1.0), np.abs(velocity[1:])) or _proportional(
        extra - 1.0, np.abs(velocity[1:])
    ):
        return "もとの報酬が消えています。もとの報酬に、加えてください。"
    return (
        "加えた報酬が、速さの絶対値に比例していません。状態の二つ目の成分が、速度です。"
    )


def _proportional(x: np.ndarray, y: np.ndarray) -> bool:
    c = float(x @ y / (y @ y))
    return c != 0 and bool(np.allclose(x, c * y, atol=1e-6))


def own_game(answer) -> str | None:
    """6.4: 自分で作った環境のクラス。"""
    make = answers.class_(answer, "(gymnasium.Env のサブクラス)")
    if not issubclass(make, gym.Env):
        return "gymnasium.Env のサブクラスにしてください。"
    env = make()
    space = getattr(env, "action_space", None)
    if not isinstance(space, gym.spaces.Discrete) or space.start:
        return "action_space を Discrete(行動の数) にしてください。DQN は、番号の行動を選びます。"
    shape = getattr(getattr(env, "observation_space", None), "shape", None)
    if shape is None or len(shape) != 1:
        return "observation_space を、形が (D,) の Box にしてください。"
    try:
        check_env(env, skip_render_check=True)
    except Exception as error:  # noqa: BLE001  読者のコードからは、何でも出ます
        return f"check_env が、決まりと違う所を見つけました ({error})。".replace(
            "\n", " "
        )
    totals: dict[object, list[float]] = {}
    rng = np.random.default_rng(64)
    for name in ("ランダム", *range(int(space.n))):
        for seed in range(20):
            first, _ = env.reset(seed=seed)
            again, _ = env.reset(seed=seed)
            if not np.array_equal(first, again):
                return "同じ seed から、違う状態で始まります。乱数は self.np_random から引いてください。"
            total, t, ended = 0.0, 0, False
            while not ended:
                action = int(rng.integers(space.n)) if name == "ランダム" else name
                _, reward, terminated, truncated, _ = env.step(action)
                total, t = total + float(reward), t + 1
                ended = terminated or truncated
                if t == 1_000 and not ended:
                    return "1,000 ステップたっても、エピソードが終わりません。終端か打ち切りを作ってください。"
            totals.setdefault(name, []).append(total)
    values = np.concatenate([*totals.values()])
    if np.ptp(values) == 0:
        return "どう行動しても、報酬の合計が同じです。これでは、学ぶことがありません。"
    best = values.max()
    if any(min(group) == best for group in totals.values()):
        return "同じ行動を続けるだけか、ランダムに行動するだけで、いつも最もよい結果になります。状態を見なければ勝てないゲームにしてください。"
    return None


EXERCISES = {"6.1": drifting, "6.2": all_three, "6.3": faster, "6.4": own_game}
