interface Item { price: number; count: number }

const total = (items: Item[]): number =>
  items.reduce((sum, item) => {
    if (item.count < 1) {
      throw new RangeError(`no such count: ${item.count}`);
    }
    return sum + item.price * item.count;
  }, 0);

declare let exports: unknown;
exports = async function order(...items: Item[]): Promise<number> {
  await null;
  console.log("é", new Error("seen").stack);
  return total(items);
};
