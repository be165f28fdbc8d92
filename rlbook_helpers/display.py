"""章の中での見せ方: ソースコード、図、動画。"""

import ast
import html
import inspect
import itertools
import os
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, Video
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager
from PIL import Image, ImageDraw, ImageFont

from rlbook_helpers import checks

# 本のすべての図に共通の色
INK, BLUE, ORANGE = "#1f2933", "#1f6fb2", "#b45309"
GREEN, RED, GREY = "#2f7d4f", "#b3261e", "#9aa5b1"
# ページからはみ出さず、操作部が画面を隠さないように、いつも下を空けます
VIDEO = (
    'controls loop playsinline preload="auto" style="max-width: 100%; height: auto; '
    "min-height: 11rem; aspect-ratio: {width} / {height}; object-fit: contain; "
    'object-position: top; background: #fff" aria-label="{alt}"'
)
CONTROLS = 90  # 操作部の高さ (画素)。電話の幅に縮んでも足ります


def setup_display() -> None:
    """図の書式をそろえ、日本語のフォントを使えるようにします。章の最初に呼びます。

    画面のない Linux では、CartPole の描画が警告を出さないように SDL の設定もします。
    """
    import matplotlib_fontja  # import しただけで既定のフォントが変わるので、ここで読みます

    matplotlib_fontja.japanize()
    if "_find_fonts_by_props" not in vars(fontManager):
        # あとで書式を替えても、選ばれた書体にない字は、日本語の書体から取ります
        find, gothic = fontManager._find_fonts_by_props, findfont("IPAexGothic")
        vars(fontManager)[find.__name__] = lambda *a, **k: [*find(*a, **k), gothic]
    plt.style.use(Path(__file__).with_name("book.mplstyle"))
    headless = not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if sys.platform == "linux" and headless:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")


def shorten(source: str) -> str:
    """関数の docstring を、一行目だけにします。続きがあったことは、… で示します。"""
    node = ast.parse(source).body[0]
    if not isinstance(node, ast.FunctionDef) or not ast.get_docstring(node):
        return source
    whole = str(ast.get_source_segment(source, node.body[0]))
    first, *more = whole.splitlines()
    return source.replace(whole, f'{first} …"""', 1) if more else source


def show_source(obj) -> Markdown:
    """クラスや関数のソースコードを、いま動いているパッケージから取り出して見せます。

    引数:
        obj: クラス、関数、またはメソッド。関数の docstring は、一行目だけを見せます。
    戻り値:
        ファイルの名前とコードの Markdown。HTML の本も Jupyter も、色をつけて見せます。
    例外:
        TypeError: クラスでも関数でもないもの、ソースコードのないもの。
    """
    try:
        source = shorten(textwrap.dedent(inspect.getsource(obj)))
        path = Path(*obj.__module__.split(".")).with_suffix(".py").as_posix()
    except (AttributeError, OSError, TypeError):
        raise TypeError(
            f"obj はソースコードのあるクラスか関数にしてください: {obj!r}"
        ) from None
    return Markdown(f"`{path}`\n\n```python\n{source}```\n")


def define_area(state: Sequence[float]) -> Figure:
    """倒立振子の画面を並べる図を用意します。見出しに、最初の状態を書きます。

    引数:
        state: 状態 (4,): カートの位置、カートの速度、棒の角度 [rad]、棒の角速度 [rad/s]。
    """
    x, x_dot, theta, theta_dot = checks.array("state", state, (4,))
    fig = plt.figure(figsize=(6.4, 6.6))
    fig.suptitle(
        "倒立振子 (CartPole-v1) の最初の状態\n"
        f"カートの位置 {x:.3f}, カートの速度 {x_dot:.3f}\n"
        f"棒の角度 {theta:.3f}, 棒の角速度 {theta_dot:.3f}"
    )
    return fig


def plot_frames(
    fig: Figure, frames: Sequence[np.ndarray], ended: Sequence[bool], columns: int = 10
) -> None:
    """画面を格子に並べます。エピソードが終わったステップの画面は、赤い枠で囲みます。

    引数:
        fig: 描く図。
        frames: 画面 T 枚。それぞれ (高さ, 幅, 3)、uint8。
        ended: そのステップでエピソードが終わったか。長さ T。
        columns: 一行に並べる枚数。
    """
    if len(frames) != len(ended):
        raise ValueError(
            f"ended の長さは frames ({len(frames)}) と同じにしてください: {len(ended)}"
        )
    columns = checks.integer("columns", columns, 1)
    rows = -(-len(frames) // columns)
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(frames) :]:
        ax.set_axis_off()
    for t, (frame, end, ax) in enumerate(zip(frames, ended, axes.flat)):
        ax.imshow(frame[::2, ::2])  # 縮めて並べるので、画素は半分で足ります
        ax.set(xticks=[], yticks=[])
        if end or t % columns == 0:  # 狭い画面でも読めるように、数を絞ります
            ax.set_title(f"{t + 1}", fontsize=9, pad=2, color=RED if end else INK)
        colour, width = (RED, 2.0) if end else (GREY, 0.5)
        for spine in ax.spines.values():
            spine.set(visible=True, color=colour, linewidth=width)


def plot_action_values(
    env,
    Q: np.ndarray,
    path: Sequence[tuple[int, int]] = (),
    *,
    error: np.ndarray | None = None,
) -> Axes:
    """グリッドワールドの行動価値を、マスごとの四つの三角形に書きます。枠つきが貪欲な行動です。

    引数:
        env: dezerogym の GridWorld。
        Q: 行動価値 (高さ, 幅, 4)。行動は 0 上、1 下、2 左、3 右。
        path: たどった状態の列。となりへの移動を、マスの境をまたぐ矢印で示します。
        error: Q の誤差 (高さ, 幅, 4)。あれば、三角形の色は、Q ではなく誤差を示します。
    戻り値:
        新しい図の座標軸。
    """
    # 上、下、左、右の三角形の、底辺の両端 (x, y)。y は下向き
    sides = [((0, 0), (1, 0)), ((0, 1), (1, 1)), ((0, 0), (0, 1)), ((1, 0), (1, 1))]
    label_at = [(0.5, 0.29), (0.5, 0.85), (0.22, 0.57), (0.78, 0.57)]
    # 色の見分けにくい人にも分かれる色。濃すぎて数が読めない両端は使いません
    name, colours = ("行動価値", "BrBG") if error is None else ("誤差", "PuOr")
    ends = plt.get_cmap(colours)(np.linspace(0.2, 0.8, 256))
    scale = plt.cm.ScalarMappable(plt.Normalize(-1, 1), ListedColormap(ends))
    shown = Q if error is None else error
    frame = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": INK}
    text: dict[str, Any] = {"ha": "center", "va": "center"}

    fig, ax = plt.subplots(figsize=(6.4, 4.3))
    bar = fig.colorbar(scale, shrink=0.7, aspect=30, pad=0.02, ax=ax)
    bar.ax.set_title(name, loc="left", fontsize=11)
    for y, x in env.states():
        if (y, x) == env.wall_state:
            ax.add_patch(plt.Rectangle((x, y), 1, 1, facecolor=GREY))
            ax.text(x + 0.5, y + 0.5, "壁", fontsize=14, **text)
            continue
        if (y, x) == env.goal_state:
            ax.text(x + 0.5, y + 0.2, "ゴール +1", fontsize=14, **text)
            continue
        for action, q in enumerate(Q[y, x]):
            points = np.array([*sides[action], (0.5, 0.5)]) + (x, y)
            face = scale.to_rgba(np.clip(shown[y, x, action], -1, 1))
            ax.add_patch(plt.Polygon(points, facecolor=face, edgecolor="white"))
            dx, dy = label_at[action]
            label = f"{round(q, 2) + 0.0:.2f}".replace("-", "−")  # −0.00 とは書きません
            box = frame if q == Q[y, x].max() else None
            ax.text(x + dx, y + dy, label, fontsize=12, bbox=box, **text)
        bomb = "爆弾 −1" if env.reward_map[y, x] == -1 else ""
        name = "スタート" if (y, x) == env.start_state else bomb
        if name:
            colour = RED if bomb else INK
            box = {**frame, "boxstyle": "square,pad=0.1", "edgecolor": "white"}
            place = x + 0.03, y + 0.09
            ax.text(*place, name, va="center", color=colour, fontsize=10, bbox=box)
    arrow = {"arrowstyle": "simple,head_width=1,head_length=0.7", "color": BLUE}
    size = {"mutation_scale": 18, "shrinkA": 0, "shrinkB": 0}
    for (y, x), (next_y, next_x) in itertools.pairwise(path):
        step = np.array([next_x - x, next_y - y])
        # マスの境で、数のないところ
        centre = np.array([x, y]) + 0.5 + step / 2 + (0.28, 0.3) * (step == 0)
        tip, tail = centre + 0.15 * step, centre - 0.15 * step
        ax.annotate("", tip, tail, arrowprops={**arrow, **size})
    if len(path):
        y, x = path[-1]
        ax.plot(x + 0.5, y + 0.7, marker="*", markersize=16, color=BLUE)
    ax.set(xlim=(0, env.width), ylim=(env.height, 0), aspect="equal")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.vlines(range(env.width + 1), 0, env.height, color=INK, linewidth=1)
    ax.hlines(range(env.height + 1), 0, env.width, color=INK, linewidth=1)
    return ax


def side_by_side(
    films: Mapping[str, Sequence[np.ndarray]], ends: Mapping[str, str] | None = None
) -> list[np.ndarray]:
    """いくつかの画面の列を、名前とステップ数をつけて横に並べます。終わったものは、最後の画面で待ちます。

    引数:
        films: 名前から、画面の列 (それぞれ (高さ, 幅, 3)、uint8) への辞書。
        ends: 名前から、終わりに起きたこと (「倒れた」など) への辞書。終わった画面に添えます。
    戻り値:
        並べた画面のリスト。長さは、いちばん長い列と同じです。
    """
    shapes = {frame.shape for frames in films.values() for frame in frames}
    if len(shapes) != 1 or not all(map(len, films.values())):
        raise ValueError(
            "films には、同じ大きさの画面の、空でない列を渡してください: "
            f"{ {name: len(frames) for name, frames in films.items()} }, {shapes}"
        )
    import matplotlib_fontja  # setup_display を見てください

    ends = ends or {}
    _, width, _ = shapes.pop()
    path = matplotlib_fontja.get_font_ttf_path()
    font = ImageFont.truetype(path, 22)  # 電話の幅でも読める大きさ
    rows = []
    for t in range(max(map(len, films.values()))):
        head = Image.new("RGB", (len(films) * width, 72), "white")
        draw, panels = ImageDraw.Draw(head), []
        for k, (name, frames) in enumerate(films.items()):
            last = len(frames) - 1
            ended = t >= last
            count = f"{min(t, last)} ステップ" + (f" {ends.get(name, '')}" * ended)
            middle, ink = (k + 0.5) * width, BLUE if ended else INK
            draw.text((middle, 20), name.rstrip(), INK, font, anchor="mm")
            draw.text((middle, 52), count.rstrip(), ink, font, anchor="mm")
            panels.append(frames[min(t, last)].copy())
            if k:
                panels[k][:, 0] = 154  # 画面の境の線
        rows.append(np.concatenate([np.asarray(head), np.concatenate(panels, axis=1)]))
    return rows


def video(frames: Sequence[np.ndarray], *, fps: int = 50, alt: str) -> Video:
    """画面の列を、くり返し再生する MP4 の動画にします。終わりの画面は 1 秒見せます。

    操作は、下に出るブラウザの操作部で行えます。

    引数:
        frames: 画面 T 枚。それぞれ (高さ, 幅, 3)、uint8。高さと幅は偶数。
        fps: 一秒あたりの枚数。CartPole の一ステップは 0.02 秒なので、50 で実時間です。
        alt: 動画の内容を伝える一文。目で見られない読者が読みます。
    戻り値:
        ノートブックに埋めこまれる動画。
    """
    fps = checks.integer("fps", fps, 1)
    if not len(frames):
        raise ValueError("frames が空です: 画面を 1 枚以上渡してください")
    height, width = frames[0].shape[:2]
    wanted = (height - height % 2, width - width % 2, 3), np.uint8
    for frame in frames:
        if (frame.shape, frame.dtype) != wanted:
            raise ValueError(
                "frames は、同じ大きさで高さと幅が偶数の (高さ, 幅, 3)、uint8 にしてください: "
                f"{frame.shape}, {frame.dtype}"
            )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        codec = {"quality": None, "output_params": ["-crf", "30"], "fps": fps}
        writer = imageio_ffmpeg.write_frames(
            str(path), (width, height), macro_block_size=2, **codec
        )
        writer.send(None)
        for frame in [*frames, *[frames[-1]] * fps]:
            writer.send(np.ascontiguousarray(frame))
        writer.close()
        data = path.read_bytes()
    look = VIDEO.format(width=width, height=height + CONTROLS, alt=html.escape(alt))
    options: dict[str, Any] = {"embed": True, "mimetype": "video/mp4", "width": width}
    return Video(data, html_attributes=look, **options)
