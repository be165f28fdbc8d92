"""DeZero を現在の NumPy で読みこむ、ただ一つの場所。

DeZero 0.0.13 は ``np.int`` を使います。この別名は NumPy 1.24 でなくなったので、そのままでは
``import dezero`` が失敗します。ここでは、読みこむあいだだけ別名を補い、終わったら取り除きます。
使うときにも別名が要る ``dezero.datasets`` には、別名のある写しを渡します。``numpy`` は元のままです。

このパッケージを先に import すれば、そのあとの ``import dezero`` も動きます。
"""

import sys
from types import SimpleNamespace

import numpy as np

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

    dezero.datasets.np = SimpleNamespace(**vars(np))
finally:
    if _needs_alias:
        del vars(np)["int"]

__all__ = ["F", "Function", "L", "Model", "Parameter"]
__all__ += ["Variable", "no_grad", "optimizers"]
