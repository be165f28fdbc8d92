"""遷移の検査: ループが渡すものと、バッファから出るもの。"""

import functools
import itertools
from collections import Counter, deque
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
from rlbook_helpers.clinic.subject import Watched, as_array

PARTS = ("状態", "行動", "報酬", "次の状態", "終端か")
FILL = 400  # バッファを調べる前に渡す遷移の数
DRAWS = 150  # 取り出すミニバッチの数。32 個ずつなら、400 個のどれも、一度は出ます
MOST_ADDED = 220_000  # バッファを満杯にするために加える遷移の数の上限


def _keys(rows: list[tuple]) -> list[tuple]:
    """遷移を、比べられるように丸めたもの。半精度で覚える状態もあるので、状態は半精度に丸めます。"""
    if not rows:
        return []
    states, actions, rewards, nexts, dones = zip(*rows)
    now, then = (
        [*map(tuple, (np.array(x, np.float16) + 0).tolist())] for x in (states, nexts)
    )
    return [*zip(now, actions, np.round(rewards, 3).tolist(), then, dones)]


class Strangers:
    """渡された遷移のうち、本当の遷移ではないもの。

    属性:
        rows: その遷移。
        parts: いちばん多い、違う項目の組。
        rewards: どれも報酬だけが違うなら、(本当の報酬と終端か、渡された報酬) の組。そうでなければ空です。
    """

    def __init__(self, rows: list[tuple], true: list[tuple]):
        keys = {*_keys(true)}
        strange = [(t, key) for t, key in zip(rows, _keys(rows)) if key not in keys]
        self.rows = [t for t, _ in strange]
        pairs = [(t, *_nearest(key, keys)) for t, key in strange[:200]]
        counts = Counter(parts for _, _, parts in pairs)
        self.parts = counts.most_common(1)[0][0] if counts else ()
        self.rewards = set()
        if set(counts) == {("報酬",)}:
            self.rewards = {((near[2], near[4]), t[2]) for t, near, _ in pairs}

    def is_rule(self) -> bool:
        """報酬が、いつも同じ決まりで作りかえられているか。割る数が少しずつ変わるだけでもかまいません。"""
        if len(dict(self.rewards)) == len(self.rewards):
            return bool(self.rewards)
        pairs = np.array([(true, ours) for (true, _), ours in self.rewards])
        return bool(np.corrcoef(pairs.T)[0, 1] > 0.9)


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
    _refuse_scaling(agent.seen, env.transitions)
    given, happened = _comparable(agent.seen, env.transitions)
    strangers = Strangers(given, happened)
    text = (
        f"{len(agent.seen)} 個のうち {len(strangers.rows)} 個が、起きたことと違います"
    )
    if strangers.rows:
        _refuse_shaping(strangers)
        names = [LOOP_SUSPECTS[part] for part in strangers.parts]
        words = "、".join(strangers.parts)
        return ill(f"{text}。違うのは、おもに{words}です。", *names[:3])
    true, seen = (Counter(_keys(rows)) for rows in (happened, given))
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
    cut = _keys(happened[4::10])
    if not {*missing} <= {*cut}:
        return ill(
            f"起きた {len(env.transitions)} 個の遷移のうち {len(missing)} 個を、update に渡していません。",
            "missing",
        )
    if missing:
        text += "。打ち切られた最後の遷移は渡していませんが、誤りではありません"
    return healthy(text + "。")


def _comparable(seen: list[tuple], rows: list[tuple]) -> tuple[list, list]:
    """渡された遷移と、比べる遷移。終端の次の状態が渡されなければ、どちらからも除きます。"""
    if not any(np.isnan(t[3]).any() for t in seen):
        return seen, rows
    first, second = (
        [(*t[:3], 0 * t[0], True) if t[4] else t for t in them] for them in (seen, rows)
    )
    return first, second


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


def find_buffer(agent) -> tuple[Any, Callable]:
    """エージェントの持つバッファと、そこからミニバッチを取り出す関数。遷移のリストなら、すべてを取り出します。

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
    for x in found:
        if isinstance(x, (list, deque)) and x and isinstance(x[0], (list, tuple)):
            return x, functools.partial(list, x)
    raise Undecided("get_batch か sample のあるバッファが見つかりません。")


def _stored(agent) -> int:
    """バッファにある遷移の数。バッファが見つからなければ 0 です。"""
    try:
        return len(find_buffer(agent)[0])
    except Undecided:
        return 0


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
        found = [as_array(x) for x in columns]
        wide = [k for k, x in enumerate(found) if x.ndim > 1 and x.shape[1:] != (1,)]
        if wide in ([0, 1], [0, 2]):  # 次の状態の場所は、まちまちです
            found.insert(3, found.pop(wide[1]))
        states, actions, rewards, nexts, dones = found
        n = len(actions)
        now, then = (x.astype(np.float32).reshape(n, -1) for x in (states, nexts))
        numbers = (x.reshape(n, -1)[:, 0].tolist() for x in (actions, rewards, dones))
        return [
            (s, int(a), r, x, bool(d)) for s, x, a, r, d in zip(now, then, *numbers)
        ]
    except (TypeError, ValueError, IndexError) as error:
        raise Undecided(f"バッファの中身を、遷移として読めません: {error}") from None


def buffer(case: Case) -> Finding:
    """バッファから出る遷移が、渡したとおりで、残らず、ばらばらに出るかを見ます。"""
    subject, env = case.fresh(), case.probe(probes.Ledger, rest=0)
    agent, episode, already = Watched(subject.agent), 0, _stored(subject.agent)
    for most in (FILL, 3 * FILL):  # エピソードの終わりに、まとめて覚えるものもあります
        while len(env.transitions) < most:
            subject.episode(env, agent, episode)
            episode += 1
        kept, draw = find_buffer(subject.agent)
        if len(kept) >= FILL // 2:
            break
    if _stored(case.fresh().agent) > already:
        return ill(
            "新しく作ったエージェントのバッファに、前のエージェントの遷移が入っています。",
            "shared_buffer",
        )
    listed = isinstance(kept, (list, deque)) and not hasattr(kept, "sample")
    batches = [drawn(draw) for _ in range(1 if listed else DRAWS)]
    rows = [t for batch in batches for t in batch]
    seen, rows = _comparable(agent.seen, rows)
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
    if not listed and (problem := _overfull(case)):
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
    best, keys = ([-1] * len(rows), 1), _keys(rows)
    for n, gamma in itertools.product(range(1, 11), gammas[:2]):
        where = {key: k for k, key in enumerate(_keys(_combined(seen, gamma, n)))}
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
