// Where people write: the growing text field, its files, the list of commands, and what a message is about (an edit of
// the last question, a reply to an older answer).

import { Dictation } from "./dictation.js";
import { chip, icon, kept, make, player } from "./log.js";
import { ask } from "./server.js";
import { language, t } from "./words.js";

const FILE_LIMIT = 20_000_000; // bytes
const FILES = 10;
const $ = (id) => document.getElementById(id);

// All else is a document: the server tells which of them can be read. An SVG is read as the text that it is.
const seenOrHeard = (mime) => /^(image|audio)\//.test(mime) && mime !== "image/svg+xml";

function previewOf({ mime, preview, title }) {
  if (!seenOrHeard(mime)) return chip(title);
  return mime.startsWith("audio/") ? player(preview) : make("img", { src: preview, alt: title });
}

// A player begins to load a moment after it is made, and would find its recording gone: it lets go of it first.
function release(files) {
  for (const { shown, preview } of files) {
    shown.removeAttribute("src");
    shown.load?.();
    URL.revokeObjectURL(preview);
  }
}

export class Composer {
  // `on`: send({text, files, edits, replies_to}), stop(), editLast() → whether there is something to edit
  constructor(on) {
    this.on = on;
    this.menu = [];
    this.chat = "";
    this.files = [];
    this.about = null;
    this.busy = false;
    this.active = -1;
    this.input = $("input");
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("paste", (event) => this.take(event, event.clipboardData.files));
    this.input.addEventListener("blur", () => setTimeout(() => this.offer([]), 150));
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    $("attach").addEventListener("click", () => $("choose").click());
    $("choose").addEventListener("change", () => {
      this.add($("choose").files);
      $("choose").value = "";
    });
    $("about").querySelector("button").addEventListener("click", () => this.forget());
    $("choices").addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the text field keeps the focus
      const row = event.target.closest("li");
      if (row) this.choose(Number(row.dataset.index));
    });
    this.dropping(document.querySelector("main"));
    this.dictation = new Dictation({ recorded: (wav) => this.addRecording(wav), complain: (text) => this.complain(text) });
  }

  // --- state ---

  open(chat) {
    if (this.dictation.recorder) this.dictation.discard();
    this.chat = chat;
    this.remove(...this.files);
    this.forget(false);
    this.input.value = sessionStorage.getItem(`magpie.draft.${chat}`) ?? "";
    this.typed();
    if (!matchMedia("(pointer: coarse)").matches) this.input.focus();
  }

  setBusy(busy) {
    this.busy = busy;
    this.draw();
  }

  // The button stops while an answer is being made and nothing is written.
  draw() {
    const stops = this.busy && !this.input.value.trim() && !this.files.length;
    const button = $("send");
    if (button.dataset.tLabel !== (stops ? "stop" : "send") || !button.title) {
      button.dataset.tLabel = stops ? "stop" : "send";
      button.replaceChildren(icon(stops ? "stop" : "send"));
      button.setAttribute("aria-label", t(button.dataset.tLabel));
      button.title = t(button.dataset.tLabel);
    }
    button.disabled = !stops && !this.input.value.trim() && !this.files.length;
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  typed() {
    this.grow();
    this.draw();
    this.complain("");
    if (!this.about?.edits) sessionStorage.setItem(`magpie.draft.${this.chat}`, this.input.value);
    this.complete();
  }

  write(text) {
    this.input.value = text;
    this.input.focus();
    this.typed();
  }

  complain(text) {
    $("trouble").textContent = text;
    $("trouble").hidden = !text;
  }

  // --- what the message is about ---

  edit(card) {
    this.about = { edits: card.id, files: card.files.map(kept) };
    this.tell("editing");
    this.write(card.body);
  }

  reply(card) {
    this.about = { replies_to: card.id };
    this.tell("replying");
    this.input.focus();
  }

  tell(label) {
    const line = $("about").querySelector("span");
    line.dataset.t = label;
    line.textContent = t(label);
    $("about").hidden = false;
  }

  forget(clear = true) {
    if (clear && this.about?.edits) this.write("");
    this.about = null;
    $("about").hidden = true;
  }

  // --- keys ---

  key(event) {
    if (event.isComposing || event.keyCode === 229) return; // an input method is still choosing
    const listed = !$("choices").hidden;
    if (listed && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.point(this.active + (event.key === "ArrowDown" ? 1 : -1));
    } else if (listed && (event.key === "Tab" || (event.key === "Enter" && this.active >= 0)) && !event.shiftKey) {
      event.preventDefault();
      this.choose(Math.max(this.active, 0));
    } else if (event.key === "Escape" && (listed || this.about)) {
      event.preventDefault();
      event.stopPropagation();
      if (listed) this.offer([]);
      else this.forget();
    } else if (event.key === "ArrowUp" && !this.input.value && this.on.editLast()) {
      event.preventDefault();
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      event.preventDefault(); // read on without leaving the text field
      $("scroll").scrollBy(0, $("scroll").clientHeight * (event.key === "PageUp" ? -0.9 : 0.9));
    } else if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse) and (hover: none)").matches) {
      event.preventDefault();
      this.submit();
    }
  }

  submit() {
    const text = this.input.value.trim();
    if (this.busy && !text && !this.files.length) return this.on.stop();
    if (!text && !this.files.length) return undefined;
    const lost = this.files.filter((file) => file.lost);
    if (lost.length) return this.sendAgain(lost);
    if (this.files.some((file) => !file.name)) return this.complain(t("uploading"));
    const { edits = "", replies_to = "", files: kept = [] } = this.about ?? {};
    const files = [...kept, ...this.files.map(({ name, mime, size, title }) => ({ name, mime, size, title }))];
    this.remove(...this.files);
    this.about = null;
    $("about").hidden = true;
    this.write("");
    this.offer([]);
    return this.on.send({ text, files, edits, replies_to });
  }

  // --- commands ---

  async complete() {
    const text = this.input.value;
    const command = /^\/([a-z0-9_]*)$/i.exec(text);
    if (command) {
      const typed = command[1].toLowerCase();
      const found = this.menu.filter((entry) => entry.name.startsWith(typed));
      const exact = found.length === 1 && found[0].name === typed;
      return this.offer(exact && !found[0].choices ? [] : found.map((entry) => this.command(entry)), typed.length && !exact ? 0 : -1);
    }
    const argument = /^\/([a-z0-9_]+)[ ]+(\S*)$/i.exec(text);
    const entry = argument && this.menu.find((one) => one.name === argument[1].toLowerCase());
    if (!entry?.choices) return this.offer([]);
    this.point(-1); // what is listed still answers the text before
    const choices = await ask(`/api/menu/${entry.name}?typed=${encodeURIComponent(argument[2])}`).catch(() => []);
    if (this.input.value !== text) return undefined; // typed on meanwhile
    const rows = choices.filter((choice) => choice !== argument[2]);
    return this.offer(rows.map((choice) => ({ name: choice, help: "", text: `/${entry.name} ${choice}` })));
  }

  command(entry) {
    return { name: `/${entry.name}`, shape: entry.argument?.[language()], help: entry.help[language()], text: `/${entry.name}${entry.argument ? " " : ""}` };
  }

  offer(rows, active = -1) {
    this.rows = rows;
    const items = rows.map((row, index) => {
      const item = make("li", { id: `choice-${index}`, role: "option" }, make("b", { textContent: row.name }));
      if (row.shape) item.append(make("i", { textContent: row.shape }));
      if (row.help) item.append(make("span", { textContent: row.help }));
      item.dataset.index = index;
      return item;
    });
    $("choices").replaceChildren(...items);
    $("choices").hidden = !rows.length;
    this.point(active);
  }

  point(index) {
    const items = [...$("choices").children];
    this.active = items.length ? Math.min(Math.max(index, -1), items.length - 1) : -1;
    items.forEach((item, at) => item.setAttribute("aria-selected", String(at === this.active)));
    const chosen = items[this.active];
    chosen?.scrollIntoView({ block: "nearest" });
    if (chosen) this.input.setAttribute("aria-activedescendant", chosen.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  choose(index) {
    const { text } = this.rows[index];
    this.offer([]); // at once: the next Enter sends
    this.write(text);
    this.input.setSelectionRange(this.input.value.length, this.input.value.length);
  }

  // --- files ---

  take(event, files) {
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  dropping(area) {
    const files = (event) => event.dataTransfer?.types.includes("Files");
    area.addEventListener("dragover", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      $("drop").hidden = false;
    });
    area.addEventListener("dragleave", (event) => {
      if (!area.contains(event.relatedTarget)) $("drop").hidden = true;
    });
    area.addEventListener("drop", (event) => {
      $("drop").hidden = true;
      this.take(event, event.dataTransfer.files);
    });
  }

  add(list) {
    this.complain("");
    for (const blob of list) {
      if (this.files.length >= FILES) {
        this.complain(t("tooMany"));
        break;
      }
      if (blob.size > FILE_LIMIT) this.complain(`${blob.name}: ${t("tooLarge")}`);
      else this.upload(this.attach({ blob, size: blob.size, mime: blob.type, title: blob.name }));
    }
  }

  attach(about) {
    const file = { ...about, preview: URL.createObjectURL(about.blob) };
    file.shown = previewOf(file);
    this.files.push(file);
    this.drawFiles();
    return file;
  }

  remove(...files) {
    this.files = this.files.filter((file) => !files.includes(file));
    this.drawFiles();
    release(files);
  }

  async upload(file) {
    try {
      const type = seenOrHeard(file.mime) ? file.mime : "application/octet-stream";
      const about = new URLSearchParams({ name: file.title, mime: file.mime });
      const options = { method: "POST", headers: { "Content-Type": type }, body: file.blob };
      Object.assign(file, await ask(`/api/chats/${this.chat}/files?${about}`, options));
    } catch (error) {
      file.lost = file.spoken && (!error.status || error.status >= 500); // nobody can say it quite so again
      if (!file.lost) this.remove(file);
      this.complain(file.lost ? t("recordingLost") : `${file.title}: ${error.status ? error.message : t("uploadFailed")}`);
    }
    this.drawFiles();
  }

  // What was recorded goes at once, with what else is there.
  async addRecording(wav) {
    if (!wav) return this.complain(t("tooShort"));
    if (this.files.length >= FILES) return this.complain(t("tooMany"));
    const chat = this.chat;
    const file = this.attach({ blob: wav, size: wav.size, mime: wav.type, title: t("yourVoice"), spoken: true });
    await this.upload(file);
    return file.name && chat === this.chat && this.files.includes(file) ? this.submit() : undefined;
  }

  async sendAgain(files) {
    this.complain("");
    for (const file of files) {
      file.lost = false;
      await this.upload(file);
    }
    return files.every((file) => file.name) ? this.submit() : undefined;
  }

  drawFiles() {
    const rows = this.files.map((file) => {
      const remove = make("button", { type: "button", title: t("remove") }, icon("close"));
      remove.setAttribute("aria-label", `${t("remove")}: ${file.title}`);
      remove.addEventListener("click", () => {
        this.remove(file);
        this.input.focus();
      });
      return make("li", { className: file.name ? "" : "running" }, file.shown, remove);
    });
    $("pictures").replaceChildren(...rows);
    $("pictures").hidden = !rows.length;
    this.draw();
  }
}
