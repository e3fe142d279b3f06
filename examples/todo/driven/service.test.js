// What the service does with callers who are slow, rude or wrong.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { folder, start } from "./service.js";

const data = folder();
let service;
before(async () => { service = await start(data.path); });
after(async () => {
  await service.stop();
  data.remove();
});

const seconds = since => (performance.now() - since) / 1000;

test("every refusal has a body that says why", async () => {
  const head = "host: here\r\nconnection: close\r\n";
  for (const [request, status, error] of [
    [`GET /nothing HTTP/1.1\r\n${head}\r\n`, 404, "there is nothing at /nothing"],
    [`PUT /todos/a HTTP/1.1\r\n${head}\r\n`, 405,
      "/todos/a does not take PUT; the `allow` header says what"],
    [`GET /${"a".repeat(9000)} HTTP/1.1\r\n${head}\r\n`, 414,
      "the path has 9001 bytes, expected at most 8192"],
    [`GET / HTTP/1.1\r\n${head}x: ${"a".repeat(20000)}\r\n\r\n`, 431,
      "the header has 20024 bytes, expected at most 16384"],
    [`GET / HTTP/1.1\r\n${head}${"a-header: 1\r\n".repeat(900)}x: ${"a".repeat(9000)}\r\n\r\n`, 431,
      "the header has 17124 bytes, expected at most 16384"],
    [`POST /todos/a HTTP/1.1\r\n${head}content-length: 70000\r\n\r\n`, 413,
      "the body has 70000 bytes, expected at most 65536"],
  ]) {
    const answer = await service.raw(request);
    assert.equal(answer.status, status);
    assert.deepEqual(JSON.parse(answer.body), { error });
  }
  const { head: allowed } = await service.raw(`PUT /todos/a HTTP/1.1\r\n${head}\r\n`);
  assert.match(allowed, /allow: GET,HEAD,POST/i);
});

test("who does not finish a request is given up after ten seconds", async () => {
  const began = performance.now();
  const halves = await Promise.all([
    "", "GET / HTTP/1.1\r\nhost: ", "GET / HTTP/1.1\r\nhost: here\r\n\r\nGET /todos/",
    "POST /todos/a HTTP/1.1\r\nhost: here\r\ncontent-length: 100\r\n\r\nhalf",
  ].map(text => service.half(text)));
  await Promise.all(halves.map(half => once(half.resume(), "close")));
  assert.ok(seconds(began) > 9 && seconds(began) < 30, `${seconds(began)} s`);
});

test("400 half requests under 256 descriptors hold others up for ten seconds only", async () => {
  const data = folder();
  const service = await start(data.path, { descriptors: 256 });
  const halves = [];
  for (let n = 0; n < 400; n++) halves.push(await service.half("GET / HTTP/1.1\r\n"));
  // 400 are four times as many as have room at a time.
  assert.deepEqual(await service.todos("alice", 45000), []);
  await service.add("alice", "still works");
  halves.forEach(half => half.destroy());
  assert.deepEqual(await service.stop(), { code: 0, signal: null });
  data.remove();
});

test("a half request does not hold up a stop", async () => {
  const data = folder();
  const service = await start(data.path);
  await service.add("alice", "kept");
  const half = await service.half("POST /todos/alice HTTP/1.1\r\ncontent-le");
  await service.todos("alice");
  const asked = performance.now();
  assert.deepEqual(await service.stop(), { code: 0, signal: null });
  assert.ok(seconds(asked) < 8, `${seconds(asked)} s`);
  half.destroy();
  const again = await start(data.path);
  assert.deepEqual((await again.todos("alice")).map(todo => todo.text), ["kept"]);
  await again.stop();
  data.remove();
});

test("who asks twice does not wait", async () => {
  const data = folder();
  const service = await start(data.path);
  await service.add("alice", "kept");
  const half = await service.half("POST /todos/alice HTTP/1.1\r\ncontent-le");
  await service.todos("alice");
  const asked = performance.now();
  service.terminate();
  // The first one closes the door, which shows that it was heard.
  while (await service.todos("alice", 100)) { /* asked again */ }
  assert.deepEqual(await service.stop(), { code: 130, signal: null });
  assert.ok(seconds(asked) < 3, `${seconds(asked)} s`);
  half.destroy();
  const again = await start(data.path);
  assert.deepEqual((await again.todos("alice")).map(todo => todo.text), ["kept"]);
  await again.stop();
  data.remove();
});
