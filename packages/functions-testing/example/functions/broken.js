// The line of this error is the file's own.
exports = () => context.nothing.at.all;
