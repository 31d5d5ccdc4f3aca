exports = async () => {
  const JSZip = require("jszip");
  const zip = new JSZip(); zip.file("a.txt", "hello ".repeat(50)); zip.folder("d").file("b.bin", new Uint8Array([1, 2]));
  const bytes = await zip.generateAsync({ type: "nodebuffer", compression: "DEFLATE" });
  const back = await JSZip.loadAsync(bytes);
  return [bytes.length < 400, Object.keys(back.files), (await back.file("a.txt").async("string")).length, [...(await back.file("d/b.bin").async("uint8array"))]];
};
