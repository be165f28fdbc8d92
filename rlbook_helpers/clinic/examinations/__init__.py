"""バグ診療所の検査のすべてと、まとめて行う examine。

検査は、プログラムのふるまいだけを見ます。前提が合わなければ、異常とは言わずに、どの前提かを伝えます。

出典: 小さな環境は Jones (2021) と Osband ほか (2020)。少ない遷移を覚えこませることと、基準の方策を
先に測ることは Karpathy (2019)。
"""

import functools
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits

from rlbook_helpers.clinic.case import Case
from rlbook_helpers.clinic.examinations import (
    behaviour,
    learning,
    target,
    transitions,
    updates,
)
from rlbook_helpers.clinic.program import Finding, Misused, Program, Undecided, ill

# 読者のものではないコードの場所
OTHERS = {Path(__file__).parents[2], Path(sysconfig.get_path("stdlib"))}


def guarded(examination: Callable[[Case], Finding]) -> Callable[..., Finding]:
    """プログラムと seed から検査を行い、例外も所見にする関数。"""

    @functools.wraps(examination)
    def run(program: Program, seed: int = 0, case: Case | None = None) -> Finding:
        if not isinstance(program, Program):
            program = Program(program)
        with threadpool_limits(1, user_api="blas"):
            try:
                return examination(case or Case(program, seed))
            except Undecided as error:
                return error.finding
            except Misused as error:
                return ill(str(error), "shape")
            except Exception as error:  # noqa: BLE001  読者のプログラムは、どんな例外も出します
                return _told(error)

    return run


def _told(error: Exception) -> Finding:
    """例外の、読者のプログラムでの場所と、内容。読者のプログラムを通らない例外なら、調べられない、とします。"""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if OTHERS.isdisjoint(Path(f.filename).parents)]
    at = next((f for f in reversed(outside) if "site-packages" not in f.filename), None)
    what = f"{type(error).__name__}: {error}"
    if at is None:
        return Undecided(f"検査の途中で例外が出ました。{what}").finding
    where = f"{Path(at.filename).name} の {at.lineno} 行 ({at.line})"
    return ill(f"検査の途中で、{where} から例外が出ました。{what}", "shape")


_ALL = {
    "program": ("最初の点検", behaviour.program),
    "loop": ("ループが渡す遷移", transitions.loop),
    "buffer": ("バッファから出る遷移", transitions.buffer),
    "pace": ("学ぶ時期", updates.pace),
    "td_targets": ("TD ターゲット", updates.td_targets),
    "gradient": ("勾配の向き", updates.gradient),
    "first_step": ("最初の一歩", updates.first_step),
    "synchronization": ("ターゲットネットワーク", target.synchronization),
    "actions": ("探索", behaviour.actions),
    "evaluation": ("評価の方策", behaviour.evaluation),
    "probe_constant": ("報酬が一定の環境", learning.probe_constant),
    "probe_observed": ("状態で決まる環境", learning.probe_observed),
    "probe_acted": ("行動で決まる環境", learning.probe_acted),
    "probe_both": ("状態と行動で決まる環境", learning.probe_both),
    "overfit": ("少ない遷移を覚えこむ", learning.overfit),
    "probe_delayed": ("遅れてもらう環境", learning.probe_delayed),
    "probe_turned": ("選びなおす環境", learning.probe_turned),
    "probe_truncated": ("打ち切られる環境", learning.probe_truncated),
    "baselines": ("基準の方策", learning.baselines),
}
EXAMINATIONS = {name: guarded(function) for name, (_, function) in _ALL.items()}
TITLES = {name: title for name, (title, _) in _ALL.items()}


class Findings(dict):
    """検査の名前から所見への辞書。見たときに、はじめて検査します。

    最初の点検に異常があれば、ほかの検査はしません。

    引数:
        program, seed: examine と同じです。
    """

    def __init__(self, program: Program, seed: int = 0):
        super().__init__()
        self.case = Case(
            program if isinstance(program, Program) else Program(program), seed
        )

    def __missing__(self, name: str) -> Finding:
        if name != "program" and self["program"].passed is False:
            found = Undecided("最初の点検に異常があるので、調べません。").finding
        else:
            found = EXAMINATIONS[name](self.case.program, self.case.seed, self.case)
        self[name] = found
        return found


def examine(program: Program, seed: int = 0) -> dict[str, Finding]:
    """すべての検査を行い、検査の名前から結果を返します。advice.advise が、次に見る所を伝えます。

    最初の点検で例外が出たら、ほかの検査はしません。
    """
    findings = Findings(program, seed)
    return {name: findings[name] for name in EXAMINATIONS}
