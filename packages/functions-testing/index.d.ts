/** A data source that functions find with `context.services.get(name)`. */
export interface DataSource {
  readonly type: string;
}

export interface Memory extends DataSource {
  /** The documents of a collection as they are now. */
  documents(database: string, collection: string): any[];
}

/**
 * A data source in memory, with documents by "database.collection". Rules,
 * schemas and indexes are the server's; what is not in it throws.
 */
export function memory(data?: Record<string, any[]>): Memory;

/** A data source of a running Backstitch, such as `backstitch dev`. */
export function server(options: {
  url: string;
  projectId: string;
  appId: string;
  /** An administrator's keys: `backstitch dev` shows them. */
  publicKey: string;
  privateKey: string;
  /** The user who reads and writes, with rules (default: the system, without). */
  userId?: string;
  /** The data source's name (default: "mongodb-atlas"). */
  name?: string;
}): DataSource;

export interface Options {
  /** `context.user`. */
  user?: Record<string, any>;
  /** `context.request`. */
  request?: Record<string, any>;
  /** `context.environment`. */
  environment?: { tag?: string; values?: Record<string, any> };
  /** More of `context.app`. */
  app?: Record<string, any>;
  /** Values, beside those of the directory. */
  values?: Record<string, any>;
  /** Texts of the secrets that values name. */
  secrets?: Record<string, string>;
  /** Services by name: data sources, or objects with the service's methods (default: `memory()` as "mongodb-atlas"). */
  services?: Record<string, any>;
  /** `context.http`: the verbs that are called. */
  http?: Record<string, (request: any) => any>;
  /** Further globals of functions, or others in place of them, such as `fetch`. */
  globals?: Record<string, any>;
}

export interface App {
  /** The names of the functions. */
  readonly functions: string[];
  /** What functions wrote to the console, oldest first. */
  readonly logs: { level: string; text: string }[];
  readonly BSON: any;
  readonly EJSON: any;
  /** Calls a function; cursors in its result are read. */
  call(name: string, ...args: any[]): Promise<any>;
}

/** An app directory whose functions can be called. */
export function loadApp(directory: string, options?: Options): App;
