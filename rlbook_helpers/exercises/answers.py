"""読者の答えを読みとります。読みとれないときは、何を渡せばよいかを伝える Reply を出します。"""

import copy
from collections.abc import Callable, Iterable

import numpy as np

from rlbook_helpers.dezero_compat import Variable


class Reply(Exception):
    """答えのどこが違うかを伝える一文。check が印刷します。"""


def number(answer, name: str = "答え") -> float:
    """数、要素が一つの配列、Variable のどれかから、数を一つ読みとります。"""
    value = _as_array(answer)
    if value.dtype.kind not in "iuf" or value.size != 1:
        raise Reply(f"{name}は、数を一つ渡してください。")
    if not np.isfinite(value).all():
        raise Reply(f"{name}が、有限な数ではありません。")
    return float(value.item())


def items(answer, *names: str) -> list:
    """名前の数だけ要素のある組から、要素を読みとります。"""
    try:
        if isinstance(answer, (str, bytes, dict, set)):
            raise TypeError
        found = list(answer)
    except TypeError:
        found = []
    if len(found) != len(names):
        raise Reply(f"答えは、({'、'.join(names)}) の組で渡してください。")
    return found


def numbers(answer, *names: str) -> list[float]:
    """名前の数だけ数のある組から、数を読みとります。"""
    return [number(x, name) for x, name in zip(items(answer, *names), names)]


def flag(answer, name: str) -> bool:
    """真偽値を読みとります。"""
    if not isinstance(answer, (bool, np.bool_)):
        raise Reply(f"{name}は、True か False で渡してください。")
    return bool(answer)


def array(answer, shape: tuple, name: str = "答え") -> np.ndarray:
    """形 shape の数の配列を読みとります。shape の -1 は、いくつでもよい所です。"""
    value = _as_array(answer)
    if value.dtype.kind not in "biuf":
        raise Reply(f"{name}は、数の配列にしてください。")
    same = len(shape) == value.ndim and all(
        n in (-1, m) for n, m in zip(shape, value.shape)
    )
    if not same:
        wanted = str(shape).replace("-1", "K")
        raise Reply(f"{name}の形は {wanted} のはずですが、{value.shape} です。")
    if not np.isfinite(value).all():
        raise Reply(f"{name}に、NaN か無限大が入っています。")
    return value


def function(answer, form: str) -> Callable:
    """関数であることを確かめます。form は、その書き方です。"""
    if isinstance(answer, type) or not callable(answer):
        raise Reply(f"関数 {form} そのものを、かっこで呼ばずに渡してください。")
    return answer


def class_(answer, form: str) -> type:
    """クラスであることを確かめます。form は、その書き方です。"""
    if not isinstance(answer, type):
        raise Reply(f"クラス {form} そのものを、かっこで呼ばずに渡してください。")
    return answer


def call(reader: Callable, *arguments):
    """読者の関数を呼びます。渡した配列やリストを書きかえたら、Reply を出します。"""
    given = copy.deepcopy(arguments)
    result = reader(*given)
    if not _same(given, arguments):
        raise Reply(
            "関数が、渡された引数を書きかえています。新しい配列やリストを作ってください。"
        )
    return result


def close(a, b, rtol: float = 1e-3, atol: float = 1e-9) -> bool:
    """a と b が等しいとみなせるか。手で丸めた数も、等しいとみなします。"""
    return bool(np.shape(a) == np.shape(b) and np.allclose(a, b, rtol, atol))


def fitting(
    value, right, usual: Iterable[tuple[object, str]], hint: str, rtol: float = 1e-3
) -> str | None:
    """right なら None、よくあるまちがいならその一文、ほかは hint を返します。"""
    if close(value, right, rtol):
        return None
    return next((text for wrong, text in usual if close(value, wrong, rtol)), hint)


def _as_array(answer) -> np.ndarray:
    value = answer.data if isinstance(answer, Variable) else answer
    if value is None or isinstance(value, (str, bytes, dict, set)):
        return np.array(None)
    try:
        return np.asarray(value)
    except ValueError:  # 長さのそろわないリスト
        return np.array(None)


def _same(a, b) -> bool:
    """入れ子の配列、リスト、辞書が等しいか。ほかのものは、比べません。"""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b if isinstance(a, (int, float, str)) else True
