// `fs`: the files of the app's packages, which can only be read.

const errors = require("_errors");
const { Buffer } = require("buffer");
const { inert } = require("_inert");

const texts = {
  ENOENT: [-2, "no such file or directory"], EISDIR: [-21, "illegal operation on a directory"], ENOTDIR: [-20, "not a directory"],
  EROFS: [-30, "read-only file system"], EACCES: [-13, "permission denied"], EINVAL: [-22, "invalid argument"],
};
function failure(code, syscall, path, target) {
  const [errno, text] = texts[code];
  const error = new Error(`${code}: ${text}, ${syscall} '${path}'${target === undefined ? "" : ` -> '${target}'`}`);
  Object.assign(error, { errno, code, syscall, path });
  if (target !== undefined) error.dest = target;
  return error;
}

function pathOf(path, name = "path") {
  if (path instanceof URL) return require("url").fileURLToPath(path);
  if (path instanceof Uint8Array) path = Buffer.from(path).toString();
  if (typeof path !== "string") throw errors.invalidType(name, ["string", "Buffer", "URL"], path);
  if (path.includes("\0")) throw errors.invalidValue(name, path, "must be a string, Uint8Array, or URL without null bytes");
  return require("path").resolve("/", path);
}

// What lies at a path.
function look(path, syscall, read = false) {
  const where = pathOf(path);
  const found = where === "/" && !read ? { kind: "folder" } : inner.packages.file(where, read);
  if (found.kind === "none") throw failure("ENOENT", syscall, String(path));
  return found;
}

class Stats {
  constructor(kind, size) {
    const time = new Date(0);
    Object.assign(this, {
      dev: 0, mode: kind === "folder" ? 0o040555 : 0o100444, nlink: 1, uid: 0, gid: 0, rdev: 0, blksize: 4096, ino: 0, size,
      blocks: Math.ceil(size / 512), atimeMs: 0, mtimeMs: 0, ctimeMs: 0, birthtimeMs: 0, atime: time, mtime: time, ctime: time, birthtime: time,
    });
  }
  isDirectory() { return (this.mode & 0o170000) === 0o040000; }
  isFile() { return (this.mode & 0o170000) === 0o100000; }
  isBlockDevice() { return false; }
  isCharacterDevice() { return false; }
  isSymbolicLink() { return false; }
  isFIFO() { return false; }
  isSocket() { return false; }
}

class Dirent {
  #kind;
  constructor(name, path, kind) {
    this.name = name;
    this.path = path;
    this.parentPath = path;
    this.#kind = kind;
  }
  isDirectory() { return this.#kind === "folder"; }
  isFile() { return this.#kind === "file"; }
  isBlockDevice() { return false; }
  isCharacterDevice() { return false; }
  isSymbolicLink() { return false; }
  isFIFO() { return false; }
  isSocket() { return false; }
}

const encodingOf = (options) => {
  const encoding = typeof options === "string" ? options : options?.encoding;
  if (encoding && encoding !== "buffer" && !Buffer.isEncoding(encoding)) throw errors.invalidValue("encoding", encoding, "is invalid encoding");
  return encoding;
};

// ---- The synchronous ones; the others follow from them.

const sync = {
  access(path, mode = 0) {
    look(path, "access");
    if (mode & 2) throw failure("EROFS", "access", String(path));
  },
  exists(path) {
    try {
      look(path, "access");
      return true;
    } catch {
      return false;
    }
  },
  stat(path, options) {
    let found;
    try {
      found = look(path, "stat");
    } catch (error) {
      if (options?.throwIfNoEntry === false && error.code === "ENOENT") return undefined;
      throw error;
    }
    return new Stats(found.kind, Number(found.size ?? 0));
  },
  readFile(path, options) {
    const encoding = encodingOf(options);
    const found = look(path, "open", true);
    if (found.kind === "folder") throw failure("EISDIR", "read", String(path));
    const bytes = found.bytes._v;
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return encoding && encoding !== "buffer" ? buffer.toString(encoding) : buffer;
  },
  readdir(path, options) {
    const found = look(path, "scandir", true);
    if (found.kind === "file") throw failure("ENOTDIR", "scandir", String(path));
    const folder = pathOf(path);
    const names = [...found.names].sort();
    if (!options?.withFileTypes) return encodingOf(options) === "buffer" ? names.map((name) => Buffer.from(name)) : names;
    return names.map((name) => new Dirent(name, String(path), inner.packages.file(`${folder}/${name}`, false).kind));
  },
  realpath(path) {
    look(path, "lstat");
    return pathOf(path);
  },
  readlink(path) {
    look(path, "readlink");
    throw failure("EINVAL", "readlink", String(path));
  },
};
sync.lstat = sync.stat;

const writes = {
  appendFile: "open", chmod: "chmod", chown: "chown", copyFile: "copyfile", cp: "cp", lchmod: "lchmod", lchown: "lchown", link: "link",
  lutimes: "lutime", mkdir: "mkdir", mkdtemp: "mkdtemp", rename: "rename", rm: "rm", rmdir: "rmdir", symlink: "symlink",
  truncate: "open", unlink: "unlink", utimes: "utime", writeFile: "open",
};
for (const [name, syscall] of Object.entries(writes)) {
  sync[name] = (path, target) => {
    const both = ["copyFile", "cp", "link", "rename", "symlink"].includes(name);
    throw failure("EROFS", syscall, typeof path === "number" ? path : pathOf(path), both ? pathOf(target, "dest") : undefined);
  };
}

const fs = {};
const promises = {};
for (const [name, body] of Object.entries(sync)) {
  fs[`${name}Sync`] = body;
  if (name === "exists") continue;
  promises[name] = { async [name](...args) { return body(...args); } }[name];
  fs[name] = {
    [name](...args) {
      const callback = args.length > 1 ? args.pop() : undefined;
      errors.validateFunction(callback, "cb");
      let result;
      try {
        result = [null, body(...args)];
      } catch (error) {
        if (error.syscall === undefined) throw error;
        result = [error];
      }
      require("process").nextTick(callback, ...result);
    },
  }[name];
}
fs.exists = (path, callback) => {
  errors.validateFunction(callback, "cb");
  require("process").nextTick(callback, sync.exists(path));
};
Object.defineProperty(fs.exists, Symbol.for("nodejs.util.promisify.custom"), { value: async (path) => sync.exists(path) });
fs.realpath.native = fs.realpath;
fs.realpathSync.native = fs.realpathSync;

fs.createReadStream = (path, options) => {
  const { Readable } = require("stream");
  const { start = 0, end = Infinity, highWaterMark = 64 * 1024 } = options ?? {};
  let bytes;
  let at = start;
  const stream = new Readable({
    highWaterMark,
    encoding: encodingOf(options),
    construct(callback) {
      try {
        bytes = sync.readFile(path).subarray(0, end + 1);
        callback();
        this.emit("open", 0);
        this.emit("ready");
      } catch (error) {
        callback(error);
      }
    },
    read(size) {
      const chunk = bytes.subarray(at, at + size);
      at += chunk.length;
      this.bytesRead += chunk.length;
      this.push(chunk.length > 0 ? chunk : null);
    },
  });
  return Object.assign(stream, { path, bytesRead: 0, close: (callback) => stream.destroy(null, callback) });
};
fs.createWriteStream = (path) => {
  const { Writable } = require("stream");
  return Object.assign(new Writable({
    construct(callback) { callback(failure("EROFS", "open", pathOf(path))); },
    write(chunk, _, callback) { callback(); },
  }), { path, bytesWritten: 0 });
};

// Files have no numbers here.
for (const name of ["open", "close", "read", "readv", "write", "writev", "fstat", "fsync", "fdatasync", "ftruncate", "futimes", "fchmod",
  "fchown", "opendir", "statfs"]) {
  fs[name] = inert("fs", name);
  fs[`${name}Sync`] = inert("fs", `${name}Sync`);
}
for (const name of ["watch", "watchFile", "unwatchFile", "openAsBlob", "ReadStream", "WriteStream", "FileReadStream", "FileWriteStream", "Dir"]) {
  fs[name] = inert("fs", name);
}
for (const name of ["open", "opendir", "statfs", "watch"]) promises[name] = inert("fs", name);

const constants = Object.freeze(Object.assign(Object.create(null), {
  UV_FS_SYMLINK_DIR: 1, UV_FS_SYMLINK_JUNCTION: 2, O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, UV_DIRENT_UNKNOWN: 0, UV_DIRENT_FILE: 1,
  UV_DIRENT_DIR: 2, UV_DIRENT_LINK: 3, UV_DIRENT_FIFO: 4, UV_DIRENT_SOCKET: 5, UV_DIRENT_CHAR: 6, UV_DIRENT_BLOCK: 7,
  S_IFMT: 61440, S_IFREG: 32768, S_IFDIR: 16384, S_IFCHR: 8192, S_IFBLK: 24576, S_IFIFO: 4096, S_IFLNK: 40960, S_IFSOCK: 49152,
  O_CREAT: 64, O_EXCL: 128, UV_FS_O_FILEMAP: 0, O_NOCTTY: 256, O_TRUNC: 512, O_APPEND: 1024, O_DIRECTORY: 65536, O_NOATIME: 262144,
  O_NOFOLLOW: 131072, O_SYNC: 1052672, O_DSYNC: 4096, O_DIRECT: 16384, O_NONBLOCK: 2048, S_IRWXU: 448, S_IRUSR: 256, S_IWUSR: 128,
  S_IXUSR: 64, S_IRWXG: 56, S_IRGRP: 32, S_IWGRP: 16, S_IXGRP: 8, S_IRWXO: 7, S_IROTH: 4, S_IWOTH: 2, S_IXOTH: 1, F_OK: 0, R_OK: 4,
  W_OK: 2, X_OK: 1, UV_FS_COPYFILE_EXCL: 1, COPYFILE_EXCL: 1, UV_FS_COPYFILE_FICLONE: 2, COPYFILE_FICLONE: 2,
  UV_FS_COPYFILE_FICLONE_FORCE: 4, COPYFILE_FICLONE_FORCE: 4,
}));
promises.constants = constants;

module.exports = Object.assign(fs, { Stats, Dirent, constants, promises, F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1 });
