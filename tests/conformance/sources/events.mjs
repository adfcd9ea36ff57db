// Events (API.md §17): the audit log's entries. Times differ from run to run, so the entries that the responses show are set up.
import { KEYS, refuse, request, scenario, sql } from './source.mjs'

const EPOCH = '0123456789abcdef'
const entry = (...values) => sql('INSERT INTO audit_log (id, key_id, action, subject, request_id, created_at, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)', ...values)
const at = (number) => `${EPOCH}.${number}`
const next = (query) => ({ link: `</_/api/4/events?${query}>; rel="next"` })
const list = (name, query, ids, link, options) => request(name, 200, 'GET', `/events${query}`, { json: ids.map((id) => ({ id: at(id) })), answer: next(link), ...options })

export default [
  scenario('events', {},
    list('an empty log', '', [], `limit=100&after=${at(0)}`),
    entry(101, 1, 'tenant.create', 'acme', 'r-1', '2026-01-01 00:00:00', null),
    entry(102, 1, 'tenant.update', 'acme', 'r-2', '2026-01-02 00:00:00', 'hostname env'),
    entry(103, null, 'env.reseal', '01234567', 'r-3', '2026-01-03 00:00:00', null),
    entry(104, null, 'api_key.delete', '7', 'r-4', '2026-01-04 00:00:00', null),
    entry(105, 7, 'job.finish', '8a6f0c2f5f9b4d3e9a1c7b2d4e6f8a90', 'r-5', '2026-01-05 00:00:00', null),
    request('the events', 200, 'GET', '/events', { answer: next(`limit=100&after=${at(105)}`), json: [
      { id: at(101), type: 'tenant.created', timestamp: '2026-01-01T00:00:00Z', data: { id: 'acme', revision: at(101), changed: [] } },
      { id: at(102), type: 'tenant.updated', data: { id: 'acme', revision: at(102), changed: ['hostname', 'env'] } },
      { id: at(104), type: 'key.deleted', data: { id: '7', revision: at(104), changed: [] } },
      { id: at(105), type: 'job.finished' },
    ] }),
    list('a page', '?limit=2', [101, 102], `limit=2&after=${at(102)}`),
    list('the last page', `?limit=2&after=${at(102)}`, [104, 105], `limit=2&after=${at(105)}`),
    list('the end', `?limit=2&after=${at(105)}`, [], `limit=2&after=${at(105)}`),
    list('a type', '?type=tenant.updated', [102], `limit=100&after=${at(105)}&type=tenant.updated`),
    list('from now on', '?after=now', [], `limit=100&after=${at(105)}`),
    list('after the last one that was deleted', `?after=${at(100)}`, [101, 102, 104, 105], `limit=100&after=${at(105)}`),
    request('only the head', 200, 'HEAD', '/events?limit=1', { answer: next(`limit=1&after=${at(101)}`) }),
    refuse('a cursor whose next event was deleted', 410, 'cursor_gone', 'GET', `/events?after=${at(99)}`),
    refuse('a cursor beyond the end', 410, 'cursor_gone', 'GET', `/events?after=${at(106)}`),
    refuse('a cursor of another epoch', 410, 'cursor_gone', 'GET', '/events?after=0000000000000000.105'),
    refuse('unknown and wrong parameters', 422, 'invalid', 'GET', '/events?since=now&limit=1001&type=env.reseal&after=105', { pointers: ['since', 'limit', 'type', 'after'] }),
    refuse('events with a deleted key', 401, 'unauthorized', 'GET', '/events', { key: KEYS.deleted }),
    refuse('another method', 405, 'method_not_allowed', 'DELETE', '/events'),
  ),
]
