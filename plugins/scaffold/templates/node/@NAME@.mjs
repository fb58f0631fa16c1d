#!/usr/bin/node
// @NAME@: answers commands on @NAME@/Commands/+ with what they say, in capitals.
// Needs npm's mqtt: npm install
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";
import { pathToFileURL } from "node:url";

const NAME = "@NAME@";

// What a command is answered with.
export function answer(text, greeting = "hello") {
  return `${greeting} ${text.toUpperCase()}`;
}

const ca = process.env.KEEPER_CA_FILE ? readFileSync(process.env.KEEPER_CA_FILE) : undefined;

// The effective settings of a plugin.
function settings(plugin) {
  const base = process.env.KEEPER_API_BASE_URL || "https://127.0.0.1:6889";
  return new Promise((resolve, reject) => {
    https.get(`${base}/api/PluginSettings/${plugin}`, { ca, timeout: 10000 }, (reply) => {
      let body = "";
      reply.on("data", (part) => (body += part));
      reply.on("end", () => (reply.statusCode === 200 ? resolve(JSON.parse(body)) : reject(new Error(`${reply.statusCode}: ${body}`))));
    }).on("error", reject);
  });
}

async function run() {
  const { default: mqtt } = await import("mqtt");
  let own = await settings(NAME);
  const broker = await settings("KeeperPrivilegeManager");
  const client = mqtt.connect(`mqtts://${broker["broker.host"]}:${broker["broker.port"]}`, {
    clientId: `${NAME}_${process.pid}`, // {PluginName}_{ProcessId}
    ca,
  });
  const log = (level, message) => client.publish("KeeperLogger", JSON.stringify({
    MessageId: randomUUID(), MessageType: "Log", Source: NAME, Timestamp: new Date().toISOString(),
    Payload: { Level: level, Message: message },
  }), { qos: 1 });
  client.on("connect", () => {
    // The declared topics; the primary one is the plugin's own name.
    client.subscribe({ [NAME]: { qos: 2 }, [`${NAME}/Commands/+`]: { qos: 2 }, [`PluginSettings/${NAME}`]: { qos: 1 } });
    log("Information", "ready");
  });
  client.on("message", async (topic, payload) => {
    try {
      if (topic === `PluginSettings/${NAME}`) {
        own = await settings(NAME);
        return;
      }
      const command = topic.split("/").pop();
      client.publish(`${NAME}/Responses/${command}`, answer(payload.toString("utf8"), own.greeting), { qos: 2 });
    } catch (fault) { // one bad command does not end the plugin
      log("Error", `${topic}: ${fault.message}`);
    }
  });
  client.on("error", (fault) => console.error(fault.message));
  process.on("SIGTERM", () => client.end(false, {}, () => process.exit(0)));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await run();
}
