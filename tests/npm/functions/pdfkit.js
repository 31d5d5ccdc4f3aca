exports = async () => {
  const PDFDocument = require("pdfkit");
  const doc = new PDFDocument({ info: { CreationDate: new Date(0) } }), parts = [];
  doc.on("data", (part) => parts.push(part));
  const ended = new Promise((done) => doc.on("end", done));
  doc.fontSize(20).text("Hello PDF"); doc.rect(10, 10, 50, 50).fill("red"); doc.end();
  await ended;
  const bytes = Buffer.concat(parts);
  return [bytes.subarray(0, 5).toString(), bytes.length > 500];
};
