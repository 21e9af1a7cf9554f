// Everything that goes over the wire: questions to the server, what we say to it, and the stream of what it shows.
//
// What we say is kept in localStorage, one entry each, until the server has committed it. An entry keeps its id, so saying
// it again (after an error, a reload, in a second tab) says it once.

import { language, sentence } from "./words.js";

const PREFIX = "magpie.unsent.";
const WAITS = [0.3, 0.6, 1, 2, 4, 8]; // seconds, the last one for ever

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

export class Refused extends Error {
  constructor(status, body) {
    super(sentence(body?.error));
    this.status = status;
  }
}

// The answer's JSON. Throws Refused for what the server said no to, TypeError when it was not reached.
export async function ask(path, options = {}) {
  const response = await fetch(path, options);
  if (response.status === 401) location.assign("/login");
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => null));
  return response.json();
}

const post = (method, path, body) =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// Never fails twice in the same way at the same time: half of the wait is random.
const pause = (attempt) =>
  new Promise((done) => setTimeout(done, 1000 * WAITS[Math.min(attempt, WAITS.length - 1)] * (0.5 + Math.random() / 2)));

export class Unsent {
  // `onchange(item, state)`: "sent", "waiting" (the server is away, we go on trying) or "failed" (it said no; `item.why`).
  constructor(onchange) {
    this.onchange = onchange;
    this.items = [];
    this.running = false;
    for (const key of Object.keys(localStorage))
      if (key.startsWith(PREFIX)) this.items.push(JSON.parse(localStorage.getItem(key)));
    this.items.sort((a, b) => a.at - b.at);
  }

  of(chat) {
    return this.items.filter((item) => item.chat === chat);
  }

  say(chat, body) {
    return this.add({ method: "POST", path: `/api/chats/${chat}/messages`, chat, shown: true, body: { id: newId(), ...body } });
  }

  edit(chat, message, body) {
    return this.add({ method: "PUT", path: `/api/chats/${chat}/messages/${message}`, chat, edits: message, body: { id: newId(), ...body } });
  }

  press(chat, button) {
    return this.add({ method: "POST", path: `/api/chats/${chat}/press`, chat, body: { id: newId(), button } });
  }

  stop(chat) {
    return this.add({ method: "POST", path: `/api/chats/${chat}/stop`, chat, body: { id: newId() } });
  }

  add(item) {
    Object.assign(item, { id: item.body.id, at: Date.now(), state: "new" });
    item.body.language = language();
    try {
      localStorage.setItem(PREFIX + item.id, JSON.stringify(item));
    } catch {
      // a full storage: kept in memory at least
    }
    this.items.push(item);
    this.run();
    return item;
  }

  forget(item) {
    localStorage.removeItem(PREFIX + item.id);
    this.items = this.items.filter((other) => other !== item);
  }

  retry(item) {
    item.state = "new";
    this.run();
  }

  // One after the other, so that what was said first arrives first.
  async run() {
    if (this.running) return;
    this.running = true;
    let attempt = 0;
    for (let item; (item = this.items.find((one) => one.state !== "failed")); ) {
      try {
        await post(item.method, item.path, item.body);
        this.forget(item);
        attempt = 0;
        this.onchange(item, "sent");
      } catch (error) {
        if (error instanceof Refused && error.status < 500 && error.status !== 408 && error.status !== 429) {
          item.state = "failed";
          item.why = error.message;
        } else {
          item.state = "waiting";
          await Promise.race([pause(attempt++), new Promise((done) => addEventListener("online", done, { once: true }))]);
        }
        this.onchange(item, item.state);
      }
    }
    this.running = false;
  }
}

// The stream of one chat. `on`: cards(list), live(), working(), state("live" | "lost" | "asleep").
export class Stream {
  constructor(chat, on) {
    this.chat = chat;
    this.on = on;
    this.after = 0;
    this.attempt = 0;
    this.open();
  }

  open() {
    if (this.closed) return;
    clearTimeout(this.timer);
    this.source?.close();
    const source = (this.source = new EventSource(`/api/chats/${this.chat}/events?after=${this.after}`));
    source.addEventListener("cards", (event) => {
      this.after = Number(event.lastEventId);
      this.on.cards(JSON.parse(event.data));
    });
    source.addEventListener("live", () => {
      this.attempt = 0;
      this.on.live();
      this.on.state("live");
    });
    source.addEventListener("working", () => this.on.working());
    source.addEventListener("parted", () => {
      this.sleep();
    });
    source.addEventListener("error", () => this.lost(source));
  }

  // The browser comes back by itself only from some errors; we do from all, and look whether a login is due.
  lost(source) {
    if (source !== this.source || this.closed) return;
    source.close();
    this.on.state("lost");
    const seconds = WAITS[Math.min(this.attempt++, WAITS.length - 1)];
    this.timer = setTimeout(() => this.open(), 1000 * seconds * (0.5 + Math.random() / 2));
    if (this.attempt === 3) ask("/api/setup").catch(() => {});
  }

  // A browser has six connections for all our tabs: one that nobody looks at gives its own back.
  sleep() {
    clearTimeout(this.timer);
    this.source.close();
    this.asleep = true;
    this.on.state("asleep");
  }

  wake() {
    if (this.asleep || this.source.readyState === EventSource.CLOSED) {
      this.asleep = false;
      this.open();
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.source.close();
  }
}
