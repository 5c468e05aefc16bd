// toxiproxy-node-client, unchanged, against `firedrill proxy`.
// Arguments: the folder of its package, the port of the interface.
"use strict";

const assert = require("node:assert");
const net = require("node:net");
const { after, beforeEach, test } = require("node:test");

const [folder, port] = process.argv.slice(2);
const { Toxiproxy } = require(folder);

const toxiproxy = new Toxiproxy(`http://127.0.0.1:${port}`);
const server = net.createServer((stream) => {
  stream.on("error", () => {});
  stream.on("data", () => stream.write("answer"));
});
const listening = new Promise((done) => server.listen(0, "127.0.0.1", done));

// Asks through a proxy once; the milliseconds it took.
function ask(listen) {
  const at = listen.lastIndexOf(":");
  const begin = process.hrtime.bigint();
  return new Promise((done, failed) => {
    const stream = net.connect(Number(listen.slice(at + 1)), "127.0.0.1");
    stream.setTimeout(10_000, () => stream.destroy(new Error("no answer")));
    stream.on("connect", () => stream.write("question"));
    stream.on("error", failed);
    stream.on("end", () => failed(new Error("the end")));
    stream.on("data", () => {
      stream.destroy();
      done(Number(process.hrtime.bigint() - begin) / 1e6);
    });
  });
}

async function create() {
  const upstream = `127.0.0.1:${server.address().port}`;
  return toxiproxy.createProxy({ listen: "127.0.0.1:0", name: "proxy", upstream });
}

beforeEach(async () => {
  await listening;
  for (const proxy of Object.values(await toxiproxy.getAll())) {
    await proxy.remove();
  }
});

after(() => server.close());

test("it has a version", async () => {
  assert.match(await toxiproxy.getVersion(), /version|\d/);
});

test("a proxy is made, found, changed and removed", async () => {
  const proxy = await create();
  await ask(proxy.listen);
  assert.deepStrictEqual(Object.keys(await toxiproxy.getAll()), ["proxy"]);
  assert.strictEqual((await toxiproxy.get("proxy")).listen, proxy.listen);
  const { listen, upstream } = proxy;
  await proxy.update({ enabled: false, listen, upstream });
  await assert.rejects(ask(proxy.listen), /ECONNREFUSED/);
  await proxy.update({ enabled: true, listen, upstream });
  await ask(proxy.listen);
  await proxy.remove();
  await assert.rejects(toxiproxy.get("proxy"));
});

test("a name is taken once", async () => {
  await create();
  await assert.rejects(create());
});

test("proxies are populated", async () => {
  const upstream = `127.0.0.1:${server.address().port}`;
  const made = await toxiproxy.populate([
    { listen: "127.0.0.1:0", name: "one", upstream },
    { listen: "127.0.0.1:0", name: "two", upstream },
  ]);
  assert.deepStrictEqual(Object.keys(made), ["one", "two"]);
});

test("a toxic is added, found, changed and removed", async () => {
  const proxy = await create();
  const attributes = { latency: 200, jitter: 0 };
  const toxic = await proxy.addToxic({ attributes, name: "slow", stream: "downstream", toxicity: 1, type: "latency" });
  assert.ok((await ask(proxy.listen)) >= 200);
  assert.deepStrictEqual((await proxy.getToxic("slow")).attributes, attributes);
  const slower = { latency: 300, jitter: 0 };
  await toxic.update({ ...toxic.toJson(), attributes: slower });
  assert.ok((await ask(proxy.listen)) >= 300);
  assert.deepStrictEqual((await proxy.getToxic("slow")).attributes, slower);
  await toxic.remove();
  assert.ok((await ask(proxy.listen)) < 200);
});

test("a reset takes every toxic", async () => {
  const proxy = await create();
  await proxy.addToxic({ attributes: { timeout: 0 }, type: "timeout" });
  await toxiproxy.reset();
  await ask(proxy.listen);
});
