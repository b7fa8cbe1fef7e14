import io
import re

import pytest
from rich.console import Console

from pipeline.parts.progress import (
    PartProgress,
    TrainingProgress,
    human_count,
    human_seconds,
    loss_summary,
)


def plain():
    return Console(file=io.StringIO(), force_terminal=False, width=200)


def lines(console):
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.53, "0.5"), (950, "950"), (999.6, "1.00k"), (12_345, "12.3k"), (1.2e6, "1.20M")],
)
def test_human_count(number, text):
    assert human_count(number) == text


@pytest.mark.parametrize(("seconds", "text"), [(42, "42s"), (185, "3:05"), (7385, "2:03:05")])
def test_human_seconds(seconds, text):
    assert human_seconds(seconds) == text


def test_losses_come_in_one_order_and_only_the_watched_ones():
    metrics = {
        "level0/loss_g_ent": 0.08,
        "level0/grad_norm_d": 5.0,
        "level0/loss_d": 1.3777,
        "level0/loss_g_adv": 0.69,
    }
    assert loss_summary("level0", metrics) == "D 1.38 adv 0.69 ent 0.08"
    assert loss_summary("encoder", {"loss": 0.5, "accuracy": 0.981}) == "loss 0.5 accuracy 0.981"


def test_losses_of_a_joint_training_name_their_level():
    metrics = {"level1/loss_d": 1.0, "level0/loss_d": 2.0, "level0/loss_g_cond": 3.0}
    assert loss_summary("joint", metrics) == "level0 D 2 level1 D 1 level0 cond 3"


def test_time_left_after_a_resume_uses_the_speed_since_then():
    part = PartProgress(1_000_000)
    part.update("level0", 900_000, {}, 0.0)
    assert part.seconds_left is None
    part.update("level0", 901_000, {}, 1000.0)
    assert part.seconds_left == pytest.approx(99.0)
    part.update("level0", 902_000, {}, 2000.0)
    assert part.speed == pytest.approx(1300.0)  # follows, smoothed
    assert part.share == pytest.approx(0.902)


def test_plain_lines_wait_for_ten_seconds_and_ten_percent(clock):
    console = plain()
    with TrainingProgress({"level0": 1000}, console) as shown:
        for _ in range(100):  # one second and one percent each
            clock.now += 1
            seen = int(clock.now - 100) * 10
            shown.update("level0", seen, {"level0/loss_d": 1.5}, 10.0)
        shown.finish("level0")
    found = lines(console)
    assert found[0] == "level0: 10/1.00k images (1%), D 1.5, 10 img/s, 1:39 left"
    assert len(found) == 11  # at 1 %, 11 %, … 91 %, and the end
    assert found[-1] == "level0: done, D 1.5"


def test_plain_lines_of_a_fast_part_keep_ten_seconds_apart(clock):
    console = plain()
    with TrainingProgress({"level0": 1000}, console) as shown:
        for seen in range(0, 1000, 100):  # nine seconds in all
            shown.update("level0", seen)
            clock.now += 0.9
    assert lines(console) == ["level0: 0/1.00k images (0%)"]


def test_plain_lines_of_a_slow_part_break_the_silence(clock):
    console = plain()
    with TrainingProgress({"level0": 10**9}, console) as shown:
        for second in range(0, 901, 10):
            shown.update("level0", second, {}, 1.0)
            clock.now += 10
    assert len(lines(console)) == 4  # at 0, 300, 600 and 900 s


def test_plain_output_of_several_parts_reuse_and_status(clock):
    console = plain()
    with TrainingProgress({"level0": 100, "level1": 100}, console) as shown:
        shown.reused("level1")
        shown.status("2 parts, [1] trained")
        shown.update("level0", 50, {}, 25.0)
        shown.finish("level0", "failed")
        shown.finish("level0")
    assert lines(console) == [
        "level1: reused",
        "2 parts, [1] trained",
        "level0: 50/100 images (50%), 25 img/s, 2s left",
        "level0: failed",
    ]


def test_an_unknown_part_is_an_error():
    with pytest.raises(KeyError):
        TrainingProgress({"level0": 1}, plain()).update("level7", 1)


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def last_frame(console, first):
    """Lines of the last drawing, from the one that starts with `first`, without control codes."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue()).replace("\r", "")
    return text[text.rindex(first) :].splitlines()


def test_terminal_bars_stand_together_with_a_status_above():
    console = terminal()
    with TrainingProgress({"level0": 600_000, "level1": 600_000, "joint": 100}, console) as shown:
        shown.update("level0", 300_000, {"level0/loss_d": 1.38, "level0/loss_g_adv": 0.7}, 1000.0)
        shown.reused("level1")
        shown.status("a message")
    frame = last_frame(console, "level0")
    assert re.fullmatch(r"level0 +\S+ +300k/600k +D 1.38 adv 0.7 +1.00k img/s +5:00 *", frame[0])
    assert re.fullmatch(r"level1 +\S+ +600k/600k +reused *", frame[1])
    assert re.fullmatch(r"joint +\S+ +waiting *", frame[2])
    assert "a message" in console.file.getvalue()


def test_terminal_bar_of_a_resumed_part_counts_from_where_it_resumes():
    console = terminal()
    with TrainingProgress({"level0": 1000}, console) as shown:
        shown.update("level0", 900)
        shown.update("level0", 910, {}, 10.0)
    assert re.fullmatch(r"level0 +\S+ +910/1.00k +10 img/s +9s *", last_frame(console, "level0")[0])


def test_a_narrow_terminal_keeps_one_line_per_part():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    losses = {"level0/loss_d": 1.38, "level0/loss_g_adv": 0.7, "level0/loss_g_ent": 0.0812}
    with TrainingProgress({"level0": 600_000}, console) as shown:
        shown.update("level0", 300_000, {**losses, "level0/loss_g_cond": 0.123}, 1000.0)
    frame = last_frame(console, "level0")
    assert "300k/600k" in frame[0]
    assert "5:00" in frame[0]
    assert len(frame[0]) <= 80
