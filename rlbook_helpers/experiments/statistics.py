"""たくさんのシードの結果をまとめる統計。"""

import warnings
from collections.abc import Mapping
from typing import NamedTuple

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


def hierarchical_interval(
    values: np.ndarray, seed: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """環境とシードの両方を引きなおす、平均の 95 % ブートストラップ信頼区間 (下限, 上限)。

    環境を、重複を許して同じ個数引きなおし、引いた環境の一つひとつで、シードも引きなおして、平均を求めることを
    くり返します。区間は、ほかの環境を選んでいたら平均がどれだけ違ったかも、含みます。

    引数:
        values: 値 (M, K) または (M, K, T)。M は環境の数、K はシードの数で、どちらも 2 以上です。
        seed: 引きなおしのシード、または乱数生成器。
    戻り値:
        下限と上限。values が (M, K) なら数、(M, K, T) なら配列 (T,)。
    例外:
        TypeError, ValueError: 数の配列でない、NaN を含む、環境かシードが 2 個に満たない。
    出典:
        Davison & Hinkley (1997) の 3.8 節。
    """
    values = checks.array("values", values)
    if values.ndim < 2 or min(values.shape[:2]) < 2:
        raise ValueError(
            f"values には 2 個以上の環境とシードの値が要ります: 形 {values.shape}"
        )
    rng, (M, K) = checks.generator(seed), values.shape[:2]
    times = rng.multinomial(M, np.full(M, 1 / M), size=2_000)  # 環境を引いた回数 (N, M)
    weights = rng.multinomial(times * K, np.full(K, 1 / K))  # シードは (N, M, K)
    means = np.tensordot(weights, values, axes=2) / (M * K)  # (N,) か (N, T)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return low, high


def performance_profile(
    scores: np.ndarray, levels: np.ndarray, seed: int | np.random.Generator
) -> tuple[np.ndarray, ...]:
    """点数がそれぞれの水準に届いた、(環境, シード) の組の割合。

    引数:
        scores: 環境のあいだで比べられるようにそろえた点数 (M, K)。
        levels: 水準 (T,)。
        seed: 区間を求める、引きなおしのシード、または乱数生成器。
    戻り値:
        割合、hierarchical_interval の下限と上限。それぞれ (T,) です。
    出典:
        Agarwal ほか (2021) の性能プロファイル。区間は、シードだけでなく環境も引きなおします。
    """
    reached = np.asarray(scores)[..., None] >= levels  # (M, K, T)
    return reached.mean(axis=(0, 1)), *hierarchical_interval(reached, seed)


class Comparison(NamedTuple):
    """解けたシードの割合を、基準と比べた結果。"""

    solved: int  # 解けたシードの数
    seeds: int  # シードの数
    difference: float  # 解けた割合から、基準の割合を引いた差
    interval: tuple[float, float]  # 差の 95 % 区間
    p_value: float  # フィッシャーの正確検定 (両側)
    adjusted: float  # ホルムの方法で補正した p 値

    @property
    def verdict(self) -> str:
        """計画した結論の言葉。補正した p 値が 0.05 以上なら「わからない」です。"""
        if self.adjusted >= 0.05:
            return "わからない"
        return "効いた" if self.difference > 0 else "悪くした"


def compare_solved(
    solved: Mapping[str, np.ndarray], base: str
) -> dict[str, Comparison]:
    """解けたシードの割合を、基準 base と、ほかのそれぞれとで比べます。

    引数:
        solved: 設定の名前から、シードごとに解けたかどうか (K,)、bool。
        base: 基準の名前。
    戻り値:
        基準のほかの名前から、比べた結果。
    例外:
        ValueError: base が solved にない、または比べる相手がない。
    """
    checks.choice("base", base, tuple(solved))
    if len(solved) == 1:
        raise ValueError("solved に、base と比べるものを入れてください")
    return compare_pairs(
        {name: (s, solved[base]) for name, s in solved.items() if name != base}
    )


def compare_pairs(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, Comparison]:
    """解けたシードの割合を、組ごとに、その組の基準と比べます。

    引数:
        pairs: 名前から、比べるものと基準の、シードごとに解けたかどうか (K,) と (K0,)、bool。
    戻り値:
        名前から、比べた結果。
    出典:
        フィッシャーの正確検定は Fisher (1935)、差の区間は Newcombe (1998) の方法 10、
        補正は Holm (1979)。
    """
    counts = {
        name: (int(np.sum(s)), len(s), int(np.sum(s0)), len(s0))
        for name, (s, s0) in pairs.items()
    }
    p_values = [
        scipy.stats.fisher_exact([[k, n - k], [k0, n0 - k0]]).pvalue
        for k, n, k0, n0 in counts.values()
    ]
    # 読みこみに時間がかかるので、使うときだけにします
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import confint_proportions_2indep

    adjusted = multipletests(p_values, method="holm")[1]
    found = {}
    for (name, four), p, p_adjusted in zip(counts.items(), p_values, adjusted):
        k, n, k0, n0 = four
        low, high = confint_proportions_2indep(*four, method="newcomb")
        interval = float(low), float(high)
        difference = k / n - k0 / n0
        found[name] = Comparison(
            k, n, difference, interval, float(p), float(p_adjusted)
        )
    return found


def p_text(p: float) -> str:
    """p 値を、小数点の下 3 桁で書きます。"""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def survival(steps: np.ndarray, solved: np.ndarray) -> tuple[np.ndarray, ...]:
    """まだ一度も解けていないシードの割合の、カプラン・マイヤー推定。

    引数:
        steps: シードごとの、はじめて解けたステップ。解けなければ、終わりのステップ (K,)。
        solved: 解けたか (K,)、bool。
    戻り値:
        ステップ、割合、95 % 区間 (log-log) の下限と上限。それぞれ (T + 1,) で、ステップ 0 から始まります。
        割合が 0 のところの区間は NaN です。
    出典:
        Kaplan & Meier (1958)。
    """
    data = scipy.stats.CensoredData(uncensored=steps[solved], right=steps[~solved])
    curve = scipy.stats.ecdf(data).sf
    with warnings.catch_warnings():  # 割合が 0 のところに、区間はありません
        warnings.simplefilter("ignore", RuntimeWarning)
        band = curve.confidence_interval(method="log-log")
    shares = (curve, band.low, band.high)
    return (
        np.concatenate([[0], curve.quantiles]),
        *(np.concatenate([[1], share.probabilities]) for share in shares),
    )
