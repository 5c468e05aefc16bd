"""A notification plugin: appends each event's name to a file."""


def notify(channel, payload):
    with open(channel["path"], "a") as f:
        f.write(payload["name"] + "\n")


def other(channel, payload):
    notify(channel, {"name": "other " + payload["phase"]})
