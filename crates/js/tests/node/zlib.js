const zlib = require('zlib');
const hello = zlib.inflateSync.length >= 0 && Buffer.from('hello hello hello');
// Packed by Node.
const D = Buffer.from('789ccb48cdc9c957c84090003a2e067d', 'hex'), G = Buffer.from('1f8b0800000000000003cb48cdc9c9070086a6103605000000', 'hex');
const R = Buffer.from('cb48cdc9c90700', 'hex'), B = Buffer.from('0b058068656c6c6f2068656c6c6f03', 'hex');
const changed = (bytes, back) => { const copy = Buffer.from(bytes); copy[copy.length - back] ^= 1; return copy; };
t(() => Object.keys(zlib).sort()); t(() => Object.keys(zlib.constants).filter((name) => !name.startsWith('BROTLI_DECODER_ERROR')).sort().map((name) => [name, zlib.constants[name]])); t(() => zlib.codes);
t(() => [zlib.inflateSync(D), zlib.gunzipSync(G), zlib.inflateRawSync(R), zlib.brotliDecompressSync(B), zlib.unzipSync(D), zlib.unzipSync(G)].map(String));
t(() => zlib.gzipSync('hello').subarray(0, 10)); t(() => zlib.deflateSync('x').subarray(0, 2)); t(() => zlib.deflateSync('x', { level: 9 }).subarray(0, 2)); t(() => zlib.deflateSync('x', { level: 1 }).subarray(0, 2)); t(() => zlib.deflateSync('hello', { level: 0 }));
for (const [pack, unpack] of [['deflate', 'inflate'], ['gzip', 'gunzip'], ['deflateRaw', 'inflateRaw'], ['brotliCompress', 'brotliDecompress'], ['gzip', 'unzip'], ['deflate', 'unzip']]) {
  t(() => [hello, '', 'é€😀', new Uint16Array([1, 2, 3]), new Uint8Array([1, 2]).buffer, new DataView(new ArrayBuffer(3)), Buffer.alloc(300000, 'abcdefg')].map((data) => zlib[`${unpack}Sync`](zlib[`${pack}Sync`](data)).toString('latin1').length));
  await t(() => new Promise((resolve, reject) => zlib[pack]('async', (error, packed) => (error ? reject(error) : zlib[unpack](packed, {}, (other, text) => (other ? reject(other) : resolve(text.toString())))))));
  await t(async () => { const big = Buffer.alloc(200000, 'xyz123'); const stream = zlib[`create${pack[0].toUpperCase()}${pack.slice(1)}`](), back = zlib[`create${unpack[0].toUpperCase()}${unpack.slice(1)}`](); stream.pipe(back); stream.write(big.subarray(0, 1000)); stream.end(big.subarray(1000)); const parts = []; for await (const part of back) parts.push(part); return Buffer.concat(parts).equals(big); });
}
t(() => zlib.inflateSync('garbage')); t(() => zlib.inflateSync(D.subarray(0, -3))); t(() => zlib.inflateSync(D.subarray(0, -3), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString());
t(() => zlib.gunzipSync(D)); t(() => zlib.gunzipSync(Buffer.concat([G, G])).toString()); t(() => zlib.gunzipSync(Buffer.concat([G, Buffer.from('junk')]))); t(() => zlib.gunzipSync(Buffer.concat([G, Buffer.alloc(5)])).toString()); t(() => zlib.inflateSync(Buffer.concat([D, Buffer.from('junk')])).toString());
t(() => zlib.unzipSync('xx')); t(() => zlib.inflateSync(Buffer.alloc(0))); t(() => zlib.gunzipSync(Buffer.alloc(0))); t(() => zlib.inflateRawSync(Buffer.from([7, 0, 1]))); t(() => zlib.inflateRawSync(D));
t(() => zlib.inflateSync(changed(D, 1))); t(() => zlib.gunzipSync(changed(G, 5))); t(() => zlib.gunzipSync(changed(G, 1))); t(() => zlib.brotliDecompressSync(B.subarray(0, -2)));
t(() => { try { zlib.brotliDecompressSync('garbage'); } catch (error) { return error.message; } }); t(() => { try { zlib.inflateSync('x1'); } catch (error) { return [error.errno, error.code, Object.keys(error)]; } });
t(() => zlib.deflateSync(5)); t(() => zlib.deflateSync('x', { level: 10 })); t(() => zlib.deflateSync('x', { windowBits: 7 })); t(() => zlib.deflateSync('x', { memLevel: 0 })); t(() => zlib.deflateSync('x', { strategy: 9 })); t(() => zlib.deflateSync('x', { chunkSize: 1 })); t(() => zlib.inflateSync(D, { maxOutputLength: 5 })); t(() => zlib.deflateSync('x', { level: 'a' })); t(() => zlib.deflate('x')); t(() => zlib.createGzip({ level: 77 }));
t(() => zlib.deflateSync('x', { dictionary: 'abc' })); t(() => zlib.deflateSync('hello', { dictionary: Buffer.from('hello') }).subarray(0, 6)); t(() => zlib.inflateSync(zlib.deflateSync('hello', { dictionary: Buffer.from('hello') }))); t(() => zlib.inflateSync(zlib.deflateSync('hello', { dictionary: Buffer.from('hello') }), { dictionary: Buffer.from('hellx') })); t(() => zlib.inflateSync(zlib.deflateSync('hello', { dictionary: Buffer.from('hello') }), { dictionary: Buffer.from('hello') }).toString()); t(() => zlib.inflateRawSync(zlib.deflateRawSync('hello', { dictionary: Buffer.from('hello') }), { dictionary: Buffer.from('hello') }).toString());
t(() => zlib.inflateSync(D, { info: true }).buffer.toString()); t(() => zlib.inflateSync(D, { info: true }).engine instanceof zlib.Inflate);
t(() => [zlib.crc32('hello'), zlib.crc32('lo', zlib.crc32('hel')), zlib.crc32(new Uint8Array(0))]); t(() => zlib.crc32(5));
t(() => [zlib.Gzip() instanceof zlib.Gzip, new zlib.Gunzip() instanceof require('stream').Transform, zlib.createInflate().constructor.name]);
await t(() => new Promise((resolve) => zlib.createGunzip().on('error', resolve).end('no gzip at all')));
await t(() => new Promise((resolve) => zlib.createGunzip().on('error', resolve).end(G.subarray(0, 12))));
await t(() => new Promise((resolve) => zlib.gunzip('no', resolve)));
await t(async () => { const stream = zlib.createGunzip({ flush: zlib.constants.Z_SYNC_FLUSH, finishFlush: zlib.constants.Z_SYNC_FLUSH }); stream.end(G.subarray(0, 18)); let text = ''; for await (const part of stream) text += part; return text; });
await t(() => new Promise((resolve) => { const stream = zlib.createDeflate(); const seen = []; stream.on('data', (part) => seen.push(part)); stream.write('first'); stream.flush(() => { const text = zlib.inflateSync(Buffer.concat(seen), { finishFlush: 2 }).toString(); stream.on('end', () => resolve([text, zlib.inflateSync(Buffer.concat(seen)).toString(), stream.bytesWritten])); stream.end(' second'); }); }));
await t(() => new Promise((resolve) => { const stream = zlib.createGzip(); stream.on('close', () => resolve('closed')); stream.close(); }));
await t(() => require('stream/promises').pipeline(require('stream').Readable.from(['a', 'b']), zlib.createGzip(), zlib.createGunzip(), async (source) => { let text = ''; for await (const part of source) text += part; if (text !== 'ab') throw new Error(text); }));
t(() => zlib.gunzipSync(zlib.gzipSync('x'.repeat(1e6), { windowBits: 9, memLevel: 1 })).length);
t(() => zlib.brotliDecompressSync(zlib.brotliCompressSync('text '.repeat(100), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4, [zlib.constants.BROTLI_PARAM_MODE]: 1 } })).length);
