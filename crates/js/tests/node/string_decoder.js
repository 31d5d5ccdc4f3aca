const { StringDecoder } = require('string_decoder');
const chunks = (encoding, ...parts) => {
  const decoder = new StringDecoder(encoding);
  return [...parts.map((part) => decoder.write(typeof part === 'string' ? Buffer.from(part, 'hex') : part)), decoder.end()];
};
t(() => chunks('utf8', 'e2', '82', 'ac'));
t(() => chunks('utf8', 'e282', 'ac41'));
t(() => chunks('utf8', 'f09f', '9880'));
t(() => chunks('utf8', 'f0', '9f', '98', '80'));
t(() => chunks('utf8', 'e282'));
t(() => chunks('utf8', 'e2', '41'));
t(() => chunks('utf8', 'ff', '80', 'c3'));
t(() => chunks('utf8', 'c3a9c3', 'a9'));
t(() => chunks(undefined, '68c3', 'a9'));
t(() => chunks('ucs2', '41', '0042', '00'));
t(() => chunks('utf16le', '3dd8', '00de'));
t(() => chunks('utf16le', '3dd8'));
t(() => chunks('base64', '61', '6263', '6465'));
t(() => chunks('base64url', 'fb', 'ffbf', 'ff'));
t(() => chunks('hex', '61', '6263'));
t(() => chunks('latin1', 'e9', '80'));
t(() => chunks('ascii', 'e9', '41'));
t(() => chunks('utf8', Buffer.alloc(0), new Uint8Array([0xc3]), new Uint16Array([0x41a9])));
t(() => new StringDecoder('nope'));
t(() => new StringDecoder(5));
t(() => ['utf8', 'UTF-8', 'binary', 'ucs2', 'utf16le', 'hex', null, ''].map((name) => new StringDecoder(name).encoding));
t(() => new StringDecoder().write(5));
t(() => new StringDecoder().write('text'));
t(() => new StringDecoder().end(Buffer.from('e282', 'hex')));
t(() => { const decoder = new StringDecoder(); decoder.write(Buffer.from('e282', 'hex')); return [decoder.lastNeed, decoder.lastTotal]; });
t(() => { const decoder = new StringDecoder(); decoder.end(Buffer.from('e2', 'hex')); return decoder.write(Buffer.from('82ac', 'hex')); });
t(() => { const part = Buffer.from('e2', 'hex'); const decoder = new StringDecoder(); decoder.write(part); part[0] = 65; return decoder.write(Buffer.from('82ac', 'hex')); });
// Texts that are cut at random places, the same at each run.
let seed = 5;
const random = (count) => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return Math.floor(seed / 4294967296 * count); };
const pick = (list) => list[random(list.length)];
const POOL = [0x41, 0x20, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xff, 0x80, 0xed, 0xa0, 0xef, 0xbb, 0xbf, 0xf4, 0x90, 0xe0, 0x00, 0xd8, 0x3d, 0xde, 0xdc], WHOLE = ['é', '€', '😀', 'a', '\ufeff'];
const cut = () => {
  const whole = Buffer.concat(Array.from({ length: 1 + random(6) }, () => (random(3) ? Buffer.from(pick(WHOLE)) : Buffer.from([pick(POOL)]))));
  const [one, other] = [random(whole.length + 1), random(whole.length + 1)].sort((a, b) => a - b);
  return [whole.subarray(0, one), whole.subarray(one, other), whole.subarray(other)];
};
for (let count = 0; count < 300; count++) { const parts = cut(), encoding = pick(['utf8', 'utf8', 'base64', 'hex', 'latin1']); t(() => [encoding, ...parts, ...chunks(encoding, ...parts)]); }
for (let count = 0; count < 300; count++) { const parts = cut(), label = pick(['utf-8', 'utf-8', 'utf-16le']), options = { fatal: random(4) === 0, ignoreBOM: random(2) === 0 }; t(() => { const decoder = new TextDecoder(label, options); return [label, ...parts, ...parts.map((part) => decoder.decode(part, { stream: true })), decoder.decode()]; }); }
