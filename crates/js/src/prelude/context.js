// What most functions never look at is made when they do.
const lazy = (target, name, make, enumerable = true) => {
  const set = (value) => Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable });
  Object.defineProperty(target, name, {
    configurable: true,
    enumerable,
    get() {
      const value = make();
      set(value);
      return value;
    },
    set,
  });
};

function makeContext(frame) {
  const context = {
    values: { get: (name) => natives.value(frame, String(name)) },
    functions: { execute: (name, ...args) => natives.enter(frame, String(name))(...args) },
    services: {
      get: (name) => {
        const services = natives.field(frame, "services");
        return Object.hasOwn(services, name) ? makeService(frame, name, services[name]) : undefined;
      },
    },
    http,
    runningAsSystem: () => natives.field(frame, "system"),
  };
  for (const name of ["user", "environment", "request"]) lazy(context, name, () => natives.field(frame, name));
  lazy(context, "app", () => natives.sync(frame, "app", {}));
  return context;
}

