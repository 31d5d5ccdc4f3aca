// What functions of an app see: `context`, `BSON`, `EJSON`, `utils`, and the
// globals of the server's JavaScript. Written by `backstitch types`, which also
// brings it up to date; changes are lost.

/** The call that runs: who called, and what the function can reach. */
declare const context: Backstitch.Context;

/** The value of the file: assign the function that is called. */
declare let exports: any;

/**
 * Loads a package of the app, or one of Node's built-in modules. Where the
 * package has types of its own, say so: `/** @type {import("x")} *\/`.
 */
declare const require: {
  (name: string): any;
  /** The file that a name stands for; the name itself for a built-in module. */
  resolve(name: string): string;
};

declare namespace Backstitch {
  type Document = Record<string, any>;

  interface Context {
    /** The user behind the request, whoever the function runs as. */
    readonly user: User;
    /** The request that led to this call. */
    readonly request: Request;
    /** The app. */
    readonly app: App;
    /** The app's environment, with its values. */
    readonly environment: Environment;
    readonly values: {
      /** A value of the app, or the text of the secret that it names; undefined if there is none. */
      get(name: string): any;
    };
    readonly functions: {
      /** Calls another function of the app, private ones too. Arguments stay what they are. */
      execute(name: string, ...args: any[]): any;
    };
    readonly services: Services;
    /** Requests to other servers. */
    readonly http: Http;
    /** Whether rules, filters and schemas are off. */
    runningAsSystem(): boolean;
  }

  interface User {
    readonly id: string;
    /** `server` for API keys, `system` where nobody called. */
    readonly type: "normal" | "server" | "system";
    /** What login providers tell: `email`, `name` and such. */
    readonly data: Document;
    /** The user's document of custom data. */
    readonly custom_data: Document;
    readonly identities: readonly Identity[];
  }

  interface Identity {
    readonly id: string;
    readonly provider_type: string;
    readonly data?: Document;
  }

  interface Request {
    readonly remoteIPAddress: string;
    /** Names in lower case. */
    readonly requestHeaders: Record<string, string[]>;
    readonly webhookUrl?: string;
    readonly httpMethod?: string;
    readonly rawQueryString: string;
    readonly httpReferrer?: string;
    readonly httpUserAgent?: string;
    readonly service: string;
    readonly action: string;
  }

  interface App {
    readonly id: string;
    readonly clientAppId: string;
    readonly name: string;
    readonly projectId: string;
    readonly deployment: { readonly model: string; readonly providerRegion: string };
    readonly lastDeployed: string;
    readonly hostingUri?: string;
  }

  interface Environment {
    readonly tag: "" | "development" | "testing" | "qa" | "production";
    readonly values: Document;
  }

  interface Services {
    /** The data source of a new app. */
    get(name: "mongodb-atlas"): MongoDB;
    /** A data source or another service; undefined if there is none. */
    get(name: string): any;
  }

  // ---- MongoDB.

  interface MongoDB {
    db(name: string): Database;
    startSession(): Session;
    /** The names of the databases; for functions that run as the system. */
    getDBNames(): string[];
    admin(): { getDBNames(): string[] };
  }

  interface Database {
    collection<T extends Document = Document>(name: string): Collection<T>;
    /** The names of the collections; for functions that run as the system. */
    getCollectionNames(): string[];
    aggregate<R extends Document = Document>(pipeline: Document[], options?: Options): Cursor<R>;
  }

  interface Session {
    /** Runs the body in a transaction, again if it met another one. Operations join by `{ session }`. */
    withTransaction<R>(body: (session: Session) => Promise<R>, options?: Document): Promise<R>;
    startTransaction(): void;
    commitTransaction(): Promise<void>;
    abortTransaction(): Promise<void>;
    endSession(): Promise<void>;
    inTransaction(): boolean;
  }

  interface Options {
    session?: Session;
    [option: string]: any;
  }
  type Filter<T> = { [K in keyof T]?: any } & Document;
  type Found<T> = T & { _id: any };

  interface UpdateOptions extends Options {
    upsert?: boolean;
    arrayFilters?: Document[];
  }
  interface FindOneAndOptions extends Options {
    sort?: Document;
    projection?: Document;
    upsert?: boolean;
    /** The document as it is afterwards, instead of as it was. */
    returnNewDocument?: boolean;
  }
  interface UpdateResult {
    readonly matchedCount: number;
    readonly modifiedCount: number;
    /** Only when a document was made. */
    readonly upsertedId?: any;
  }
  interface DeleteResult {
    readonly deletedCount: number;
  }
  type BulkOperation<T> =
    | { insertOne: { document: T } | T }
    | { updateOne: { filter: Filter<T>; update: Document | Document[]; upsert?: boolean; arrayFilters?: Document[] } }
    | { updateMany: { filter: Filter<T>; update: Document | Document[]; upsert?: boolean; arrayFilters?: Document[] } }
    | { replaceOne: { filter: Filter<T>; replacement: T; upsert?: boolean } }
    | { deleteOne: { filter: Filter<T> } }
    | { deleteMany: { filter: Filter<T> } };

  interface Collection<T extends Document = Document> {
    find(query?: Filter<T>, projection?: Document, options?: Options): Cursor<Found<T>>;
    findOne(query?: Filter<T>, projection?: Document, options?: Options): Promise<Found<T> | null>;
    findOneAndUpdate(filter: Filter<T>, update: Document | Document[], options?: FindOneAndOptions): Promise<Found<T> | null>;
    findOneAndReplace(filter: Filter<T>, replacement: Document, options?: FindOneAndOptions): Promise<Found<T> | null>;
    findOneAndDelete(filter: Filter<T>, options?: FindOneAndOptions): Promise<Found<T> | null>;
    insertOne(document: T, options?: Options): Promise<{ readonly insertedId: any }>;
    insertMany(documents: T[], options?: Options & { ordered?: boolean }): Promise<{ readonly insertedIds: any[] }>;
    updateOne(filter: Filter<T>, update: Document | Document[], options?: UpdateOptions): Promise<UpdateResult>;
    updateMany(filter: Filter<T>, update: Document | Document[], options?: UpdateOptions): Promise<UpdateResult>;
    replaceOne(filter: Filter<T>, replacement: Document, options?: UpdateOptions): Promise<UpdateResult>;
    deleteOne(filter: Filter<T>, options?: Options): Promise<DeleteResult>;
    deleteMany(filter: Filter<T>, options?: Options): Promise<DeleteResult>;
    aggregate<R extends Document = Document>(pipeline: Document[], options?: Options): Cursor<R>;
    count(query?: Filter<T>, options?: Options): Promise<number>;
    countDocuments(query?: Filter<T>, options?: Options): Promise<number>;
    estimatedDocumentCount(options?: Options): Promise<number>;
    distinct(field: string, query?: Filter<T>, options?: Options): Promise<any[]>;
    bulkWrite(
      operations: BulkOperation<T>[],
      options?: Options & { ordered?: boolean; bypassDocumentValidation?: boolean },
    ): Promise<null>;
    initializeOrderedBulkOp(): Bulk<T>;
    initializeUnorderedBulkOp(): Bulk<T>;
  }

  interface Bulk<T extends Document = Document> {
    insert(document: T): Bulk<T>;
    find(filter: Filter<T>): {
      upsert(): ReturnType<Bulk<T>["find"]>;
      update(update: Document): Bulk<T>;
      updateOne(update: Document): Bulk<T>;
      replaceOne(replacement: Document): Bulk<T>;
      delete(): Bulk<T>;
      deleteOne(): Bulk<T>;
      remove(): Bulk<T>;
      removeOne(): Bulk<T>;
    };
    execute(options?: Options): Promise<null>;
  }

  /** A result that is read when it is asked for. Returned by a function, it is the list of its documents. */
  interface Cursor<T = Document> {
    sort(value: Document): Cursor<T>;
    skip(count: number): Cursor<T>;
    limit(count: number): Cursor<T>;
    project(value: Document): Cursor<T>;
    map<R>(each: (document: T) => R): Cursor<R>;
    toArray(): Promise<T[]>;
    /** The next document; undefined at the end. */
    next(): Promise<T | undefined>;
    hasNext(): Promise<boolean>;
    forEach(each: (document: T) => any): Promise<void>;
    count(): Promise<number>;
    close(): Promise<void>;
    [Symbol.asyncIterator](): AsyncGenerator<T, void, unknown>;
  }

  // ---- Requests.

  interface HttpRequest {
    url?: string;
    scheme?: string;
    host?: string;
    path?: string;
    query?: Record<string, string | string[]>;
    fragment?: string;
    username?: string;
    password?: string;
    headers?: Record<string, string[]>;
    cookies?: Record<string, string>;
    digestAuth?: boolean;
    authUrl?: string;
    followRedirects?: boolean;
  }
  interface HttpRequestWithBody extends HttpRequest {
    body?: string | BSON.Binary | Document;
    /** Sends `body` as Extended JSON. */
    encodeBodyAsJSON?: boolean;
    /** Sends a form instead of `body`. */
    form?: Document;
  }
  interface HttpResponse {
    /** Such as "200 OK". */
    readonly status: string;
    readonly statusCode: number;
    readonly contentLength: number;
    readonly headers: Record<string, string[]>;
    readonly cookies: Document;
    /** `EJSON.parse(response.body.text())` reads what is JSON. */
    readonly body: BSON.Binary;
  }
  interface Http {
    get(request: HttpRequest): Promise<HttpResponse>;
    head(request: HttpRequest): Promise<HttpResponse>;
    delete(request: HttpRequestWithBody): Promise<HttpResponse>;
    post(request: HttpRequestWithBody): Promise<HttpResponse>;
    put(request: HttpRequestWithBody): Promise<HttpResponse>;
    patch(request: HttpRequestWithBody): Promise<HttpResponse>;
  }

  // ---- utils.

  type HmacHash = "sha1" | "sha256" | "sha512";
  type JwtAlgorithm = `${"HS" | "RS" | "ES" | "PS"}${256 | 384 | 512}`;
}

// ---- BSON and Extended JSON.

declare namespace BSON {
  interface ObjectId {
    toString(): string;
    toHexString(): string;
    equals(other: ObjectId | string): boolean;
    getTimestamp(): Date;
    readonly id: Uint8Array;
  }
  interface Long {
    valueOf(): number;
    toString(radix?: number): string;
    toNumber(): number;
    toInt(): number;
    toBigInt(): bigint;
    add(other: Long | number | string): Long;
    subtract(other: Long | number | string): Long;
    multiply(other: Long | number | string): Long;
    divide(other: Long | number | string): Long;
    modulo(other: Long | number | string): Long;
    negate(): Long;
    compare(other: Long | number | string): -1 | 0 | 1;
    equals(other: Long | number | string): boolean;
    lessThan(other: Long | number | string): boolean;
    greaterThan(other: Long | number | string): boolean;
    isZero(): boolean;
    isNegative(): boolean;
    readonly low: number;
    readonly high: number;
  }
  interface Int32 {
    valueOf(): number;
    readonly value: number;
  }
  interface Double {
    valueOf(): number;
    readonly value: number;
  }
  interface Decimal128 {
    toString(): string;
  }
  interface Binary {
    text(): string;
    toHex(): string;
    toBase64(): string;
    length(): number;
    readonly buffer: Uint8Array;
    readonly sub_type: number;
  }
  interface Timestamp {
    readonly t: number;
    readonly i: number;
    getHighBits(): number;
    getLowBits(): number;
  }
  interface BSONRegExp {
    readonly pattern: string;
    readonly options: string;
  }
  interface Code {
    readonly code: string;
    readonly scope?: Backstitch.Document;
  }
  interface Symbol {
    valueOf(): string;
  }
  interface MinKey {
    readonly _bsontype: "MinKey";
  }
  interface MaxKey {
    readonly _bsontype: "MaxKey";
  }

  const ObjectId: {
    new (id?: string | number[] | Uint8Array | ObjectId): ObjectId;
    (id?: string | number[] | Uint8Array | ObjectId): ObjectId;
    isValid(id: any): boolean;
    createFromHexString(hex: string): ObjectId;
    createFromTime(seconds: number): ObjectId;
  };
  const Long: {
    new (low?: number, high?: number): Long;
    (low?: number, high?: number): Long;
    fromNumber(n: number): Long;
    fromString(text: string): Long;
    fromInt(n: number): Long;
    fromBigInt(n: bigint): Long;
    fromBits(low: number, high: number): Long;
    isLong(value: any): value is Long;
    readonly ZERO: Long;
    readonly ONE: Long;
    readonly MAX_VALUE: Long;
    readonly MIN_VALUE: Long;
  };
  const Int32: { new (n?: number | string): Int32; (n?: number | string): Int32 };
  const Double: { new (n?: number | string): Double; (n?: number | string): Double };
  const Decimal128: {
    new (text?: string): Decimal128;
    (text?: string): Decimal128;
    fromString(text: string): Decimal128;
  };
  const Binary: {
    new (bytes?: string | number[] | Uint8Array, subtype?: number): Binary;
    (bytes?: string | number[] | Uint8Array, subtype?: number): Binary;
    fromHex(hex: string, subtype?: number): Binary;
    fromBase64(text: string, subtype?: number): Binary;
    fromText(text: string): Binary;
  };
  const Timestamp: {
    new (low: number | { t: number; i: number }, high?: number): Timestamp;
    (low: number | { t: number; i: number }, high?: number): Timestamp;
  };
  const BSONRegExp: {
    new (pattern: string, options?: string): BSONRegExp;
    (pattern: string, options?: string): BSONRegExp;
  };
  const Code: {
    new (code: string, scope?: Backstitch.Document): Code;
    (code: string, scope?: Backstitch.Document): Code;
  };
  const Symbol: { new (text: string): Symbol; (text: string): Symbol };
  function DBRef(collection: string, id: any, database?: string): { $ref: string; $id: any; $db?: string };
  /** A value, which is not called. */
  const MinKey: MinKey;
  /** A value, which is not called. */
  const MaxKey: MaxKey;
}

declare const EJSON: {
  /** Canonical Extended JSON: every type is kept. */
  stringify(value: any, replacer?: any, space?: number): string;
  parse(text: string, options?: any): any;
  serialize(value: any): any;
  deserialize(value: any): any;
};

declare const utils: {
  readonly crypto: {
    /** AES-GCM; the key has 16, 24 or 32 bytes. */
    encrypt(kind: "aes", message: string | BSON.Binary, key: string): BSON.Binary;
    decrypt(kind: "aes", encrypted: BSON.Binary, key: string): BSON.Binary;
    sign(kind: "rsa", message: string | BSON.Binary, privateKey: string, scheme?: "pss" | "pkcs1v15"): BSON.Binary;
    verify(
      kind: "rsa",
      message: string | BSON.Binary,
      publicKey: string,
      signature: BSON.Binary,
      scheme?: "pss" | "pkcs1v15",
    ): boolean;
    hmac(input: string | BSON.Binary, secret: string, hash: Backstitch.HmacHash, format: "hex" | "base64"): string;
    hash(hash: "md5" | "sha1" | "sha256" | "sha512", input: string | BSON.Binary): BSON.Binary;
  };
  readonly jwt: {
    encode(algorithm: Backstitch.JwtAlgorithm, payload: Backstitch.Document, secret: string, headers?: Backstitch.Document): string;
    /** The payload of a token whose signature holds. */
    decode(jwt: string, key: string, returnHeader?: false, algorithms?: Backstitch.JwtAlgorithm[]): any;
    decode(
      jwt: string,
      key: string,
      returnHeader: true,
      algorithms?: Backstitch.JwtAlgorithm[],
    ): { header: any; payload: any };
  };
};

// ---- Globals that JavaScript itself does not have.

declare var global: typeof globalThis;

/** Lines of the log. */
declare var console: {
  log(...values: any[]): void;
  info(...values: any[]): void;
  debug(...values: any[]): void;
  warn(...values: any[]): void;
  error(...values: any[]): void;
  trace(...values: any[]): void;
  dir(value: any, options?: any): void;
  table(rows: any, columns?: string[]): void;
  assert(holds: any, ...values: any[]): void;
  group(...values: any[]): void;
  groupEnd(): void;
  count(label?: string): void;
  countReset(label?: string): void;
  time(label?: string): void;
  timeLog(label?: string, ...values: any[]): void;
  timeEnd(label?: string): void;
};

declare function setTimeout<A extends any[]>(callback: (...args: A) => any, ms?: number, ...args: A): any;
declare function setInterval<A extends any[]>(callback: (...args: A) => any, ms?: number, ...args: A): any;
declare function setImmediate<A extends any[]>(callback: (...args: A) => any, ...args: A): any;
declare function clearTimeout(timer: any): void;
declare function clearInterval(timer: any): void;
declare function clearImmediate(timer: any): void;
declare function queueMicrotask(callback: () => void): void;
declare function structuredClone<T>(value: T): T;
declare function atob(text: string): string;
declare function btoa(text: string): string;

interface Buffer extends Uint8Array {
  toString(encoding?: string, start?: number, end?: number): string;
  equals(other: Uint8Array): boolean;
  write(text: string, offset?: number, length?: number, encoding?: string): number;
  [method: string]: any;
}
declare var Buffer: {
  from(value: string | ArrayBuffer | ArrayLike<number> | Buffer, encodingOrOffset?: any, length?: number): Buffer;
  alloc(size: number, fill?: string | number | Uint8Array, encoding?: string): Buffer;
  concat(list: readonly Uint8Array[], total?: number): Buffer;
  byteLength(value: string | ArrayBuffer | ArrayBufferView, encoding?: string): number;
  isBuffer(value: any): value is Buffer;
  compare(a: Uint8Array, b: Uint8Array): -1 | 0 | 1;
  [method: string]: any;
};
declare var process: any;

declare class TextEncoder {
  readonly encoding: "utf-8";
  encode(text?: string): Uint8Array;
}
declare class TextDecoder {
  constructor(encoding?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  readonly encoding: string;
  decode(bytes?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string;
}

declare class URLSearchParams {
  constructor(init?: string | Record<string, string> | Iterable<[string, string]> | URLSearchParams);
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  forEach(each: (value: string, name: string, all: URLSearchParams) => void): void;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}
declare class URL {
  constructor(url: string, base?: string | URL);
  hash: string;
  host: string;
  hostname: string;
  href: string;
  readonly origin: string;
  password: string;
  pathname: string;
  port: string;
  protocol: string;
  search: string;
  readonly searchParams: URLSearchParams;
  username: string;
  toJSON(): string;
}

declare class Event {
  constructor(type: string, options?: any);
  readonly type: string;
  readonly [property: string]: any;
}
declare class EventTarget {
  addEventListener(type: string, listener: any, options?: any): void;
  removeEventListener(type: string, listener: any, options?: any): void;
  dispatchEvent(event: Event): boolean;
}
declare class AbortSignal extends EventTarget {
  readonly aborted: boolean;
  readonly reason: any;
  throwIfAborted(): void;
  static abort(reason?: any): AbortSignal;
  static timeout(ms: number): AbortSignal;
}
declare class AbortController {
  readonly signal: AbortSignal;
  abort(reason?: any): void;
}

declare class Blob {
  constructor(parts?: any[], options?: { type?: string });
  readonly size: number;
  readonly type: string;
  slice(start?: number, end?: number, type?: string): Blob;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBuffer>;
}
declare class File extends Blob {
  constructor(parts: any[], name: string, options?: { type?: string; lastModified?: number });
  readonly name: string;
  readonly lastModified: number;
}
declare class FormData {
  append(name: string, value: string | Blob, fileName?: string): void;
  set(name: string, value: string | Blob, fileName?: string): void;
  get(name: string): string | File | null;
  getAll(name: string): (string | File)[];
  has(name: string): boolean;
  delete(name: string): void;
  entries(): IterableIterator<[string, string | File]>;
  [Symbol.iterator](): IterableIterator<[string, string | File]>;
}

declare class Headers {
  constructor(init?: Record<string, string> | Iterable<[string, string]> | Headers);
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  has(name: string): boolean;
  set(name: string, value: string): void;
  forEach(each: (value: string, name: string) => void): void;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}
interface RequestInit {
  method?: string;
  headers?: Record<string, string> | Iterable<[string, string]> | Headers;
  body?: any;
  redirect?: "follow" | "error" | "manual";
  signal?: AbortSignal;
}
declare class Request {
  constructor(input: string | URL | Request, init?: RequestInit);
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  json(): Promise<any>;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBuffer>;
}
declare class Response {
  constructor(body?: any, init?: { status?: number; statusText?: string; headers?: any });
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: Headers;
  readonly body: any;
  json(): Promise<any>;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBuffer>;
}
declare function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;

declare var crypto: {
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): string;
  readonly subtle: any;
};
declare var performance: { now(): number; readonly timeOrigin: number; [member: string]: any };
declare var ReadableStream: any;
declare var WritableStream: any;
declare var TransformStream: any;
declare var CompressionStream: any;
declare var DecompressionStream: any;
declare var MessageChannel: any;
