#!/usr/bin/python3
"""@NAME@: answers commands on @NAME@/Commands/+ with what they say, in capitals.

Needs paho-mqtt (Debian: python3-paho-mqtt).
"""
import datetime
import json
import os
import signal
import ssl
import urllib.request
import uuid

import paho.mqtt.client as mqtt

NAME = "@NAME@"


def answer(text, greeting="hello"):
    """What a command is answered with."""
    return f"{greeting} {text.upper()}"


def settings(plugin, tls):
    """The effective settings of a plugin."""
    base = os.environ.get("KEEPER_API_BASE_URL") or "https://127.0.0.1:6889"
    with urllib.request.urlopen(f"{base}/api/PluginSettings/{plugin}", context=tls, timeout=10) as reply:
        return json.load(reply)


class Plugin:
    def __init__(self):
        self.tls = ssl.create_default_context(cafile=os.environ.get("KEEPER_CA_FILE"))
        self.settings = settings(NAME, self.tls)
        client_id = f"{NAME}_{os.getpid()}"  # {PluginName}_{ProcessId}
        if hasattr(mqtt, "CallbackAPIVersion"):  # paho-mqtt 2
            self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, client_id=client_id)
        else:
            self.client = mqtt.Client(client_id=client_id)
        self.client.tls_set_context(self.tls)
        self.client.on_connect = self.connected
        self.client.on_message = self.message

    def log(self, level, message):
        self.client.publish("KeeperLogger", json.dumps({
            "MessageId": str(uuid.uuid4()), "MessageType": "Log", "Source": NAME,
            "Timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "Payload": {"Level": level, "Message": message},
        }), qos=1)

    def connected(self, client, userdata, flags, code):
        # The declared topics; the primary one is the plugin's own name.
        client.subscribe([(NAME, 2), (f"{NAME}/Commands/+", 2), (f"PluginSettings/{NAME}", 1)])
        self.log("Information", "ready")

    def message(self, client, userdata, message):
        try:
            if message.topic == f"PluginSettings/{NAME}":
                self.settings = settings(NAME, self.tls)
                return
            command = message.topic.rsplit("/", 1)[-1]
            text = message.payload.decode("utf-8")
            client.publish(f"{NAME}/Responses/{command}", answer(text, self.settings.get("greeting", "hello")), qos=2)
        except Exception as fault:  # one bad command does not end the plugin
            self.log("Error", f"{message.topic}: {fault}")

    def run(self):
        broker = settings("KeeperPrivilegeManager", self.tls)
        signal.signal(signal.SIGTERM, lambda *_: self.client.disconnect())
        self.client.connect(broker["broker.host"], int(broker["broker.port"]))
        self.client.loop_forever()


if __name__ == "__main__":
    Plugin().run()
