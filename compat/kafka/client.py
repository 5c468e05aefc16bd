"""Clients of Kafka, unchanged, through `firedrill proxy`.

Arguments: the port of the proxy's interface.
"""

import contextlib
import sys
import time
import unittest
import uuid

import kafka
import kafka.errors
from bed import PATIENCE, Cluster, Interface, Tansu, free_port
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

INTERFACE = Interface(int(sys.argv.pop()))


def settings(port, **more):
    return {"bootstrap.servers": f"127.0.0.1:{port}", **more}


def produce(port, topic, values, partition=-1, **more):
    """What became of each value: the code of its error, or nothing."""
    codes = {}

    def told(value):
        return lambda error, _: codes.update({value: error and error.code()})

    # Without a second try, unless it is asked for: it would get past an error for one.
    producer = Producer(settings(port, **{"retries": 0, **more}))
    for value in values:
        producer.produce(topic, value, partition=partition, on_delivery=told(value))
    if producer.flush(PATIENCE):
        raise TimeoutError("not delivered")
    return codes


def consumer(port, group=None, **more):
    more.setdefault("auto.offset.reset", "earliest")
    group = group or uuid.uuid4().hex
    return Consumer(settings(port, **{"group.id": group, "enable.auto.commit": False, **more}))


def consume(port, topic, count, partitions=1):
    """So many values of a topic, in the order in which they came."""
    values = []
    with contextlib.closing(consumer(port)) as reader:
        reader.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        limit = time.monotonic() + PATIENCE
        while len(values) < count and time.monotonic() < limit:
            message = reader.poll(1)
            if message and not message.error():
                values.append(message.value())
    return values


def first_error(reader):
    """The code of the first error that a consumer is told."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        message = reader.poll(1)
        if message and message.error():
            return message.error().code()
    raise TimeoutError("no error")


def make(port, topic):
    client = AdminClient(settings(port))
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(PATIENCE)


def described(port, topic):
    """What the description of a topic came to: the code of its error, or nothing."""
    client = AdminClient(settings(port))
    try:
        error = client.list_topics(topic, PATIENCE).topics[topic].error
    except KafkaException as raised:
        error = raised.args[0]
    return error and error.code()


VALUES = [b"order %d" % number for number in range(100)]


class OneBroker(unittest.TestCase):
    """Tansu, which tells its clients that it is where the proxy is."""

    @classmethod
    def setUpClass(cls):
        own = free_port()
        cls.port = INTERFACE.proxy("broker", own)
        cls.addClassCleanup(INTERFACE.ask, "DELETE", "/proxies/broker")
        # It ends also when what is next fails.
        cls.addClassCleanup(Tansu(own, cls.port).stop)
        for topic in ("orders", "audit"):
            make(cls.port, topic)

    def topic(self):
        """A topic that nobody has written to."""
        name = "t" + uuid.uuid4().hex
        make(self.port, name)
        return name

    def test_what_is_said_is_heard(self):
        topic = self.topic()
        codes = produce(self.port, topic, VALUES)
        self.assertEqual(set(codes.values()), {None})
        self.assertEqual(consume(self.port, topic, len(VALUES)), VALUES)

    def test_a_producer_is_told_the_code_for_the_topic_and_no_other(self):
        denied = KafkaError.TOPIC_AUTHORIZATION_FAILED
        fault = {"code": denied, "apis": ["Produce"], "topic": "ord*"}
        with INTERFACE.toxic("broker", "kafka_error", **fault):
            self.assertEqual(produce(self.port, "orders", [b"a"]), {b"a": denied})
            self.assertEqual(produce(self.port, "audit", [b"a"]), {b"a": None})
        self.assertEqual(produce(self.port, "orders", [b"b"]), {b"b": None})

    def test_a_producer_that_tries_again_gets_everything_across(self):
        topic = self.topic()
        fault = {"code": KafkaError.NOT_LEADER_FOR_PARTITION, "apis": ["produce"]}
        more = {"retries": 1000, "linger.ms": 0, "batch.num.messages": 1}
        with INTERFACE.toxic("broker", "kafka_error", toxicity=0.5, **fault):
            codes = produce(self.port, topic, VALUES[:20], **more)
        self.assertEqual(set(codes.values()), {None})
        self.assertEqual(sorted(consume(self.port, topic, 20)), sorted(VALUES[:20]))

    def test_a_consumer_is_told_the_code_of_a_fetch(self):
        denied = KafkaError.TOPIC_AUTHORIZATION_FAILED
        with contextlib.closing(consumer(self.port)) as reader:
            reader.assign([TopicPartition("orders", 0, 0)])
            with INTERFACE.toxic("broker", "kafka_error", code=denied, apis=["Fetch"]):
                self.assertEqual(first_error(reader), denied)

    def test_metadata_of_a_topic_is_refused(self):
        denied = KafkaError.TOPIC_AUTHORIZATION_FAILED
        fault = {"code": denied, "apis": ["Metadata"], "topic": "orders"}
        with INTERFACE.toxic("broker", "kafka_error", **fault):
            self.assertEqual(described(self.port, "orders"), denied)
        self.assertIsNone(described(self.port, "orders"))

    def test_an_offset_is_not_committed(self):
        group = uuid.uuid4().hex
        code = KafkaError.GROUP_AUTHORIZATION_FAILED
        place = [TopicPartition("orders", 0, 7)]
        with contextlib.closing(consumer(self.port, group)) as reader:
            with INTERFACE.toxic("broker", "kafka_error", code=code, apis=["OffsetCommit"]):
                with self.assertRaises(KafkaException) as raised:
                    reader.commit(offsets=place, asynchronous=False)
            self.assertEqual(raised.exception.args[0].code(), code)
            reader.commit(offsets=place, asynchronous=False)
            (kept,) = reader.committed([TopicPartition("orders", 0)], PATIENCE)
            self.assertEqual(kept.offset, 7)

    def test_a_delay_is_on_what_it_was_meant_for(self):
        with INTERFACE.toxic("broker", "kafka_delay", latency=1500, apis=["Produce"]):
            begin = time.monotonic()
            self.assertEqual(produce(self.port, "orders", [b"late"]), {b"late": None})
            self.assertGreater(time.monotonic() - begin, 1.5)
        with INTERFACE.toxic("broker", "kafka_delay", latency=600_000, apis=["Produce"]):
            self.assertIsNone(described(self.port, "orders"))

    def test_another_client_says_and_hears_and_is_told(self):
        topic = self.topic()
        place = f"127.0.0.1:{self.port}"
        producer = kafka.KafkaProducer(bootstrap_servers=place, retries=0)
        self.addCleanup(producer.close)
        producer.send(topic, b"first").get(PATIENCE)
        denied = kafka.errors.TopicAuthorizationFailedError
        with INTERFACE.toxic("broker", "kafka_error", code=denied.errno, apis=["Produce"]):
            with self.assertRaises(denied):
                producer.send(topic, b"second").get(PATIENCE)
        producer.send(topic, b"third").get(PATIENCE)
        reader = kafka.KafkaConsumer(
            topic,
            bootstrap_servers=place,
            auto_offset_reset="earliest",
            consumer_timeout_ms=1000 * PATIENCE,
        )
        self.addCleanup(reader.close)
        self.assertEqual([next(reader).value for _ in range(2)], [b"first", b"third"])

    def test_a_client_that_may_not_ask_for_versions_finds_nobody(self):
        fault = {"code": KafkaError.UNKNOWN, "apis": ["ApiVersions"]}
        with INTERFACE.toxic("broker", "kafka_error", **fault):
            with self.assertRaises(KafkaException):
                AdminClient(settings(self.port)).list_topics("orders", 3)


class ThreeBrokers(unittest.TestCase):
    """librdkafka's own cluster, with a proxy before each broker."""

    def setUp(self):
        self.cluster = Cluster(3)
        self.addCleanup(self.cluster.stop)
        self.cluster.topic("orders", 3)
        self.ports = []
        for broker, port in enumerate(self.cluster.ports, 1):
            name = f"broker-{broker}"
            self.ports.append(INTERFACE.proxy(name, port))
            self.addCleanup(INTERFACE.ask, "DELETE", f"/proxies/{name}")

    def led(self):
        """Every broker says that it is where its proxy is."""
        for broker, port in enumerate(self.ports, 1):
            self.cluster.advertise(broker, port)

    def test_brokers_that_name_their_proxies_are_reached_through_them(self):
        self.led()
        for partition in range(3):
            codes = produce(self.ports[0], "orders", [b"%d" % partition], partition)
            self.assertEqual(set(codes.values()), {None})
        got = consume(self.ports[0], "orders", 3, partitions=3)
        self.assertEqual(sorted(got), [b"0", b"1", b"2"])
        code = KafkaError.TOPIC_AUTHORIZATION_FAILED
        with INTERFACE.toxic("broker-2", "kafka_error", code=code, apis=["Produce"]):
            codes = [
                produce(self.ports[0], "orders", [b"x"], partition)[b"x"]
                for partition in range(3)
            ]
        self.assertEqual(codes, [None, code, None])

    def test_brokers_that_name_themselves_are_reached_past_their_proxies(self):
        code = KafkaError.TOPIC_AUTHORIZATION_FAILED
        with INTERFACE.toxic("broker-1", "kafka_error", code=code, apis=["Produce"]):
            self.assertEqual(produce(self.ports[0], "orders", [b"x"], 0), {b"x": None})
        # The first question goes to where it was told to, and meets its fault.
        fault = {"code": code, "apis": ["Metadata"], "topic": "orders"}
        with INTERFACE.toxic("broker-1", "kafka_error", **fault):
            self.assertEqual(described(self.ports[0], "orders"), code)
        self.assertGreater(INTERFACE.requests("broker-1"), 0)
        self.assertEqual(INTERFACE.requests("broker-2"), 0)


if __name__ == "__main__":
    unittest.main()
