// `stream/consumers`.

const { Buffer } = require("buffer");

async function buffer(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks.map((chunk) => (chunk instanceof Uint8Array ? chunk : Buffer.from(chunk))));
}
async function text(stream) {
  const decoder = new TextDecoder();
  let all = "";
  for await (const chunk of stream) all += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
  return all + decoder.decode();
}

Object.assign(exports, {
  buffer, text,
  arrayBuffer: async (stream) => {
    const all = await buffer(stream);
    return all.buffer.slice(all.byteOffset, all.byteOffset + all.byteLength);
  },
  json: async (stream) => JSON.parse(await text(stream)),
  blob: async (stream) => new Blob([await buffer(stream)]),
});
