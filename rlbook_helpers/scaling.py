"""ネットワークの入力の大きさをそろえます。"""

import numpy as np


class RunningScale:
    """状態の成分ごとに、これまでの平均を引き、標準偏差で割ります。

    環境のことは何も知りません。見た状態から、平均と分散を一つずつ更新します。二つ目の状態までと、
    一度も変わらない成分は、割らずに引くだけです。

    引数:
        size: 状態の次元 D。
    属性:
        mean, deviation: これまでの平均と標準偏差 (D,)、float32。
    出典:
        Welford (1962)。
    """

    def __init__(self, size: int):
        self.count = 0
        self._mean = np.zeros(size)  # 足しこむ誤差を小さくするため、float64 です
        self._squares = np.zeros(size)  # 平均との差の二乗の和
        self.mean = np.zeros(size, np.float32)
        self.deviation = np.ones(size, np.float32)

    def update(self, state: np.ndarray) -> None:
        """状態 (D,) を一つ加えて、平均と標準偏差を更新します。"""
        self.count += 1
        difference = state - self._mean
        self._mean += difference / self.count
        self._squares += difference * (state - self._mean)
        self.mean = self._mean.astype(np.float32)
        deviation = np.sqrt(self._squares / self.count)
        self.deviation = np.where(deviation > 0, deviation, 1).astype(np.float32)

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """状態 (D,) か (B, D) の大きさをそろえます。もとの配列は変わりません。"""
        return (state - self.mean) / self.deviation
