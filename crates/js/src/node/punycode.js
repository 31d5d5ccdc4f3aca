// `punycode`: labels of internationalised domain names.

const separators = /[\u002e\u3002\uff0e\uff61]/g;
const wrong = (message) => new RangeError(message);

function encode(text) {
  const made = inner.node("url.punycodeEncode", text.toWellFormed());
  if (made === null) throw wrong("Overflow: input needs wider integers to process");
  return made;
}

function decode(text) {
  if (/[^\0-\x7f]/.test(text.slice(0, Math.max(text.lastIndexOf("-"), 0)))) {
    throw wrong("Illegal input >= 0x80 (not a basic code point)");
  }
  const made = inner.node("url.punycodeDecode", text);
  if (made === null) throw wrong("Invalid input");
  return made;
}

// Each label of a domain; what stands before the @ of an address stays.
function labels(domain, change) {
  const at = domain.indexOf("@");
  const before = at < 0 ? "" : domain.slice(0, domain.indexOf("@") + 1);
  const parts = (at < 0 ? domain : domain.split("@")[1]).replace(separators, ".").split(".");
  return before + parts.map(change).join(".");
}

Object.assign(exports, {
  version: "2.1.0",
  ucs2: {
    decode: (text) => Array.from(text, (character) => character.codePointAt(0)),
    encode: (points) => String.fromCodePoint(...points),
  },
  decode, encode,
  toASCII: (domain) => labels(domain, (label) => (/[^\0-\x7f]/.test(label) ? `xn--${encode(label)}` : label)),
  toUnicode: (domain) => labels(domain, (label) => (/^xn--/.test(label) ? decode(label.slice(4).toLowerCase()) : label)),
});
