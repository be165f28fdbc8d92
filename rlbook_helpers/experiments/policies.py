"""学習した方策を、重みのファイルに残し、読みます。"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.fused import relu_mlp
from rlbook_helpers.stable import StableDQNAgent

LARGEST = 100_000_000  # 読むファイルの、展開した大きさの上限 (バイト)


@dataclass(frozen=True)
class Policy:
    """一つのネットワークの貪欲な方策。学習はしません。

    属性:
        Ws, bs: 層ごとの重み (I, O) とバイアス (O,)、float32。入力に近い順。
        mean, deviation: 入力をそろえる平均と標準偏差 (D,)、float32。
        about: どう学習したか。設定、シード、ステップ数、はじめのエピソードの報酬の合計。
    """

    Ws: list[np.ndarray]
    bs: list[np.ndarray]
    mean: np.ndarray
    deviation: np.ndarray
    about: dict

    action_size = property(lambda self: len(self.bs[-1]))
    state_size = property(lambda self: len(self.mean))

    def action_values(self, state: np.ndarray) -> np.ndarray:
        """状態 (D,) か (B, D) での行動価値 (A,) か (B, A)。"""
        return relu_mlp((state - self.mean) / self.deviation, self.Ws, self.bs)[-1]

    def __call__(self, state: np.ndarray) -> int:
        """状態 (D,) で、価値が最大の行動の番号。"""
        state = checks.array("state", state, self.mean.shape, np.float32)
        return int(self.action_values(state).argmax())


def of_agent(agent: StableDQNAgent, about: dict) -> Policy:
    """エージェントの、いまの貪欲な方策の写し。重みの平均があれば、それを使います。

    例外:
        ValueError: ネットワークが QNet2 そのものでない、または重みが有限でない。
    """
    qnet = agent.qnet_average or agent.qnet
    if not getattr(qnet, "is_plain", False):
        raise ValueError(f"agent.qnet は QNet2 そのものにしてください: {qnet!r}")
    params = [p.data.copy() for p in qnet.params()]
    size = agent.state_size
    mean, deviation = np.zeros(size, np.float32), np.ones(size, np.float32)
    if agent.scale:
        mean, deviation = agent.scale.mean.copy(), agent.scale.deviation.copy()
    return _checked(params[::2], params[1::2], mean, deviation, about)


def _checked(Ws, bs, mean, deviation, about) -> Policy:
    """形と値が正しく、どれも float32 の方策。"""

    def check(name, array, shape) -> None:
        if getattr(array, "dtype", None) != np.float32:
            raise TypeError(f"{name} は float32 の配列にしてください: {array!r}")
        checks.array(name, array, shape)

    check("mean", mean, np.shape(mean)[:1] or (1,))
    check("deviation", deviation, mean.shape)
    if not len(Ws) == len(bs) > 0 or (deviation <= 0).any():
        raise ValueError("重みとバイアスの数がそろわない、または標準偏差が正でない")
    size = len(mean)
    for k, (W, b) in enumerate(zip(Ws, bs)):
        check(f"W{k}", W, (size, *(np.shape(W)[1:2] or (1,))))
        size = W.shape[1]
        check(f"b{k}", b, (size,))
    return Policy(Ws, bs, mean, deviation, about)


def save(path: Path, policy: Policy) -> None:
    """方策を .npz のファイルにします。pickle は使いません。

    途中で止まっても、書きかけのファイルは path に残りません。別の名前で書きおえ、読みなおして確かめてから、
    名前を変えます。

    例外:
        TypeError, ValueError: 値や形が正しくない、float32 でない、または about が JSON で表せない。
    """
    _checked(**vars(policy))
    arrays: dict[str, Any] = {f"W{k}": W for k, W in enumerate(policy.Ws)}
    arrays |= {f"b{k}": b for k, b in enumerate(policy.bs)}
    arrays |= {"mean": policy.mean, "deviation": policy.deviation}
    # JSON にならないものは、読みなおすと変わるので、断れます
    arrays["about"] = json.dumps(policy.about, skipkeys=True, default=repr)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        if load(temporary).about != policy.about:
            raise ValueError(f"about は JSON にしてください: {policy.about!r}")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> Policy:
    """save が書いたファイルを読みます。

    例外:
        ValueError: 読めない、要るものがない、または形や値が正しくない。
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(entry.file_size for entry in file.zip.infolist()) > LARGEST:
                raise ValueError(f"展開すると {LARGEST:,} バイトを超える")
            layers = range(sum(name.startswith("W") for name in file))
            Ws, bs = ([file[f"{kind}{k}"] for k in layers] for kind in "Wb")
            mean, deviation = file["mean"], file["deviation"]
            about = dict(json.loads(file["about"].item()))
        return _checked(Ws, bs, mean, deviation, about)
    except FileNotFoundError:
        raise
    # zip と配列の見出しは、壊れ方しだいで、どんな例外でも出します
    except (Exception, MemoryError) as error:  # noqa: BLE001
        raise ValueError(f"{path} は方策のファイルではありません ({error!r})") from None


def record(preset: Any, seed: int, at: Iterable[int], out: Path) -> list[Path]:
    """一つのシードを学習させ、at のステップの方策を out に残します。書いたファイルを返します。

    学習は run_seed と同じなので、記録のあるシードなら、その記録の方策です。

    例外:
        TypeError: 診療所の患者や、部品を外したエージェントの設定である。
        ValueError: at が、1 以上、学習のステップ数以下の整数でない。
    """
    last = checks.integer("steps", preset.steps, 1)
    at = {checks.integer("at", step, 1, last + 1) for step in at}
    env = preset.make_env()
    env_seed, agent_seed = preset.seeds(seed)
    agent = preset.make_agent(env, agent_seed)
    if not isinstance(agent, StableDQNAgent):
        raise TypeError(f"この設定の方策は残せません: {preset}")
    snapshots = {}

    def keep(step: int, ended: bool) -> None:
        if step in at:
            snapshots[step] = of_agent(agent, {"seed": seed, "step": step})

    record = preset.train(env, agent, env_seed, keep)
    paths = []
    for step, policy in sorted(snapshots.items()):
        policy.about.update(
            settings=dataclasses.asdict(preset), returns=record.returns[:10]
        )
        paths.append(out / f"{step:06}.npz")
        save(paths[-1], policy)
    return paths
