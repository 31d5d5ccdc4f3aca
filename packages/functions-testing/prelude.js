// The server's own JavaScript: BSON classes, collections, cursors, sessions and
// services behave here as they do there, because they are the same files. What
// the server does in Rust is in `values.js`.

import { existsSync, readFileSync } from "node:fs";
import { compileFunction } from "node:vm";

const FILES = ["bson.js", "mongodb.js", "services.js"];

// A package has them beside it; the repository where the server has them.
export const folder = [new URL("prelude/", import.meta.url), new URL("../../crates/js/src/prelude/", import.meta.url)].find(
  (place) => existsSync(new URL(FILES[0], place)),
);
export const files = FILES;

const END = `
return {
  BSON, Cursor, makeService, Binary, Long, longOf, prototypes,
  // Cursors in a result stand for their documents.
  settle: async (value) => {
    const unfold = async (value, seen) => {
      if (value instanceof Cursor) return value.toArray();
      if (typeof value !== "object" || value === null || seen.has(value)) return value;
      seen.add(value);
      for (const key of Object.keys(value)) {
        const unfolded = await unfold(value[key], seen);
        if (unfolded !== value[key]) value[key] = unfolded;
      }
      return value;
    };
    return unfold(await value, new Set());
  },
};
})`;

/** A world of its own: classes, and services that ask `natives`. */
export function prelude(natives) {
  const source = FILES.map((name) => readFileSync(new URL(name, folder), "utf8")).join("\n") + END;
  return compileFunction(`return ${source.slice(source.indexOf("(function"))}`, [], { filename: "prelude" })()(natives);
}
