"""遷移の検査: ループが渡すものと、バッファから出るもの。"""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.case import Case
from rlbook_helpers.clinic.program import (
    Finding,
    Undecided,
    healthy,
    ill,
    mismatch,
    play_episode,
)
from rlbook_helpers.clinic.subject import Watched, row

PARTS = ("状態", "行動", "報酬", "次の状態", "終端か")
FILL = 400  # バッファを調べる前に渡す遷移の数
DRAWS = 150  # 取り出すミニバッチの数。32 個ずつなら、400 個のどれも、一度は出ます
MOST_ADDED = 220_000  # バッファを満杯にするために加える遷移の数の上限


def _key(transition: tuple) -> tuple:
    state, action, reward, next_state, done = transition
    rounded = [tuple(np.round(x, 4) + 0.0) for x in (state, next_state)]
    return rounded[0], action, round(reward, 3), rounded[1], done


class Strangers:
    """渡された遷移のうち、本当の遷移ではないもの。

    属性:
        rows: その遷移。
        parts: いちばん多い、違う項目の組。
        rewards: どれも報酬だけが違うなら、(本当の報酬と終端か、渡された報酬) の組。そうでなければ空です。
    """

    def __init__(self, rows: list[tuple], true: list[tuple]):
        keys = {_key(t) for t in true}
        self.rows = [t for t in rows if _key(t) not in keys]
        pairs = [(t, *_nearest(_key(t), keys)) for t in self.rows[:200]]
        counts = Counter(parts for _, _, parts in pairs)
        self.parts = counts.most_common(1)[0][0] if counts else ()
        self.rewards = set()
        if set(counts) == {("報酬",)}:
            self.rewards = {((near[2], near[4]), t[2]) for t, near, _ in pairs}

    def is_rule(self) -> bool:
        """報酬が、いつも同じ決まりで作りかえられているか。"""
        return bool(self.rewards) and len(dict(self.rewards)) == len(self.rewards)


def _nearest(ours: tuple, keys) -> tuple[tuple, tuple[str, ...]]:
    """いちばん似た本当の遷移と、違う項目。"""
    return min(
        (
            (theirs, tuple(p for p, x, y in zip(PARTS, ours, theirs) if x != y))
            for theirs in keys
        ),
        key=lambda pair: len(pair[1]),
    )


LOOP_SUSPECTS = {
    "状態": "out_of_step",
    "行動": "other_action",
    "報酬": "reward_changed",
    "次の状態": "reset_state",
    "終端か": "ends",
}


def loop(case: Case) -> Finding:
    """学習のループが、起きたとおりの遷移を、一度ずつ update に渡すかを見ます。"""
    subject, env = case.fresh(), case.probe(probes.Ledger, rest=0)
    agent, program = Watched(subject.agent), case.program
    try:
        for episode in range(12):
            play_episode(program, env, agent, case.seed if episode == 0 else None)
    except probes.LoopError as error:
        return ill(str(error), "truncated_ignored")
    if not agent.seen:
        return ill("ループが、update を一度も呼んでいません。", "shape")
    executed = [transition[1] for transition in env.transitions]
    if agent.chosen and agent.chosen[: len(executed)] != executed:
        return ill(
            "get_action が選んだ行動と、環境で実行した行動が違います。", "other_action"
        )
    strangers = Strangers(agent.seen, env.transitions)
    text = (
        f"{len(agent.seen)} 個のうち {len(strangers.rows)} 個が、起きたことと違います"
    )
    if strangers.rows:
        _refuse_shaping(strangers)
        names = [LOOP_SUSPECTS[part] for part in strangers.parts]
        words = "、".join(strangers.parts)
        return ill(f"{text}。違うのは、おもに{words}です。", *names[:3])
    true, seen = (Counter(map(_key, rows)) for rows in (env.transitions, agent.seen))
    repeated = sum(n - true[key] for key, n in seen.items() if n > true[key])
    if repeated:
        return ill(f"{repeated} 個の遷移を、二度渡しています。", "twice")
    again = [s for s in set(env.seeds) if s is not None and env.seeds.count(s) > 1]
    if again:
        return ill(
            f"エピソードのたびに、同じシード {again[0]} で reset しています。いつも同じ始まりになります。",
            "reseeded",
        )
    missing = [t for t in env.transitions if _key(t) not in seen]
    cut = {_key(env.transitions[k]) for k in range(4, len(env.transitions), 10)}
    if any(_key(t) not in cut for t in missing):
        return ill(
            f"起きた {len(env.transitions)} 個の遷移のうち {len(missing)} 個を、update に渡していません。",
            "missing",
        )
    if missing:
        text += "。打ち切られた最後の遷移は渡していませんが、誤りではありません"
    return healthy(text + "。")


def find_buffer(agent) -> tuple[Any, Callable]:
    """エージェントの持つバッファと、そこからミニバッチを取り出す関数。

    例外:
        Undecided: 見つからない。
    """
    owners = [agent, getattr(agent, "_agent", agent), getattr(agent, "agent", agent)]
    found = [x for owner in owners for x in getattr(owner, "__dict__", {}).values()]
    for buffer in [getattr(agent, "replay_buffer", None), *found]:
        for name in ("get_batch", "sample", "sample_batch"):
            draw = getattr(buffer, name, None)
            if callable(draw) and hasattr(buffer, "__len__"):
                return buffer, draw
    raise Undecided("get_batch か sample のあるバッファが見つかりません。")


def drawn(draw: Callable, size: int = 32) -> list[tuple]:
    """取り出したミニバッチの遷移。

    例外:
        Undecided: 遷移の五つの配列として読めない。
    """
    try:
        try:
            batch = draw()
        except TypeError:
            batch = draw(size)
        columns = list(batch)
        if len(columns) != 5 or len(np.shape(columns[1])) > 2:
            columns = list(zip(*columns))[:5]
        return [row(transition) for transition in zip(*columns[:5])]
    except (TypeError, ValueError, IndexError) as error:
        raise Undecided(f"バッファの中身を、遷移として読めません: {error}") from None


def buffer(case: Case) -> Finding:
    """バッファから出る遷移が、渡したとおりで、残らず、ばらばらに出るかを見ます。"""
    subject, env = case.fresh(), case.probe(probes.Ledger, rest=0)
    agent, episode = Watched(subject.agent), 0
    kept, draw = find_buffer(subject.agent)
    while len(env.transitions) < FILL or (
        len(kept) < 200 and len(env.transitions) < 3 * FILL
    ):
        subject.episode(env, agent, episode)
        episode += 1
    batches = [drawn(draw) for _ in range(DRAWS)]
    rows = [t for batch in batches for t in batch]
    places, n = _places(rows, agent.seen, case.gammas)
    wrong = places.count(-1)
    text = f"{len(rows)} 個のうち {wrong} 個が、渡したものと違います"
    if wrong:
        strangers = Strangers(rows, agent.seen)
        if strangers.is_rule():
            raise mismatch(
                "update が、報酬を作りかえて覚えています。わざとなら、これは誤りではありません。"
            )
        words = "、".join(strangers.parts)
        names = _buffer_suspects(rows, strangers, n)
        return ill(f"{text}。違うのは、おもに{words}です。", *names)
    size, distinct, half = len(batches[0]), len(set(places)), len(agent.seen) // 2
    if distinct <= size or max(places) < half or min(places) > half:
        old = max(places) < half
        return ill(
            f"渡した {len(agent.seen)} 個のうち、{'古い' if old else '新しい'} {distinct} 個しか出ません。",
            *(("old_only",) if old else ("small_buffer",)),
        )
    at = iter(places)
    groups = [sorted({next(at) for _ in batch}) for batch in batches]
    if all(group[-1] - group[0] < size + 2 for group in groups):
        return ill(
            "ミニバッチが、いつも続いた遷移です。無作為に取り出していますか。",
            "consecutive",
        )
    if problem := _overfull(case):
        return ill(problem, "buffer_place")
    many = f" ({n} 歩ぶんまとめています)" if n > 1 else ""
    return healthy(f"{text}{many}。")


def _refuse_shaping(strangers: Strangers) -> None:
    """わざと作りかえたらしい報酬なら、前提が合わないとします。

    例外:
        Undecided: 終端の報酬だけが決まった数であるか、報酬がいつも同じ正の数の倍になっている。
    """
    given = {ours for _, ours in strangers.rewards}
    ratios = {round(ours / true, 4) for (true, _), ours in strangers.rewards}
    if strangers.rewards and len(given) == 1 and all(t[4] for t in strangers.rows):
        how = f"終端の報酬を {given.pop():g} に"
    elif len(strangers.rewards) > 3 and len(ratios) == 1 and min(ratios) > 0:
        how = f"報酬を {ratios.pop():g} 倍に"
    else:
        return
    raise mismatch(
        f"ループが、{how}作りかえています。わざとなら、これは誤りではありません。"
    )


def _buffer_suspects(rows, strangers: Strangers, n: int) -> tuple[str, ...]:
    """バッファから出た遷移の違いかたから、疑う所。"""
    states = np.array([t[0] for t in rows])
    if np.array_equal(states, np.round(states)):
        return "buffer_type", "buffer_place", "reused_array"
    if n > 1:
        return "window", "gamma", "buffer_place"
    if strangers.parts == ("行動",):
        return "other_action", "buffer_place", "window"
    zeros = any(not t[0].any() for t in strangers.rows)
    if "状態" in strangers.parts and not zeros:
        return "reused_array", "buffer_place", "buffer_type"
    return "buffer_place", "window", "reused_array"


def _places(rows, seen, gammas) -> tuple[list[int], int]:
    """取り出した遷移が、渡した何番目のものか。渡したものでなければ -1 です。

    n 歩ぶんまとめたものなら、その n も返します。
    """
    best, keys = ([-1] * len(rows), 1), [_key(t) for t in rows]
    for n, gamma in itertools.product(range(1, 11), gammas[:2]):
        where = {_key(t): k for k, t in enumerate(_combined(seen, gamma, n))}
        places = [where.get(key, -1) for key in keys]
        if -1 not in places:
            return places, n
        if places.count(-1) < best[0].count(-1):
            best = places, n
    return best


def _combined(seen: list[tuple], gamma: float, n: int) -> list[tuple]:
    """続いた遷移を n 個ずつまとめたもの。エピソードの終わりでは、短くまとめます。"""
    found = []
    for k, (state, action, *_) in enumerate(seen):
        total, last = 0.0, k
        for i in range(k, min(k + n, len(seen))):
            if i > k and not np.array_equal(seen[i][0], seen[i - 1][3]):
                break
            total, last = total + gamma ** (i - k) * seen[i][2], i
            if seen[i][4]:
                break
        found.append((state, action, total, seen[last][3], seen[last][4]))
    return found


def _overfull(case: Case) -> str:
    """満杯になったあとのバッファの異常。なければ空の文字列。"""
    kept, draw = find_buffer(case.fresh().agent)
    names = [name for name in ("add", "append", "push", "store") if hasattr(kept, name)]
    if not names:
        return ""
    add, zero = getattr(kept, names[0]), np.zeros(case.shape[0], np.float32)

    def put(start: int, n: int) -> int:
        """すべての数が番号の遷移を n 個加え、次の番号を返します。"""
        for k in range(start, start + n):
            add(zero + k, k % case.shape[1], float(k), zero + k + 1, False)
        return start + n

    count, size = 0, -1
    try:
        while len(kept) > size:
            if count >= MOST_ADDED:
                return ""
            size, count = len(kept), put(count, 1000)
        count = put(count, len(kept) // 2)
        rows = [t for _ in range(DRAWS) for t in drawn(draw)]
    except (TypeError, ValueError, Undecided):
        return ""  # 引数の違うバッファ
    for state, _, reward, next_state, _ in rows:
        k = state[0]
        if (state != k).any() or (next_state != k + 1).any() or reward != k:
            return "満杯になったあとのバッファから、渡したものと違う遷移が出ます。"
        if k < count - len(kept):
            return "満杯になったあとのバッファから、捨てたはずの古い遷移が出ます。"
    return ""
