// Webhooks (API.md §17): what every host answers alike. A new webhook has a random id and secret, so the one here is set up. No host sends anything.
import { KEYS, refuse, request, scenario, sql } from './source.mjs'

const ID = '0123456789abcdef0123456789abcdef'
const HOOK = { id: ID, url: 'https://hooks.example.com/a', types: ['tenant.*'], description: null, is_enabled: false, failing_since: null, behind: 1, created_at: '2026-01-01 00:00:00', updated_at: '2026-01-01 00:00:00' }
const delivery = (id, outcome, status, answer) => sql(`INSERT INTO webhook_deliveries (id, webhook_id, entry_id, type, subject, at, outcome, status, milliseconds, answer) VALUES (?1, '${ID}', 7, 'tenant.created', 'acme', '2026-01-01 00:00:00', ?2, ?3, 12, ?4)`, id, outcome, status, answer)
const shown = (id, outcome, status, answer) => ({ id, event: '0123456789abcdef.7', type: 'tenant.created', subject: 'acme', at: '2026-01-01 00:00:00', outcome, status, milliseconds: 12, answer })

export default [
  scenario('webhooks', {},
    request('no webhooks', 200, 'GET', '/webhooks', { json: [] }),
    refuse('wrong fields', 422, 'invalid', 'POST', '/webhooks', { body: { url: 'https://10.0.0.1/', types: ['tenant.create'], description: '' }, pointers: ['/url', '/types/0', '/description'] }),
    refuse('a name that is not public', 422, 'invalid', 'POST', '/webhooks', { body: { url: 'https://printer.local/' }, pointers: ['/url'] }),
    refuse('loopback, which is not public', 422, 'invalid', 'POST', '/webhooks', { body: { url: 'http://127.0.0.1:8080/' }, pointers: ['/url'] }),
    sql(`INSERT INTO webhooks (id, url, types, is_enabled, created_at, updated_at, cursor) VALUES ('${ID}', 'https://hooks.example.com/a', '["tenant.*"]', 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00', 9)`),
    sql(`INSERT INTO webhook_behind (webhook_id, subject_type, subject, entry_id, attempts, next_at) VALUES ('${ID}', 'tenant', 'acme', 7, 1, '2026-01-01 00:00:05')`),
    request('the webhooks', 200, 'GET', '/webhooks', { json: [HOOK] }),
    request('a webhook', 200, 'GET', `/webhooks/${ID}`, { json: HOOK }),
    refuse('an unknown webhook', 404, 'not_found', 'GET', `/webhooks/${ID.replace('0', '1')}`),
    refuse('an id that no webhook has', 404, 'not_found', 'GET', '/webhooks/a'),
    refuse('enable it without saying from where', 422, 'invalid', 'PATCH', `/webhooks/${ID}`, { body: { is_enabled: true }, pointers: ['/from'] }),
    request('change it', 204, 'PATCH', `/webhooks/${ID}`, { body: { description: 'billing' } }),
    request('no deliveries', 200, 'GET', `/webhooks/${ID}/deliveries`, { json: [] }),
    delivery(1, 0, 500, 'broken'),
    delivery(2, 2, null, 'connection refused'),
    delivery(3, 1, 204, ''),
    request('the deliveries', 200, 'GET', `/webhooks/${ID}/deliveries`, { json: [shown(3, 'accepted', 204, ''), shown(2, 'given_up', null, 'connection refused'), shown(1, 'refused', 500, 'broken')] }),
    request('a page of them', 200, 'GET', `/webhooks/${ID}/deliveries?limit=1`, { json: [shown(3, 'accepted', 204, '')], answer: { link: `</_/api/4/webhooks/${ID}/deliveries?limit=1&after=3>; rel="next"` } }),
    refuse('unknown parameters', 422, 'invalid', 'GET', `/webhooks/${ID}/deliveries?type=a&limit=0`, { pointers: ['type', 'limit'] }),
    refuse('a retry of an event that is not there', 404, 'not_found', 'POST', `/webhooks/${ID}/deliveries/0123456789abcdef.999/retry`),
    sql("INSERT INTO audit_log (id, action, subject, request_id, created_at) VALUES (100, 'env.reseal', '0a1b', 'r', '2026-01-01 00:00:00'), (101, 'plan.create', 'p', 'r', '2026-01-01 00:00:00'), (102, 'tenant.create', 'acme', 'r', '2026-01-01 00:00:00')"),
    refuse('a retry of an entry that is no event', 404, 'not_found', 'POST', `/webhooks/${ID}/deliveries/0123456789abcdef.100/retry`),
    refuse('a retry of an event of another type', 404, 'not_found', 'POST', `/webhooks/${ID}/deliveries/0123456789abcdef.101/retry`),
    request('a retry of an event', 204, 'POST', `/webhooks/${ID}/deliveries/0123456789abcdef.102/retry`),
    refuse('a retry of no event', 404, 'not_found', 'POST', `/webhooks/${ID}/deliveries/a/retry`),
    refuse('a test of an unknown webhook', 404, 'not_found', 'POST', '/webhooks/a/test'),
    refuse('webhooks with a deleted key', 401, 'unauthorized', 'GET', '/webhooks', { key: KEYS.deleted }),
    request('delete it', 204, 'DELETE', `/webhooks/${ID}`),
    refuse('it is gone', 404, 'not_found', 'DELETE', `/webhooks/${ID}`),
    refuse('another method', 405, 'method_not_allowed', 'PUT', '/webhooks'),
  ),
]
