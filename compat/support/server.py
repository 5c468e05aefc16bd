"""A tiny HTTP server for the compatibility documents.

`python server.py` listens on a free port of 127.0.0.1, prints the port as its only
line and serves until its standard input ends. Nothing in a reply depends on the
clock, so that two runs of one document see the same bytes. POST /reset forgets
what earlier runs did.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

DOCUMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "documents")
SAMPLE = {"ok": True, "value": 3, "name": "shop", "items": [{"id": 1, "up": True}, {"id": 2, "up": False}]}


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.forget()

    def forget(self):
        self.counts = {}
        self.received = []
        self.proxies = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = State()

    def do_GET(self):
        url = urlsplit(self.path)
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        first, _, rest = url.path.strip("/").partition("/")
        route = getattr(self, "route_" + first.replace("-", "_").replace(".", "_"), None)
        if route is None:
            self.reply(404, b"no such page", "text/plain")
        else:
            route(rest)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET

    def reply(self, status, body, kind, **headers):
        self.send_response_only(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, value, status=200):
        self.reply(status, json.dumps(value).encode(), "application/json")

    def log_message(self, *_):
        pass

    # ---- shapes of a reply
    def route_json(self, _):
        self.reply_json(SAMPLE)

    def route_json_charset(self, _):
        self.reply(200, json.dumps(SAMPLE).encode(), "application/json; charset=utf-8")

    def route_json_broken(self, _):
        self.reply(200, b'{"ok": tru', "application/json")

    def route_text(self, _):
        self.reply(200, b"hello", "text/plain")

    def route_latin(self, _):
        self.reply(200, "caf\u00e9".encode("latin-1"), "text/plain; charset=iso-8859-1")

    def route_untyped(self, _):
        self.reply(200, b"plain", None)

    def route_empty(self, _):
        self.reply(204, b"", None)

    def route_status(self, rest):
        self.reply(int(rest), b"status " + rest.encode(), "text/plain")

    def route_redirect(self, _):
        self.reply(302, b"", None, Location="/text")

    def route_slow(self, rest):
        time.sleep(float(rest))
        self.reply(200, b"late", "text/plain")

    def route_echo(self, rest):
        shown = {k.lower(): v for k, v in self.headers.items() if k.lower().startswith("x-")}
        for name in ("Content-Type", "Authorization"):
            if self.headers.get(name):
                shown[name.lower()] = self.headers[name]
        self.reply_json(
            {
                "method": self.command,
                "path": "/" + rest,
                "query": self.query,
                "body": self.body.decode("utf-8", "replace"),
                "headers": shown,
            }
        )

    # ---- memory
    def route_count(self, name):
        with self.state.lock:
            self.state.counts[name] = self.state.counts.get(name, 0) + 1
            self.reply_json({"count": self.state.counts[name]})

    def route_notify(self, rest):
        with self.state.lock:
            event = {"method": self.command, "path": rest}
            if self.body:
                sent = json.loads(self.body)
                event.update({"keys": sorted(sent), "name": sent.get("name"), "phase": sent.get("phase")})
            self.state.received.append(event)
        self.reply(200, b"", None)

    def route_received(self, _):
        self.reply_json(self.state.received)

    def route_reset(self, _):
        with self.state.lock:
            self.state.forget()
        self.reply(200, b"", None)

    # ---- documents by URL
    def route_documents(self, rest):
        with open(os.path.join(DOCUMENTS, os.path.basename(rest)), "rb") as f:
            body = f.read()
        here = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.reply(200, body.replace(b"@HTTP@", here.encode()), self.query.get("type", "application/json"))

    def route_guarded(self, rest):
        if self.headers.get("Authorization", "").lower() != "bearer open-sesame":
            self.reply(401, b"who are you", "text/plain")
        else:
            self.route_documents(rest)

    # ---- Prometheus
    def route_api(self, rest):
        if self.query.get("query") == "bad(":
            self.reply_json({"status": "error", "error": "parse error"}, 400)
        elif rest.endswith("query_range"):
            values = [[1000 + n, str(n)] for n in range(1, 4)]
            self.reply_json({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}})
        else:
            self.reply_json({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"job": "shop"}, "value": [1000, "1"]}]}})

    def route_metrics(self, rest):
        with self.state.lock:
            self.state.received.append({"method": self.command, "path": "metrics/" + rest.split("/")[0]})
        self.reply(202, b"", None)

    # ---- Toxiproxy
    def route_proxies(self, rest):
        name, _, toxics = rest.partition("/")
        proxies = self.state.proxies
        if not name:
            if self.command == "POST":
                proxy = dict(json.loads(self.body), toxics=[])
                proxies[proxy["name"]] = proxy
                return self.reply_json(proxy, 201)
            return self.reply_json(proxies)
        if name not in proxies:
            return self.reply_json({"error": "proxy not found", "status": 404}, 404)
        proxy = proxies[name]
        if toxics.startswith("toxics") and self.command == "POST":
            toxic = json.loads(self.body)
            proxy["toxics"].append(toxic)
            return self.reply_json(toxic)
        if toxics.startswith("toxics/") and self.command == "DELETE":
            proxy["toxics"] = [t for t in proxy["toxics"] if t["name"] != toxics[7:]]
            return self.reply(204, b"", None)
        if self.command == "DELETE":
            del proxies[name]
            return self.reply(204, b"", None)
        if self.command == "POST":
            proxy.update({k: v for k, v in json.loads(self.body).items() if v is not None})
        self.reply_json(proxy)

    # ---- Vault
    def route_v1(self, rest):
        if self.headers.get("X-Vault-Token") != "root":
            return self.reply_json({"errors": ["permission denied"]}, 403)
        secret = {"login": "jane", "password": "hush"}
        if rest == "secret/data/shop":
            self.reply_json({"data": {"data": secret, "metadata": {"version": 1}}})
        elif rest == "secret/shop":
            self.reply_json({"data": secret})
        else:
            self.reply_json({"errors": []}, 404)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hung up, as one with a time-out does, is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
