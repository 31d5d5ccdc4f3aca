// Greets the caller; the signature comes from another function, which knows a secret.
exports = async function (name = "you") {
  const signature = await context.functions.execute("signature", name);
  return { text: `Hello, ${name}!`, signature };
};
