"""Listings, figures and films of the chapters."""

import base64
import inspect
import os
import re

import matplotlib

matplotlib.use("Agg")

import imageio_ffmpeg
import matplotlib.pyplot as plt
import numpy as np
import pytest
from dezerogym.gridworld import GridWorld

import rlbook_helpers
from rlbook_helpers import display


@pytest.fixture(autouse=True)
def clean_figures():
    with matplotlib.rc_context():
        yield
    plt.close("all")


def listing(obj):
    return display.show_source(obj)._repr_markdown_()


def test_listing_shows_the_source_of_the_package():
    shown = listing(rlbook_helpers.ReplayBuffer)
    assert inspect.getsource(rlbook_helpers.ReplayBuffer) in shown
    assert shown.startswith("`rlbook_helpers/replay_buffer.py`\n\n```python\n")
    assert shown.endswith("\n```\n")


def test_listing_of_a_function_shortens_its_docstring():
    source = listing(rlbook_helpers.DQNAgent.update)
    assert "```python\ndef update(" in source  # not indented
    assert '    """遷移を一つ覚え、ミニバッチで重みを一回更新します。 …"""\n' in source
    assert "戻り値" not in source and "return float(loss.data)" in source
    whole = listing(rlbook_helpers.QNet2.forward)
    assert "…" not in whole  # one line is shown as it is
    assert "引数:" in listing(rlbook_helpers.DQNAgent)


def test_show_source_refuses_values():
    for obj in (3, inspect, eval):
        with pytest.raises(TypeError, match="obj"):
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


def test_setup_keeps_a_chosen_video_driver(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    display.setup_display()
    assert os.environ["SDL_VIDEODRIVER"] == "x11"


def test_plot_frames_marks_the_ends_of_episodes():
    fig = display.define_area([0.1, -0.2, 0.03, 0.4])
    frames, ended = [np.zeros((20, 30, 3), np.uint8)] * 12, [k == 4 for k in range(12)]
    display.plot_frames(fig, frames, ended, columns=6)
    assert "0.100" in fig._suptitle.get_text() and "-0.200" in fig._suptitle.get_text()
    assert len(fig.axes) == 12
    red = matplotlib.colors.to_rgba(display.RED)
    marked = [ax for ax in fig.axes if ax.spines["top"].get_edgecolor() == red]
    assert [ax.get_title() for ax in marked] == ["5"]
    with pytest.raises(ValueError, match="ended"):
        display.plot_frames(fig, [np.zeros((2, 2, 3))], [])


def test_plot_action_values_marks_the_greedy_action():
    env = GridWorld()
    y, x, a = np.indices((3, 4, 4))
    Q = 10 * y + x + a / 10
    texts = [t.get_text() for t in display.plot_action_values(env, Q).texts]
    assert "→20.30" in texts and "20.20" in texts  # (2, 0): right is the largest
    assert {"壁", "ゴール +1", "スタート", "爆弾 −1"} <= set(texts)


def test_plot_action_values_marks_ties_but_no_errors():
    Q = np.zeros((3, 4, 4))
    Q[2, 0] = [0.5, -0.001, -0.5, 0.5]
    ax = display.plot_action_values(GridWorld(), Q)
    texts = {t.get_text() for t in ax.texts}
    assert {"↑0.50", "→0.50", "0.00", "−0.50"} <= texts
    _, other = plt.subplots()
    drawn = display.plot_action_values(GridWorld(), Q, error=True, ax=other)
    assert drawn is other and not {t.get_text()[0] for t in other.texts} & set("↑↓←→")
    # One scale of colours for all boards
    start = other.patches[-16]
    expected = plt.get_cmap("PuOr")(0.5 + 0.5 * 0.4)
    assert np.allclose(start.get_facecolor(), expected, atol=0.01)


def test_arrows_of_the_path_cover_no_number():
    display.setup_display()
    path = [(2, 0), (1, 0), (0, 0), (0, 1), (0, 2), (0, 3)]
    Q = np.full((3, 4, 4), -0.5)
    Q[[2, 1, 0, 0, 0], [0, 0, 0, 1, 2], [0, 0, 3, 3, 3]] = 0.5
    Q[path[-1]] = Q[1, 2:] = Q[2, 1:] = 0  # all four greedy, but away from the path
    ax = display.plot_action_values(GridWorld(), Q, path)
    ax.figure.canvas.draw()
    arrows = [text for text in ax.texts if not text.get_text()]
    for arrow, here, there in zip(arrows, path[:-1], path[1:], strict=True):
        cells = [(int(y), int(x)) for x, y in (arrow.get_position(), arrow.xy)]
        assert cells == [here, there]
        covered = arrow.arrow_patch.get_window_extent()
        for text in ax.texts:
            box = text.get_window_extent()
            assert text in arrows or not covered.overlaps(box), text
    (star,) = ax.lines[:1]
    assert [int(v) for v in star.get_xydata()[0]] == [3, 0]


def test_every_board_has_a_scale_of_colours():
    fig, boards = plt.subplots(2)
    for ax, error in zip(boards, (False, True)):
        display.plot_action_values(GridWorld(), np.zeros((3, 4, 4)), error=error, ax=ax)
    scales = fig.axes[2:]
    assert [ax.get_ylabel() for ax in scales] == ["行動価値", "行動価値の誤差"]
    assert all(ax.get_ylim() == (-1, 1) for ax in scales)


def test_side_by_side_films_last_as_long_as_the_longest():
    dark = np.zeros((20, 300, 3), np.uint8)
    light = np.full((20, 300, 3), 250, np.uint8)
    rows = display.side_by_side({"左": [dark] * 3, "右": [light, dark]})
    assert len(rows) == 3 and {row.shape for row in rows} == {(92, 600, 3)}
    assert {row.dtype for row in rows} == {np.dtype(np.uint8)}
    heads, panels = [row[:72] for row in rows], [row[72:] for row in rows]
    assert (panels[0][:, 301:] == 250).all() and (panels[0][:, :300] == 0).all()
    assert (panels[1][:, 301:] == 0).all() and (panels[2] == panels[1]).all()
    assert len(np.unique(heads[0][:36])) > 2  # the names are written above
    assert (heads[2][:, 300:] == heads[1][:, 300:]).all()  # ended: counts no more
    assert (heads[2][:, :300] != heads[1][:, :300]).any()
    assert (light == 250).all()  # what was given is left as it was


def test_end_of_a_film_is_written_on_its_last_frame():
    frames = [np.zeros((20, 400, 3), np.uint8)] * 3
    plain = display.side_by_side({"x": frames})
    told = display.side_by_side({"x": frames}, ends={"x": "倒れた"})
    differ = [(a != b).any() for a, b in zip(plain, told)]
    assert differ == [False, False, True]


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
    for text in ('src="data:video/mp4;base64,', "controls", "loop"):
        assert text in html
    assert 'aria-label="明るい&quot;画面&quot;"' in html
    assert "autoplay" not in html


def test_video_rests_on_its_last_frame_for_a_second(tmp_path):
    html = display.video(frames(), fps=5, alt="x")._repr_html_()
    path = tmp_path / "film.mp4"
    path.write_bytes(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]))
    shown = list(imageio_ffmpeg.read_frames(str(path)))[1:]
    means = [np.frombuffer(frame, np.uint8).mean() for frame in shown]
    assert len(means) == 15
    assert np.allclose(means[9:], 180, atol=4) and means[8] < 170


@pytest.mark.parametrize(
    ("frames", "fps", "name"),
    [
        ([], 50, "frames"),
        ([np.zeros((4, 4, 3))], 50, "frames"),  # float64
        ([np.zeros((4, 4, 4), np.uint8)], 50, "frames"),
        ([np.zeros((5, 4, 3), np.uint8)], 50, "frames"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((6, 4, 3), np.uint8)], 50, "frames"),
        ([np.zeros((4, 4, 3), np.uint8)], 0, "fps"),
    ],
)
def test_video_refuses_bad_frames_and_fps(frames, fps, name):
    with pytest.raises(ValueError, match=name):
        display.video(frames, fps=fps, alt="")
