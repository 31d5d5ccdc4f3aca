// Parts of modules that load here and say that they do nothing when used.

const { coded } = require("_errors");

const refusal = (module) => coded(Error, "ERR_NOT_SUPPORTED", `'${module}' module: not supported`);

// A function, or a class, that cannot be used.
function inert(module, name) {
  const refuse = { [name]: function () { throw refusal(module); } }[name];
  return refuse;
}

function fill(target, module, names) {
  for (const name of names) target[name] = inert(module, name);
  return target;
}

Object.assign(exports, { inert, fill, refusal });
