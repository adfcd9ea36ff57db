// The same Worker, with the log that the benchmark's peer has: a line where something failed, and no other.
import adapter from './adapter.mjs'

export default {
  ...adapter,
  name: 'tenants-like-for-like',
  secrets: () => ({ ...adapter.secrets(), TENANTS_LOG_LEVEL: 'error' }),
}
