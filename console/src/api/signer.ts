// Signs a request in a WebAssembly instance of its own, whose memory is overwritten afterwards. The secret goes from its input into
// that memory, and nowhere else.

import * as glue from '../made/tenants_signer_bg.js'
import wasmAddress from '../made/tenants_signer_bg.wasm?url'

export interface Unsigned {
  key: string
  /** Its value is the signing secret. It is empty afterwards. */
  secret: HTMLInputElement
  method: string
  origin: string
  target: string
}

let compiled: Promise<WebAssembly.Module> | undefined

/** Loads the signer, so that it is there when somebody signs in. */
export function prepare(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compileStreaming(fetch(wasmAddress)).catch((error: unknown) => {
    compiled = undefined
    throw error
  })
  return compiled
}

/** The headers that sign a request without a body, once: they have a nonce. */
export async function sign({ key, secret, method, origin, target }: Unsigned): Promise<Record<string, string>> {
  const module = await prepare()
  const instance = await WebAssembly.instantiate(module, { './tenants_signer_bg.js': glue } as unknown as WebAssembly.Imports)
  const memory = instance.exports.memory as WebAssembly.Memory
  glue.__wbg_set_wasm(instance.exports)
  const nonce = Array.from(crypto.getRandomValues(new Uint8Array(18)), (byte) => byte.toString(16).padStart(2, '0')).join('')
  try {
    ;(instance.exports.__wbindgen_start as (() => void) | undefined)?.()
    const lines = glue.signParts(key, secret.value.trim(), method, origin, target, '', new Uint8Array(), nonce, Date.now())
    const [input = '', signature = ''] = lines.split('\n')
    return { 'Signature-Input': input, Signature: signature }
  } finally {
    secret.value = ''
    new Uint8Array(memory.buffer).fill(0)
    // A memory that has grown is another one for JavaScript, so the glue forgets its view of this one.
    memory.grow(1)
    glue.__wbg_set_wasm(undefined)
  }
}
