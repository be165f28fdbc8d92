import pytest

from rlbook_helpers.stable import LinearSchedule


def test_a_straight_line_and_then_constant():
    schedule = LinearSchedule(1.0, 0.2, 4)
    assert [schedule(k) for k in range(7)] == pytest.approx(
        [1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2]
    )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1, 0, 0), "steps"), ((float("nan"), 0, 1), "start"), ((1, "0", 1), "end")],
)
def test_bad_values_are_refused(arguments, name):
    with pytest.raises((ValueError, TypeError), match=name):
        LinearSchedule(*arguments)
