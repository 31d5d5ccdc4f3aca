exports = () => { for (;;) {} };
