"""DeZero を現在の NumPy で読みこむ、ただ一つの場所。

DeZero 0.0.13 は ``np.int`` を使います。この別名は NumPy 1.24 でなくなったので、そのままでは
``import dezero`` が失敗します。ここでは、読みこむあいだだけ別名を補い、終わったら取り除きます。
``numpy`` は元のままです。このパッケージを先に import すれば、そのあとの ``import dezero`` も動きます。
"""

import sys
import threading

import numpy as np


class _NumPy:
    int = int

    def __getattr__(self, name):
        return getattr(np, name)


# 失敗した import dezero の残りがあれば、はじめからやりなおします
if "dezero" not in sys.modules:
    for _name in [name for name in sys.modules if name.startswith("dezero.")]:
        del sys.modules[_name]
_needs_alias = "int" not in vars(np)
if _needs_alias:
    vars(np)["int"] = int
try:
    import dezero.datasets
    import dezero.functions as F
    import dezero.layers as L
    from dezero import Function, Model, Parameter, Variable, no_grad, optimizers
finally:
    if _needs_alias:
        del vars(np)["int"]

dezero.datasets.np = _NumPy()  # 呼ばれるときにも別名を使います
# 勾配を止める設定をスレッドごとに分けます。同時に学習しても、たがいの計算グラフを壊しません
_Config = type("Config", (threading.local,), {"enable_backprop": True, "train": True})
dezero.Config = dezero.core.Config = _Config()

__all__ = ["F", "Function", "L", "Model", "Parameter"]
__all__ += ["Variable", "no_grad", "optimizers"]
