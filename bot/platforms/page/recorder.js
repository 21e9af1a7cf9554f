// A voice message: what the microphone hears, as WAV of 16 kHz, which every speech model takes. MediaRecorder would give WebM
// or MP4, and those the server does not read.

const RATE = 16_000;
export const LONGEST = 600; // seconds, as much as the server listens to

export class Recorder {
  // `onlevel(seconds)` ten times a second and more while it records
  constructor(onlevel) {
    this.onlevel = onlevel;
    this.chunks = [];
    this.length = 0;
  }

  // Throws what getUserMedia throws; TypeError where the page is not served over https.
  async start() {
    if (!navigator.mediaDevices) throw new TypeError("no microphone without https");
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
    try {
      this.context = new AudioContext();
      await this.context.audioWorklet.addModule("/page/listener.js");
      const listener = new AudioWorkletNode(this.context, "listener", { outputChannelCount: [1] });
      listener.port.onmessage = ({ data }) => this.take(data);
      this.context.createMediaStreamSource(this.stream).connect(listener);
      listener.connect(this.context.destination); // silent, but what leads nowhere is not asked for sound
      await this.context.resume();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  take(samples) {
    this.chunks.push(samples);
    this.length += samples.length;
    this.onlevel(this.seconds);
  }

  get seconds() {
    return this.context ? this.length / this.context.sampleRate : 0;
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.context && this.context.state !== "closed") this.context.close();
  }

  // The WAV, or null when nothing was heard.
  async finish() {
    this.close();
    if (!this.length) return null;
    const rate = this.context.sampleRate;
    const offline = new OfflineAudioContext(1, Math.max(1, Math.floor((this.length * RATE) / rate)), RATE);
    const heard = offline.createBuffer(1, this.length, rate);
    let at = 0;
    for (const chunk of this.chunks) {
      heard.copyToChannel(chunk, 0, at);
      at += chunk.length;
    }
    this.chunks = [];
    const source = offline.createBufferSource();
    source.buffer = heard; // which changes the rate, with a filter
    source.connect(offline.destination);
    source.start();
    return wav((await offline.startRendering()).getChannelData(0));
  }
}

// RIFF with one channel of 16 bits.
function wav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, index) => view.setInt16(44 + 2 * index, 32767 * Math.max(-1, Math.min(1, sample)), true));
  return new Blob([view], { type: "audio/wav" });
}
