"""A control that listens to the runner's own events through `event_registry`."""

from chaoslib.run import RunEventHandler


class Listener(RunEventHandler):
    def __init__(self):
        self.heard = []

    def start_method(self, experiment):
        self.heard.append("method")

    def start_rollbacks(self, experiment):
        self.heard.append("rollbacks")


listener = Listener()


def configure_control(event_registry, **kwargs):
    event_registry.register(listener)


def after_experiment_control(context, state, **kwargs):
    state["heard"] = listener.heard
