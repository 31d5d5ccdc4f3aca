// `readline`: the lines of a stream; there is nobody to ask.

const EventEmitter = require("events");
const { StringDecoder } = require("string_decoder");
const { fill, refusal } = require("_inert");

class Interface extends EventEmitter {
  #decoder = new StringDecoder("utf8");
  #rest = "";
  #paused = false;
  constructor(input, output) {
    super();
    const options = typeof input?.on === "function" ? { input, output } : input;
    this.input = options.input;
    this.output = options.output;
    this.terminal = false;
    this.line = "";
    this.closed = false;
    this.#onData = (chunk) => this.#take(typeof chunk === "string" ? chunk : this.#decoder.write(chunk));
    this.#onEnd = () => {
      this.#take(this.#decoder.end());
      if (this.#rest !== "") this.emit("line", this.#rest.replace(/\r$/, ""));
      this.#rest = "";
      this.close();
    };
    this.input.on("data", this.#onData);
    this.input.on("end", this.#onEnd);
    options.signal?.addEventListener("abort", () => this.close(), { once: true });
  }
  #onData;
  #onEnd;
  #take(text) {
    // A line may end with the two signs in two pieces.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) this.emit("line", line);
  }
  pause() {
    if (!this.#paused) {
      this.#paused = true;
      this.input.pause();
      this.emit("pause");
    }
    return this;
  }
  resume() {
    if (this.#paused) {
      this.#paused = false;
      this.input.resume();
      this.emit("resume");
    }
    return this;
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.input.removeListener("data", this.#onData);
    this.input.removeListener("end", this.#onEnd);
    this.input.pause();
    this.emit("close");
  }
  setPrompt() {}
  getPrompt() { return ""; }
  prompt() {}
  question() { throw refusal("readline"); }
  write() {}
  async *[Symbol.asyncIterator]() {
    try {
      for await (const [line] of EventEmitter.on(this, "line", { close: ["close"] })) yield line;
    } finally {
      this.close();
    }
  }
}

Object.assign(exports, {
  Interface,
  createInterface: (input, output) => new Interface(input, output),
  clearLine: () => true,
  clearScreenDown: () => true,
  cursorTo: () => true,
  moveCursor: () => true,
});
fill(exports, "readline", ["emitKeypressEvents"]);
Object.defineProperty(exports, "promises", { enumerable: true, get: () => require("readline/promises") });
