exports = async function () {
  return [context.runningAsSystem(), await context.functions.execute("shop/total", (row) => row._id + context.runningAsSystem())];
};
