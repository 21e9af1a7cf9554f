// In the thread of the sound: passes on what the microphone hears, some forty milliseconds at a time, mixed to one channel.

const SIZE = 2048;

class Listener extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(SIZE);
    this.filled = 0;
  }

  process([channels]) {
    const count = channels[0]?.length ?? 0;
    for (let at = 0; at < count; at += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[at];
      this.block[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === SIZE) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("listener", Listener);
