"""実験の設定に、名前をつけます。"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from rlbook_helpers.experiments.parallel import ParallelPreset, StreamPreset
from rlbook_helpers.experiments.preset import Preset
from rlbook_helpers.experiments.variants import (
    CappedPreset,
    LandingPreset,
    PatientPreset,
    ReplayPreset,
)

# その種類だけが持つ設定の名前から、種類
KINDS: dict[str, Any] = {
    "capped": CappedPreset,
    "games": ParallelPreset,
    "kappa": StreamPreset,
    "landing": LandingPreset,
    "layer_norm": ReplayPreset,
}


def kind_of(settings: Mapping) -> Any:
    """設定の名前から、Preset の種類を見分けます。"""
    return next((kind for name, kind in KINDS.items() if name in settings), Preset)


def preset_of(settings: Mapping) -> Any:
    """dataclasses.asdict の逆。patient=None は患者でない、separate_streams がなければ False の意味です。

    例外:
        TypeError, ValueError: 知らない名前がある、または値が正しくない。
    """
    kind = kind_of(settings)
    if kind is not Preset:
        known = {f.name for f in dataclasses.fields(kind)}
        if unknown := [name for name in settings if name not in known]:
            own = next(name for name in KINDS if name in settings)
            message = f"{own} と一緒には決められません: {', '.join(unknown)}"
            raise ValueError(message)
        return kind(**settings)
    settings = {"separate_streams": False, **settings}
    patient = settings.pop("patient", None)
    if patient is None:
        return Preset(**settings)
    return PatientPreset(**settings, patient=patient)


ORIGINAL = Preset()
STABLE = Preset(
    steps=25_000,
    episodes=None,
    sync_interval=None,
    normalize=True,
    n_steps=3,
    gamma=0.995,
    lr=0.001,
    epsilon=1.0,
    epsilon_end=0.05,
    buffer_size=100_000,
    sync_steps=50,
    average_steps=3_000,
)
# stable と違うのは、環境とステップの数だけです
PRESETS: dict[str, Any] = {
    "original": ORIGINAL,
    "stable": STABLE,
    "acrobot": dataclasses.replace(STABLE, env_id="Acrobot-v1", steps=30_000),
    "lander": dataclasses.replace(STABLE, env_id="LunarLander-v3", steps=200_000),
    # 第 8 章の、部品を外したもの
    "pqn": ParallelPreset(),
    "stream": StreamPreset(),
    "replay": ReplayPreset(**vars(STABLE), layer_norm=False),
    # 第 9 章のブロックくずし
    "breakout": ParallelPreset(
        env_id="rlbook/Breakout-v0",
        steps=800_000,
        games=64,
        gamma=0.995,
        lr=0.004,
        epsilon_end=0.02,
        reward_scale=1.0,
    ),
}
