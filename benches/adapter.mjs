// Sets up this Worker for the side-by-side benchmark: generates its secrets, and writes an API key to the database as the command
// line does. The harness is outside the project; from its directory:
//   node harness/run.mjs --candidate <this file>
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { seed } from './seed.mjs'

export default {
  name: 'tenants',
  dir: '..',
  // The console's files: the harness asks for none.
  ignoreBindings: ['assets'],
  schema: ['schema.sql', 'schema_writes.sql'],
  secrets: () => ({
    CHEVERETO_TENANTS_API_KEY_SECRET: randomBytes(32).toString('hex'),
    CHEVERETO_TENANTS_API_REQUEST_SECRET: randomBytes(32).toString('hex'),
    CHEVERETO_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    // The harness requests Traefik's configuration from loopback, without a key.
    TENANTS_DEVELOPMENT: 'true',
  }),
  async apiKey({ secrets, sql }) {
    const prefix = 'chv_1_'
    const random = randomBytes(16)
    const mac = createHmac('sha256', secrets.CHEVERETO_TENANTS_API_KEY_SECRET).update(prefix).update(random).digest()
    const key = prefix + Buffer.concat([random, mac]).toString('base64url')
    const digest = createHash('sha256').update(key).digest('hex')
    await sql("INSERT INTO api_keys (id, name, digest, created_at) VALUES (1, 'bench', ?, '2026-01-01 00:00:00')", [digest])
    return key
  },
  // The harness asks for these ids.
  seed: (context) => seed({ ...context, id: (i) => `t${String(i + 1).padStart(5, '0')}` }),
}
