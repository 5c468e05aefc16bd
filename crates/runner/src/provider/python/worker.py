"""Firedrill's Python worker: calls the user's Python for a drill, over JSON lines.

Started as `PYTHON -u -c <this source>` (or from a file), one process per
interpreter, kept for the whole drill so that module state survives between
calls. Nothing outside the standard library is imported until the document asks
for it; Python 3.8 or newer.

WIRE
One JSON object per line, UTF-8. Requests arrive on what was stdin, replies and
events leave on what was stdout. Both are moved to private descriptors first:
afterwards descriptor 0 reads /dev/null and descriptor 1 is stderr, so nothing
the user's code (or a child of it) prints can corrupt the protocol.

Every request has an `id` (echoed in its reply) and an `op`. A request with
`"background": true` runs on a thread of its own; any other runs on the main
thread, one at a time, in order. Replies may overtake each other.

    reply      {"id", "ok": true, ...}  or  {"id", "ok": false, "error": ERROR}
    ERROR      {"kind", "type", "message", "traceback": [line, ...], "code"?}
       kind    "activity_failed"  the function raised: a failed activity;
                                  `message` and `traceback` are what the journal shows
               "interrupt"        InterruptExecution: the drill is to be interrupted
               "exit"             SystemExit, KeyboardInterrupt or a signal ended the
                                  call; `code` is 20 (SIGUSR1), 30 (SIGUSR2: no
                                  rollbacks) or what the code gave
               "invalid"          validation found a mistake
               "unexpected"       anything else, before or outside the function:
                                  Chaos Toolkit aborts on these
               "protocol"         the request itself was malformed

Values JSON cannot carry travel as {"$bytes": BASE64}, and as {"$float": "nan"},
{"$float": "inf"}, {"$float": "-inf"}, in both directions. In outputs, dates
become ISO 8601 text, Decimal and UUID their str(), as in a journal; a value that
even a journal cannot hold becomes its repr() and its type is in `unencodable`.

REQUESTS
    hello      -> {"python", "executable", "protocol", "chaoslib", "addons"}
               (the last two null where not installed; nothing is imported)
    call       {"module", "func", "arguments", "configuration", "secrets"}
               -> {"output", "truthy", "unencodable"?}
               arguments are substituted already. `secrets` is the merged mapping
               of the groups that the provider names, or null if it names none;
               it and `configuration` are passed only if the signature has them.
    validate   {"module", "func", "arguments", "name", "type"} -> {}
               imports and binds; error kind "invalid" with the message.
    control    {"hook", "controls": [control, ...], "context" | "context_path",
               "state"?, "experiment"?, "configuration", "secrets", "settings",
               "global"?}
               -> {"changed": {...}, "failed": [index, ...], "error"?}
               Applies the controls in order, as the hook demands:
               - load_control       imports; `failed` lists those that cannot be
               - validate_control   kind "invalid" for the first mistake
               - configure_control  `failed` lists those that raised
               - cleanup_control    `failed` lists those that raised
               - before_*/after_*   exceptions are logged and swallowed, except
                                    an interruption, which ends the list: the
                                    reply then is ok:false and has `changed` too
               Arguments follow each function's signature. `changed` holds only
               what user code altered, of context, state, experiment,
               configuration, secrets. `context_path` addresses the context
               inside the experiment (["method", 0], [] for the whole), so that
               both stay one object as they are in Chaos Toolkit.
    experiment {"experiment", "settings"?, "configuration"?, "secrets"?,
               "global_controls"?} -> {}
               what extensions may look up through chaoslib: the activity cache,
               loaded settings, global controls.
    lifecycle  {"name", "arguments": [...]} -> {"handlers": N}
               tells handlers that a control registered in `event_registry`.
    notify     {"module", "func", "channel", "payload"} -> {"called": bool}
    interrupt  {"signal": "SIGINT"} -> {"delivered": bool}
               raises in the running foreground call what Chaos Toolkit would.
               Python may lose one that falls into a callback of its own: ask
               again, or end the process, if the call goes on.
    cancel     {"call": ID} -> {"delivered": bool}
               raises ExperimentExitedException in a background call (SIGUSR2).
    shutdown   -> {} and the process ends with status 0.

EVENTS (no id)
    {"event": "log", "level", "logger", "message"}
    {"event": "interrupt", "signal": "SIGUSR1"}   a signal reached this process,
               usually sent by the user's code through chaoslib.exit, from a thread
               of its own. One that ends a foreground call is told by the reply alone.

At end of input a running call gets two seconds to clean up; then the process
ends. So a killed Firedrill leaves no Python behind.
"""

import base64
import ctypes
import datetime
import decimal
import importlib
import inspect
import json
import logging
import math
import os
import queue
import signal
import string
import sys
import threading
import traceback
import types
import uuid
from collections import ChainMap
from copy import deepcopy

PROTOCOL = 1
GRACE_S = 2.0
SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
EXIT_CODES = {"SIGUSR1": 20, "SIGUSR2": 30}
logger = logging.getLogger("chaostoolkit")


class ActivityFailed(Exception):
    """Stands in for chaoslib's class of that name, so that a journal reads alike."""

    __module__ = "chaoslib.exceptions"


class Invalid(Exception):
    """A mistake in the document, found by validation."""


class Interrupted(Exception):
    """Stands in for chaoslib's InterruptExecution where chaoslib is not loaded."""


# --------------------------------------------------------------------- values


def encode(value, lost):
    """`value` as JSON can carry it; types that no journal can hold go to `lost`."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, dict):
        return {key_text(k, lost): encode(v, lost) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v, lost) for v in value]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    lost.append(str(type(value)))
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    return repr(value)


def key_text(key, lost):
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)
    lost.append(str(type(key)))
    return repr(key)


def decode(value):
    """The reverse of `encode`, for the tagged forms."""
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        if isinstance(value.get("$bytes"), str):
            return base64.b64decode(value["$bytes"])
        if value.get("$float") in ("nan", "inf", "-inf"):
            return float(value["$float"])
    return {k: decode(v) for k, v in value.items()}


def fingerprint(value):
    """Tells whether user code altered a value; None if it cannot be told."""
    try:
        return json.dumps(encode(value, []), sort_keys=False)
    except (ValueError, RecursionError):
        return None


class Template(string.Template):
    """`${x}` alone gives the value with its type, inside text it gives str(value)."""

    def typed(self, mapping):
        found = self.pattern.fullmatch(self.template)
        if found is not None:
            name = found.group("braced")
            if name in mapping:
                return mapping[name]
        return self.safe_substitute(mapping)


def substitute(value, configuration, secrets):
    groups = [g for g in (secrets or {}).values() if isinstance(g, dict)]
    return substituted(value, ChainMap(configuration or {}, *groups))


def substituted(value, mapping):
    if isinstance(value, str):
        return Template(value).typed(mapping)
    if isinstance(value, dict):
        return {k: substituted(v, mapping) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [substituted(v, mapping) for v in value]
    return value


# --------------------------------------------------------------------- errors


def is_chaoslib(error, name):
    """By name, so that chaoslib is not imported only to recognise its classes."""
    return any(
        c.__name__ == name and c.__module__ == "chaoslib.exceptions"
        for c in type(error).__mro__
    )


def describe(error):
    """An ERROR object for what escaped from a request."""
    kind, code = "unexpected", None
    if isinstance(error, Interrupted) or is_chaoslib(error, "InterruptExecution"):
        kind = "interrupt"
    elif isinstance(error, (SystemExit, KeyboardInterrupt)):
        kind, code = "exit", getattr(error, "code", None)
    elif isinstance(error, ActivityFailed):
        kind = "activity_failed"
    elif isinstance(error, Invalid) or is_chaoslib(error, "ChaosException"):
        kind = "invalid" if not is_chaoslib(error, "ActivityFailed") else "unexpected"
    report = {
        "kind": kind,
        "type": type(error).__name__,
        "message": str(error),
        "traceback": journal_lines(error),
    }
    if code is not None:
        report["code"] = code if isinstance(code, (int, str)) else str(code)
    return report


def journal_lines(error):
    """The lines of a journal's `exception` field: the chain, without our own frames."""
    cause = error.__context__
    while cause is not None:
        cause.__traceback__ = skip_own_frames(cause.__traceback__)
        cause = cause.__context__
    if isinstance(error, ActivityFailed):
        return traceback.format_exception(type(error), error, None)
    frames = skip_own_frames(error.__traceback__)
    return traceback.format_exception(type(error), error, frames)


def skip_own_frames(frames):
    own = describe.__code__.co_filename
    while frames is not None and frames.tb_frame.f_code.co_filename == own:
        frames = frames.tb_next
    return frames


# ----------------------------------------------------------------------- wire


class Wire:
    """The private pair of descriptors; whole lines only, from any thread."""

    def __init__(self):
        self.source = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
        self.sink = os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        self.lock = threading.RLock()

    def send(self, message):
        try:
            text = json.dumps(message, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            text = json.dumps(
                {
                    "id": message.get("id"),
                    "ok": False,
                    "error": {
                        "kind": "unexpected",
                        "type": type(error).__name__,
                        "message": "the result cannot be encoded: " + str(error),
                        "traceback": [],
                    },
                }
            )
        data = memoryview(text.encode("utf-8", "replace") + b"\n")
        try:
            with self.lock:
                while data:
                    data = data[os.write(self.sink, data) :]
        except BrokenPipeError:
            os._exit(1)


class Forward(logging.Handler):
    """Log records of extensions, as events."""

    def __init__(self, wire):
        super().__init__(logging.DEBUG)
        self.wire = wire

    def emit(self, record):
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception as error:  # a bad format string must not end a drill
            message = "{} (unformatted: {})".format(record.msg, error)
        self.wire.send(
            {
                "event": "log",
                "level": record.levelname,
                "logger": record.name,
                "message": message,
            }
        )


def forward_logs(wire):
    """Takes the loggers over, and logzero's place, as Chaos Toolkit's command does."""
    handler = Forward(wire)
    for name in ("chaostoolkit", "chaostoolkit-lib"):
        log = logging.getLogger(name)
        log.setLevel(logging.DEBUG)
        log.propagate = False
        log.addHandler(handler)
    stand_in = types.ModuleType("logzero")
    stand_in.__path__ = []
    stand_in.logger = logger
    sys.modules["logzero"] = stand_in


# ----------------------------------------------------------------- activities


def call(request):
    module = importlib.import_module(request["module"])
    func = getattr(module, request["func"])
    arguments = dict(decode(request.get("arguments") or {}))
    parameters = inspect.signature(func).parameters
    secrets = request.get("secrets")
    if secrets is not None and "secrets" in parameters:
        arguments["secrets"] = decode(secrets)
    if "configuration" in parameters:
        arguments["configuration"] = decode(request.get("configuration") or {})
    output = run_function(func, arguments)
    lost = []
    reply = {"output": encode(output, lost), "truthy": truth(output)}
    if lost:
        reply["unencodable"] = sorted(set(lost))
    return reply


def run_function(func, arguments):
    try:
        return func(**arguments)
    except Interrupted:
        raise
    except Exception as error:
        if is_chaoslib(error, "InterruptExecution"):
            raise
        text = traceback.format_exception_only(type(error), error)[0].strip()
        raise ActivityFailed(text)


def truth(value):
    try:
        return bool(value)
    except Exception:
        return False


def validate(request):
    name, kind = request.get("name"), request.get("type", "activity")
    module, func = request.get("module"), request.get("func")
    if not module:
        raise Invalid("a Python activity must have a module path")
    if not func:
        raise Invalid("a Python activity must have a function name")
    try:
        loaded = importlib.import_module(module)
    except ImportError:
        raise Invalid(
            "could not find Python module '{}' in activity '{}'".format(module, name)
        )
    candidate = loaded.__dict__.get(func, getattr(loaded, func, None))
    if not (inspect.isfunction(candidate) or inspect.isbuiltin(candidate)):
        raise Invalid(
            "The python module '{}' does not expose a function called '{}' "
            "in {} '{}'".format(module, func, kind, name)
        )
    bind(candidate, decode(request.get("arguments") or {}), func)
    return {}


def bind(func, arguments, name):
    signature = inspect.signature(func)
    arguments = dict(arguments)
    for injected in ("secrets", "configuration"):
        if injected in signature.parameters:
            arguments[injected] = None
    try:
        signature.bind(**arguments)
    except TypeError as error:
        text = str(error)
        if "missing" in text:
            missing = text.rsplit(":", 1)[1].strip()
            raise Invalid(
                "required argument {} is missing from activity '{}'".format(missing, name)
            )
        if "unexpected" in text:
            extra = text.rsplit(" ", 1)[1].strip()
            raise Invalid(
                "argument {} is not part of the function signature in activity "
                "'{}'".format(extra, name)
            )
        raise


# ------------------------------------------------------------------- controls


class Drill:
    """The experiment in memory: one object, whatever arrives, so identity holds."""

    def __init__(self):
        self.experiment = None
        self.settings = None
        self.configuration = {}
        self.secrets = {}
        self.global_controls = []
        self.registry = None
        self.synchronised = set()
        self.lock = threading.RLock()

    def adopt(self, request):
        """Takes over what the request brings; equal values keep their object."""
        with self.lock:
            for field in ("experiment", "configuration", "secrets"):
                if request.get(field) is not None:
                    new = decode(request[field])
                    setattr(self, field, self.merged(getattr(self, field), new))
                    if field == "experiment":
                        self.synchronised.discard("chaoslib.caching")
            if "settings" in request:
                self.settings = decode(request["settings"])
                self.synchronised.discard("chaoslib.settings")
            if request.get("global_controls") is not None:
                self.global_controls = decode(request["global_controls"])
                self.synchronised.discard("chaoslib.control")
        self.synchronise()

    @staticmethod
    def merged(held, new):
        if not isinstance(held, dict) or not isinstance(new, dict):
            return new
        if fingerprint(held) != fingerprint(new):
            held.clear()
            held.update(new)
        return held

    def synchronise(self):
        """Shows the drill to those chaoslib modules that user code has loaded."""
        fill = {
            "chaoslib.caching": self.fill_cache,
            "chaoslib.settings": lambda m: m.loaded_settings.set(self.settings),
            "chaoslib.control": lambda m: m.set_global_controls(self.global_controls),
        }
        for name, step in fill.items():
            module = sys.modules.get(name)
            if module is None or name in self.synchronised:
                continue
            try:
                step(module)
                self.synchronised.add(name)
            except Exception:
                logger.debug("cannot hand the drill to %s", name, exc_info=True)

    def fill_cache(self, module):
        if self.experiment:
            module.clear_cache()
            module.cache_activities(self.experiment)

    def at(self, path):
        node = self.experiment
        for step in path:
            node = node[step]
        return node

    def events(self):
        """chaoslib's registry if that can be had; controls may register in it."""
        if self.registry is None:
            try:
                self.registry = importlib.import_module("chaoslib.run").EventHandlerRegistry()
            except ImportError:
                return None
        return self.registry


class Scope:
    """What one control request works on, and what changed of it."""

    def __init__(self, drill, request):
        drill.adopt(request)
        self.drill = drill
        path = request.get("context_path")
        self.context = drill.at(path) if path is not None else decode(request.get("context"))
        self.state = decode(request.get("state"))
        self.settings = decode(request.get("settings"))
        self.before = self.prints()

    def prints(self):
        return {name: fingerprint(value) for name, value in self.values().items()}

    def values(self):
        return {
            "context": self.context,
            "state": self.state,
            "experiment": self.drill.experiment,
            "configuration": self.drill.configuration,
            "secrets": self.drill.secrets,
        }

    def changed(self):
        after = self.prints()
        return {
            name: encode(value, [])
            for name, value in self.values().items()
            if after[name] is not None and after[name] != self.before[name]
        }


def control(drill, request):
    scope, hook = Scope(drill, request), request["hook"]
    failed, reply = [], {}
    steps = {
        "load_control": load_control,
        "validate_control": validate_control,
        "configure_control": configure_control,
        "cleanup_control": cleanup_control,
    }
    step = steps.get(hook, apply_control)
    try:
        for index, item in enumerate(decode(request["controls"])):
            if (item.get("provider") or {}).get("type") != "python":
                continue
            if not step(scope, hook, item):
                failed.append(index)
    except BaseException as error:
        reply = {"ok": False, "error": describe(error)}
    reply.update({"changed": scope.changed(), "failed": failed})
    if drill.registry is not None:
        reply["event_handlers"] = len(drill.registry.handlers)
    return reply


def load_function(item, name):
    path = item["provider"]["module"]
    try:
        module = importlib.import_module(path)
    except ImportError:
        logger.debug("control module '%s' could not be loaded", path)
        return None
    return getattr(module, name, None)


def load_control(_scope, _hook, item):
    try:
        importlib.import_module(item["provider"]["module"])
    except ImportError as error:
        logger.warning("control '%s' is left out: %s", item.get("name"), error)
        return False
    return True


def validate_control(_scope, _hook, item):
    name, path = item.get("name"), item["provider"].get("module")
    if not path:
        raise Invalid("Control '{}' must have a module path".format(name))
    try:
        importlib.import_module(path)
    except ImportError:
        logger.warning(
            "Python module '%s' of control '%s' cannot be imported; the drill goes on "
            "without it",
            path,
            name,
        )
        return True
    func = load_function(item, "validate_control")
    if func:
        func(item)
    return True


def configure_control(scope, _hook, item):
    try:
        func = load_function(item, "configure_control")
        if func:
            scope.drill.synchronise()
            arguments = deepcopy(item["provider"].get("arguments") or {})
            offered = {
                "experiment": scope.drill.experiment,
                "secrets": scope.drill.secrets,
                "configuration": scope.drill.configuration,
                "settings": scope.settings,
            }
            inject(func, arguments, offered)
            if "event_registry" in inspect.signature(func).parameters:
                arguments["event_registry"] = scope.drill.events()
            func(**arguments)
    except Exception:
        logger.debug("control '%s' could not be configured", item.get("name"), exc_info=True)
        return False
    return True


def cleanup_control(_scope, _hook, item):
    try:
        func = load_function(item, "cleanup_control")
        if func:
            func()
    except Exception:
        logger.debug("control '%s' could not clean up", item.get("name"), exc_info=True)
        return False
    return True


def apply_control(scope, hook, item):
    wanted = item.get("scope")
    if wanted and not hook.startswith(wanted + "_"):
        return True
    try:
        func = load_function(item, hook)
        if func:
            scope.drill.synchronise()
            func(context=scope.context, **hook_arguments(scope, func, item))
    except Exception as error:
        if isinstance(error, Interrupted) or is_chaoslib(error, "InterruptExecution"):
            raise
        logger.debug("%s of control '%s' failed", hook, item.get("name"), exc_info=True)
        return False
    return True


def hook_arguments(scope, func, item):
    drill = scope.drill
    arguments = deepcopy(item["provider"].get("arguments") or {})
    if drill.configuration or drill.secrets:
        arguments = substitute(arguments, drill.configuration, drill.secrets)
    offered = {
        "secrets": drill.secrets,
        "configuration": drill.configuration,
        "state": scope.state,
        "experiment": drill.experiment,
        "extensions": (drill.experiment or {}).get("extensions"),
        "settings": scope.settings,
    }
    inject(func, arguments, offered)
    return arguments


def inject(func, arguments, offered):
    parameters = inspect.signature(func).parameters
    arguments.update({k: v for k, v in offered.items() if k in parameters})


# -------------------------------------------------------------- other requests


def hello(_drill, _request):
    return {
        "python": ".".join(str(n) for n in sys.version_info[:3]),
        "executable": sys.executable,
        "protocol": PROTOCOL,
        "chaoslib": installed("chaostoolkit-lib"),
        "addons": installed("chaostoolkit-addons"),
    }


def installed(package):
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def lifecycle(drill, request):
    handlers = list(drill.registry.handlers) if drill.registry is not None else []
    for handler in handlers:
        try:
            getattr(handler, request["name"])(*decode(request.get("arguments") or []))
        except Exception:
            logger.debug("event handler %s failed", type(handler).__name__, exc_info=True)
    return {"handlers": len(handlers)}


def notify(_drill, request):
    try:
        module = importlib.import_module(request["module"])
    except ImportError as error:
        logger.debug("notification plugin left out: %s", error)
        return {"called": False}
    func = getattr(module, request.get("func") or "notify", None)
    if not inspect.isfunction(func):
        return {"called": False}
    try:
        func(decode(request["channel"]), decode(request["payload"]))
    except Exception:
        logger.debug("notification plugin failed", exc_info=True)
    return {"called": True}


def track(drill, request):
    drill.adopt(request)
    return {}


OPERATIONS = {
    "hello": hello,
    "call": lambda drill, request: (drill.synchronise(), call(request))[1],
    "validate": lambda _drill, request: validate(request),
    "control": control,
    "experiment": track,
    "lifecycle": lifecycle,
    "notify": notify,
}


# --------------------------------------------------------------------- worker


class Worker:
    """Reads on one thread, works on the main one, so that signals reach user code."""

    def __init__(self, wire):
        self.wire = wire
        self.drill = Drill()
        self.work = queue.Queue()
        self.interruptible = False
        self.threads = {}

    def serve(self):
        for name in SIGNALS:
            signal.signal(getattr(signal, name), self.on_signal)
        threading.Thread(target=self.read, name="requests", daemon=True).start()
        while True:
            request = self.work.get()
            if request is None:
                return
            self.answer(request, foreground=True)

    def read(self):
        for line in self.wire.source:
            try:
                request = json.loads(line)
                operation = request["op"]
            except (ValueError, TypeError, KeyError) as error:
                self.refuse(None, "not a request: {!r}".format(error))
                continue
            if not self.immediate(operation, request):
                continue
            if operation not in OPERATIONS:
                self.refuse(request.get("id"), "no such operation: {}".format(operation))
            elif request.get("background"):
                thread = threading.Thread(
                    target=self.answer, args=(request, False), daemon=True
                )
                self.threads[request.get("id")] = thread
                thread.start()
            else:
                self.work.put(request)
        self.end_of_input()

    def immediate(self, operation, request):
        """Requests that must not wait for a running call. False: it was one."""
        ident = request.get("id")
        if operation == "interrupt":
            self.reply(ident, {"delivered": self.interrupt(request.get("signal"))})
        elif operation == "cancel":
            self.reply(ident, {"delivered": self.cancel(request.get("call"))})
        elif operation == "shutdown":
            self.reply(ident, {})
            os._exit(0) if self.interruptible else self.work.put(None)
        else:
            return True
        return False

    def answer(self, request, foreground):
        ident = request.get("id")
        try:
            self.interruptible = foreground or self.interruptible
            try:
                result = OPERATIONS[request["op"]](self.drill, request)
            finally:
                if foreground:
                    self.interruptible = False
            self.reply(ident, result)
        except BaseException as error:
            if foreground:
                self.interruptible = False
            self.wire.send({"id": ident, "ok": False, "error": describe(error)})
        finally:
            self.threads.pop(ident, None)

    def reply(self, ident, result):
        message = {"id": ident, "ok": True}
        message.update(result)
        self.wire.send(message)

    def refuse(self, ident, text):
        error = {"kind": "protocol", "type": "Protocol", "message": text, "traceback": []}
        self.wire.send({"id": ident, "ok": False, "error": error})

    def on_signal(self, number, _frame):
        name = signal.Signals(number).name
        if not self.interruptible:
            self.wire.send({"event": "interrupt", "signal": name})
            return
        if name == "SIGINT":
            raise KeyboardInterrupt
        if name == "SIGTERM":
            module = sys.modules.get("chaoslib.exceptions")
            raise getattr(module, "InterruptExecution", Interrupted)("SIGTERM signal received")
        raise SystemExit(EXIT_CODES[name])

    def interrupt(self, name):
        if name not in SIGNALS or not self.interruptible:
            return False
        signal.pthread_kill(threading.main_thread().ident, getattr(signal, name))
        return True

    def cancel(self, ident):
        thread = self.threads.get(ident)
        if thread is None or not thread.is_alive():
            return False
        module = sys.modules.get("chaoslib.exceptions")
        raised = getattr(module, "ExperimentExitedException", Interrupted)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(raised)
        )
        return True

    def end_of_input(self):
        # A call may be about to begin: whatever the main thread does, the end comes in time.
        timer = threading.Timer(GRACE_S, os._exit, args=(1,))
        timer.daemon = True
        timer.start()
        self.work.put(None)
        self.interrupt("SIGTERM")


def main():
    if sys.path and sys.path[0] == "":
        sys.path.pop(0)
    wire = Wire()
    forward_logs(wire)
    Worker(wire).serve()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
