// `util.types`: what a value is, whatever its prototype says.

const kindOf = (value) => inner.kind(value);
const is = (...kinds) => (value) => kinds.includes(kindOf(value));
const typed = ["Uint8Array", "Uint8ClampedArray", "Uint16Array", "Uint32Array", "Int8Array", "Int16Array", "Int32Array",
  "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array"];

const types = {
  isExternal: () => false,
  isDate: is("Date"),
  isArgumentsObject: is("Arguments"),
  isBigIntObject: is("BigInt"),
  isBooleanObject: is("Boolean"),
  isNumberObject: is("Number"),
  isStringObject: is("String"),
  isSymbolObject: is("Symbol"),
  isBoxedPrimitive: is("BigInt", "Boolean", "Number", "String", "Symbol"),
  isNativeError: is("Error"),
  isRegExp: is("RegExp"),
  isAsyncFunction: is("AsyncFunction", "AsyncGeneratorFunction"),
  isGeneratorFunction: is("GeneratorFunction", "AsyncGeneratorFunction"),
  isGeneratorObject: is("Generator", "AsyncGenerator"),
  isPromise: is("Promise"),
  isMap: is("Map"),
  isSet: is("Set"),
  isMapIterator: is("Map Iterator"),
  isSetIterator: is("Set Iterator"),
  isWeakMap: is("WeakMap"),
  isWeakSet: is("WeakSet"),
  isArrayBuffer: is("ArrayBuffer"),
  isDataView: is("DataView"),
  isSharedArrayBuffer: is("SharedArrayBuffer"),
  isProxy: (value) => inner.proxy(value) !== undefined,
  isModuleNamespaceObject: is("Module"),
  isAnyArrayBuffer: is("ArrayBuffer", "SharedArrayBuffer"),
  isArrayBufferView: ArrayBuffer.isView,
  isTypedArray: (value) => ArrayBuffer.isView(value) && kindOf(value) !== "DataView",
  isKeyObject: (value) => kindOf(value) === "Object" && require("_crypto_keys").handleOf(value) !== undefined,
  isCryptoKey: (value) => kindOf(value) === "Object" && require("_crypto_keys").web.keyOf(value) !== undefined,
};
for (const name of typed) types[`is${name}`] = is(name);

Object.assign(exports, types);
