// ---- EJSON.

const EJSON = {
  stringify: (value, ...rest) => {
    const spaces = rest.find((part) => typeof part === "number");
    const text = natives.stringify(value);
    return spaces ? JSON.stringify(JSON.parse(text), null, spaces) : text;
  },
  parse: (text) => natives.parse(String(text)),
  serialize: (value) => JSON.parse(natives.stringify(value)),
  deserialize: (value) => natives.parse(JSON.stringify(value)),
};

