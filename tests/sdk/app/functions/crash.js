exports = () => { const deep = () => [deep()]; return deep(); };
