"""DeZero を現在の NumPy で読みこむ、ただ一つの場所。

DeZero 0.0.13 は、クラスの定義の中で ``np.int`` を使います。この別名は NumPy 1.24 で
なくなったので、そのままでは ``import dezero`` が失敗します。ここでは、読みこむあいだだけ
別名を補い、終わったら取り除きます。``numpy`` は元のままです。

このパッケージを先に import すれば、そのあとの ``import dezero`` も動きます。
"""

import sys

import numpy as np

if (
    "dezero" not in sys.modules
):  # 失敗した import dezero の残りがあれば、はじめからやりなおします
    for _name in [name for name in sys.modules if name.startswith("dezero.")]:
        del sys.modules[_name]
_needs_alias = "int" not in vars(np)
if _needs_alias:
    vars(np)["int"] = int
try:
    import dezero.functions as F
    import dezero.layers as L
    from dezero import Function, Model, Parameter, Variable, no_grad, optimizers
finally:
    if _needs_alias:
        del vars(np)["int"]

__all__ = ["F", "Function", "L", "Model", "Parameter"]
__all__ += ["Variable", "no_grad", "optimizers"]
