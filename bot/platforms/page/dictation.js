// The microphone's button: a click begins a voice message and the next one sends it; held down, it records until it is let go.
// Escape or the cross throw it away.

import { icon } from "./log.js";
import { LONGEST, Recorder } from "./recorder.js";
import { t } from "./words.js";

const HELD = 400; // milliseconds after which a press is one that holds
const SHORTEST = 0.4; // seconds: a button touched by mistake
const $ = (id) => document.getElementById(id);

export class Dictation {
  // `on`: recorded(wav, seconds), complain(text)
  constructor(on) {
    this.on = on;
    this.recorder = null;
    this.holding = false;
    this.settled = false; // what was held is done with: the click that comes after it means nothing
    const button = $("record");
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId); // it is let go wherever the pointer is by then
      this.press();
    });
    for (const end of ["pointerup", "pointercancel"]) button.addEventListener(end, () => this.release());
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch opens it
    button.addEventListener("click", () => this.click());
    $("recording").querySelector("button").addEventListener("click", () => this.discard());
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.recorder) return;
      event.stopImmediatePropagation(); // it stops no answer as well
      this.discard();
    }, true);
  }

  press() {
    clearTimeout(this.timer);
    this.holding = false;
    if (this.recorder) return;
    this.timer = setTimeout(() => {
      this.holding = true;
      this.begin();
    }, HELD);
  }

  release() {
    clearTimeout(this.timer);
    if (!this.holding) return;
    this.holding = false;
    this.settled = true;
    setTimeout(() => (this.settled = false), 50);
    if (this.recorder) this.finish();
  }

  // A short press, or a key's.
  click() {
    if (this.settled) return;
    if (this.recorder) this.finish();
    else this.begin();
  }

  async begin() {
    this.on.complain("");
    const recorder = new Recorder((seconds) => this.tell(seconds));
    this.recorder = recorder;
    this.draw();
    try {
      await recorder.start();
    } catch (error) {
      if (this.recorder === recorder) this.recorder = null;
      this.draw();
      this.on.complain(t(error.name === "NotAllowedError" ? "microphoneDenied" : error.name === "TypeError" ? "microphoneHttps" : "noMicrophone"));
      return;
    }
    if (this.recorder !== recorder) recorder.close(); // thrown away while the person was asked
  }

  async finish() {
    const recorder = this.recorder;
    this.recorder = null;
    this.draw();
    const { seconds } = recorder;
    if (seconds < SHORTEST) {
      recorder.close();
      return this.on.complain(t("tooShort"));
    }
    return this.on.recorded(await recorder.finish(), seconds);
  }

  discard() {
    this.recorder?.close();
    this.recorder = null;
    this.holding = false;
    this.draw();
    $("record").focus();
  }

  tell(seconds) {
    const whole = Math.floor(seconds);
    $("recording").querySelector("time").textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    if (seconds >= LONGEST && this.recorder) this.finish();
  }

  draw() {
    const on = Boolean(this.recorder);
    const button = $("record");
    button.dataset.tLabel = on ? "sendRecording" : "record";
    button.setAttribute("aria-label", t(button.dataset.tLabel));
    button.title = t(button.dataset.tLabel);
    button.classList.toggle("on", on);
    button.replaceChildren(icon(on ? "send" : "microphone"));
    $("recording").hidden = !on;
    if (on) $("recording").querySelector("time").textContent = "0:00";
  }
}
