// What the table says beside some packages.

/** Packages that a function needs beside the one that it is about. */
export const needs = {
  ajv: ["ajv-formats"],
  "image-size": ["pngjs"],
  "mailgun.js": ["form-data"],
};

/** Packages that do not work, and why. */
export const exceptions = {
  undici: "needs WebAssembly; the global `fetch` is there without it",
};

/** What there is to know of others. */
export const notes = {
  "aws-sdk": "`require(\"aws-sdk/clients/s3\")` loads less of it",
  bcrypt: "native here: its addon is not loaded",
  bcryptjs: "its loop is native here",
  "bcrypt-nodejs": "its loop is native here",
  mathjs: "takes about a second to load; `mathjs/number` takes less",
  nodemailer: "SMTP without encryption was tried here",
};
