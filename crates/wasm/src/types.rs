//! The declarations for TypeScript. wasm-bindgen writes them into the package's `index.d.ts`. A test compiles a program against them.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** A value of SQLite's, as it is bound to a placeholder. */
export type BoundValue = string | number | null;

/** A value of SQLite's, as it is found in a row: integers beyond 2^53 as a `bigint`. */
export type RowValue = string | number | bigint | boolean | null;

/** One statement; `params[0]` is `?1`'s. */
export interface Statement {
  sql: string;
  params: BoundValue[];
}

/** The rows of one statement, a row's values in the order of its columns. */
export type Rows = RowValue[][];

/** What a host must offer: a SQLite that runs statements. The package has adapters for the usual ones. */
export interface Database {
  /**
   * Runs the statements in order, in one transaction, and returns the rows of each. Throws or rejects if one failed; the batch must then
   * leave no changes. If the database is busy or out of reach for a while, the error has `code: 'unavailable'`: the response is a 503 with
   * `Retry-After`. After any other error, a read is a 500. A write is tried once more, and is a 503 if that fails too.
   */
  batch(statements: Statement[]): Rows[] | Promise<Rows[]>;
}

/** The variables of docs/CONFIGURATION.md by their names, such as `process.env`. What the API does not know has no effect ({@link ApiOptions.warn}). */
export type Variables = { readonly [name: string]: unknown };

/** What was done with a request: never a secret, a body or a header's value. The client's address only if it was refused. */
export interface LogEntry {
  level: 'info' | 'warn' | 'error';
  method: string;
  /** The path's template below the base path; `null` where no route was found. */
  route: string | null;
  legacy?: boolean;
  status: number;
  keyId: number | null;
  durationMs: number;
  requestId: string;
  /** The package's version, so that each response can be told to one. */
  version: string;
  /** The client's address, if the lists of addresses refused it. */
  clientAddress?: string;
  /** Why, where the status does not say it all. */
  cause?: string;
}

export interface ApiOptions {
  /**
   * Called once for each request, after the end of a long list. A request that ends because the core crashed has an entry with the status 500, no
   * `keyId` and an empty `requestId`. Without this function, errors (status 500 and above) go to `console.error`.
   */
  log?: ((entry: LogEntry) => void) | undefined;
  /**
   * Called at the construction for each variable whose name begins as the API's do and that the API does not know, such as a misspelt one; and
   * later if the use of a key could not be noted, which changes no response. Without it, the text goes to `console.warn`.
   */
  warn?: ((text: string) => void) | undefined;
  /**
   * Returns the database of a tenant's site, by the tenant's id in lower case: 1 to 64 of `[a-z0-9_-]`. It is empty at first. With it,
   * `CHEVERETO_TENANTS_DB_ISOLATION_MODE` may be `database`; without it, that value is refused. It is called for every batch, and nothing closes what it
   * returns.
   */
  siteDatabase?: ((id: string) => Database | Promise<Database>) | undefined;
  /**
   * Sends the service's own requests, such as those of webhooks. Redirects must not be followed (`redirect: 'manual'`). Without it, Node, Bun and Deno
   * resolve the name, refuse private addresses, and connect to the very address that they checked; Cloudflare's runtime, which reaches no private network,
   * uses its own `fetch`; and elsewhere nothing is sent. Nobody else resolves names for your function, so keep it from private networks.
   */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
}

export interface FetchOptions {
  /** The client's IP address, as the host knows it. The lists of addresses that may call need it. */
  clientAddress?: string | null | undefined;
  /** The time, in milliseconds since 1970-01-01 UTC; the platform's own unless given. */
  now?: number | undefined;
}

/** The Tenants API under one configuration. */
export class TenantsApi {
  /** Reads the configuration. Throws a {@link TenantsError} that lists every variable that does not parse. */
  constructor(config: Variables, options?: ApiOptions);
  /**
   * Resolves with the response to a request, whatever the caller or the database did. Rejects with a {@link TenantsError} (`crashed`) if
   * the core itself failed; a new instance of it serves the next request. Rejects with the platform's own `TypeError` if the host has
   * already read or locked the request's body, or a part of it. If `request.signal` is aborted while the request waits for a tenant's cell, it
   * waits no longer: the response is a 202 with the job.
   *
   * The body of a long list is a stream that reads the next part of the list when the last one was taken. It fails with a {@link TenantsError}
   * (`broken_off`, or `crashed`) if a part fails, so that nobody takes it for a whole list.
   */
  fetch(request: Request, database: Database, options?: FetchOptions): Promise<Response>;
  /**
   * Counts the statistics of tenants from their own tables: of those whose turn it is, at most `TENANTS_STATS_PER_RUN`. Call it
   * regularly, or {@link TenantsApi.scheduled}. Rejects with a {@link TenantsError} (`task_failed`) if it could not choose any tenant.
   */
  countStatistics(database: Database, options?: { now?: number | undefined }): Promise<StatisticsReport>;
  /**
   * Sends the events that webhooks wait for, at most 30 of them. Call it every minute, as the Worker's cron trigger does, and after a write if you like:
   * runs that overlap do not send the same event. Rejects with a {@link TenantsError} (`task_failed`).
   */
  deliverWebhooks(database: Database, options?: { now?: number | undefined }): Promise<DeliveryReport>;
  /**
   * Looks up the records that show the owners of hostnames, those whose turn it is: each at most every ten minutes, and at most ten of them. Does nothing
   * unless `TENANTS_HOSTNAME_PROOF` is or was `txt`. Rejects with a {@link TenantsError} (`task_failed`).
   */
  lookUpHostnames(database: Database, options?: { now?: number | undefined }): Promise<HostnamesReport>;
  /**
   * Does what the Worker's cron trigger does. Call it each minute: it ends holds, suspends and deletes tenants whose time has come, and repairs what was
   * cut off; then it does what `countStatistics`, `deliverWebhooks` and `lookUpHostnames` do. It sends events for at most 50 seconds. Runs that overlap do
   * nothing twice. If a part fails, the others go on, and then it rejects with an `AggregateError` of the parts' {@link TenantsError}s.
   */
  scheduled(database: Database, options?: { now?: number | undefined }): Promise<ScheduledReport>;
  /**
   * Creates an API key. Needs `CHEVERETO_TENANTS_API_KEY_SECRET`. Rejects with a {@link TenantsError}: `invalid_argument`, `not_configured`,
   * `unavailable` (the database is busy; try again) or `task_failed` (the database failed, or the platform has no randomness).
   */
  createApiKey(database: Database, options?: ApiKeyOptions): Promise<ApiKey>;
  /** Lists all API keys, deleted ones too, in the order of their ids. */
  listApiKeys(database: Database): Promise<ApiKeyRow[]>;
  /**
   * Deletes the API keys that match all that is given: the id, the name, or both. Resolves with the ids of the keys that it deleted.
   * Their rows stay, marked.
   */
  deleteApiKeys(database: Database, choice: { id?: number | undefined; name?: string | undefined }): Promise<number[]>;
}

/** The result of counting. */
export interface StatisticsReport {
  /** The number of tenants that were counted. */
  counted: number;
  /** The number of tenants that were deleted meanwhile. */
  gone: number;
  /** The tenants that could not be counted, and why. */
  failed: { tenant: string; reason: string }[];
}

/** What came of a run of the deliveries. */
export interface DeliveryReport {
  /** Whether there is an enabled webhook. */
  enabled: boolean;
  /** The numbers of events that receivers accepted and refused, and of those that were given up. */
  accepted: number;
  refused: number;
  givenUp: number;
  /** The number of webhooks that were disabled. */
  disabled: number;
  /** Whether the run ended at its bounds: call it again. */
  isCut: boolean;
}

/** What came of a look-up of hostnames' records. */
export interface HostnamesReport {
  /** The number of records that were looked up. */
  lookedUp: number;
  /** The tenants whose records could not be looked up, and why. */
  failed: { tenant: string; reason: string }[];
}

/** What came of a scheduled run. */
export interface ScheduledReport {
  statistics: StatisticsReport;
  /** The sums of all runs of the deliveries; `enabled` and `isCut` are the last one's. */
  webhooks: DeliveryReport;
  hostnames: HostnamesReport;
}

/** A new API key. */
export interface ApiKey {
  id: number;
  /** The value of `X-API-Key`. Show it now: the database keeps only its digest. */
  key: string;
  /** Of a bound key: the secret that it signs whole requests with. Show it now, too. */
  signingSecret?: string;
}

export interface ApiKeyOptions {
  /** The key's purpose, 1 to 255 characters. */
  name?: string | undefined;
  /** The first second in which the key is no longer valid, in UTC: `YYYY-MM-DD HH:MM:SS`. */
  expiresAt?: string | undefined;
  /** What the key may do, such as `tenants:read`. Without it, everything. */
  scopes?: string[] | undefined;
  /** Whether the key signs whole requests (RFC 9421), and takes no other signature. */
  bound?: boolean | undefined;
}

/** An API key as the database has it: without the key. Times are in UTC. */
export interface ApiKeyRow {
  id: number;
  name: string | null;
  scopes: string[];
  bound: boolean;
  createdAt: string;
  expiresAt: string | null;
  /** The hour of its last use, if that is known. */
  lastUsedAt: string | null;
  deletedAt: string | null;
}

/** One thing that is wrong. */
export interface Problem {
  code: string;
  message: string;
  /** What it is about: a variable's or an argument's name. */
  field: string | null;
}

/** What the package throws. */
export interface TenantsError extends Error, Problem {
  name: 'TenantsError';
  code: 'invalid_configuration' | 'invalid_argument' | 'not_configured' | 'unavailable' | 'task_failed' | 'broken_off' | 'crashed';
  /** For `invalid_configuration`: every variable that does not parse. */
  errors: readonly Problem[];
}

/**
 * Applies the migrations that a database lacks, each in its own transaction, and resolves with their names. A new database gets all
 * tables. Call it at every start; several processes may do so at once. Rejects with a {@link TenantsError}: `unavailable` if the
 * database is busy, `task_failed` if it failed or if a newer version of the package made it.
 */
export function prepareDatabase(database: Database): Promise<string[]>;

/** Signs a body: the value of `X-Signature`. `secret` is `CHEVERETO_TENANTS_API_REQUEST_SECRET`; a text is signed in UTF-8, no body as the empty one. */
export function sign(secret: string, body?: string | ArrayBufferView | ArrayBuffer): string;

/** A request of a bound key. */
export interface RequestToSign {
  /** The value of `X-API-Key`. */
  key: string;
  signingSecret: string;
  /** As it is sent, in upper case; `GET` without it. */
  method?: string | undefined;
  /** The whole URL, as it is sent. */
  url: string | URL;
  /** Those that are sent; the signature covers the ones that it must. */
  headers?: ConstructorParameters<typeof Headers>[0] | undefined;
  body?: string | ArrayBufferView | ArrayBuffer | undefined;
  /** For a route that takes each one once: 1 to 128 visible ASCII characters, without `"` and `\`. */
  nonce?: string | undefined;
}

/**
 * Signs a whole request with a bound key (RFC 9421). Returns the headers to add: `X-API-Key`, `Signature-Input`, `Signature` and, with a body, `Content-Digest`.
 * They are good for some minutes. Throws a {@link TenantsError}, `invalid_argument`, with the argument's name.
 */
export function signRequest(request: RequestToSign): Record<string, string>;
"#;
