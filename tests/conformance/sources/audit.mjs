// The audit log (API.md §13). Times and request ids differ from run to run, so the entries that the responses show are set up.
import { KEYS, refuse, request, scenario, sql } from './source.mjs'

const entry = (...values) => sql('INSERT INTO audit_log (id, key_id, action, subject, request_id, created_at, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)', ...values)
const list = (name, query, ids, options) => request(name, 200, 'GET', `/audit${query}`, { json: ids.map((id) => ({ id })), ...options })

export default [
  scenario('the audit log', {},
    request('an empty log', 200, 'GET', '/audit', { json: [] }),
    entry(101, 1, 'tenant.create', 'acme', 'r-1', '2026-01-01 00:00:00', null),
    entry(102, 1, 'tenant.update', 'acme', 'r-2', '2026-01-02 00:00:00', 'hostname env'),
    entry(103, 7, 'tenant.update', 'acme', 'r-3', '2026-01-03 00:00:00', ''),
    entry(104, null, 'api_key.delete', '7', 'r-4', '2026-01-04 00:00:00', null),
    entry(105, null, 'plan.update', 'basic', 'r-5', '2026-01-05 00:00:00', null),
    request('the log', 200, 'GET', '/audit', { json: [
      { id: 101, created_at: '2026-01-01 00:00:00', key_id: 1, action: 'tenant.create', subject_type: 'tenant', subject: 'acme', changed: [], request_id: 'r-1' },
      { id: 102, changed: ['hostname', 'env'] }, { id: 103, changed: [] }, { id: 104, key_id: null, subject_type: 'api_key', changed: [] }, { id: 105, changed: null },
    ] }),
    list('a page', '?limit=2&after=101', [102, 103]),
    list('the last page', '?limit=2&after=103', [104, 105]),
    list('a subject in any case', '?subject_type=tenant&subject=ACME', [101, 102, 103]),
    list('an action', '?action=plan.update', [105]),
    list('a key', '?key_id=7', [103]),
    list('the command line', '?key_id=', [104, 105]),
    list('since a time', '?since=2026-01-04%2000:00:00', [104, 105]),
    list('every filter', '?limit=1&subject_type=tenant&subject=acme&action=tenant.update&key_id=1&since=2026-01-02%2000:00:00', [102]),
    request('only the head', 200, 'HEAD', '/audit?limit=1'),
    refuse('unknown and wrong parameters', 422, 'invalid', 'GET', '/audit?who=me&limit=1001&action=tenant.created', { pointers: ['who', 'limit', 'action'] }),
    refuse('the log with a deleted key', 401, 'unauthorized', 'GET', '/audit', { key: KEYS.deleted }),
    refuse('another method', 405, 'method_not_allowed', 'DELETE', '/audit'),
  ),
]
