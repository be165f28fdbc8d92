"""引数の検査。悪い値は、引数の名前・渡された値・期待する形を添えて断ります。

型が違うなら TypeError、ほかは ValueError です。
"""

import math
import operator

import numpy as np
from numpy.typing import DTypeLike

from rlbook_helpers.dezero_compat import Model

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def _message(name: str, expected: str, value) -> str:
    return f"{name} は {expected}にしてください: {value!r}"


def integer(name: str, value, low: int, high: int | None = None) -> int:
    """``low`` 以上 (``high`` があれば ``high`` 未満) の整数であることを確かめて返します。"""

    def message() -> str:
        limits = f"{low} 以上" if high is None else f"{low} 以上 {high} 未満"
        return _message(name, f"{limits}の整数", value)

    if isinstance(value, (bool, np.bool_)):
        raise TypeError(message())
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(message()) from None
    if result < low or (high is not None and result >= high):
        raise ValueError(message())
    return result


def number(
    name: str, value, low: float = -_FLOAT32_MAX, high: float = _FLOAT32_MAX
) -> float:
    """``low`` 以上 ``high`` 以下の有限な数であることを確かめ、float にして返します。"""

    def message() -> str:
        expected = f"{low:g} 以上 {high:g} 以下の数"
        if (low, high) == (-_FLOAT32_MAX, _FLOAT32_MAX):
            expected = "float32 で表せる有限な数"
        return _message(name, expected, value)

    is_number = isinstance(value, (int, float))
    if not is_number and (isinstance(value, (str, bytes)) or np.ndim(value) != 0):
        raise TypeError(message())
    try:
        result = float(value)
    except TypeError:
        raise TypeError(message()) from None
    except OverflowError:
        result = math.inf
    if not low <= result <= high:  # NaN との比較は偽なので、ここで断れます
        raise ValueError(message())
    return result


def positive(name: str, value) -> float:
    """正の有限な数であることを確かめ、float にして返します。"""
    if number(name, value) <= 0:
        raise ValueError(_message(name, "正の数", value))
    return float(value)


def choice(name: str, value, choices: tuple[str, ...]) -> str:
    """``choices`` のどれかであることを確かめて返します。"""
    if value not in choices:
        raise ValueError(_message(name, f"{'、'.join(choices)} のどれか", value))
    return value


def flag(name: str, value) -> bool:
    """真偽値 (bool、または 0 と 1) であることを確かめ、bool にして返します。"""
    is_flag = isinstance(value, (bool, np.bool_, int, np.integer))
    if not is_flag or value not in (0, 1):
        error = ValueError if is_flag else TypeError
        raise error(_message(name, "True か False ", value))
    return bool(value)


def array(
    name: str,
    value,
    shape: tuple[int, ...] | None = None,
    dtype: DTypeLike | None = None,
) -> np.ndarray:
    """有限な数の配列であることを確かめて返します。

    引数:
        name: 例外で名指しする、引数の名前。
        value: 検査する値。
        shape: 形。None なら問いません。
        dtype: 変換する dtype。None なら、もとのままです。
    """
    # 環境から来る状態は、いつもこのとおりです
    right = type(value) is np.ndarray and value.dtype == dtype and value.shape == shape
    result = value if right else _as_array(name, value, shape, dtype)
    if result.dtype.kind == "f":
        flat = result.ravel()
        # 自分との内積が有限なら、どの要素も有限です。そのほうが速く済みます
        if not (math.isfinite(flat.dot(flat)) or np.isfinite(flat).all()):
            raise ValueError(f"{name} に NaN か無限大が含まれています: {value!r}")
    return result


def _as_array(name: str, value, shape, dtype) -> np.ndarray:
    """array の、型と形の検査と変換。"""
    try:
        result = np.asarray(value)
    except ValueError:  # 長さのそろわないリスト
        result = np.asarray(None)
    if result.dtype.kind not in "buif":
        raise TypeError(f"{name} は数の配列にしてください: {value!r}")
    if shape is not None and result.shape != shape:
        raise ValueError(
            f"{name} の形は {shape} にしてください: 形 {result.shape} の {value!r}"
        )
    if dtype is not None and result.dtype != dtype:
        if not np.can_cast(result.dtype, dtype, "same_kind"):
            raise TypeError(
                f"{name} の dtype は {np.dtype(dtype)} にしてください: {result.dtype}"
            )
        with np.errstate(over="ignore"):  # あふれて無限大になった値は、array が断ります
            result = result.astype(dtype)
    return result


def loss(value: float, agent) -> float:
    """損失が有限であることを確かめて返します。"""
    if type(value) is float and abs(value) <= _FLOAT32_MAX:
        return value
    try:
        number("損失", value)
    except ValueError:
        weights(agent)
        raise FloatingPointError(
            f"損失が {value} になりました{_cause(agent)}"
        ) from None
    return value


def weights(agent) -> None:
    """agent.qnet が DeZero のモデルなら、重みが有限であることを確かめます。"""
    qnet = getattr(agent, "qnet", None)
    arrays = [p.data for p in qnet.params()] if isinstance(qnet, Model) else []
    if not all(np.isfinite(x).all() for x in arrays if x is not None):
        raise FloatingPointError(f"重みが有限でなくなり、もう使えません{_cause(agent)}")


def _cause(agent) -> str:
    lr, n = getattr(agent, "lr", "?"), getattr(agent, "num_steps", "?")
    return f" (num_steps={n})。学習率 (lr={lr}) や、報酬と状態の大きさを調べてください"


def env_seed(seed: int | np.random.Generator | None) -> int | None:
    """``env.reset`` に渡せる整数のシードにします。Generator からは、一つ引きます。"""
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**31))
    return None if seed is None else integer("seed", seed, 0)


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """シードから乱数生成器を作ります。Generator は、そのまま返します。"""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(None if seed is None else integer("seed", seed, 0))


def length(episodes: int | None, steps: int | None) -> None:
    """学習の長さが、エピソードの数かステップの数のどちらか一つで決まっていることを確かめます。"""
    if (episodes is None) == (steps is None):
        raise ValueError(
            f"episodes と steps のどちらか一つを渡し、もう一つは None にしてください: "
            f"episodes={episodes!r}, steps={steps!r}"
        )
    counts(episodes=episodes, steps=steps)


def counts(**values: int | None) -> None:
    """どれも、1 以上の整数か None であることを確かめます。"""
    for name, value in values.items():
        if value is not None:
            integer(name, value, 1)
