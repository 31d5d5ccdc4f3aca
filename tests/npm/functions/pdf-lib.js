exports = async () => {
  const { PDFDocument, StandardFonts, rgb } = require("pdf-lib");
  const pdf = await PDFDocument.create();
  const page = pdf.addPage([200, 100]);
  page.drawText("Hello", { x: 10, y: 50, size: 20, font: await pdf.embedFont(StandardFonts.Helvetica), color: rgb(1, 0, 0) });
  const bytes = await pdf.save();
  const back = await PDFDocument.load(bytes);
  return [Buffer.from(bytes.slice(0, 5)).toString(), back.getPageCount(), back.getPage(0).getSize()];
};
