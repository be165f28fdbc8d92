"""読者のエージェントのバッファを探し、中の遷移を読みます。"""

import functools
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from rlbook_helpers.clinic.program import Undecided
from rlbook_helpers.clinic.subject import as_array


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
        rows = x if isinstance(x, (list, deque)) else ()
        if rows and isinstance(rows[0], (list, tuple)) and len(rows[0]) > 4:
            return x, functools.partial(list, x)
    raise Undecided("get_batch か sample のあるバッファが見つかりません。")


def stored(agent) -> int:
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
