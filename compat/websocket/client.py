"""A client and a server of WebSockets, unchanged, through `firedrill proxy`.

Arguments: the port of the proxy's interface.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
import unittest
import urllib.request

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PATIENCE = 60
INTERFACE = f"http://127.0.0.1:{sys.argv.pop()}"


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(INTERFACE + path, data, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read() or "null")


class Messages(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        # How each connection ended for the server.
        self.ends = asyncio.Queue()
        self.server = await serve(
            self.echo, "127.0.0.1", 0, max_size=None, close_timeout=PATIENCE
        )
        port = self.server.sockets[0].getsockname()[1]
        upstream = f"127.0.0.1:{port}"
        made = {"name": "web", "upstream": upstream, "protocol": "http"}
        self.listen = ask("POST", "/proxies", made)["listen"]

    async def asyncTearDown(self):
        ask("DELETE", "/proxies/web")
        self.server.close()
        await self.server.wait_closed()

    async def echo(self, connection):
        try:
            while True:
                await connection.send(await connection.recv())
        except ConnectionClosed as end:
            await self.ends.put(end.rcvd and (end.rcvd.code, end.rcvd.reason))

    def connect(self, path="/", **settings):
        uri = f"ws://{self.listen}{path}"
        return connect(uri, proxy=None, max_size=None, **settings)

    @contextlib.contextmanager
    def toxic(self, kind, stream="downstream", **attributes):
        toxic = {"type": kind, "stream": stream, "attributes": attributes}
        made = ask("POST", "/proxies/web/toxics", toxic)
        try:
            yield
        finally:
            ask("DELETE", f"/proxies/web/toxics/{made['name']}")

    async def asked(self, connection, message):
        await connection.send(message)
        return await asyncio.wait_for(connection.recv(), PATIENCE)

    async def test_without_a_fault_nothing_is_another(self):
        for compression in ["deflate", None]:
            async with self.connect(compression=compression) as connection:
                for message in ["", "text", b"\0" * 70_000, os.urandom(1 << 20)]:
                    self.assertEqual(await self.asked(connection, message), message)
                self.assertEqual(await self.asked(connection, ["in ", "parts"]), "in parts")
                await asyncio.wait_for(await connection.ping(), PATIENCE)
            self.assertEqual(await self.ends.get(), (1000, ""))

    async def test_a_delay_is_on_messages_of_connections_that_are_open(self):
        async with self.connect() as connection:
            await self.asked(connection, "before")
            with self.toxic("websocket_delay", "upstream", latency=400, messages=["text"]):
                begin = time.monotonic()
                self.assertEqual(await self.asked(connection, "late"), "late")
                self.assertGreaterEqual(time.monotonic() - begin, 0.4)

    async def test_dropped_messages_do_not_come_and_others_do(self):
        with self.toxic("websocket_drop", path="/feed/*", messages=["text"]):
            async with self.connect("/feed/1?a", compression=None) as connection:
                await connection.send("dropped")
                self.assertEqual(await self.asked(connection, b"told"), b"told")
            async with self.connect("/other", compression=None) as connection:
                self.assertEqual(await self.asked(connection, "told"), "told")

    async def test_a_close_is_the_same_for_both_sides(self):
        with self.toxic("websocket_close", code=1013, reason="drill"):
            async with self.connect() as connection:
                with self.assertRaises(ConnectionClosed) as closed:
                    await self.asked(connection, "the last")
                told = closed.exception.rcvd
                self.assertEqual((told.code, told.reason), (1013, "drill"))
        self.assertEqual(await self.ends.get(), (1013, "drill"))

    async def test_messages_are_cut_and_corrupted(self):
        async with self.connect(compression=None) as connection:
            with self.toxic("websocket_message", "upstream", truncate=3):
                self.assertEqual(await self.asked(connection, "a long one"), "a l")
                parts = ["a", " very", " long one"]
                self.assertEqual(await self.asked(connection, parts), "a v")
            zeros = b"\0" * 1000
            with self.toxic("websocket_message", "upstream", corrupt=1.0):
                came = await self.asked(connection, zeros)
            self.assertEqual(len(came), len(zeros))
            self.assertEqual(sum(byte.bit_count() for byte in came), 1)
            self.assertEqual(await self.asked(connection, zeros), zeros)


if __name__ == "__main__":
    unittest.main()
