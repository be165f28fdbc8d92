"""渡された遷移を、起きた遷移と比べます。"""

from collections import Counter

import numpy as np

PARTS = ("状態", "行動", "報酬", "次の状態", "終端か")


def keys_of(rows: list[tuple]) -> list[tuple]:
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
        same: そのときの、違わない遷移の、(報酬、終端か) の組。
    """

    def __init__(self, rows: list[tuple], true: list[tuple]):
        keys = {*keys_of(true)}
        strange = [(t, key) for t, key in zip(rows, keys_of(rows)) if key not in keys]
        self.rows = [t for t, _ in strange]
        pairs = [(t, *_nearest(key, keys)) for t, key in strange[:200]]
        counts = Counter(parts for _, _, parts in pairs)
        self.parts = counts.most_common(1)[0][0] if counts else ()
        self.rewards, self.same = set(), set()
        if set(counts) == {("報酬",)}:
            self.rewards = {((near[2], near[4]), t[2]) for t, near, _ in pairs}
            self.same = {(key[2], key[4]) for key in keys_of(rows) if key in keys}

    def is_rule(self) -> bool:
        """報酬が、いつも同じ決まりで作りかえられているか。割る数が少しずつ変わるだけでもかまいません。"""
        if len(dict(self.rewards)) == len(self.rewards):
            return bool(self.rewards)
        pairs = np.array([(true, ours) for (true, _), ours in self.rewards])
        return bool(np.corrcoef(pairs.T)[0, 1] > 0.9)

    def rule(self) -> str:
        """報酬を、環境の報酬と終端かどうかだけから作りかえているなら、どう作りかえているか。そうでなければ空です。"""
        pairs = self.rewards | {(key, key[0]) for key in self.same}
        going = {(true, ours) for (true, end), ours in pairs if not end}
        ends = {ours for (_, end), ours in pairs if end}
        constants = {ours for _, ours in going}
        if not self.rewards or len(ends) > 1 or len(going) < 3:
            return ""
        if all(true == ours for true, ours in going):
            return f"終端の報酬を {ends.pop():g} に" if ends else ""
        if len(constants) == 1:
            both = ends | constants
            total = sum({true for (true, _), _ in pairs})
            if len(both) < 2 or both in ({0.0, 1.0}, {0.0, total}):
                return ""  # 終端かどうか、または報酬の和
            return f"報酬を、終端で {ends.pop():g}、ほかで {constants.pop():g} に"
        true, ours = np.array([*going]).T
        slope, shift = np.polyfit(true, ours, 1)
        if slope < 1e-6 or not np.allclose(slope * true + shift, ours, atol=2e-3):
            return ""
        times = "" if abs(slope - 1) < 1e-3 else f" {slope:.3g} 倍して"
        plus = "" if abs(shift) < 1e-3 else f" {shift:.3g} を足して"
        return f"報酬を{times}{plus}"

    def varies(self) -> bool:
        """同じ報酬から、違う報酬を作っているか。環境の報酬がわずかしか残らないなら、作る報酬は、さまざまでなければなりません。"""
        pairs = self.rewards | {(key, key[0]) for key in self.same}
        if len(pairs) == len(dict(pairs)):
            return False
        true, ours = np.array([(true, ours) for (true, _), ours in pairs]).T
        slope, _ = np.polyfit(true, ours, 1)
        return bool(0.5 < slope < 1.5) or len({*np.round(ours, 3)}) > 9


def _nearest(ours: tuple, keys) -> tuple[tuple, tuple[str, ...]]:
    """いちばん似た本当の遷移と、違う項目。"""
    return min(
        (
            (theirs, tuple(p for p, x, y in zip(PARTS, ours, theirs) if x != y))
            for theirs in keys
        ),
        key=lambda pair: len(pair[1]),
    )


def comparable(seen: list[tuple], rows: list[tuple]) -> tuple[list, list]:
    """渡された遷移と、比べる遷移。終端の次の状態が渡されなければ、どちらからも除きます。"""
    if not any(np.isnan(t[3]).any() for t in seen):
        return seen, rows
    first, second = (
        [(*t[:3], 0 * t[0], True) if t[4] else t for t in them] for them in (seen, rows)
    )
    return first, second
