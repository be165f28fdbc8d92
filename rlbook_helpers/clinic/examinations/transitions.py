"""遷移の検査: ループが渡すものと、バッファから出るもの。"""

import itertools
from collections import Counter, deque

import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.case import Case
from rlbook_helpers.clinic.memory import drawn, find_buffer, stored
from rlbook_helpers.clinic.program import Finding, Undecided, healthy, ill, mismatch
from rlbook_helpers.clinic.strangers import Strangers, comparable, keys_of
from rlbook_helpers.clinic.subject import Watched

FILL = 400  # バッファを調べる前に渡す遷移の数
DRAWS = 150  # 取り出すミニバッチの数。32 個ずつなら、400 個のどれも、一度は出ます
MOST_ADDED = 220_000  # バッファを満杯にするために加える遷移の数の上限
LOOP_SUSPECTS = {
    "状態": "out_of_step",
    "行動": "other_action",
    "報酬": "reward_changed",
    "次の状態": "reset_state",
    "終端か": "ends",
}


def loop(case: Case) -> Finding:
    """学習のループが、起きたとおりの遷移を、一度ずつ update に渡すかを見ます。"""
    try:
        agent, env = case.walk
    except probes.LoopError as error:
        return ill(str(error), "truncated_ignored")
    if not agent.seen:
        return ill("ループが、update を一度も呼んでいません。", "shape")
    executed = [transition[1] for transition in env.transitions]
    if agent.chosen and agent.chosen[: len(executed)] != executed:
        return ill(
            "get_action が選んだ行動と、環境で実行した行動が違います。", "other_action"
        )
    _refuse_scaling(agent.seen, env.transitions)
    given, happened = comparable(agent.seen, env.transitions)
    strangers = Strangers(given, happened)
    text = (
        f"{len(agent.seen)} 個のうち {len(strangers.rows)} 個が、起きたことと違います"
    )
    if strangers.rows:
        if how := case.shaping:
            raise mismatch(
                f"ループが、{how}作りかえています。わざとなら、これは誤りではありません。"
            )
        names = [LOOP_SUSPECTS[part] for part in strangers.parts]
        words = "、".join(strangers.parts)
        return ill(f"{text}。違うのは、おもに{words}です。", *names[:3])
    true, seen = (Counter(keys_of(rows)) for rows in (happened, given))
    repeated = sum(n - true[key] for key, n in seen.items() if n > true[key])
    if repeated:
        return ill(f"{repeated} 個の遷移を、二度渡しています。", "twice")
    again = [s for s in set(env.seeds) if s is not None and env.seeds.count(s) > 1]
    if again:
        return ill(
            f"エピソードのたびに、同じシード {again[0]} で reset しています。いつも同じ始まりになります。",
            "reseeded",
        )
    missing = [key for key in true if key not in seen]
    cut = keys_of(happened[4::10])
    if not {*missing} <= {*cut}:
        return ill(
            f"起きた {len(env.transitions)} 個の遷移のうち {len(missing)} 個を、update に渡していません。",
            "missing",
        )
    if missing:
        text += "。打ち切られた最後の遷移は渡していませんが、誤りではありません"
    return healthy(text + "。")


def _refuse_scaling(seen: list[tuple], true: list[tuple]) -> None:
    """ループが、どの状態も同じ一次式で作りかえているなら、前提が合わないとします。

    例外:
        Undecided: 作りかえている。
    """
    if len(seen) != len(true) or any(
        (*x[1:3], x[4]) != (*y[1:3], y[4]) for x, y in zip(seen, true)
    ):
        return
    ours, theirs = (
        np.array([t[k] for k in (0, 3) for t in rows]) for rows in (seen, true)
    )
    if ours.shape != theirs.shape or np.allclose(ours, theirs, atol=1e-4):
        return
    for x, y in zip(theirs.T, ours.T):
        slope, shift = np.polyfit(x, y, 1)
        if slope <= 0 or not np.allclose(slope * x + shift, y, atol=1e-3 * slope):
            return
    raise mismatch(
        "ループが、状態を、いつも同じ式で作りかえています。わざとなら、これは誤りではありません。"
    )


def buffer(case: Case) -> Finding:
    """バッファから出る遷移が、渡したとおりで、残らず、ばらばらに出るかを見ます。"""
    subject, env = case.fresh(), case.probe(probes.Ledger, rest=0)
    agent, episode, already = Watched(subject.agent), 0, stored(subject.agent)
    for most in (FILL, 3 * FILL):  # エピソードの終わりに、まとめて覚えるものもあります
        while len(env.transitions) < most:
            subject.episode(env, agent, episode)
            episode += 1
        kept, draw = find_buffer(subject.agent)
        if len(kept) >= FILL // 2:
            break
    if stored(case.fresh().agent) > already:
        return ill(
            "新しく作ったエージェントのバッファに、前のエージェントの遷移が入っています。",
            "shared_buffer",
        )
    listed = isinstance(kept, (list, deque)) and not hasattr(kept, "sample")
    batches = [drawn(draw) for _ in range(1 if listed else DRAWS)]
    rows = [t for batch in batches for t in batch]
    seen, rows = comparable(agent.seen, rows)
    places, n = _places(rows, seen, case.gammas)
    wrong = places.count(-1)
    text = f"{len(rows)} 個のうち {wrong} 個が、渡したものと違います"
    if wrong:
        strangers = Strangers(rows, seen)
        if {ours for _, ours in strangers.rewards} and all(
            ours == int(true[0]) for true, ours in strangers.rewards
        ):
            return ill(f"{text}。報酬を、整数に切りすてています。", "buffer_type")
        if strangers.is_rule():
            raise mismatch(
                "update が、報酬を作りかえて覚えています。わざとなら、これは誤りではありません。"
            )
        words = "、".join(strangers.parts)
        names = _buffer_suspects(rows, strangers, n)
        return ill(f"{text}。違うのは、おもに{words}です。", *names)
    size, distinct, half = len(batches[0]), len(set(places)), len(agent.seen) // 2
    if distinct <= size * (not listed) or max(places) < half or min(places) > half:
        old = max(places) < half
        return ill(
            f"渡した {len(agent.seen)} 個のうち、{'古い' if old else '新しい'} {distinct} 個しか出ません。",
            *(("old_only",) if old else ("small_buffer",)),
        )
    at = iter(places)
    groups = [sorted({next(at) for _ in batch}) for batch in batches]
    if not listed and all(group[-1] - group[0] < size + 2 for group in groups):
        return ill(
            "ミニバッチが、いつも続いた遷移です。無作為に取り出していますか。",
            "consecutive",
        )
    if not listed and n == 1 and (problem := _overfull(case)):
        return ill(problem, "buffer_place")
    many = f" ({n} 歩ぶんまとめています)" if n > 1 else ""
    return healthy(f"{text}{many}。")


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
    best, keys = ([-1] * len(rows), 1), keys_of(rows)
    for n, gamma in itertools.product(range(1, 11), gammas[:2]):
        where = {key: k for k, key in enumerate(keys_of(_combined(seen, gamma, n)))}
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
