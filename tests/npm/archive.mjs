// The archive of a package with all that it needs, from node_modules here.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const { packages } = JSON.parse(readFileSync(`${here}/package-lock.json`, "utf8"));

// The folder in which a package finds another.
function found(from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("node_modules/") - 1))) {
    const path = `${folder && `${folder}/`}node_modules/${name}`;
    if (packages[path]) return path;
    if (folder === "") return undefined;
  }
}

/** Folders of packages and of what they need, those within others left out. */
export function folders(names) {
  const all = new Set();
  const add = (path) => {
    if (path === undefined || all.has(path)) return;
    all.add(path);
    const { dependencies, optionalDependencies, peerDependencies } = packages[path];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      add(found(path, name));
    }
  };
  for (const name of names) add(found("", name));
  const outer = (path) => path.split("/node_modules/")[0];
  return [...new Set([...all].map(outer))].sort();
}

/** Its version. */
export const version = (name) => packages[`node_modules/${name}`].version;

/** As a compressed tar archive. */
export function archive(names) {
  const options = { cwd: here, maxBuffer: 1 << 30, env: { ...process.env, COPYFILE_DISABLE: "1" } };
  return execFileSync("tar", ["-czf", "-", "--exclude=*.map", "--exclude=*.d.ts", ...folders(names)], options);
}
