"""ステップとともに変わるハイパーパラメータ。"""

from dataclasses import dataclass

from rlbook_helpers import checks


@dataclass(frozen=True)
class LinearSchedule:
    """``start`` から ``end`` まで、``steps`` ステップかけて直線で変わり、そのあとは変わらない値。

    引数:
        start: ステップ 0 の値。
        end: ステップ ``steps`` から先の値。
        steps: 変わるのにかけるステップの数。
    例外:
        TypeError, ValueError: steps が 1 以上の整数でない、値が有限な数でない。
    出典:
        ε については Mnih ほか (2015) の Methods。
    """

    start: float
    end: float
    steps: int

    def __post_init__(self):
        checks.number("start", self.start)
        checks.number("end", self.end)
        checks.integer("steps", self.steps, 1)

    def __call__(self, step: int) -> float:
        """ステップ ``step`` (0 以上) の値を返します。"""
        progress = min(step / self.steps, 1.0)
        return self.start + (self.end - self.start) * progress
