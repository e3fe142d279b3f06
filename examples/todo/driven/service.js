// Starts and stops the todo service as a process.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const program = process.env.TODO ?? join(import.meta.dirname ?? ".",
  "../../../target/release/examples/todo");

/** A new folder, and how to remove it. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), "todo-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts the service on `data`, with so many file descriptors, and waits until it listens. */
export async function start(data, { port = 0, descriptors = 1024 } = {}) {
  const command = `ulimit -n ${descriptors}; exec "$0" --port ${port} --data "$1"`;
  const child = spawn("sh", ["-c", command, program, data],
    { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(line);
    if (found) return new Service(child, ended, Number(found[1]));
  }
  throw new Error(`${program} did not start: ${JSON.stringify(await ended)}`);
}

class Service {
  constructor(child, ended, port) {
    Object.assign(this, { child, ended, port, url: `http://127.0.0.1:${port}` });
    child.stdout.resume();
  }

  /** Asks it to stop, as a service manager does. */
  terminate() {
    this.child.kill("SIGTERM");
  }

  /** Stops it and says how it ended. */
  async stop() {
    this.terminate();
    return this.ended;
  }

  /** Sends what may be no whole request. */
  async half(text) {
    const socket = connect(this.port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(text);
    return socket;
  }

  /** Sends bytes and reads all that comes back until the other side closes. */
  async raw(text) {
    const socket = await this.half(text);
    let answer = "";
    for await (const bytes of socket) answer += bytes;
    const [head, body] = answer.split("\r\n\r\n");
    return { status: Number(head.split(" ")[1]), head, body };
  }

  /** Somebody's todos, or null where the service does not answer within `time` milliseconds. */
  async todos(user, time = 5000) {
    const signal = AbortSignal.timeout(time);
    const response = await fetch(`${this.url}/todos/${user}`, { signal }).catch(() => null);
    return response && (await response.json()).todos;
  }

  async add(user, ...texts) {
    for (const text of texts) await this.post(user, "", { text });
  }

  async post(user, path, body) {
    const response = await fetch(`${this.url}/todos/${user}${path}`, { method: "POST",
      headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
  }
}
