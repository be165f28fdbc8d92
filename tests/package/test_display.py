import inspect
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import rlbook_helpers
from rlbook_helpers import display


@pytest.fixture(autouse=True)
def clean_figures():
    with matplotlib.rc_context():
        yield
    plt.close("all")


def test_source_is_that_of_the_package():
    source = inspect.getsource(rlbook_helpers.ReplayBuffer)
    listing = display.show_source(rlbook_helpers.ReplayBuffer)
    shown = listing._repr_markdown_()
    assert source in shown and source in repr(listing)
    assert shown.startswith(
        "`rlbook_helpers/replay_buffer.py`\n\n```python\n"
    ) and shown.endswith("\n```\n")


def test_source_is_highlighted_in_jupyter_too():
    shown = display.show_source(rlbook_helpers.ReplayBuffer)._repr_html_()
    assert (
        '<span style="color: #' in shown
        and "<code>rlbook_helpers/replay_buffer.py" in shown
    )


def test_source_of_a_method_is_not_indented():
    assert display.show_source(rlbook_helpers.DQNAgent.update).source.startswith(
        "def update("
    )


def test_source_of_a_value_is_refused():
    for obj in (3, inspect, eval):
        with pytest.raises(TypeError, match="obj"):
            display.show_source(obj)


def test_japanese_labels_have_glyphs(recwarn):
    display.setup_display()
    fig, ax = plt.subplots()
    ax.set(title="損失の推移、ε-greedy 方策 −1 ↑↓←→", xlabel="エピソード")
    fig.canvas.draw()
    assert not [w for w in recwarn if "missing from" in str(w.message)]


def test_setup_leaves_a_chosen_video_driver_alone(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    display.setup_display()
    import os

    assert os.environ["SDL_VIDEODRIVER"] == "x11"


def test_the_sheet_marks_the_ends_of_episodes():
    fig = display.define_area([0.1, -0.2, 0.03, 0.4])
    display.plot_frames(
        fig,
        [np.zeros((20, 30, 3), np.uint8)] * 12,
        [False] * 4 + [True] + [False] * 7,
        columns=6,
    )
    assert "0.100" in fig._suptitle.get_text() and "-0.200" in fig._suptitle.get_text()
    assert len(fig.axes) == 12
    red = [
        ax.get_title()
        for ax in fig.axes
        if ax.spines["top"].get_edgecolor() == matplotlib.colors.to_rgba(display.RED)
    ]
    assert red == ["5"]
    with pytest.raises(ValueError, match="ended"):
        display.plot_frames(fig, [np.zeros((2, 2, 3))], [])


def test_action_values_are_drawn_and_the_greedy_one_is_marked():
    from dezerogym.gridworld import GridWorld

    env = GridWorld()
    y, x, a = np.indices((3, 4, 4))
    Q = 10 * y + x + a / 10
    texts = [t.get_text() for t in display.plot_action_values(env, Q).texts]
    assert "→20.30" in texts and "20.20" in texts  # (2, 0): right is the largest
    assert {"壁", "ゴール +1", "スタート", "爆弾 −1"} <= set(texts)


def test_equal_values_are_both_greedy_and_errors_have_no_greedy_one():
    from dezerogym.gridworld import GridWorld

    Q = np.zeros((3, 4, 4))
    Q[2, 0] = [0.5, -0.001, -0.5, 0.5]
    ax = display.plot_action_values(GridWorld(), Q)
    texts = {t.get_text() for t in ax.texts}
    assert {"↑0.50", "→0.50", "0.00", "−0.50"} <= texts
    _, other = plt.subplots()
    drawn = display.plot_action_values(GridWorld(), Q, error=True, ax=other)
    assert drawn is other and not {t.get_text()[0] for t in other.texts} & set("↑↓←→")
    # One scale of colours for all boards, whatever values are on them
    start = other.patches[-16]
    expected = plt.get_cmap("PuOr")(0.5 + 0.5 * 0.4)
    assert np.allclose(start.get_facecolor(), expected, atol=0.01)


def test_the_arrows_of_the_path_cross_the_borders_and_cover_no_number():
    from dezerogym.gridworld import GridWorld

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


def test_every_board_has_its_scale_of_colours():
    from dezerogym.gridworld import GridWorld

    fig, boards = plt.subplots(2)
    for ax, error in zip(boards, (False, True)):
        display.plot_action_values(GridWorld(), np.zeros((3, 4, 4)), error=error, ax=ax)
    scales = fig.axes[2:]
    assert [ax.get_ylabel() for ax in scales] == ["行動価値", "行動価値の誤差"]
    assert all(ax.get_ylim() == (-1, 1) for ax in scales)


def test_films_side_by_side_wait_for_the_longest():
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


def test_how_a_film_ended_is_written_when_it_has():
    frames = [np.zeros((20, 400, 3), np.uint8)] * 3
    plain, told = (
        display.side_by_side({"x": frames}),
        display.side_by_side({"x": frames}, ends={"x": "倒れた"}),
    )
    differ = [(a != b).any() for a, b in zip(plain, told)]
    assert differ == [False, False, True]


@pytest.mark.parametrize(
    "films",
    [
        {},
        {"a": []},
        {"a": [np.zeros((4, 4, 3), np.uint8)], "b": []},
        {"a": [np.zeros((4, 4, 3), np.uint8)], "b": [np.zeros((4, 6, 3), np.uint8)]},
    ],
)
def test_films_that_do_not_fit_together_are_refused(films):
    with pytest.raises(ValueError, match="films"):
        display.side_by_side(films)


def test_video_is_embedded_and_described():
    frames = [np.full((40, 60, 3), k * 20, np.uint8) for k in range(10)]
    html = display.video(frames, alt="明るくなる画面")._repr_html_()
    assert (
        'src="data:video/mp4;base64,' in html
        and "controls" in html
        and 'aria-label="明るくなる画面"' in html
    )
    assert "autoplay" not in html and "loop" in html
    assert (
        'aria-label="&quot;x&quot;"' in display.video(frames, alt='"x"')._repr_html_()
    )


def test_a_film_rests_on_its_end_for_a_second_before_it_begins_again():
    import base64
    import re

    import imageio_ffmpeg

    frames = [np.full((40, 60, 3), k * 20, np.uint8) for k in range(10)]
    html = display.video(frames, fps=5, alt="x")._repr_html_()
    data = re.search(r"base64,([^\"]+)", html)[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        path.write_bytes(base64.b64decode(data))
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
def test_what_is_no_film_is_refused(frames, fps, name):
    with pytest.raises(ValueError, match=name):
        display.video(frames, fps=fps, alt="")


def test_a_listing_of_a_function_says_that_its_docstring_goes_on():
    source = display.show_source(rlbook_helpers.DQNAgent.update).source
    assert '    """遷移を一つ覚え、ミニバッチで重みを一回更新します。 …"""\n' in source
    assert "戻り値" not in source and "return float(loss.data)" in source
    whole = display.show_source(rlbook_helpers.QNet2.forward).source
    assert "…" not in whole  # one line is shown as it is
    assert "引数:" in display.show_source(rlbook_helpers.DQNAgent).source
