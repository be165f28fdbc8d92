"""ターゲットネットワークの検査。"""

import numpy as np

from rlbook_helpers.clinic.case import Case
from rlbook_helpers.clinic.program import Finding, Undecided, healthy, ill


def synchronization(case: Case) -> Finding:
    """ターゲットネットワークのすべての重みが、同期まで止まり、同期で追いつくか、少しずつ近づくかを見ます。"""
    motion = case.motion
    if motion is None:
        raise Undecided("ターゲットネットワークが見つかりません。")
    if motion.is_same():
        return ill(
            "ターゲットネットワークが、オンラインネットワークそのものです。写しを作っていますか。",
            "shared",
        )
    if not motion.calls:
        raise Undecided("update のあいだには学ばないので、同期を数えられません。")
    if motion.tied > 0.9 * motion.learned:
        return ill(
            "ターゲットネットワークの重みの一部が、オンラインネットワークといっしょに動きます。",
            "shared",
        )
    if len(motion.copies) > 0.9 * motion.learned:
        return ill(
            "ターゲットネットワークを、更新のたびに写しています。止めておくあいだがありません。",
            *("every_update", "shared"),
        )
    if motion.shares and motion.late():
        return ill(
            "ターゲットネットワークを、少しずつ近づけるうえに、まるごと写してもいます。",
            "both_syncs",
        )
    if motion.shares:
        share = float(np.median(motion.shares))
        text = f"更新のたびに、差の {100 * share:.1f} % だけ近づきます。"
        if share < 0.5:
            return healthy(text)
        return ill(f"{text}ほとんど写しているのと同じです。", "tau")
    if not motion.late():
        case.needs_synchronization()
        return ill(
            f"{motion.calls:,} 回の更新のあいだ、ターゲットネットワークが一度も追いつきません。",
            "never_synced",
        )
    first = motion.late()[0]
    return healthy(
        f"更新のあいだは止まり、{first} 回の更新のあとの同期で追いつきます。"
    )
