exports = async (n) => (await context.functions.execute("hidden", n)) + 1;
