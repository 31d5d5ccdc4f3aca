// `path`: names of files, in the way of POSIX and of Windows.

const { validateString, validateObject } = require("_errors");

const isSlash = (c) => c === "/";
const isEither = (c) => c === "/" || c === "\\";
const isLetter = (c) => /^[a-zA-Z]$/.test(c);

// The parts of a path without `.` and with `..` resolved as far as can be.
function normalized(text, allowAbove, separator, isSeparator) {
  const kept = [];
  let part = "";
  const finish = () => {
    if (part === "..") {
      if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
      else if (allowAbove) kept.push("..");
    } else if (part !== "" && part !== ".") {
      kept.push(part);
    }
    part = "";
  };
  for (const c of text) {
    if (isSeparator(c)) finish();
    else part += c;
  }
  finish();
  return kept.join(separator);
}

// The end of the last name, and where it begins: trailing separators do not
// count.
function lastName(path, start, isSeparator) {
  let end = path.length;
  while (end > start && isSeparator(path[end - 1])) end--;
  let begin = end;
  while (begin > start && !isSeparator(path[begin - 1])) begin--;
  return [begin, end];
}

function base(path, start, suffix, isSeparator) {
  const [begin, end] = lastName(path, start, isSeparator);
  let name = path.slice(begin, end);
  if (suffix !== undefined && suffix.length > 0 && suffix.length <= path.length) {
    if (suffix === path) return "";
    if (name !== suffix && name.endsWith(suffix)) name = name.slice(0, -suffix.length);
  }
  return name;
}

function extension(name) {
  const dot = name.lastIndexOf(".");
  if (dot <= 0 || name === "..") return "";
  return name.slice(dot);
}

function format(separator, parts) {
  validateObject(parts, "pathObject");
  const folder = parts.dir || parts.root;
  const ext = parts.ext ? `${parts.ext[0] === "." ? "" : "."}${parts.ext}` : "";
  const name = parts.base || `${parts.name || ""}${ext}`;
  if (!folder) return name;
  return folder === parts.root ? `${folder}${name}` : `${folder}${separator}${name}`;
}

const cwd = () => require("process").cwd();

// ---- POSIX.

const posix = {
  sep: "/",
  delimiter: ":",
  resolve(...paths) {
    let resolved = "";
    let absolute = false;
    for (let index = paths.length - 1; index >= -1 && !absolute; index--) {
      const path = index >= 0 ? paths[index] : cwd();
      validateString(path, index >= 0 ? `paths[${index}]` : "cwd");
      if (path.length === 0) continue;
      resolved = `${path}/${resolved}`;
      absolute = path[0] === "/";
    }
    resolved = normalized(resolved, !absolute, "/", isSlash);
    return absolute ? `/${resolved}` : resolved || ".";
  },
  normalize(path) {
    validateString(path, "path");
    if (path.length === 0) return ".";
    const absolute = path[0] === "/";
    let text = normalized(path, !absolute, "/", isSlash);
    if (text.length === 0) return absolute ? "/" : path.endsWith("/") ? "./" : ".";
    if (path.endsWith("/")) text += "/";
    return absolute ? `/${text}` : text;
  },
  isAbsolute(path) {
    validateString(path, "path");
    return path[0] === "/";
  },
  join(...paths) {
    for (const path of paths) validateString(path, "path");
    const joined = paths.filter((path) => path.length > 0).join("/");
    return joined === "" ? "." : posix.normalize(joined);
  },
  relative(from, to) {
    validateString(from, "from");
    validateString(to, "to");
    if (from === to) return "";
    from = posix.resolve(from);
    to = posix.resolve(to);
    if (from === to) return "";
    const left = from.split("/").filter(Boolean);
    const right = to.split("/").filter(Boolean);
    let same = 0;
    while (same < left.length && same < right.length && left[same] === right[same]) same++;
    return [...left.slice(same).map(() => ".."), ...right.slice(same)].join("/");
  },
  toNamespacedPath: (path) => path,
  dirname(path) {
    validateString(path, "path");
    if (path.length === 0) return ".";
    const [begin] = lastName(path, 0, isSlash);
    if (begin === 0) return path[0] === "/" ? "/" : ".";
    if (begin === 1) return "/";
    return path[0] === "/" && begin === 2 ? "//" : path.slice(0, begin - 1);
  },
  basename(path, suffix) {
    if (suffix !== undefined) validateString(suffix, "suffix");
    validateString(path, "path");
    return base(path, 0, suffix, isSlash);
  },
  extname(path) {
    validateString(path, "path");
    return extension(base(path, 0, undefined, isSlash));
  },
  format: (parts) => format("/", parts),
  parse(path) {
    validateString(path, "path");
    if (path.length === 0) return { root: "", dir: "", base: "", ext: "", name: "" };
    const root = path[0] === "/" ? "/" : "";
    const [begin, end] = lastName(path, root.length, isSlash);
    const name = path.slice(begin, end);
    const ext = extension(name);
    const dir = begin > 0 ? (begin === root.length ? root : path.slice(0, begin - 1)) : "";
    return { root, dir, base: name, ext, name: ext ? name.slice(0, -ext.length) : name };
  },
  win32: null,
  posix: null,
};

// ---- Windows.

// The device (a drive's letter or a share) and the length of the root.
function rootOf(path) {
  if (path.length === 0) return { device: "", length: 0, absolute: false };
  if (isEither(path[0])) {
    if (isEither(path[1] ?? "")) {
      const share = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)/.exec(path);
      if (share) return { device: `\\\\${share[1]}\\${share[2]}`, length: share[0].length + (path.length > share[0].length ? 1 : 0), absolute: true, share: true };
    }
    return { device: "", length: 1, absolute: true };
  }
  if (isLetter(path[0]) && path[1] === ":") {
    const absolute = isEither(path[2] ?? "");
    return { device: path.slice(0, 2), length: absolute ? 3 : 2, absolute };
  }
  return { device: "", length: 0, absolute: false };
}

const win32 = {
  sep: "\\",
  delimiter: ";",
  resolve(...paths) {
    let device = "";
    let tail = "";
    let absolute = false;
    for (let index = paths.length - 1; index >= -1; index--) {
      let path;
      if (index >= 0) {
        path = paths[index];
        validateString(path, `paths[${index}]`);
        if (path.length === 0) continue;
      } else {
        path = device.length === 0 || device === "" ? cwd() : `${device}\\`;
      }
      const root = rootOf(path);
      if (root.device.length > 0) {
        if (device.length > 0 && root.device.toLowerCase() !== device.toLowerCase()) continue;
        device ||= root.device;
      }
      if (absolute) {
        if (device.length > 0) break;
      } else {
        tail = `${path.slice(root.length)}\\${tail}`;
        absolute = root.absolute;
        if (absolute && device.length > 0) break;
      }
    }
    tail = normalized(tail, !absolute, "\\", isEither);
    return absolute ? `${device}\\${tail}` : `${device}${tail}` || ".";
  },
  normalize(path) {
    validateString(path, "path");
    if (path.length === 0) return ".";
    const { device, length, absolute, share } = rootOf(path);
    if (share && length >= path.length && !isEither(path.at(-1))) return `${device}\\`;
    let tail = length < path.length ? normalized(path.slice(length), !absolute, "\\", isEither) : "";
    if (tail.length === 0 && !absolute) tail = ".";
    if (tail.length > 0 && isEither(path.at(-1))) tail += "\\";
    if (device === "") return absolute ? `\\${tail}` : tail;
    return absolute ? `${device}\\${tail}` : `${device}${tail}`;
  },
  isAbsolute(path) {
    validateString(path, "path");
    return path.length > 0 && (isEither(path[0]) || (path.length > 2 && isLetter(path[0]) && path[1] === ":" && isEither(path[2])));
  },
  join(...paths) {
    for (const path of paths) validateString(path, "path");
    const parts = paths.filter((path) => path.length > 0);
    if (parts.length === 0) return ".";
    let joined = parts.join("\\");
    // Only a first part that is a share's name begins one.
    if (!/^[\\/]{2}[^\\/]/.test(parts[0])) joined = joined.replace(/^[\\/]{2,}/, "\\");
    return win32.normalize(joined);
  },
  relative(from, to) {
    validateString(from, "from");
    validateString(to, "to");
    if (from === to) return "";
    const [left, right] = [win32.resolve(from), win32.resolve(to)];
    if (left.toLowerCase() === right.toLowerCase()) return "";
    const [a, b] = [left.split("\\").filter(Boolean), right.split("\\").filter(Boolean)];
    let same = 0;
    while (same < a.length && same < b.length && a[same].toLowerCase() === b[same].toLowerCase()) same++;
    if (same === 0 && rootOf(left).device.toLowerCase() !== rootOf(right).device.toLowerCase()) return right;
    return [...a.slice(same).map(() => ".."), ...b.slice(same)].join("\\");
  },
  toNamespacedPath(path) {
    if (typeof path !== "string" || path.length === 0) return path;
    const resolved = win32.resolve(path);
    if (/^\\\\[^?.]/.test(resolved)) return `\\\\?\\UNC\\${resolved.slice(2)}`;
    return /^[a-zA-Z]:\\/.test(resolved) ? `\\\\?\\${resolved}` : path;
  },
  dirname(path) {
    validateString(path, "path");
    if (path.length === 0) return ".";
    const { length } = rootOf(path);
    if (path.length === 1) return isEither(path) ? path : ".";
    if (length >= path.length) return path;
    const [begin] = lastName(path, length, isEither);
    let end = begin;
    while (end > length && isEither(path[end - 1])) end--;
    if (end === 0 && length === 0) return ".";
    return path.slice(0, Math.max(end, length)) || ".";
  },
  basename(path, suffix) {
    if (suffix !== undefined) validateString(suffix, "suffix");
    validateString(path, "path");
    return base(path, isLetter(path[0] ?? "") && path[1] === ":" ? 2 : 0, suffix, isEither);
  },
  extname(path) {
    validateString(path, "path");
    return extension(base(path, isLetter(path[0] ?? "") && path[1] === ":" ? 2 : 0, undefined, isEither));
  },
  format: (parts) => format("\\", parts),
  parse(path) {
    validateString(path, "path");
    if (path.length === 0) return { root: "", dir: "", base: "", ext: "", name: "" };
    const { length } = rootOf(path);
    const root = path.slice(0, length);
    const [begin, end] = lastName(path, length, isEither);
    const name = path.slice(begin, end);
    const ext = extension(name);
    const dir = begin > 0 && begin !== length ? path.slice(0, begin - 1) : root;
    return { root, dir, base: name, ext, name: ext ? name.slice(0, -ext.length) : name };
  },
  win32: null,
  posix: null,
};

posix.win32 = win32.win32 = win32;
posix.posix = win32.posix = posix;
posix._makeLong = posix.toNamespacedPath;
win32._makeLong = win32.toNamespacedPath;

module.exports = posix;
