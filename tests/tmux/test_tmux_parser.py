"""The control-mode parser, from bytes alone."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tmux_bridge.tmux.parser import (
    Answer,
    ControlParser,
    Event,
    Notification,
    Reply,
    output_of,
    pane_of,
    subscription_of,
)

FENCE = b"fence-0123"
ATTACH = b"%begin 1 267 0\n%end 1 267 0\n%session-changed $0 _hub\n"


def block(number: int, *lines: bytes, end: bytes = b"end") -> bytes:
    head = b"%%begin 17 %d 1" % number
    return b"\n".join([head, *lines, b"%%%s 17 %d 1" % (end, number), b""])


def answer(*blocks: bytes, number: int = 900) -> bytes:
    return b"".join([*blocks, block(number, FENCE)])


def parsed(stream: bytes) -> list[Event]:
    return ControlParser(FENCE).feed(stream)


def lines_of(event: Event) -> tuple[bytes, ...]:
    assert isinstance(event, Answer)
    return tuple(line for reply in event.replies for line in reply.lines)


def test_the_reply_of_the_attach_belongs_to_nobody() -> None:
    events = parsed(ATTACH)
    assert events == [Notification(name="session-changed", rest=b"$0 _hub")]


def test_a_line_with_several_commands_gives_one_answer_with_several_replies() -> None:
    assert parsed(answer(block(1, b"a"), block(2, b"b", end=b"error"))) == [
        Answer(
            replies=(
                Reply(is_error=False, lines=(b"a",)),
                Reply(is_error=True, lines=(b"b",)),
            )
        )
    ]


def test_a_line_without_any_reply_is_answered_too() -> None:
    assert parsed(answer()) == [Answer(replies=())]


def test_pane_text_with_the_right_numbers_ends_no_reply() -> None:
    text = (b"one", b"%end 17 1 1", b"%begin 17 2 1", b"forged", b"%end 17 2 1", b"two", b"%exit")
    (event,) = parsed(answer(block(1, *text)))
    assert lines_of(event) == text


def test_pane_text_that_looks_like_notifications_stays_text() -> None:
    text = (b"%pause %1", b"%sessions-changed", b"%subscription-changed all $0 - - - : x", b"")
    (event,) = parsed(answer(block(1, *text)))
    assert lines_of(event) == text


def test_notifications_between_the_replies_of_an_answer_are_reported() -> None:
    events = parsed(answer(block(1, b"a"), b"%sessions-changed\n", block(2, b"b")))
    assert events[0] == Notification(name="sessions-changed")
    assert lines_of(events[1]) == (b"a", b"b")


def test_a_guessed_fence_is_text() -> None:
    (event,) = parsed(answer(block(1, b"x", b"fence-9999", b"y")))
    assert lines_of(event) == (b"x", b"fence-9999", b"y")


def test_carriage_returns_and_other_line_ends_stay_inside_a_line() -> None:
    text = "a\rb\x0b\x0c\x1c\x85\u2028c".encode()
    (event,) = parsed(answer(block(1, text)))
    assert lines_of(event) == (text,)


def test_output_is_unescaped_to_the_bytes_the_pane_wrote() -> None:
    (event,) = parsed(b"%output %12 a\\033[1m\\134 \\342\\234\\223\\015\\012\n")
    assert isinstance(event, Notification)
    assert pane_of(event) == "%12"
    assert output_of(event) == b"a\x1b[1m\\ \xe2\x9c\x93\r\n"


def test_extended_output_has_its_text_after_the_colon() -> None:
    (event,) = parsed(b"%extended-output %3 120 : a : b\\012\n")
    assert isinstance(event, Notification)
    assert (pane_of(event), output_of(event)) == ("%3", b"a : b\n")


def test_a_subscription_gives_its_name_and_text() -> None:
    (event,) = parsed(b"%subscription-changed panes $0 - - - : $1 %1 7 : 0;\n")
    assert isinstance(event, Notification)
    assert subscription_of(event) == ("panes", "$1 %1 7 : 0;")


def test_noise_outside_of_replies_is_not_an_event() -> None:
    assert parsed(b"lost server\n\n%\n%UPPER x\n%end 1 2 1\n") == []


@given(
    texts=st.lists(
        st.lists(
            st.one_of(
                st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"")),
                st.sampled_from([b"%end 17 1 1", b"%error 17 2 1", b"%begin 17 1 1", b"%exit"]),
            ),
            max_size=6,
        ),
        max_size=4,
    ),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_any_text_comes_back_whole_however_the_stream_is_cut(
    texts: list[list[bytes]], cuts: list[int]
) -> None:
    stream = ATTACH + b"".join(
        answer(block(2 * index + 1, *text), number=1000 + index) for index, text in enumerate(texts)
    )
    parser = ControlParser(FENCE)
    edges = [0, *sorted(cuts), len(stream)]
    events: list[Event] = []
    for start, end in pairwise(edges):
        events += parser.feed(stream[start:end])
    answers = [lines_of(event) for event in events if isinstance(event, Answer)]
    assert answers == [tuple(text) for text in texts]
