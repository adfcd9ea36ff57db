// Routes are in the address's fragment (`#/tenants/acme`): the Worker answers unknown paths with 404.

import { createSignal, untrack } from 'solid-js'

export interface Route {
  /** The parts of the path, decoded. */
  path: string[]
  query: URLSearchParams
}

function read(): Route {
  const [path = '', query = ''] = location.hash.slice(1).split(/\?(.*)/s)
  return { path: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const [route, setRoute] = createSignal<Route>(read())
let visits = 0

/** Grows whenever another page is opened; the same page with other parameters is no other. */
export const visit = () => visits

function follow() {
  const [was, now] = [untrack(route), read()]
  if (was.path.join('\0') !== now.path.join('\0')) visits += 1
  setRoute(now)
}
addEventListener('hashchange', follow)

export { route }

/** In the place of an id: the page that makes a new one. No id has this character. */
export const NEW = '~new'

/** The address of a page: `href(['tenants', id])`. Parameters without a value are left out. */
export function href(path: string[], query: Record<string, string | undefined> = {}): string {
  const parameters = new URLSearchParams(Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1])))
  const text = parameters.toString()
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`
}

/** Opens a page. With `replace`, the page before is not in the browser's history. */
export function go(path: string[], query: Record<string, string | undefined> = {}, { replace = false } = {}) {
  const to = href(path, query)
  if (to === location.hash) return
  if (replace) {
    history.replaceState(null, '', to)
    follow()
  } else {
    location.hash = to
  }
}
