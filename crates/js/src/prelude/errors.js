// ---- Errors: `stack` as Node has it: the error on top, then the frames of
// functions and packages, without the host's.

{
  const { get, set } = Object.getOwnPropertyDescriptor(Error.prototype, "stack");
  const { toString } = Error.prototype;
  const plain = (frames) => typeof frames === "string" && (frames === "" || frames.startsWith("    at "));
  const shown = (error, frames) => {
    // What a prepareStackTrace made stays as it is.
    if (!plain(frames)) return frames;
    let head = "Error";
    try {
      head = toString.call(error);
    } catch {}
    const theirs = frames.split("\n").filter((line) => line !== "" && !/\((?:native\)|prelude:|node:_loader:)/.test(line));
    return [head, ...theirs].join("\n");
  };
  Object.defineProperty(Error.prototype, "stack", {
    get: function stack() {
      return shown(this, get.call(this));
    },
    set,
    configurable: true,
    enumerable: false,
  });

  const capture = Error.captureStackTrace;
  define(Error, "captureStackTrace", function captureStackTrace(target, above) {
    capture(target, typeof above === "function" ? above : captureStackTrace);
    const own = Object.getOwnPropertyDescriptor(target, "stack");
    if (own !== undefined && plain(own.value)) define(target, "stack", shown(target, own.value));
  });
}

