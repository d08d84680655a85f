"""JSON as it is spelled here (RFC 8785), read by its bytes: where a value ends, or 0 where it is not spelled so.

Compiled. An address lies in a text that ends, at `end`, with a line end: no value goes on behind one, so that nothing
behind `end` is read.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types

from onshore_pipeline.compiled import AT_ONCE, bytes_at, compiled, lowered

QUOTE: Final = ord('"')
BACKSLASH: Final = ord("\\")
COMMA: Final = ord(",")
COLON: Final = ord(":")
OPEN_LIST: Final = ord("[")
CLOSE_LIST: Final = ord("]")
OPEN_OBJECT: Final = ord("{")
CLOSE_OBJECT: Final = ord("}")
LINE_END: Final = ord("\n")
_MINUS: Final = ord("-")
_ZERO: Final = ord("0")
_NINE: Final = ord("9")
_ONE: Final = ord("1")
_LETTER_U: Final = ord("u")
_MOST_DIGITS: Final = 19  # fewer than the 20 that are read at all
_NO_DIGIT: Final = 0xFF

# The value of a lower-case hexadecimal digit.
_DIGIT: Final = np.full(256, _NO_DIGIT, np.uint8)
for _value, _letter in enumerate(b"0123456789abcdef"):
    _DIGIT[_letter] = _value
# Which letters an escape has: 1 where it is whole with them.
_SHORT: Final = np.zeros(256, np.uint8)
_SHORT[list(b'"\\bfnrt')] = 1
# Control characters that have a letter of their own are not spelled by number.
_BY_LETTER: Final = np.zeros(16, np.uint8)
_BY_LETTER[list(b"\b\t\n\f\r")] = 1


@lowered
def _plain_bytes(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """How many of the 16 bytes at an address (int64) stand in front of the first quote, backslash or control."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        kind = ir.VectorType(ir.IntType(8), AT_ONCE)
        values = builder.load(builder.inttoptr(arguments[0], kind.as_pointer()), align=1)
        odd = builder.icmp_unsigned("<", values, ir.Constant(kind, [0x20] * AT_ONCE))
        for byte in (QUOTE, BACKSLASH):
            odd = builder.or_(odd, builder.icmp_unsigned("==", values, ir.Constant(kind, [byte] * AT_ONCE)))
        bits = builder.zext(builder.bitcast(odd, ir.IntType(AT_ONCE)), ir.IntType(64))
        bits = builder.or_(bits, ir.Constant(ir.IntType(64), 1 << AT_ONCE))
        return builder.cttz(bits, ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@lowered
def _eight_at(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
    """The 64-bit integer of the eight bytes at an address (int64), aligned or not."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.int64(types.int64), generate


@compiled
def same_bytes(one: int, other: int, size: int) -> bool:
    """Whether as many bytes are the same at both addresses."""
    if size >= 8:  # noqa: PLR2004
        for place in range(0, size - 7, 8):
            if _eight_at(one + place) != _eight_at(other + place):
                return False
        return bool(_eight_at(one + size - 8) == _eight_at(other + size - 8))
    left, right = bytes_at(one), bytes_at(other)
    for place in range(size):  # noqa: SIM110 - compiled
        if left[place] != right[place]:
            return False
    return True


@compiled
def text_end(at: int, end: int) -> int:
    """Address of the quote that ends the text whose first byte is at `at`."""
    while True:
        while at + AT_ONCE <= end:
            plain = _plain_bytes(at)
            at += plain
            if plain < AT_ONCE:
                break
        byte = bytes_at(at)[0]
        if byte == QUOTE:
            return at
        if byte < 0x20:  # noqa: PLR2004
            return 0
        if byte == BACKSLASH:
            size = _escape_size(at)
            if size == 0:
                return 0
            at += size
        else:
            at += 1


@compiled
def _escape_size(at: int) -> int:
    source = bytes_at(at)
    if _SHORT[source[1]]:
        return 2
    if source[1] != _LETTER_U or source[2] != _ZERO or source[3] != _ZERO:
        return 0
    if source[4] != _ZERO and source[4] != _ONE:
        return 0
    low = _DIGIT[source[5]]
    if low == _NO_DIGIT or (source[4] == _ZERO and _BY_LETTER[low]):
        return 0
    return 6


@compiled
def value_end(at: int, end: int) -> int:
    """Address behind a text, an integer, a truth value, null or a list of texts."""
    source = bytes_at(at)
    byte = source[0]
    if byte == QUOTE:
        stop = text_end(at + 1, end)
        return stop + 1 if stop else 0
    if byte == OPEN_LIST:
        return at + 2 if source[1] == CLOSE_LIST else texts_end(at + 1, end)
    if byte == ord("t"):
        return at + 4 if source[1] == ord("r") and source[2] == ord("u") and source[3] == ord("e") else 0
    if byte == ord("n"):
        return at + 4 if source[1] == ord("u") and source[2] == ord("l") and source[3] == ord("l") else 0
    if byte == ord("f"):
        rest = source[1] == ord("a") and source[2] == ord("l") and source[3] == ord("s") and source[4] == ord("e")
        return at + 5 if rest else 0
    return _integer_end(at)


@compiled
def texts_end(at: int, end: int) -> int:
    """Address behind the bracket that ends a list of texts, the first of which begins at `at`."""
    while bytes_at(at)[0] == QUOTE:
        at = text_end(at + 1, end) + 1
        if at == 1:
            return 0
        byte = bytes_at(at)[0]
        at += 1
        if byte == CLOSE_LIST:
            return at
        if byte != COMMA:
            return 0
    return 0


@compiled
def _integer_end(at: int) -> int:
    source = bytes_at(at)
    begin = 1 if source[0] == _MINUS else 0
    place = begin
    while _ZERO <= source[place] <= _NINE:
        place += 1
        if place - begin > _MOST_DIGITS:
            return 0
    if place == begin or (source[begin] == _ZERO and place > 1):
        return 0
    return at + place


@compiled
def whole_number(at: int, end: int) -> int:
    """The number whose digits end at `end`; -1 where it has a sign."""
    number, source = 0, bytes_at(at)
    for place in range(end - at):
        if source[place] == _MINUS:
            return -1
        number = 10 * number + int(source[place]) - _ZERO
    return number


@compiled
def put_bytes_of_hex(to: int, at: int, size: int) -> bool:
    """Write as many bytes, two lower-case digits each; whether these are such."""
    target, source, odd = bytes_at(to), bytes_at(at), 0
    for place in range(size):
        high, low = _DIGIT[source[2 * place]], _DIGIT[source[2 * place + 1]]
        odd |= high | low
        target[place] = np.uint8((high << 4) | (low & 15))
    return odd < 16  # noqa: PLR2004
