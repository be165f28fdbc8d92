"""Listings, figures and films of the chapters."""

import base64
import inspect
import os
import re
import sys
import textwrap

import matplotlib

matplotlib.use("Agg")

import imageio_ffmpeg
import matplotlib.pyplot as plt
import numpy as np
import pytest
from dezerogym.gridworld import GridWorld
from matplotlib.colors import to_rgba
from PIL import ImageDraw

import rlbook_helpers
from rlbook_helpers import display


@pytest.fixture(autouse=True)
def clean_figures():
    with matplotlib.rc_context():
        yield
    plt.close("all")


def listing(obj):
    return display.show_source(obj)._repr_markdown_()


def test_listing_of_a_function_shortens_its_docstring():
    update = rlbook_helpers.DQNAgent.update
    source = textwrap.dedent(inspect.getsource(update))
    shortened = re.sub('"""(.*?)\n.*?"""', r'"""\1 …"""', source, flags=re.DOTALL)
    assert shortened != source and f"python\n{shortened}```\n" in listing(update)
    for whole in (rlbook_helpers.QNet2.forward, rlbook_helpers.QNet2):
        source = textwrap.dedent(inspect.getsource(whole))
        shown = f"`rlbook_helpers/networks.py`\n\n```python\n{source}```\n"
        assert listing(whole) == shown


def test_show_source_refuses_values():
    for obj in (3, inspect, eval):
        with pytest.raises(TypeError, match="^obj "):
            display.show_source(obj)


SEABORN = {"font.family": ["sans-serif"], "font.sans-serif": ["Arial", "DejaVu Sans"]}


@pytest.mark.parametrize("style", [{}, "default", "ggplot", "seaborn-v0_8", SEABORN])
def test_japanese_labels_have_glyphs_in_any_style(style, recwarn):
    display.setup_display()
    plt.style.use(style)
    fig, ax = plt.subplots()
    ax.set(title="損失の推移、ε-greedy 方策 −1 ↑↓←→", xlabel="エピソード")
    fig.canvas.draw()
    assert not [w for w in recwarn if "missing from" in str(w.message)]


@pytest.mark.parametrize(
    ("platform", "variables", "driver"),
    [
        ("linux", {}, "dummy"),
        ("linux", {"DISPLAY": ":0"}, None),
        ("linux", {"WAYLAND_DISPLAY": "0"}, None),
        ("linux", {"SDL_VIDEODRIVER": "x11"}, "x11"),
        ("darwin", {}, None),
    ],
)
def test_setup_draws_without_a_screen(platform, variables, driver, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(variables))
    monkeypatch.setattr(sys, "platform", platform)
    display.setup_display()
    assert os.environ.get("SDL_VIDEODRIVER") == driver
    assert os.environ["PYGAME_HIDE_SUPPORT_PROMPT"]


def test_area_tells_the_first_state():
    title = display.define_area([0.1234, -0.2, 0.0301, 0.4]).get_suptitle()
    assert re.findall(r"-?\d\.\d+", title) == ["0.123", "-0.200", "0.030", "0.400"]
    with pytest.raises(ValueError, match="^state "):
        display.define_area([0.1, np.nan, 0.1, 0.1])


def test_plot_frames_marks_the_ends_of_episodes():
    fig, ended = plt.figure(), np.arange(14) == 4
    frames = np.arange(14 * 1800, dtype=np.uint8).reshape(14, 20, 30, 3)
    display.plot_frames(fig, frames, ended, columns=6)
    drawn = [ax for ax in fig.axes if ax.axison]
    assert fig.axes[:14] == drawn and len(fig.axes) == 18
    titles = {k: ax.get_title() for k, ax in enumerate(drawn) if ax.get_title()}
    assert titles == {0: "1", 4: "5", 6: "7", 12: "13"}  # and where a row starts
    for ax, frame, end in zip(drawn, frames, ended):
        np.testing.assert_array_equal(ax.images[0].get_array(), frame[::2, ::2])
        side = ax.spines["top"]
        assert (side.get_edgecolor() == to_rgba(display.RED)) == end
        assert (ax.title.get_color() == display.RED) == end
        assert (side.get_linewidth() > 1) == end and not len(ax.get_xticks())


def test_plot_frames_refuses_what_does_not_fit():
    fig, frame = plt.figure(), np.zeros((2, 2, 3))
    display.plot_frames(fig, [frame] * 10, [False] * 10)
    assert len(fig.axes) == 10  # one row
    display.plot_frames(fig, [frame], [True], columns=1)
    cases = (([], 2, "ended"), ([True] * 2, 2, "ended"), ([True], 0, "columns"))
    for ended, columns, name in cases:
        with pytest.raises(ValueError, match=f"^{name} "):
            display.plot_frames(fig, [frame], ended, columns)


@pytest.mark.parametrize(("given", "colours"), [(False, "BrBG"), (True, "PuOr")])
def test_plot_action_values_fills_the_triangle_of_each_action(given, colours):
    env, rng = GridWorld(), np.random.default_rng(0)
    Q = rng.permutation(np.arange(-25, 23)).reshape(3, 4, 4) / 20
    error = rng.normal(size=Q.shape) if given else None
    ax = display.plot_action_values(env, Q, error=error)
    shown = error if given else Q
    triangles = [patch for patch in ax.patches if isinstance(patch, plt.Polygon)]
    labels = {text.get_text(): text for text in ax.texts}
    for y, x in set(env.states()) - {env.wall_state, env.goal_state}:
        for action, move in enumerate([(-1, 0), (1, 0), (0, -1), (0, 1)]):
            q = Q[y, x, action]
            label = labels[f"{q:.2f}".replace("-", "−")]
            place = label.get_position()
            assert np.dot(np.subtract(place, (x + 0.5, y + 0.5)), move[::-1]) > 0.2
            (triangle,) = (t for t in triangles if t.get_path().contains_point(place))
            colour = 0.5 + 0.3 * np.clip(shown[y, x, action], -1, 1)
            wanted = plt.get_cmap(colours)(colour)
            np.testing.assert_allclose(triangle.get_facecolor(), wanted, atol=0.02)
            assert (label.get_bbox_patch() is not None) == (q == Q[y, x].max())
    assert len(triangles) == 40
    (scale,) = set(ax.figure.axes) - {ax}
    assert scale.get_ylim() == (-1, 1)
    assert ("誤差" in scale.get_title(loc="left")) == given


def test_plot_action_values_marks_ties_and_names_cells():
    env, Q = GridWorld(), np.zeros((3, 4, 4))
    Q[2, 0] = [0.5, -0.001, -0.5, 0.5]
    ax = display.plot_action_values(env, Q)
    framed = [text.get_text() for text in ax.texts if text.get_bbox_patch()]
    assert framed.count("0.50") == 2
    drawn = {
        text.get_text(): (*map(int, text.get_position()), text.get_color())
        for text in ax.texts
    }
    assert {"0.50", "0.00", "−0.50"} <= drawn.keys()
    names = {"壁": (1, 1, "black"), "ゴール +1": (3, 0, "black")}
    names |= {"スタート": (0, 2, display.INK), "爆弾 −1": (3, 1, display.RED)}
    assert names.items() <= drawn.items()
    (wall,) = (patch for patch in ax.patches if isinstance(patch, plt.Rectangle))
    assert (wall.get_xy(), wall.get_facecolor()) == ((1, 1), to_rgba(display.GREY))
    assert (*ax.get_xlim(), *ax.get_ylim(), ax.get_aspect()) == (0, 4, 3, 0, 1)
    assert [len(lines.get_segments()) for lines in ax.collections] == [5, 4]


def test_arrows_of_the_path_cover_no_number():
    display.setup_display()
    path = [(2, 0), (1, 0), (0, 0), (0, 1), (0, 2), (0, 3)]
    Q = np.full((3, 4, 4), -0.5)
    Q[[2, 1, 0, 0, 0], [0, 0, 0, 1, 2], [0, 0, 3, 3, 3]] = 0.5
    Q[path[-1]] = Q[1, 2:] = Q[2, 1:] = 0  # all four greedy, but away from the path
    ax = display.plot_action_values(GridWorld(), Q, np.array(path))
    ax.figure.canvas.draw()
    arrows = [text for text in ax.texts if not text.get_text()]
    for arrow, here, there in zip(arrows, path[:-1], path[1:], strict=True):
        cells = [(int(y), int(x)) for x, y in (arrow.get_position(), arrow.xy)]
        assert cells == [here, there]
        covered = arrow.arrow_patch.get_window_extent()
        for text in ax.texts:
            box = (text.get_bbox_patch() or text).get_window_extent()
            assert text in arrows or not covered.overlaps(box), text
    (star,) = ax.lines[:1]
    assert [int(v) for v in star.get_xydata()[0]] == [3, 0]


def test_numbers_of_the_board_stay_in_their_cells_and_apart():
    display.setup_display()
    ax = display.plot_action_values(GridWorld(), np.full((3, 4, 4), -0.5))
    ax.figure.canvas.draw()
    boxes = [t.get_bbox_patch() or t for t in ax.texts]
    boxes = [box.get_window_extent() for box in boxes]
    for k, (box, text) in enumerate(zip(boxes, ax.texts)):
        assert not box.count_overlaps(boxes[k + 1 :]), text
        corners = ax.transData.inverted().transform(box.corners())
        assert len({(int(x), int(y)) for x, y in corners}) == 1, text


def test_side_by_side_films_count_their_steps_until_the_longest_ends(monkeypatch):
    written, write = [], ImageDraw.ImageDraw.text

    def text(self, *arguments, **options):
        written.append(arguments[:3])
        write(self, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    dark = np.zeros((20, 300, 3), np.uint8)
    light = np.full((20, 300, 3), 250, np.uint8)
    rows = display.side_by_side({"a": [dark] * 3, "b": [light, dark]}, {"b": "倒れた"})
    assert len(rows) == 3 and {row.shape for row in rows} == {(92, 600, 3)}
    assert {row.dtype for row in rows} == {np.dtype(np.uint8)}
    panels = [row[72:] for row in rows]
    assert (panels[0][:, :300] == 0).all() and (panels[0][:, 300] == 154).all()
    assert (panels[0][:, 301:] == 250).all() and (panels[1][:, 301:] == 0).all()
    assert (panels[2] == panels[1]).all()
    assert (light == 250).all()  # what was given is left as it was
    assert len(np.unique(rows[0][:36])) > 2 < len(np.unique(rows[0][36:72]))
    ink, blue = display.INK, display.BLUE
    counts = [("0", ink), ("0", ink), ("1", ink), ("1 倒れた", blue)]
    counts += [("2", blue), ("1 倒れた", blue)]
    lines = iter(written)
    for (place, name, _), (at, count, colour), wanted in zip(lines, lines, counts):
        middle = 150 if name == "a" else 450
        assert (count.replace(" ステップ", ""), colour) == wanted
        assert place[0] == at[0] == middle and 0 < place[1] < at[1] < 72
    assert len(written) == 12


@pytest.mark.parametrize(
    "widths", [{}, {"a": []}, {"a": [4], "b": []}, {"a": [4], "b": [6]}]
)
def test_side_by_side_refuses_films_that_do_not_fit(widths):
    films = {k: [np.zeros((4, w, 3), np.uint8) for w in ws] for k, ws in widths.items()}
    with pytest.raises(ValueError, match="films"):
        display.side_by_side(films)


def frames(count=10):
    return [np.full((40, 60, 3), k * 20, np.uint8) for k in range(count)]


def test_video_is_embedded_and_described():
    html = display.video(frames(), alt='明るい"画面"')._repr_html_()
    for text in (
        *('src="data:video/mp4;base64,', "controls loop playsinline", 'preload="auto"'),
        *("aspect-ratio: 60 / 130;", "max-width: 100%;", 'width="60"'),
        *("object-position: top", 'aria-label="明るい&quot;画面&quot;"'),
    ):
        assert text in html
    assert "autoplay" not in html


@pytest.mark.parametrize(("options", "fps"), [({"fps": 1}, 1), ({}, 50)])
def test_video_rests_on_its_last_frame_for_a_second(options, fps, tmp_path):
    turned = np.stack(frames()).transpose(0, 2, 1, 3)  # not contiguous
    html = display.video(turned, **options, alt="x")._repr_html_()
    path = tmp_path / "film.mp4"
    path.write_bytes(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]))
    about, *shown = imageio_ffmpeg.read_frames(str(path))
    assert (about["size"], about["fps"]) == ((40, 60), fps)
    means = [np.frombuffer(frame, np.uint8).mean() for frame in shown]
    assert len(means) == 10 + fps
    assert np.allclose(means[9:], 180, atol=4) and means[8] < 170


@pytest.mark.parametrize(
    ("frames", "fps", "name"),
    [
        ([], 50, "frames"),
        ([np.zeros((4, 4, 3))], 50, "frames"),  # float64
        ([np.zeros((4, 4, 4), np.uint8)], 50, "frames"),
        ([np.zeros((5, 4, 3), np.uint8)], 50, "frames"),
        ([np.zeros((4, 5, 3), np.uint8)], 50, "frames"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((6, 4, 3), np.uint8)], 50, "frames"),
        ([np.zeros((4, 4, 3), np.uint8)], 0, "fps"),
    ],
)
def test_video_refuses_bad_frames_and_fps(frames, fps, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        display.video(frames, fps=fps, alt="")
