"""学習のあいだに、ターゲットネットワークがどう動くか。"""

import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.subject import Subject, Watched

MOST_UPDATES = 5_500  # 同期を待つ更新の数
FIRST_CALL = 3_000  # update の中ではじめて学ぶのを待つステップ数


class Motion:
    """更新と同期のたびに、ターゲットネットワークがどう動いたかを数えます。

    属性:
        calls: 学びはじめてからの update の数。
        learned: そのうち、オンラインネットワークが動いたもの。
        tied: そのうち、ターゲットネットワークの一部の重みだけが、オンラインと同じになったもの。
        shares: ターゲットネットワークの動いた update で、差のどれだけを詰めたか。
        copies: まるごと写したのが、何回目の update のあとか。update の外での同期も数えます。
    """

    def __init__(self, subject):
        self.subject = subject
        self.calls = self.learned = self.tied = 0
        self.shares: list[float] = []
        self.copies: list[int] = []
        self.remember()

    def networks(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """二つのネットワークの重み。同期で、新しいネットワークに替わることがあります。"""
        subject = self.subject
        target = getattr(subject.agent, subject.target_name)
        return subject.weights(subject.online), subject.weights(target)

    def remember(self) -> None:
        """いまの重みの写しをとります。"""
        self.ours, self.theirs = ([x.copy() for x in net] for net in self.networks())

    def look(self, *, inside: bool) -> None:
        """前に見たときからの動きを数えます。inside なら、更新のあいだの動きです。"""
        ours, theirs = self.networks()
        learned = any((x != y).any() for x, y in zip(ours, self.ours))
        same = [np.array_equal(x, y) for x, y in zip(ours, theirs)]
        self.learned += inside and learned
        self.calls += inside and self.learned > 0
        alone = [a and (x != y).any() for a, x, y in zip(same, ours, self.ours)]
        self.tied += inside and any(alone) and not all(same)
        # 更新の前とあとの、どちらのオンラインネットワークに近づいたのでも、かまいません
        gap = np.concatenate([(x - y).ravel() for x, y in zip(ours, self.theirs)])
        step = np.concatenate([(x - y).ravel() for x, y in zip(theirs, self.theirs)])
        if self.learned and step.any() and gap @ gap > 1e-9:
            share = float(step @ gap / (gap @ gap))
            if inside and share < 0.999 and not self._kept(theirs):
                self.shares.append(share)
            else:
                self.copies.append(self.calls)
        self.remember()

    def _kept(self, theirs) -> bool:
        """学ぶ前のオンラインネットワークを写したか。"""
        return all(np.array_equal(x, y) for x, y in zip(self.ours, theirs))

    def late(self) -> list[int]:
        """学びはじめたあとの同期が、何回目の更新のあとか。"""
        return [k for k in self.copies if k > 1]

    def gap(self) -> float:
        """追いつくまでの update の数。少しずつ近づくなら、差がおよそ 0.37 倍になるまで。動かなければ 0 です。"""
        if self.shares:
            return min(MOST_UPDATES, self.calls / max(sum(self.shares), 1e-9))
        return self.late()[0] if self.late() else 0

    def is_same(self) -> bool:
        """ターゲットネットワークが、オンラインネットワークそのものか。"""
        return all(x is y for x, y in zip(*self.networks()))


def watch(case, rest: int = 0) -> Motion | None:
    """学習のあいだの動き。ターゲットネットワークが見つからなければ None です。

    エピソードごとに同期するものでは、そのあいだにも更新が続くように、rest ステップ延ばして見なおします。
    """
    subject = Subject(case)
    subject.values(case.panel(1)[0])
    if subject.target is None or not subject.weights(subject.online):
        return None
    motion = Motion(subject)
    if motion.is_same():
        return motion
    state_size, action_size = case.shape
    env = probes.Observed(state_size, action_size, rest or case.rest or 0)
    agent = Watched(subject.agent, after=lambda: motion.look(inside=True))
    episode = 0
    while motion.calls < MOST_UPDATES and len(env.transitions) < (
        2 * MOST_UPDATES if motion.calls else FIRST_CALL
    ):
        subject.episode(env, agent, episode)
        motion.look(inside=False)
        episode += 1
        waiting = 400 if motion.shares else 60
        if motion.calls > waiting and (motion.shares or motion.late()):
            break
    if not env.rest and len(motion.copies) > 0.9 * motion.learned:
        return watch(case, rest=9)
    return motion
