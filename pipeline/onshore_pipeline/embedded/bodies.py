"""Request bodies: spooled as they come, decompressed within bounds as they are used; answers compressed on the way."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

import lz4.block
import lz4.frame
import zstandard

from onshore_pipeline.embedded.engine_session import EngineError, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

MAX_BODY_BYTES: Final = 1 << 30
MAX_DECOMPRESSED_BYTES: Final = 4 << 30
MAX_FORM_BYTES: Final = 8 << 20
IN_MEMORY_BYTES: Final = 1 << 26
_CHUNK_BYTES: Final = 1 << 20
_LARGEST_ZSTD_WINDOW: Final = 1 << 27
_LARGEST_BLOCK: Final = 1 << 27

TOO_LARGE: Final = 1009


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


async def spool(chunks: AsyncIterator[bytes], folder: Path) -> IO[bytes]:
    """Keep a body as it comes, in memory while it is not large and in a nameless file in `folder` after that.

    Raises:
        EngineError: it is larger than `MAX_BODY_BYTES`.
    """
    file = _memory_file() or _nameless(folder)
    size = 0
    try:
        async for chunk in chunks:
            _refuse_above(size + len(chunk))
            if size <= IN_MEMORY_BYTES < size + len(chunk):
                file = _moved(file, folder)
            size += len(chunk)
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)  # and flush: others may open it by `path_of`
    return file


def _memory_file() -> IO[bytes] | None:
    """A file that has no place on a disk; None where the system has none."""
    return os.fdopen(os.memfd_create("body"), "w+b") if hasattr(os, "memfd_create") else None


def _nameless(folder: Path) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)


def _moved(file: IO[bytes], folder: Path) -> IO[bytes]:
    with file:
        file.seek(0)
        other = _nameless(folder)
        shutil.copyfileobj(file, other, _CHUNK_BYTES)
    return other


def path_of(file: IO[bytes]) -> Path | None:
    """Where this process finds an open file without a name, until it is closed; None where the system has no place."""
    path = Path(f"/proc/self/fd/{file.fileno()}")
    return path if path.exists() else None


@contextmanager
def in_file(chunks: Iterator[bytes], folder: Path) -> Iterator[Path]:
    """Keep what comes in a named file in `folder`, for as long as it is used."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".rows") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        yield Path(file.name)


def _refuse_above(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise refusal(
            TOO_LARGE, "TOO_LARGE_BODY", f"the request body is larger than {MAX_BODY_BYTES} bytes; send parts"
        )


class Body:
    """A request body, decompressed while it is read.

    Attributes:
        as_it_came: the file it was made of, where there is nothing to decompress.
    """

    def __init__(self, file: IO[bytes], encoding: str, *, blocks: bool) -> None:
        """Read `file` through `encoding` (a Content-Encoding) and, with `blocks`, through ClickHouse's own compression.

        Raises:
            EngineError: the encoding is not known.
        """
        self._source = _decompressed(file, encoding)
        self.as_it_came = None if blocks or self._source is not file else file
        if blocks:
            self._source = _Blocks(self._source)
        self._left = MAX_DECOMPRESSED_BYTES
        self._head = b""

    def head(self, size: int) -> bytes:
        """The first `size` bytes, or all if there are fewer; they are read again by `rest`."""
        while len(self._head) < size and (chunk := self._read(size - len(self._head))):
            self._head += chunk
        return self._head

    def rest(self, start: int = 0) -> Iterator[bytes]:
        """Everything from position `start` on, which must lie within what `head` returned."""
        if len(self._head) > start:
            yield self._head[start:]
        while chunk := self._read(_CHUNK_BYTES):
            yield chunk

    def _read(self, size: int) -> bytes:
        try:
            chunk = self._source.read(size)
        except (OSError, EOFError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
            raise refusal(354, "CANNOT_DECOMPRESS", f"the request body cannot be decompressed: {error}") from error
        assert isinstance(chunk, bytes)
        self._left -= len(chunk)
        if self._left < 0:
            raise refusal(
                TOO_LARGE,
                "TOO_LARGE_BODY",
                f"the request body is larger than {MAX_DECOMPRESSED_BYTES} bytes decompressed",
            )
        return chunk


class _Blocks:
    """ClickHouse's own compression (`decompress=1`): blocks of checksum, method, sizes and data.

    The checksums are not compared: the connection never leaves this machine, and the codecs notice damage.
    """

    def __init__(self, source: _Readable) -> None:
        self._source = source
        self._ready = b""

    def read(self, size: int, /) -> bytes:
        if not self._ready:
            self._ready = self._next_block()
        chunk, self._ready = self._ready[:size], self._ready[size:]
        return chunk

    def _next_block(self) -> bytes:
        header = _exactly(self._source, 16 + 9)
        if not header:
            return b""
        method = header[16]
        compressed = int.from_bytes(header[17:21], "little") - 9
        size = int.from_bytes(header[21:25], "little")
        if not 0 <= compressed <= _LARGEST_BLOCK or size > _LARGEST_BLOCK:
            raise OSError(f"a block of {size} bytes")
        data = _exactly(self._source, compressed)
        if method == 0x82:  # noqa: PLR2004 - the format's numbers
            return bytes(lz4.block.decompress(data, uncompressed_size=size))
        if method == 0x90:  # noqa: PLR2004 - the format's numbers
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
        if method == 0x02:  # noqa: PLR2004 - the format's numbers
            return data
        raise OSError(f"unknown method {method:#x}")


def _exactly(source: _Readable, size: int) -> bytes:
    """`size` bytes, or none at the end; raises OSError when it ends in between."""
    data = b""
    while len(data) < size and (chunk := source.read(size - len(data))):
        data += chunk
    if data and len(data) < size:
        raise OSError("the last block is cut off")
    return data


def _decompressed(file: IO[bytes], encoding: str) -> Any:  # noqa: ANN401 - three libraries' own file types
    match encoding:
        case "" | "identity":
            return file
        case "gzip" | "x-gzip":
            return gzip.GzipFile(fileobj=file, mode="rb")
        case "zstd":
            decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_ZSTD_WINDOW)
            return decompressor.stream_reader(file, read_across_frames=True)
        case "lz4":
            return lz4.frame.open(file, "rb")
    raise refusal(36, "BAD_ARGUMENTS", f"Content-Encoding {encoding!r} is not known; use lz4, zstd or gzip")


def form_fields(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a multipart form.

    Raises:
        EngineError: it is none, or holds a file (a temporary table from outside, which is not supported).
    """
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None:
            raise refusal(48, "NOT_IMPLEMENTED", "external data is not supported; insert it into a table")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content.decode()
    if not fields:
        raise refusal(36, "BAD_ARGUMENTS", "the form has no fields")
    return fields


def answer_encoding(accepted: str) -> str:
    """The cheapest encoding that the client takes; '' for none."""
    offered = {part.split(";")[0].strip() for part in accepted.lower().split(",")}
    return next((name for name in ("lz4", "zstd", "gzip") if name in offered), "")


def compressed(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """`chunks` in a Content-Encoding that `answer_encoding` gave."""
    if not encoding:
        yield from chunks
        return
    compress, finish = _compressor(encoding)
    try:
        for chunk in chunks:
            if squeezed := compress(chunk):
                yield squeezed
    except EngineError:
        # What was computed before the failure still reaches the client, who else could not read the message behind it.
        yield finish()
        raise
    yield finish()


def _compressor(encoding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if encoding == "lz4":
        frame = lz4.frame.LZ4FrameCompressor()
        opening = [frame.begin()]
        return (lambda chunk: (opening.pop() if opening else b"") + frame.compress(chunk)), (
            lambda: (opening.pop() if opening else b"") + frame.flush()
        )
    if encoding == "zstd":
        zstd = zstandard.ZstdCompressor(level=1).compressobj()
        return zstd.compress, zstd.flush
    deflate = zlib.compressobj(level=1, wbits=31)
    return deflate.compress, deflate.flush
