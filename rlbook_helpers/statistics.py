"""たくさんのシードの結果をまとめる統計。"""

import numpy as np
import scipy  # scipy.stats は、使うときに初めて読みこまれます

from rlbook_helpers import checks


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """四分位平均。小さいほうと大きいほうの四分の一ずつを除いた、残りの平均です。

    平均と違って、外れた値に引きずられません。中央値より、多くの値を使います。

    引数:
        values: 値。axis に沿ってシードが並びます。
        axis: まとめる軸。
    出典:
        Agarwal ほか (2021)。
    """
    return scipy.stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(
    values: np.ndarray, seed: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """四分位平均の、95 % ブートストラップ信頼区間 (下限, 上限)。

    手元の値から、重複を許して同じ個数を引きなおし、四分位平均を求めることをくり返します。
    得られた四分位平均の、2.5 % 点と 97.5 % 点が区間の両端です。

    引数:
        values: 値 (K,) または (K, T)。K はシードの数で、2 以上です。
        seed: 引きなおしのシード、または乱数生成器。
    戻り値:
        下限と上限。values が (K,) なら数、(K, T) なら配列 (T,)。
    例外:
        TypeError, ValueError: 数の配列でない、NaN を含む、シードが 2 個に満たない。
    出典:
        Efron (1979)、Agarwal ほか (2021)。
    """
    values = checks.array("values", values)
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(
            f"values には 2 個以上のシードの値が要ります: 形 {values.shape}"
        )
    interval = scipy.stats.bootstrap(
        (values,),
        interquartile_mean,
        n_resamples=2_000,
        method="percentile",
        rng=checks.generator(seed),
    ).confidence_interval
    return interval.low, interval.high
