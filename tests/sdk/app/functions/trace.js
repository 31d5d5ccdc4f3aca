// Leaves traces in the realm; the next call must not see them.
exports = () => {
  const before = [typeof globalThis.leak, typeof [].leak, Math.leak === undefined];
  globalThis.leak = 1;
  Array.prototype.leak = 1;
  Math.leak = 1;
  return before;
};
