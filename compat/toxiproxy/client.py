"""toxiproxy-python, unchanged, against `firedrill proxy`.

Arguments: the port of the interface.
"""

import contextlib
import socket
import socketserver
import sys
import threading
import time
import unittest

from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

PORT = int(sys.argv.pop())


class Answer(socketserver.StreamRequestHandler):
    """Answers one line with another."""

    def handle(self):
        with contextlib.suppress(ConnectionError):
            while self.rfile.readline():
                self.wfile.write(b"answer\n")


def ask(listen):
    """Asks through a proxy once; the seconds it took."""
    host, _, port = listen.rpartition(":")
    begin = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=10) as stream:
        stream.sendall(b"question\n")
        if stream.recv(100) != b"answer\n":
            raise ConnectionError("no answer")
    return time.monotonic() - begin


class Client(unittest.TestCase):
    def setUp(self):
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.upstream = "127.0.0.1:%d" % self.server.server_address[1]
        self.toxiproxy = Toxiproxy()
        self.toxiproxy.update_api_consumer("127.0.0.1", PORT)
        self.toxiproxy.destroy_all()

    def tearDown(self):
        self.toxiproxy.destroy_all()
        self.server.shutdown()
        self.server.server_close()

    def proxy(self):
        return self.toxiproxy.create(name="proxy", upstream=self.upstream)

    def test_it_runs_and_has_a_version(self):
        self.assertTrue(self.toxiproxy.running())
        self.assertIn(b"version", self.toxiproxy.version())

    def test_proxies_are_made_found_and_destroyed(self):
        proxy = self.proxy()
        self.assertTrue(proxy.enabled)
        self.assertEqual(proxy.upstream, self.upstream)
        self.assertEqual(list(self.toxiproxy.proxies()), ["proxy"])
        self.assertEqual(self.toxiproxy.get_proxy("proxy").listen, proxy.listen)
        self.assertIsNone(self.toxiproxy.get_proxy("other"))
        with self.assertRaises(ProxyExists):
            self.proxy()
        self.assertLess(ask(proxy.listen), 5)
        self.assertTrue(proxy.destroy())
        with self.assertRaises(NotFound):
            proxy.destroy()
        self.assertEqual(self.toxiproxy.proxies(), {})

    def test_a_proxy_that_is_down_refuses_connections(self):
        proxy = self.proxy()
        with proxy.down():
            with self.assertRaises(ConnectionRefusedError):
                ask(proxy.listen)
        ask(proxy.listen)

    def test_a_population_keeps_what_is_the_same(self):
        wanted = [{"name": "proxy", "upstream": self.upstream, "listen": "127.0.0.1:0"}]
        made = self.toxiproxy.populate(wanted)
        wanted[0]["listen"] = made[0].listen
        self.assertEqual(self.toxiproxy.populate(wanted), [])

    def test_latency_is_added_each_way_and_taken_away(self):
        proxy = self.proxy()
        proxy.add_toxic(type="latency", attributes={"latency": 200})
        self.assertGreaterEqual(ask(proxy.listen), 0.2)
        proxy.add_toxic(type="latency", stream="upstream", attributes={"latency": 300})
        self.assertGreaterEqual(ask(proxy.listen), 0.5)
        self.assertEqual(set(proxy.toxics()), {"latency_downstream", "latency_upstream"})
        self.assertEqual(proxy.get_toxic("latency_downstream").attributes["latency"], 200)
        proxy.destroy_toxic("latency_upstream")
        proxy.destroy_toxic("latency_downstream")
        self.assertEqual(proxy.toxics(), {})
        self.assertLess(ask(proxy.listen), 0.2)

    def test_every_type_of_toxic_is_taken(self):
        proxy = self.proxy()
        for kind in "latency bandwidth slow_close timeout reset_peer slicer limit_data".split():
            proxy.add_toxic(type=kind, toxicity=0.0, attributes={})
        self.assertEqual(len(proxy.toxics()), 7)
        ask(proxy.listen)
        with self.assertRaises(InvalidToxic):
            proxy.add_toxic(type="slower")

    def test_a_reset_peer_resets(self):
        proxy = self.proxy()
        proxy.add_toxic(type="reset_peer", attributes={"timeout": 0})
        with self.assertRaises(ConnectionResetError):
            ask(proxy.listen)

    def test_a_limit_closes_the_connection(self):
        proxy = self.proxy()
        proxy.add_toxic(type="limit_data", attributes={"bytes": 3})
        with self.assertRaises(ConnectionError):
            ask(proxy.listen)

    def test_a_reset_takes_every_toxic_and_enables_every_proxy(self):
        proxy = self.proxy()
        proxy.add_toxic(type="timeout", attributes={"timeout": 0})
        proxy.disable()
        self.assertTrue(self.toxiproxy.reset())
        self.assertEqual(proxy.toxics(), {})
        ask(proxy.listen)


if __name__ == "__main__":
    unittest.main()
