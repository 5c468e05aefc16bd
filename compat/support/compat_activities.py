"""Probes and actions for the compatibility documents; each shows one thing."""

import datetime
import decimal
import logging
import os
import threading
import time
import uuid

logger = logging.getLogger("chaostoolkit")
CALLS = []


def constant(value):
    return value


def nothing():
    return None


def add(left, right=1):
    return left + right


def keywords(**kwargs):
    return dict(sorted(kwargs.items()))


def type_name(value):
    return type(value).__name__


def length_of(value):
    return len(value)


def with_configuration(configuration):
    return configuration


def with_optional_configuration(configuration=None, secrets=None):
    return {"configuration": configuration, "secrets": secrets}


def with_secrets(secrets):
    return sorted(secrets)


def secret_length(secrets, name="password"):
    return len(secrets[name])


def calls(label="call"):
    """Shows that a module's state lives on between calls."""
    CALLS.append(label)
    return len(CALLS)


def fails(message="no luck"):
    raise ValueError(message)


def fails_deeply():
    try:
        {}["absent"]
    except KeyError:
        raise RuntimeError("after a key error")


def fails_as_activity(message="said no"):
    from chaoslib.exceptions import ActivityFailed

    raise ActivityFailed(message)


def fails_on_call(number):
    if calls() == number:
        raise ValueError("call %d" % number)
    return len(CALLS)


def true_until_call(number):
    return calls() < number


def interrupts(message="enough"):
    from chaoslib.exceptions import InterruptExecution

    raise InterruptExecution(message)


def leaves(code=3):
    raise SystemExit(code)


def exits_gracefully():
    from chaoslib.exit import exit_gracefully

    exit_gracefully()
    time.sleep(5)
    return "not reached"


def exits_ungracefully():
    from chaoslib.exit import exit_ungracefully

    exit_ungracefully()
    time.sleep(5)
    return "not reached"


def terminates_itself():
    import signal

    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    return "not reached"


def exits_gracefully_soon(delay=0.3):
    time.sleep(delay)
    from chaoslib.exit import exit_gracefully

    exit_gracefully()
    return "sent"


def exits_ungracefully_soon(delay=0.3):
    time.sleep(delay)
    from chaoslib.exit import exit_ungracefully

    exit_ungracefully()
    return "sent"


def waits(seconds=0.2, value=None):
    time.sleep(seconds)
    return value


def prints(text="to standard output"):
    print(text)
    os.system("echo from a child")
    return text


def logs(text="to the log"):
    logger.info(text)
    return text


def logs_through_logzero(text="to the log"):
    from logzero import logger as other

    other.info(text)
    return text


def on_main_thread():
    return threading.current_thread() is threading.main_thread()


def touches(path):
    with open(path, "a") as f:
        f.write("x")
    return os.path.getsize(path)


def exists(path):
    return os.path.exists(path)


def reads_environment(name):
    return os.environ.get(name)


def moment():
    return datetime.datetime(2024, 2, 29, 12, 30, 45, 600, tzinfo=datetime.timezone.utc)


def day():
    return datetime.date(2024, 2, 29)


def exact():
    return decimal.Decimal("4.50")


def identity():
    return uuid.UUID(int=7)


def pair():
    return (1, "two")


def nested():
    return {"a": [1, 2.5, {"b": None}], 3: "three", True: "yes", None: "none"}


def raw_bytes():
    return b"bytes"


def a_set():
    return {1}


def not_a_number():
    return float("nan")


def big_number():
    return 2**70


def small_float():
    return 1e-7


def is_at_least(value=None, minimum=0):
    return value >= minimum


def status_is(value=None, expected=0):
    return value["status"] == expected


def gives_empty(value=None):
    return []


def judges_by_failing(value=None):
    raise ValueError("cannot judge %r" % (value,))


def value_in_text(value=None, wanted=""):
    return wanted in str(value)


class Callable:
    def __call__(self):
        return "called"


callable_object = Callable()
