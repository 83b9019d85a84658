"""A pipe as blocks of whole lines."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moovitamix_transform.blocks import IDLE, read_blocks


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    os.close(read_end)


def test_a_block_ends_with_a_line_and_the_rest_waits_for_its_end(pipe: tuple[int, int]):
    read_end, write_end = pipe
    blocks = read_blocks(read_end, idle_seconds=0)

    os.write(write_end, b"one\ntwo\nthr")
    first = [next(blocks), next(blocks)]
    os.write(write_end, b"ee\n")
    second = [next(blocks), next(blocks)]
    os.close(write_end)

    assert first == [b"one\ntwo\n", IDLE]
    assert second == [b"three\n", IDLE]
    assert list(blocks) == []


def test_the_last_line_needs_no_end(pipe: tuple[int, int]):
    read_end, write_end = pipe
    os.write(write_end, b"one\ntw")
    os.close(write_end)

    blocks = list(read_blocks(read_end, idle_seconds=60))

    assert blocks == [b"one\n", b"tw"]


def test_an_empty_input_has_no_blocks(pipe: tuple[int, int]):
    read_end, write_end = pipe
    os.close(write_end)

    blocks = list(read_blocks(read_end, idle_seconds=60))

    assert blocks == []


@settings(deadline=None, max_examples=200)
@given(chunks=st.lists(st.binary(min_size=1, max_size=6) | st.sampled_from([b"\n", b"\n\n", b"a\nb"]), max_size=8))
@example(chunks=[b"a", b"b", b"\n"])
def test_the_blocks_are_the_input_in_whole_lines(chunks: list[bytes]):
    read_end, write_end = os.pipe()
    blocks: list[bytes] = []
    reader = read_blocks(read_end, idle_seconds=0)

    for chunk in chunks:
        os.write(write_end, chunk)
        blocks.extend(iter(lambda: next(reader), IDLE))  # all there is until nothing comes
    os.close(write_end)
    blocks.extend(reader)
    os.close(read_end)

    assert b"".join(blocks) == b"".join(chunks)
    assert [block for block in blocks[:-1] if not block.endswith(b"\n")] == []
