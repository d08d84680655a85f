"""The compiled side of `rows.commitments`: a secret of each row's salt, and a digest of it with the row's value."""

from __future__ import annotations

from onshore_pipeline.compiled import compiled, copy_bytes
from onshore_pipeline.evidence.row_code import SALT_SIZE, put_row
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, PADDING, digest_into, digest_two_into


@compiled
def hash_commitments(
    table: int, rows: int, salts: int, blocks: int, block_size: int, room: int, room_size: int, out: int
) -> None:
    """SHA-256(SHA-256(block with the row's salt) || what the table's one part gives), two rows at a time.

    Two blocks lie at `blocks`, each with its salt's place behind its first byte and room for the padding behind it; two
    rooms for a row at `room`.
    """
    other_block, other_room = blocks + block_size, room + room_size
    size = block_size - PADDING
    for row in range(0, rows - 1, 2):
        copy_bytes(blocks + 1, salts + SALT_SIZE * row, SALT_SIZE)
        copy_bytes(other_block + 1, salts + SALT_SIZE * (row + 1), SALT_SIZE)
        digest_two_into(blocks, size, room, other_block, size, other_room)
        end = put_row(room + DIGEST_SIZE, table, 1, row) - room
        other_end = put_row(other_room + DIGEST_SIZE, table, 1, row + 1) - other_room
        at = out + DIGEST_SIZE * row
        digest_two_into(room, end, at, other_room, other_end, at + DIGEST_SIZE)
    if rows % 2:
        copy_bytes(blocks + 1, salts + SALT_SIZE * (rows - 1), SALT_SIZE)
        digest_into(blocks, size, room)
        end = put_row(room + DIGEST_SIZE, table, 1, rows - 1) - room
        digest_into(room, end, out + DIGEST_SIZE * (rows - 1))
