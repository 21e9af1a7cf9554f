// The conversation as it is shown: cards of the board in, DOM out. HTML is taken from the server only, and only into the
// body of the bot's messages; everything else is text.

import { t } from "./words.js";

const BOTTOM = 48; // pixels that still count as the end

export const icon = (name) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
};

export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const tool = (action, name, label) => {
  const button = make("button", { type: "button", className: "plain", title: t(label) }, icon(name));
  button.dataset.action = action;
  button.dataset.tLabel = label;
  button.setAttribute("aria-label", t(label));
  return button;
};

// --- the body of an answer: only blocks that changed are touched, so that nothing flickers or loses its selection ---

const sources = new WeakMap();

function decorate(block) {
  for (const code of [block, ...block.querySelectorAll(".code")]) {
    if (!code.classList.contains("code")) continue;
    const bar = make("div", { className: "bar" }, make("span", { textContent: code.dataset.lang }), tool("copy-code", "copy", "copyCode"));
    code.prepend(bar);
    code.querySelector("pre").setAttribute("aria-label", t("code"));
  }
  for (const table of block.querySelectorAll(".table")) table.setAttribute("aria-label", t("table"));
  if (block.matches(".thoughts")) block.querySelector("summary").textContent = t("thoughts");
  return block;
}

function patch(body, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = [...template.content.children];
  const shown = [...body.children];
  fresh.forEach((block, index) => {
    const source = block.outerHTML;
    const old = shown[index];
    if (old && sources.get(old) === source) return;
    if (old?.matches(".code") && block.matches(".code") && old.dataset.lang === block.dataset.lang) {
      const parts = [old, block].map((code) => code.querySelector("code"));
      parts[0].replaceChildren(...parts[1].childNodes);
      sources.set(old, source);
      return;
    }
    if (old?.matches(".thoughts") && block.matches(".thoughts")) {
      old.querySelector("p").replaceChildren(...block.querySelector("p").childNodes);
      if (!old.dataset.chosen) old.open = block.open;
      sources.set(old, source);
      return;
    }
    sources.set(block, source);
    if (old) old.replaceWith(decorate(block));
    else body.append(decorate(block));
  });
  for (const old of shown.slice(fresh.length)) old.remove();
}

// What an answer says, without what was thought before it and what it replies to.
const BEFORE = ".thoughts, .replied";
const said = (item) =>
  [...item.querySelector(".body").children].filter((block) => !block.matches(BEFORE)).map((block) => block.innerText).join("\n");

// --- recordings ---

export const isRecording = (name) => /\.(wav|ogg|mp3|flac)$/.test(name);

export function player(source) {
  const audio = make("audio", { controls: true, preload: "metadata", src: source });
  audio.dataset.tLabel = "yourVoice";
  audio.setAttribute("aria-label", t("yourVoice"));
  return audio;
}

// --- documents ---

const isDocument = (name) => name.endsWith(".bin");

// What a card's entry tells of a file: its kept name; a document's type and own name follow.
export function kept(entry) {
  const [name, mime, ...title] = entry.split(" ");
  return { name, mime, title: title.join(" ") };
}

// Its icon and name; with `href` it can be fetched.
export function chip(title, href) {
  const label = make("bdi", { textContent: title });
  const properties = href ? { href, download: title } : {};
  return make(href ? "a" : "span", { className: "document", title, ...properties }, icon("document"), label);
}

function shown({ name, title }) {
  const source = `/files/${encodeURIComponent(name)}`;
  if (isDocument(name)) return chip(title, source);
  if (isRecording(name)) return player(source);
  const image = make("img", { src: source, alt: t("yourPicture") });
  return make("a", { href: image.src, target: "_blank", rel: "noopener" }, image);
}

// --- the log ---

export class Log {
  // `on(action, card, button)` for what is clicked in a message; `answered(text)` when an answer is done.
  constructor({ scroll, list, dots, latest, on, answered }) {
    Object.assign(this, { scroll, list, dots, latest, on, answered });
    this.clear();
    scroll.addEventListener("scroll", () => this.look(), { passive: true });
    for (const late of ["load", "loadedmetadata"]) list.addEventListener(late, () => this.settle(), true); // pictures, videos
    list.addEventListener("click", (event) => this.click(event));
    latest.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.settle()).observe(scroll);
  }

  clear() {
    this.cards = new Map();
    this.items = new Map();
    this.live = false;
    this.sticky = true;
    this.top = 0; // scrollTop when we last looked
    this.list.replaceChildren();
    this.wait(false);
    this.latest.hidden = true;
  }

  // --- scrolling: we follow the end only while the reader is there ---

  look() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    if (scrollHeight - scrollTop - clientHeight < BOTTOM) this.sticky = true;
    else if (scrollTop < this.top) this.sticky = false; // up, by the reader: a picture that just grew moves nobody
    this.top = scrollTop;
    this.latest.hidden = this.sticky;
  }

  settle() {
    if (this.sticky) this.scroll.scrollTop = this.scroll.scrollHeight;
    this.look();
  }

  toEnd() {
    this.sticky = true;
    this.settle();
  }

  // --- what comes from the board ---

  show(cards) {
    for (const card of cards) {
      const before = this.cards.get(card.id);
      if (card.removed) {
        this.cards.delete(card.id);
        this.drop(card.id);
        continue;
      }
      this.cards.set(card.id, card);
      this.render(card);
      if (card.role === "bot") {
        this.wait(false);
        if (this.live && card.done && !before?.done) this.answered(said(this.items.get(card.id)));
      }
    }
    this.mark();
    this.settle();
  }

  render(card) {
    let item = this.items.get(card.id);
    if (!item || item.classList.contains("pending")) {
      item?.remove();
      item = this.build(card);
      this.place(item, card.created);
      this.items.set(card.id, item);
    }
    const body = item.querySelector(".body");
    if (card.role === "bot") patch(body, card.body);
    else body.textContent = card.body;
    body.hidden = !card.body;
    item.classList.toggle("running", !card.done);
    item.setAttribute("aria-busy", String(!card.done));
    this.files(item, card.files.map(kept));
    this.buttons(item, card);
  }

  build(card) {
    const item = make("li", { className: `message ${card.role}` });
    item.dataset.id = card.id;
    const name = make("h2", { className: "unseen", textContent: t(card.role === "bot" ? "bot" : "you") });
    name.dataset.t = card.role === "bot" ? "bot" : "you";
    const tools = make("div", { className: "tools" }, tool("copy", "copy", "copy"));
    tools.append(card.role === "bot" ? tool("reply", "reply", "reply") : tool("edit", "edit", "edit"));
    const body = make("div", { className: "body", dir: "auto" });
    item.append(name, make("ul", { className: "pictures" }), body, make("div", { className: "buttons" }), tools);
    return item;
  }

  place(item, created) {
    item.created = created;
    let after = this.list.lastElementChild;
    while (after && after.created > created) after = after.previousElementSibling;
    if (after) after.after(item);
    else this.list.prepend(item);
  }

  files(item, files) {
    const list = item.querySelector(".pictures");
    if (list.childElementCount !== files.length) list.replaceChildren(...files.map((file) => make("li", {}, shown(file))));
  }

  // The composer has the one stop button; a second one beside the growing text would run away from the pointer.
  buttons(item, card) {
    const wanted = card.buttons.map((row) => row.filter(([, id]) => !id.startsWith("stop."))).filter((row) => row.length);
    const state = JSON.stringify(wanted);
    const box = item.querySelector(".buttons");
    if (box.state === state) return;
    box.state = state;
    const button = ([label, id]) => {
      const made = make("button", { type: "button", textContent: label });
      made.dataset.button = id;
      return made;
    };
    box.replaceChildren(...wanted.map((row) => make("div", {}, ...row.map(button))));
  }

  drop(id) {
    this.items.get(id)?.remove();
    this.items.delete(id);
  }

  // --- what is said but not yet on the board ---

  pend(item) {
    if (this.cards.has(item.id) || this.items.has(item.id)) return;
    const made = this.build({ id: item.id, role: "person" });
    made.classList.add("pending");
    made.querySelector(".body").textContent = item.body.text;
    made.querySelector(".body").hidden = !item.body.text;
    this.files(made, item.body.files);
    made.querySelector(".tools").replaceChildren();
    this.items.set(item.id, made);
    this.place(made, Infinity);
    this.toEnd();
  }

  // Why it is not there yet; `state` as Unsent tells it.
  excuse(item, state) {
    const made = this.items.get(item.edits ?? item.id);
    if (!made) return;
    made.querySelector(".excuse")?.remove();
    made.classList.toggle("failed", state === "failed");
    if (state === "sent") return;
    const text = state === "failed" ? `${t("failed")} ${item.why}` : t("waiting");
    const excuse = make("p", { className: "excuse", role: "status" }, make("span", { textContent: text }));
    if (state === "failed")
      for (const action of ["again", "discard"]) {
        const button = make("button", { type: "button", textContent: t(action) });
        button.dataset.action = action;
        excuse.append(button);
      }
    made.append(excuse);
    this.settle();
  }

  // --- what others ask of it ---

  wait(on) {
    clearTimeout(this.waiting);
    this.dots.hidden = !on;
    if (!on) return;
    this.waiting = setTimeout(() => this.wait(false), 20_000);
    this.settle();
  }

  // The stop button of the running answer: its id, "" when it has none yet, null when nothing runs.
  running() {
    for (const card of [...this.cards.values()].reverse())
      if (!card.done) return card.buttons.flat().find(([, id]) => id.startsWith("stop."))?.[1] ?? "";
    return this.dots.hidden ? null : "";
  }

  lastQuestion() {
    const own = [...this.cards.values()].filter((card) => card.role === "person");
    return own.reduce((last, card) => (!last || card.created > last.created ? card : last), null);
  }

  // What names the chat: the first thing that it is about.
  subject() {
    const own = [...this.list.querySelectorAll(".person")].map((item) => this.cards.get(item.dataset.id)?.subject?.trim());
    return own.find(Boolean)?.slice(0, 80) ?? "";
  }

  // Only the last question can be edited, only the last message shows its tools all the time.
  mark() {
    const last = this.lastQuestion()?.id;
    for (const [id, item] of this.items) {
      item.classList.toggle("editable", id === last);
      item.classList.toggle("last", item === this.list.lastElementChild);
    }
  }

  click(event) {
    const fold = event.target.closest("summary")?.parentElement;
    if (fold) {
      fold.dataset.chosen = "by the reader"; // who folds or unfolds it is not overruled, nor carried off to the end
      this.sticky = false;
    }
    const button = event.target.closest("button");
    if (!button) return;
    const id = button.closest(".message").dataset.id;
    if (button.dataset.button) this.on("press", this.cards.get(id), button);
    else if (button.dataset.action === "copy-code") copy(button, [button.closest(".code").querySelector("pre")]);
    else if (button.dataset.action === "copy") copy(button, [button.closest(".message").querySelector(".body")]);
    else this.on(button.dataset.action, this.cards.get(id) ?? { id }, button);
  }
}

// As text and, where the browser can, with its form. Without https there is no clipboard API: the old way works there.
async function copy(button, [source]) {
  const clone = source.cloneNode(true);
  for (const other of clone.querySelectorAll(`.bar, ${BEFORE}`)) other.remove();
  const box = make("div", { className: "unseen copied" }, clone);
  document.body.append(box);
  const text = clone.innerText.trim();
  try {
    if (!navigator.clipboard) throw new Error("no clipboard");
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(clone);
    document.execCommand("copy");
    getSelection().removeAllRanges();
  }
  box.remove();
  button.replaceChildren(icon("check"));
  button.classList.add("done");
  document.getElementById("announcer").textContent = t("copied");
  setTimeout(() => {
    button.replaceChildren(icon("copy"));
    button.classList.remove("done");
  }, 1500);
}
