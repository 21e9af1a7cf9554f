// The page as a whole: which chat is open, the list of chats, appearance, keyboard; it ties the log, the composer and the
// server together.

import { Composer } from "./composer.js";
import { Log, make } from "./log.js";
import { ask, newId, Stream, Unsent } from "./server.js";
import { language, setLanguage, t, translate } from "./words.js";

const $ = (id) => document.getElementById(id);
let chat = "";
let stream = null;
let setup = null;
let state = "live";

// --- the parts ---

const log = new Log({
  scroll: $("scroll"),
  list: $("log"),
  dots: $("dots"),
  latest: $("latest"),
  on: clicked,
  answered: (text) => {
    announce(`${t("answered")} ${text.slice(0, 2000)}`);
    if (document.hidden) document.title = `● ${t("answer")}`;
  },
});

const unsent = new Unsent((item, how) => {
  if (item.chat !== chat) return;
  log.excuse(item, how);
  if (how === "sent") {
    if (item.shown && !item.body.text.startsWith("/stop")) log.wait(true);
    if (item.shown) listChats();
  }
  refresh();
});

const composer = new Composer({
  send: ({ text, files, edits, replies_to }) => {
    if (location.pathname !== `/c/${chat}`) history.replaceState(null, "", `/c/${chat}`);
    if (edits) unsent.edit(chat, edits, { text, files });
    else log.pend(unsent.say(chat, { text, files, replies_to }));
    log.toEnd();
    refresh();
  },
  stop,
  editLast: () => {
    const card = log.lastQuestion();
    if (card) composer.edit(card);
    return Boolean(card);
  },
});

// The page says what goes on; a screen reader hears whole answers, not each token.
function announce(text) {
  $("announcer").textContent = "";
  requestAnimationFrame(() => ($("announcer").textContent = text));
}

function stop() {
  const button = log.running();
  if (button === null) return;
  if (button) unsent.press(chat, button);
  else unsent.stop(chat);
  log.wait(false);
  refresh();
}

function clicked(action, card, button) {
  const item = unsent.items.find((one) => one.id === card.id || one.edits === card.id);
  if (action === "press") {
    unsent.press(chat, button.dataset.button);
    log.wait(true);
  } else if (action === "reply") composer.reply(card);
  else if (action === "edit") composer.edit(card);
  else if (action === "again") unsent.retry(item);
  else if (action === "discard") {
    unsent.forget(item);
    if (item.edits) log.excuse(item, "sent");
    else log.drop(item.id);
  }
  refresh();
}

function refresh() {
  composer.setBusy(log.running() !== null);
  $("welcome").hidden = !log.live || log.items.size > 0;
  const title = log.subject();
  $("title").textContent = title || t("newChat");
  if (!document.hidden) document.title = title ? `${title} · Magpie` : "Magpie";
}

// --- chats ---

function open(id) {
  chat = id;
  stream?.close();
  log.clear();
  composer.open(id);
  for (const item of unsent.of(id)) {
    if (item.shown) log.pend(item);
    if (item.state !== "new") log.excuse(item, item.state);
  }
  stream = new Stream(id, {
    cards: (cards) => {
      log.show(cards);
      refresh();
    },
    live: () => {
      log.live = true;
      refresh();
      log.settle();
    },
    working: () => {
      log.wait(true);
      refresh();
    },
    state: connection,
  });
  showMenu(false);
  drawChats();
  refresh();
}

function go(id) {
  history.pushState(null, "", id ? `/c/${id}` : "/");
  open(id || newId());
}

let chats = [];
async function listChats() {
  chats = await ask("/api/chats").catch(() => chats);
  drawChats();
}

function when(seconds) {
  const date = new Date(1000 * seconds);
  const today = new Date().toDateString() === date.toDateString();
  const form = today ? { hour: "numeric", minute: "2-digit" } : { month: "short", day: "numeric" };
  return date.toLocaleString(language() === "zh" ? "zh-CN" : "en", form);
}

function drawChats() {
  const rows = chats.map(({ id, title, at }) => {
    const link = make("a", { href: `/c/${id}` }, make("span", { textContent: title || t("newChat") }), make("time", { textContent: when(at) }));
    if (id === chat) link.setAttribute("aria-current", "page");
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(id);
    });
    return make("li", {}, link);
  });
  $("chats").replaceChildren(...rows);
  $("no-chats").hidden = chats.length > 0;
}

// --- connection and banner ---

function connection(now) {
  const before = state;
  state = now;
  const text = now === "lost" ? t(navigator.onLine ? "lost" : "offline") : now === "asleep" ? t("asleep") : before === "lost" ? t("back") : "";
  $("connection").textContent = text;
  $("connection").className = now;
  if (now === "live") {
    if (before === "lost") setTimeout(() => state === "live" && ($("connection").textContent = ""), 2500);
    listChats();
    if (!setup) loadSetup();
  }
}

async function loadSetup() {
  setup = await ask("/api/setup").catch(() => null);
  if (!setup) return;
  composer.menu = setup.menu;
  $("logout").hidden = !setup.login;
  drawBanner();
}

function drawBanner() {
  $("banner").hidden = !setup?.banner.simulated;
  const variables = setup?.banner.variables.join(` ${t("or")} `) ?? "";
  $("banner").textContent = t("simulated").replace("{variables}", variables);
}

// --- appearance and menu ---

const THEMES = ["auto", "light", "dark"];

function theme(value) {
  if (value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  localStorage.setItem("magpie.theme", value);
  $("theme").dataset.value = value;
  $("theme").querySelector("span").textContent = t("themes")[value];
  $("theme").setAttribute("aria-label", `${t("theme")}: ${t("themes")[value]}`);
}

function retranslate() {
  translate(document);
  theme($("theme").dataset.value);
  drawBanner();
  drawStarters();
  drawChats();
  refresh();
}

function drawStarters() {
  const buttons = t("starters").map((text) => {
    const button = make("button", { type: "button", textContent: text });
    button.addEventListener("click", () => {
      composer.write(text);
      composer.submit();
    });
    return button;
  });
  $("starters").replaceChildren(...buttons);
}

const narrow = matchMedia("(max-width: 52rem)");

function showMenu(on) {
  const inside = $("side").contains(document.activeElement);
  $("app").classList.toggle("menu", on);
  $("open-menu").setAttribute("aria-expanded", String(on));
  $("veil").hidden = !on;
  $("side").inert = narrow.matches && !on;
  document.querySelector("main").inert = narrow.matches && on;
  if (on) $("close-menu").focus();
  else if (inside && narrow.matches) $("open-menu").focus();
}

// --- events ---

$("new-chat").addEventListener("click", () => go(""));
$("open-menu").addEventListener("click", () => showMenu(true));
$("close-menu").addEventListener("click", () => showMenu(false));
$("veil").addEventListener("click", () => showMenu(false));
narrow.addEventListener("change", () => showMenu(false));
$("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf($("theme").dataset.value) + 1) % 3]));
$("language").addEventListener("click", () => {
  setLanguage(language() === "zh" ? "en" : "zh");
  retranslate();
});
$("logout").addEventListener("click", async () => {
  await ask("/logout", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  location.assign("/login");
});

addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    go("");
  } else if (event.key === "Escape") {
    if ($("app").classList.contains("menu")) $("close-menu").click();
    else stop();
  }
});
addEventListener("popstate", fromAddress);

let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setInterval(() => log.running() === null && stream.sleep(), 15_000);
  else {
    stream.wake();
    refresh();
    listChats();
  }
});
addEventListener("focus", () => stream.wake());
addEventListener("online", () => stream.open());

function fromAddress() {
  open(/^\/c\/([\w-]{1,64})$/.exec(location.pathname)?.[1] ?? newId());
}

translate(document);
theme(localStorage.getItem("magpie.theme") ?? "auto");
drawStarters();
fromAddress();
unsent.run();
