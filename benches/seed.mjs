// Writes tenants with SQL, as POST /tenants would: a hundred thousand requests would take longer than the benchmark.
import { createCipheriv, createHash, randomBytes } from 'node:crypto'

/** The rows of one statement. D1 binds a value of 2 MB at the most. */
const ROWS = 2_000

/** Seeds the tenants that the harness asks for: `id(i)` is the i-th one's id. */
export async function seed({ n, sql, secrets, id }) {
  const seal = sealer(Buffer.from(secrets.CHEVERETO_ENCRYPTION_KEY, 'base64'))
  for (let from = 0; from < n; from += ROWS) {
    const rows = Array.from({ length: Math.min(ROWS, n - from) }, (_, i) => {
      const name = id(from + i)
      return [name, seal(`tenants/${name.toLowerCase()}/env`, JSON.stringify({ CUSTOM_VAR: `value of ${name}` }))]
    })
    const values = "SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS env FROM json_each(?)"
    await sql(
      `INSERT INTO audit_log (key_id, action, subject, request_id, created_at) SELECT 1, 'tenant.create', id, 'seed', '2026-01-01 00:00:00' FROM (${values})`, [JSON.stringify(rows)])
    await sql(
      `INSERT INTO tenants (id, hostname, is_enabled, limits, env, created_at, updated_at, has_site) SELECT id, id || '.example.com', 1, '{"CHEVERETO_MAX_USERS":"2"}', env, '2026-01-01 00:00:00', '2026-01-01 00:00:00', 0 FROM (${values})`, [JSON.stringify(rows)])
  }
}

/** Encrypts as crates/core/src/crypto/seal.rs does: XChaCha20-Poly1305, which Node has not, is HChaCha20 and ChaCha20-Poly1305. */
function sealer(key) {
  const fingerprint = createHash('sha256').update('tenants sealing key').update(key).digest('hex').slice(0, 8)
  return (place, text) => {
    const nonce = randomBytes(24)
    const inner = Buffer.concat([Buffer.alloc(4), nonce.subarray(16)])
    const cipher = createCipheriv('chacha20-poly1305', hchacha20(key, nonce.subarray(0, 16)), inner, { authTagLength: 16 })
    cipher.setAAD(Buffer.from(place), { plaintextLength: Buffer.byteLength(text) })
    const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
    return `1.${fingerprint}.${sealed.toString('base64url')}`
  }
}

/** HChaCha20 (draft-irtf-cfrg-xchacha-03, section 2.2) by OpenSSL's ChaCha20, whose first block is the rounds' result plus their input. */
function hchacha20(key, nonce) {
  const block = createCipheriv('chacha20', key, nonce).update(Buffer.alloc(64))
  const constants = Buffer.from('expand 32-byte k')
  const word = (at, input) => ((block.readUInt32LE(at) - input) >>> 0)
  const out = Buffer.alloc(32)
  for (let i = 0; i < 4; i++) {
    out.writeUInt32LE(word(4 * i, constants.readUInt32LE(4 * i)), 4 * i)
    out.writeUInt32LE(word(48 + 4 * i, nonce.readUInt32LE(4 * i)), 16 + 4 * i)
  }
  return out
}
