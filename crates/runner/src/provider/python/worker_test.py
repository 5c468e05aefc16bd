"""Tests of worker.py, over its real descriptors: `python3 -m unittest worker_test`."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import unittest

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")

ACTIVITIES = '''
import datetime, decimal, logging, os, signal, sys, threading, time, uuid
CALLS = []
def echo(value=None): return value
def count(): CALLS.append(1); return len(CALLS)
def fails(message="no"): raise ValueError(message)
def chain():
    try: {}["k"]
    except KeyError: raise RuntimeError("later")
def injected(configuration, secrets=None): return [configuration, secrets]
def prints():
    print("noise"); os.system("echo more noise"); return sys.stdin.read()
def logs(): logging.getLogger("chaostoolkit").warning("careful %d", 7)
def logzero():
    from logzero import logger
    logger.info("through logzero")
def values():
    return {"d": datetime.date(2024, 2, 29), "n": decimal.Decimal("1.50"), "u": uuid.UUID(int=1),
            "t": (1, 2), 3: None, "nan": float("nan"), "inf": float("-inf")}
def strange(): return {1, 2}
def raw(): return b"\\x00\\xff"
def surrogate(): return "a\\ud800b"
def type_name(value): return type(value).__name__
def main_thread(): return threading.current_thread() is threading.main_thread()
def sleep(seconds):
    logging.getLogger("chaostoolkit").info("asleep")
    time.sleep(seconds)
    return "slept"
def kill_self(name): os.kill(os.getpid(), getattr(signal, name)); time.sleep(5); return "not reached"
def kill_softly(name): os.kill(os.getpid(), getattr(signal, name)); return "sent"
def leaves(code): raise SystemExit(code)
def dies(): os._exit(7)
def two(a, b=1): return a
'''

CONTROLS = '''
LOG = []
def configure_control(experiment, label, settings=None): LOG.append([label, settings])
def validate_control(control):
    if "allowed" not in control: raise ValueError("not allowed")
def before_activity_control(context, experiment, label, configuration=None, **kwargs):
    context["seen"] = label
    experiment["method"].append({"name": "added"})
    configuration["k"] = "changed"
def after_activity_control(context, state, experiment, **kwargs):
    state["same"] = experiment["method"][0] is context
def before_method_control(context): raise RuntimeError("ignored")
def cleanup_control(): raise RuntimeError("cannot clean")
'''


class Peer:
    """A worker and its conversation."""

    def __init__(self, folder):
        environment = dict(os.environ, PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1")
        with open(WORKER) as source:
            command = [sys.executable, "-u", "-c", source.read()]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.messages = queue.Queue()
        self.kept = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.messages.put(json.loads(line))

    def send(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, wanted):
        for message in self.kept:
            if wanted(message):
                self.kept.remove(message)
                return message
        while True:
            message = self.messages.get(timeout=20)
            if wanted(message):
                return message
            self.kept.append(message)

    def reply(self, ident):
        return self.wait(lambda m: m.get("id") == ident)

    def event(self, kind):
        return self.wait(lambda m: m.get("event") == kind)

    def ask(self, **request):
        self.send(id="q", **request)
        return self.reply("q")

    def call(self, func, **arguments):
        return self.ask(op="call", module="activities", func=func, arguments=arguments)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


class WorkerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        for name, text in (("activities", ACTIVITIES), ("ctl", CONTROLS), ("broken", "1 / 0")):
            with open(os.path.join(self.folder.name, name + ".py"), "w") as f:
                f.write(text)
        self.peer = Peer(self.folder.name)

    def tearDown(self):
        self.peer.close()
        self.folder.cleanup()

    def output(self, func, **arguments):
        reply = self.peer.call(func, **arguments)
        self.assertTrue(reply["ok"], reply)
        return reply["output"]

    def error(self, func, **arguments):
        reply = self.peer.call(func, **arguments)
        self.assertFalse(reply["ok"], reply)
        return reply["error"]

    def test_hello_tells_versions_without_importing_anything(self):
        reply = self.peer.ask(op="hello")
        self.assertEqual(reply["python"].split(".")[0], "3")
        self.assertEqual(reply["protocol"], 1)

    def test_a_call_gives_its_output_and_state_lives_on(self):
        self.assertEqual(self.output("echo", value={"a": [1, None]}), {"a": [1, None]})
        self.assertEqual([self.output("count"), self.output("count")], [1, 2])

    def test_configuration_and_secrets_go_only_where_the_signature_asks(self):
        ask = dict(op="call", module="activities", arguments={}, configuration={"a": 1})
        self.assertEqual(self.peer.ask(func="injected", **ask)["output"], [{"a": 1}, None])
        given = self.peer.ask(func="injected", secrets={"s": 2}, **ask)
        self.assertEqual(given["output"], [{"a": 1}, {"s": 2}])
        self.assertTrue(self.peer.ask(func="echo", secrets={"s": 2}, **ask)["ok"])

    def test_a_python_error_is_a_failed_activity_with_the_users_frames_only(self):
        error = self.error("fails", message="no luck")
        self.assertEqual(error["kind"], "activity_failed")
        self.assertEqual(error["message"], "ValueError: no luck")
        text = "".join(error["traceback"])
        self.assertTrue(text.endswith("chaoslib.exceptions.ActivityFailed: ValueError: no luck\n"))
        self.assertIn("in fails", text)
        self.assertNotIn("run_function", text)

    def test_a_chain_of_errors_stays_a_chain(self):
        text = "".join(self.error("chain")["traceback"])
        self.assertEqual(text.count("During handling of the above exception"), 2)
        self.assertIn("KeyError", text)

    def test_what_goes_wrong_before_the_function_is_unexpected(self):
        self.assertEqual(self.error("no_such_function")["kind"], "unexpected")
        reply = self.peer.ask(op="call", module="absent", func="f", arguments={})
        self.assertEqual(reply["error"]["type"], "ModuleNotFoundError")
        self.assertEqual(reply["error"]["kind"], "unexpected")

    def test_prints_do_not_reach_the_wire_and_standard_input_is_empty(self):
        self.assertEqual(self.output("prints"), "")

    def test_log_records_are_events(self):
        self.output("logs")
        event = self.peer.event("log")
        self.assertEqual((event["level"], event["message"]), ("WARNING", "careful 7"))
        self.output("logzero")
        self.assertEqual(self.peer.event("log")["message"], "through logzero")

    def test_values_are_encoded_as_a_journal_would(self):
        self.assertEqual(
            self.output("values"),
            {
                "d": "2024-02-29",
                "n": "1.50",
                "u": "00000000-0000-0000-0000-000000000001",
                "t": [1, 2],
                "3": None,
                "nan": {"$float": "nan"},
                "inf": {"$float": "-inf"},
            },
        )

    def test_what_a_journal_cannot_hold_is_named(self):
        reply = self.peer.call("strange")
        self.assertEqual(reply["unencodable"], ["<class 'set'>"])
        self.assertEqual(self.output("raw"), {"$bytes": "AP8="})
        self.assertEqual(self.output("surrogate"), "a?b")

    def test_tagged_values_arrive_as_what_they_are(self):
        self.assertEqual(self.output("type_name", value={"$bytes": "AA=="}), "bytes")
        self.assertEqual(self.output("type_name", value={"$float": "nan"}), "float")

    def test_truthiness_is_python_s(self):
        self.assertFalse(self.peer.call("echo", value=[])["truthy"])
        self.assertTrue(self.peer.call("echo", value="no")["truthy"])

    def test_a_foreground_call_runs_on_the_main_thread_and_a_background_one_beside_it(self):
        self.assertTrue(self.output("main_thread"))
        ask = dict(op="call", module="activities", arguments={})
        self.peer.send(id=1, background=True, func="main_thread", **ask)
        self.assertFalse(self.peer.reply(1)["output"])
        ask["arguments"] = {"seconds": 1.0}
        self.peer.send(id=2, background=True, func="sleep", **ask)
        self.assertEqual(self.output("echo", value=1), 1)
        self.assertEqual(self.peer.reply(2)["output"], "slept")

    def test_a_signal_to_itself_is_told_and_ends_the_call(self):
        for name, kind, code in (
            ("SIGUSR1", "exit", 20),
            ("SIGUSR2", "exit", 30),
            ("SIGTERM", "interrupt", None),
            ("SIGINT", "exit", None),
        ):
            error = self.error("kill_self", name=name)
            self.assertEqual((error["kind"], error.get("code")), (kind, code), name)
            self.assertEqual([m for m in self.peer.kept if m.get("event") == "interrupt"], [])
        self.assertEqual(self.output("echo", value="alive"), "alive")

    def test_a_signal_from_a_background_call_is_an_event(self):
        ask = dict(op="call", module="activities", func="kill_softly", background=True)
        self.peer.send(id=1, arguments={"name": "SIGUSR1"}, **ask)
        self.assertEqual(self.peer.event("interrupt")["signal"], "SIGUSR1")
        self.assertEqual(self.peer.reply(1)["output"], "sent")

    def test_an_interrupt_from_outside_ends_a_running_call(self):
        self.peer.send(id=1, op="call", module="activities", func="sleep", arguments={"seconds": 30})
        self.peer.event("log")
        self.assertTrue(self.peer.ask(op="interrupt", signal="SIGUSR1")["delivered"])
        self.assertEqual(self.peer.reply(1)["error"]["code"], 20)

    def test_an_interrupt_without_a_running_call_does_nothing(self):
        self.assertFalse(self.peer.ask(op="interrupt", signal="SIGINT")["delivered"])
        self.assertEqual(self.output("echo", value=1), 1)

    def test_system_exit_is_told_with_its_code(self):
        error = self.error("leaves", code=3)
        self.assertEqual((error["kind"], error["code"]), ("exit", 3))

    def test_validation_imports_and_binds(self):
        def message(module="activities", func="two", arguments=None):
            reply = self.peer.ask(
                op="validate", module=module, func=func, name="n", type="action",
                arguments=arguments or {},
            )
            return "fine" if reply["ok"] else (reply["error"]["kind"], reply["error"]["message"])

        self.assertEqual(message(arguments={"a": 1}), "fine")
        self.assertEqual(message(func="injected"), "fine")
        for wrong, text in (
            (dict(module="absent"), "could not find Python module 'absent' in activity 'n'"),
            (dict(func="nothing"), "does not expose a function called 'nothing' in action 'n'"),
            (dict(), "required argument 'a' is missing from activity 'two'"),
            (dict(arguments={"a": 1, "z": 2}), "argument 'z' is not part of the function signature"),
        ):
            kind, told = message(**wrong)
            self.assertEqual(kind, "invalid")
            self.assertIn(text, told)
        self.assertEqual(message(module="broken")[0], "unexpected")

    def control(self, hook, **more):
        declared = {"name": "c", "provider": {"type": "python", "module": "ctl", "arguments": {"label": "${x}"}}}
        request = dict(op="control", hook=hook, controls=[declared])
        request.update(more)
        return self.peer.ask(**request)

    def test_controls_change_one_experiment_and_only_changes_return(self):
        experiment = {"title": "t", "method": [{"name": "a"}]}
        reply = self.control(
            "before_activity_control",
            experiment=experiment, context_path=["method", 0],
            configuration={"x": "label"}, secrets={},
        )
        self.assertTrue(reply["ok"], reply)
        changed = reply["changed"]
        self.assertEqual(sorted(changed), ["configuration", "context", "experiment"])
        self.assertEqual(changed["context"], {"name": "a", "seen": "label"})
        self.assertEqual(changed["experiment"]["method"][1], {"name": "added"})
        reply = self.control(
            "after_activity_control", context_path=["method", 0], state={"status": "succeeded"},
        )
        self.assertEqual(list(reply["changed"]), ["state"])
        self.assertTrue(reply["changed"]["state"]["same"])

    def test_a_control_that_fails_is_swallowed_and_named(self):
        reply = self.control("before_method_control", experiment={"method": []}, context_path=[])
        self.assertEqual((reply["ok"], reply["failed"]), (True, [0]))
        self.assertEqual(self.control("cleanup_control")["failed"], [0])

    def test_a_control_out_of_scope_is_not_applied(self):
        declared = {"name": "c", "scope": "after", "provider": {"type": "python", "module": "ctl"}}
        reply = self.control("before_method_control", controls=[declared], experiment={}, context_path=[])
        self.assertEqual(reply["failed"], [])

    def test_absent_control_modules_are_named_on_loading(self):
        absent = {"name": "c", "provider": {"type": "python", "module": "absent"}}
        self.assertEqual(self.control("load_control", controls=[absent])["failed"], [0])
        self.assertEqual(self.control("load_control")["failed"], [])

    def test_malformed_requests_are_refused_and_the_worker_lives_on(self):
        self.peer.process.stdin.write(b"not json\n[]\n")
        self.peer.process.stdin.flush()
        for _ in range(2):
            self.assertEqual(self.peer.reply(None)["error"]["kind"], "protocol")
        self.assertEqual(self.peer.ask(op="fly")["error"]["kind"], "protocol")
        self.assertEqual(self.output("echo", value=1), 1)

    def test_the_worker_ends_with_its_input_even_in_a_call(self):
        self.peer.send(id=1, op="call", module="activities", func="sleep", arguments={"seconds": 60})
        self.peer.process.stdin.close()
        self.assertIsNotNone(self.peer.process.wait(timeout=15))

    def test_shutdown_ends_with_status_zero(self):
        self.assertTrue(self.peer.ask(op="shutdown")["ok"])
        self.assertEqual(self.peer.process.wait(timeout=10), 0)


if __name__ == "__main__":
    unittest.main()
