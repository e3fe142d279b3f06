// The page as a person meets it, in a headless Chromium.
//
// SCREENSHOTS=DIR keeps pictures of it there.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { folder, start } from "./service.js";

const data = folder();
let service, browser;

before(async () => {
  service = await start(data.path);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
});
after(async () => {
  await browser?.close();
  await service?.stop();
  data.remove();
});

/** Opens the page of `user`, and fails the test of which a script fails. */
async function open(t, user, options = {}) {
  const page = await browser.newPage(options);
  const errors = [];
  page.on("pageerror", error => errors.push(error));
  t.after(async () => {
    await page.close();
    assert.deepEqual(errors, []);
  });
  await page.goto(`${service.url}/#${user}`);
  await page.waitForFunction(() => document.getElementById("count").textContent);
  return page;
}

const texts = page => page.locator("li span").allTextContents();
const stored = async user => (await service.todos(user)).map(todo => todo.text);
const focused = page => page.evaluate(() => document.activeElement.getAttribute("aria-label"));

/** Waits until the page shows these todos in this order. */
async function shows(page, expected) {
  await page.waitForFunction(
    wanted => JSON.stringify([...document.querySelectorAll("li span")].map(s => s.textContent))
      === wanted, JSON.stringify(expected), { timeout: 5000 })
    .catch(async () => assert.deepEqual(await texts(page), expected));
}

/** Holds back all requests about todos until it is called. */
async function hold(page) {
  let open;
  const gate = new Promise(resolve => { open = resolve; });
  await page.route("**/todos/**", async route => {
    await gate;
    await route.continue();
  });
  return open;
}

test("todos are added, completed and moved", async t => {
  const page = await open(t, "first");
  for (const text of ["ship it", "drink tea"]) {
    await page.fill("#text", text);
    await page.press("#text", "Enter");
    await page.getByText(text, { exact: true }).waitFor();
  }
  assert.equal(await page.inputValue("#text"), "");
  await page.getByLabel("Complete: drink tea").click();
  await page.getByLabel("Completed: drink tea").waitFor();
  assert.equal(await page.textContent("#count"), "1 completed");
  await page.getByLabel("Move up: drink tea").click();
  await shows(page, ["drink tea", "ship it"]);
  assert.deepEqual(await stored("first"), ["drink tea", "ship it"]);
});

test("a click completes what it shows, also after another tab moved it", async t => {
  await service.add("tabs", "one", "two", "three");
  const page = await open(t, "tabs");
  await service.post("tabs", "/reorder", { id: 2, to: 0 });
  await page.getByLabel("Complete: two").click();
  await shows(page, ["three", "one", "two"]);
  const done = (await service.todos("tabs")).filter(todo => todo.completed_at !== null);
  assert.deepEqual(done.map(todo => todo.text), ["two"]);
});

test("the focus stays on the button that moved a todo", async t => {
  await service.add("keys", "a", "b", "c");
  const page = await open(t, "keys");
  await page.getByLabel("Move up: c").focus();
  await page.keyboard.press("Enter");
  await shows(page, ["a", "c", "b"]);
  assert.equal(await focused(page), "Move up: c");
  await page.keyboard.press("Enter");
  await shows(page, ["c", "a", "b"]);
  assert.equal(await focused(page), "Move up: c");
  await page.getByLabel("Complete: c").focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("Completed: c").waitFor();
  assert.equal(await focused(page), "Completed: c");
});

test("two quick clicks move a todo by two places", async t => {
  await service.add("quick", "a", "b", "c");
  const page = await open(t, "quick");
  const release = await hold(page);
  await page.getByLabel("Move up: c").click();
  await page.getByLabel("Move up: c").click();
  release();
  await shows(page, ["c", "a", "b"]);
});

test("the back button goes back to the user before", async t => {
  await service.add("here", "mine");
  await service.add("there", "theirs");
  const page = await open(t, "here");
  await page.fill("#user", "there");
  await page.press("#user", "Enter");
  await shows(page, ["theirs"]);
  await page.goBack();
  await shows(page, ["mine"]);
  assert.equal(await page.inputValue("#user"), "here");
  await page.goForward();
  await shows(page, ["theirs"]);
});

test("names and fragments of every kind", async t => {
  const page = await open(t, "%zz");
  assert.equal(await page.inputValue("#user"), "%zz");
  for (const name of ["50% off/é?#", "  "]) {
    await page.fill("#user", name);
    await page.press("#user", "Enter");
  }
  await page.waitForFunction(() => document.getElementById("user").value === "50% off/é?#");
  await page.fill("#text", "<b>bold</b>");
  await page.press("#text", "Enter");
  await shows(page, ["<b>bold</b>"]);
  assert.deepEqual(await stored(encodeURIComponent("50% off/é?#")), ["<b>bold</b>"]);
});

test("a todo is added once, and what is typed meanwhile stays", async t => {
  const page = await open(t, "typing");
  const release = await hold(page);
  await page.fill("#text", "first");
  await page.press("#text", "Enter");
  await page.press("#text", "Enter");
  await page.click("#submit");
  await page.locator("#text").press("End");
  await page.locator("#text").pressSequentially("second");
  release();
  await shows(page, ["first"]);
  await page.waitForFunction(() => document.getElementById("text").value === "second");
  await page.press("#text", "Enter");
  await shows(page, ["first", "second"]);
  assert.deepEqual(await stored("typing"), ["first", "second"]);
});

test("a server that is away is told beside the form, and the text is kept", async t => {
  const page = await open(t, "away");
  await service.stop();
  await page.fill("#text", "precious");
  await page.press("#text", "Enter");
  const problem = page.getByRole("alert");
  await problem.waitFor();
  assert.equal(await problem.locator("span").textContent(),
    "Not added: the server does not answer.");
  const [form, told] = [await page.locator("#add").boundingBox(), await problem.boundingBox()];
  assert.ok(told.y - form.y - form.height < 24, `${form.y} ${told.y}`);
  assert.equal(await page.inputValue("#text"), "precious");
  await keep(page, "away");
  service = await start(data.path, { port: service.port });
  await page.getByText("Try again").click();
  await shows(page, ["precious"]);
  assert.ok(await problem.isHidden());
  assert.equal(await page.inputValue("#text"), "");
  assert.deepEqual(await stored("away"), ["precious"]);
});

test("a refusal is told in the server's words", async t => {
  const page = await open(t, "refused");
  await page.fill("#text", "a".repeat(1001));
  await page.press("#text", "Enter");
  await page.getByText("Not added: the text has 1001 bytes, expected 1 to 1000.").waitFor();
  assert.equal((await page.inputValue("#text")).length, 1001);
});

test("the mark shows where a dragged todo goes", async t => {
  await service.add("drag", "a", "b", "c");
  const page = await open(t, "drag");
  const row = text => page.locator("li", { hasText: text });
  const drag = async (from, to, side, order) => {
    await row(from).locator("span").hover();
    await page.mouse.down();
    await row(to).locator("span").hover();
    await row(to).locator("span").hover();
    await page.waitForFunction(() => document.querySelector("li.above, li.below"));
    assert.equal(await row(to).getAttribute("class"), side);
    await keep(page, `drag-${side}`);
    await page.mouse.up();
    await shows(page, order);
    assert.equal(await page.locator("li.above, li.below").count(), 0);
  };
  await drag("a", "c", "below", ["b", "c", "a"]);
  await drag("a", "b", "above", ["a", "b", "c"]);
});

/** Everything that a person has to see against its ground: what it is and its contrast. */
function contrasts() {
  const parse = colour => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [.2126, .7152, .0722][n], 0);
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    const idle = element.matches(".move[aria-disabled=true]");
    if (!element.getClientRects().length || element.matches("script") || idle) continue;
    const what = element.id || element.className || element.tagName;
    const words = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (words || element.matches("input")) {
      found.push([what, ratio(parse(style.color), ground(element)), 4.5]);
    }
    if (element.matches("input")) {
      const placeholder = parse(getComputedStyle(element, "::placeholder").color);
      found.push([`${what} placeholder`, ratio(placeholder, ground(element)), 4.5]);
    }
    if (element.matches("input, .check")) {
      const edge = ratio(parse(style.borderTopColor), ground(element.parentElement));
      found.push([`${what} edge`, edge, 3]);
    }
  }
  return found;
}

async function keep(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
}

for (const colorScheme of ["light", "dark"]) {
  test(`${colorScheme}: all can be read, and fits into narrow windows`, async t => {
    const user = `a-rather-long-name-of-somebody-${colorScheme}`;
    await service.add(user, "ship it", "drink tea", "Donaudampfschifffahrt".repeat(4),
      "write down what was promised to whom, and until when it has to be done");
    await service.post(user, "/1/complete", null);
    const page = await open(t, user, { colorScheme });
    for (const width of [320, 375, 1280]) {
      await page.setViewportSize({ width, height: 700 });
      const beyond = await page.evaluate(() => [...document.querySelectorAll("body *")]
        .filter(element => element.getBoundingClientRect().right > innerWidth)
        .map(element => element.id || element.tagName));
      assert.deepEqual(beyond, [], `${width} px`);
      const scroll = await page.evaluate(() => document.scrollingElement.scrollWidth);
      assert.ok(scroll <= width, `${scroll} in ${width} px`);
      await keep(page, `${colorScheme}-${width}`);
    }
    await page.route("**/todos/**", route => route.abort());
    await page.fill("#text", "not now");
    await page.press("#text", "Enter");
    await page.getByRole("alert").waitFor();
    await page.setViewportSize({ width: 320, height: 700 });
    await keep(page, `${colorScheme}-320-problem`);
    for (const [what, ratio, least] of await page.evaluate(contrasts)) {
      assert.ok(ratio >= least, `${what}: ${ratio.toFixed(2)}, expected at least ${least}`);
    }
  });
}
