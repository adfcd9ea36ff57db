// Traefik's configuration (API.md §2, §7): access, content, and 304.
import { KEYS, refuse, request, scenario, sql } from './source.mjs'

const read = (name, options, status = 200) => request(name, status, 'GET', '/config/traefik', { key: null, signature: null, address: '127.0.0.1', ...options })
const tenant = (id, is_enabled = true) => request(`create the tenant ${id}`, 201, 'POST', '/tenants', { body: { id, hostname: `${id.toLowerCase()}.example.com`, is_enabled } })
const routers = (...ids) => ({ json: (got) => ({ http: { ...got.http, routers: Object.fromEntries(ids.map((id) => [id, got.http.routers[id] ?? null])) } }) })
const poll = (name, query, options, status = 200) => request(name, status, 'GET', `/config/traefik${query}`, { signature: null, address: '192.0.2.7', ...options })
const onCell = (id, cell_id, is_enabled) => request(`create the tenant ${id} on a cell`, 201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled, cell_id } })
/** The configuration with these services for these tenants, and nothing else. The root has the first one. */
const withServices = (got, tenants, services) => ({
  http: {
    ...got.http,
    routers: Object.fromEntries(Object.entries({ '*': Object.keys(services)[0], ...tenants }).map(([id, service]) => [id, { ...got.http.routers[id], service }])),
    services: Object.fromEntries(Object.entries(services).map(([name, url]) => [name, { loadBalancer: { servers: [{ url }], passHostHeader: true } }])),
  },
})

/** Otherwise the pages of held tenants would be where each host is called, and the ETag of a body with them, or of one that nobody has read. */
const PAGES = { TENANTS_HELD_URL: 'https://pages.example.com/held/' }

export default [
  scenario('Traefik, in development', { TENANTS_DEVELOPMENT: 'true', CHEVERETO_INTERNAL_HOSTNAME: 'root.example.com', CHEVERETO_SERVICE_NAME: 'fpm', CHEVERETO_SERVICE_PORT: '81', CHEVERETO_PROXY_ENTRYPOINT: 'web', CHEVERETO_PROXY_IP_ALLOW_LIST: '10.0.0.0/8, Cloudflare' },
    read('without tenants only the root is routed', routers('*')),
    tenant('b'), tenant('A'), tenant('off', false),
    read('only enabled tenants are routed', routers('*', 'A', 'b')),
    read('read from another loopback address', { address: '::1' }),
    request('HEAD', 200, 'HEAD', '/config/traefik', { key: null, signature: null, address: '::1' }),
    refuse('read from an address that is not loopback', 404, 'not_found', 'GET', '/config/traefik', { address: '192.0.2.7' }),
    refuse('read from an unknown address', 404, 'not_found', 'GET', '/config/traefik'),
    refuse('an unsupported method', 405, 'method_not_allowed', 'POST', '/config/traefik', { address: '127.0.0.1' }),
    read('If-None-Match: * matches every version', { headers: { 'if-none-match': '*' } }, 304),
    read('If-None-Match has another version', { headers: { 'if-none-match': '"x"' } }),
    sql("INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES ('tick', 'a`).example.com', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"),
    sql("INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES ('number', '127.1', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"),
    read('a bad row does not affect the others', routers('*', 'A', 'b')),
  ),
  scenario('Traefik, deployed', { CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '192.0.2.7, 198.51.100.0/24' },
    read('read from loopback', { address: '127.0.0.1' , code: 'not_found' }, 404),
    read('read from a listed address with a key', { address: '192.0.2.7', key: KEYS.good }),
    read('read from a listed address without a key', { address: '198.51.100.9', code: 'unauthorized' }, 401),
    read('read from a listed address with a deleted key', { address: '192.0.2.7', key: KEYS.deleted, code: 'unauthorized' }, 401),
    refuse('another parameter', 422, 'invalid', 'GET', '/config/traefik?cel=eu', { address: '192.0.2.7', pointers: ['cel'] }),
    read('read with a key from an address that is not listed', { address: '192.0.2.8', key: KEYS.good, code: 'not_found' }, 404),
  ),
  scenario('Traefik, with held tenants', { ...PAGES, CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '192.0.2.7' },
    tenant('A'), tenant('b'),
    request('hold one', 204, 'PUT', '/tenants/a/holds/abuse', { body: { reason: 'r' } }),
    poll('its router leads to its page', '', {
      json: (got) => ({
        http: {
          routers: { ...got.http.routers, A: { rule: 'Host(`a.example.com`)', service: 'held:pages', entryPoints: ['websecure'], middlewares: ['allow-range', 'held:A'] } },
          services: { ...got.http.services, 'held:pages': { loadBalancer: { servers: [{ url: 'https://pages.example.com' }], passHostHeader: false } } },
          middlewares: { ...got.http.middlewares, 'held:A': { replacePath: { path: '/held/A' } } },
        },
      }),
    }),
  ),
  scenario('Traefik, with cells', { ...PAGES, CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '192.0.2.7' },
    request('make a cell with a service', 201, 'PUT', '/cells/Eu', { body: { service: { name: 'php-eu', port: 9000 } } }),
    request('make a cell without a service', 201, 'PUT', '/cells/us', { body: {} }),
    tenant('a'), onCell('b', 'eu', true), onCell('c', 'eu', false), onCell('d', 'us', true),
    poll('the whole configuration', '', { json: (got) => withServices(got, { a: 'php', b: 'php-eu', c: 'php-eu', d: 'php' }, { php: 'http://php:8080', 'php-eu': 'http://php-eu:9000' }) }),
    poll('the part of a cell with a service', '?cell=EU', { json: (got) => withServices(got, { b: 'php-eu', c: 'php-eu' }, { 'php-eu': 'http://php-eu:9000' }) }),
    poll('the part of a cell without one', '?cell=us', { json: (got) => withServices(got, { d: 'php' }, { php: 'http://php:8080' }) }),
    poll('a known part', '?cell=eu', { headers: { 'if-none-match': '*' } }, 304),
    poll('the part of an unknown cell', '?cell=asia', { code: 'not_found' }, 404),
    poll('a cell twice', '?cell=eu&cell=us', { code: 'invalid' }, 422),
  ),
]
