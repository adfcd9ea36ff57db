/** What wasm-bindgen writes for crates/signer. */
declare module '*/tenants_signer_bg.js' {
  export function __wbg_set_wasm(exports: unknown): void
  export function signParts(key: string, secret: string, method: string, origin: string, target: string, headers: string, body: Uint8Array, nonce: string | undefined, nowMs: number): string
}
