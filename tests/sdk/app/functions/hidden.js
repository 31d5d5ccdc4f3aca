exports = (n) => n * 2;
