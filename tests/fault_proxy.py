"""A proxy before an HTTP server (S3, MLflow) that misbehaves when told: down, errors, slow, cut."""

import asyncio
import contextlib
import re
import socket
import threading
from dataclasses import dataclass
from typing import Literal

from tests.cluster_rig import free_port

Kind = Literal["error", "slow", "cut answer", "cut request", "wrong bytes", "lost answer"]


@dataclass
class Fault:
    """What is to go wrong.

    Attributes:
        kind: `error` answers with `status` and asks no server; `slow` waits `seconds` before it
            answers; `cut answer` and `cut request` break the connection after `after` bytes of the
            body; `wrong bytes` changes one byte in the middle of the answer's body; `lost answer`
            lets the server act and breaks the connection instead of answering.
        times: how many requests it hits; None for all until `FaultProxy.heal`.
        only: a pattern that the request line must hold, such as `PUT .*step-`.
    """

    kind: Kind
    times: int | None = None
    only: str = ""
    status: int = 500
    seconds: float = 2.0
    after: int = 1000


class FaultProxy:
    """`with FaultProxy(port) as proxy:` passes on what comes to `proxy.url` until told otherwise.

    One request a connection. Its methods may be called from any thread.

    Attributes:
        port, url: where it listens, the same for its whole life.
        requests: the request lines so far.
        hits: how many of them a fault has hit.
    """

    def __init__(self, target_port: int, target_host: str = "127.0.0.1") -> None:
        self._target = (target_host, target_port)
        self._loop = asyncio.new_event_loop()
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = free_port()
        # Bound for its whole life: while it is down, nobody else is given its port. By number: one
        # that Linux chose itself it takes away from a socket that does not listen any more.
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self.requests: list[str] = []
        self.hits = 0

    def __enter__(self) -> "FaultProxy":
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._socket.close()

    @property
    def url(self) -> str:
        """What a client uses as its endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def inject(self, kind: Kind, **fields: object) -> None:
        """From now on a fault; fields as of `Fault`. Replaces the one before."""
        self._fault = Fault(kind, **fields)  # type: ignore[arg-type]

    def heal(self) -> None:
        """No fault any more, and up."""
        self._fault = None
        self.up()

    def down(self) -> None:
        """Refuse connections, and break those that are open."""
        self._do(self._close())

    def up(self) -> None:
        """Listen again."""
        self._do(self._listen())

    def _do(self, work) -> None:  # type: ignore[no-untyped-def]
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=self._socket.dup())

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._socket.shutdown(socket.SHUT_RDWR)  # it listens no more and stays bound
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                await self._exchange(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
        line = head.split("\r\n", 1)[0]
        self.requests.append(line)
        fault = self._hit(line)
        if re.search(r"(?im)^expect: 100-continue", head):
            head = re.sub(r"(?im)^expect: .*\r\n", "", head)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = re.sub(r"(?im)^connection: .*\r\n", "", head)
        body = await _body(reader, head)
        if fault and fault.kind == "error":
            await _answer_error(writer, fault.status)
            return
        answer = await self._ask(head[:-2] + "Connection: close\r\n\r\n", body, fault)
        await _give(writer, answer, fault)

    def _hit(self, line: str) -> Fault | None:
        fault = self._fault
        if fault is None or fault.times == 0 or not re.search(fault.only, line):
            return None
        if fault.times is not None:
            fault.times -= 1
        self.hits += 1
        return fault

    async def _ask(self, head: str, body: bytes, fault: Fault | None) -> bytes:
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            if fault and fault.kind == "cut request":
                writer.write(head.encode("latin1") + body[: fault.after])
                await writer.drain()
                return b""
            writer.write(head.encode("latin1") + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    if length := re.search(r"(?im)^content-length: *(\d+)", head):
        return await reader.readexactly(int(length[1]))
    if not re.search(r"(?im)^transfer-encoding: *chunked", head):
        return b""
    content = b""
    while not content.endswith(b"0\r\n\r\n"):
        size = await reader.readuntil(b"\r\n")
        content += size + await reader.readexactly(int(size, 16) + 2)
    return content


async def _answer_error(writer: asyncio.StreamWriter, status: int) -> None:
    text = b"<Error><Code>InternalError</Code><Message>as told</Message></Error>"
    about = f"HTTP/1.1 {status} As Told\r\nContent-Type: application/xml\r\n"
    about += f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    writer.write(about.encode() + text)
    await writer.drain()


async def _give(writer: asyncio.StreamWriter, answer: bytes, fault: Fault | None) -> None:
    head, separator, body = answer.partition(b"\r\n\r\n")
    kind = fault.kind if fault else ""
    if fault and kind == "slow":
        await asyncio.sleep(fault.seconds)
    if kind == "lost answer" or not separator:
        writer.transport.abort()
        return
    if fault and kind == "cut answer":
        body = body[: fault.after]
    if kind == "wrong bytes" and body:
        middle = len(body) // 2
        body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    writer.write(head + separator + body)
    await writer.drain()
