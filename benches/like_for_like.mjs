// The same Worker, but it logs only failures, as the benchmark's peer does.
import adapter from './adapter.mjs'

export default {
  ...adapter,
  name: 'tenants-like-for-like',
  secrets: () => ({ ...adapter.secrets(), TENANTS_LOG_LEVEL: 'error' }),
}
