exports = async () => {
  const { nanoid, customAlphabet } = await import("nanoid");
  return [nanoid().length, /^[ab]{5}$/.test(customAlphabet("ab", 5)()), nanoid() === nanoid()];
};
