// The versions of what is installed outside package.json and Cargo.lock. Change one here and the next `npm run setup` reinstalls it.

/** Must be Cargo.lock's `wasm-bindgen`: the crate and its command-line tool refuse to work with another version of each other. */
export const WASM_BINDGEN_CLI = '0.2.129';

/** Follows Cargo.lock's `worker`. */
export const WORKER_BUILD = '0.8.7';

/** The oldest Node that wrangler, miniflare and our end-to-end tests run on. An older one may run these scripts, no more. */
export const NODE_FOR_WRANGLER = [22, 12];
