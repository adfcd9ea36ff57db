// Versions of what a form edits: what was changed in it, and what becomes of that where somebody else has changed something, too.

import type { Texts } from '../api/types'

export type Pair = [name: string, value: string]

export const pairsOf = (texts: Texts | null | undefined): Pair[] => Object.entries(texts ?? {})

/** The rows that say something: an empty one stands for nothing. */
const filled = (pairs: Pair[]) => pairs.filter(([name, value]) => name !== '' || value !== '')

/** The object that the rows stand for. */
export const textsOf = (pairs: Pair[]): Texts => Object.fromEntries(filled(pairs))

/** The JSON pointers of the names that more than one row has: only the value of the last would be kept. */
export function doubled<F>(members: readonly (keyof F & string)[], form: F): string[] {
  return members.flatMap((member) => {
    const rows = form[member]
    if (!Array.isArray(rows)) return []
    const names = filled(rows).map(([name]) => name)
    const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index))
    return [...twice].map((name) => `/${member}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
  })
}

/** A member as the API has it. */
export function valueOf<F>(form: F, member: keyof F): unknown {
  const value = form[member]
  if (Array.isArray(value)) return textsOf(value as Pair[])
  return value === '' ? null : value
}

const text = (value: unknown) => JSON.stringify(typeof value === 'object' && value !== null ? Object.entries(value).sort() : value)

export const isChanged = <F>(base: F, form: F, member: keyof F) => text(valueOf(base, member)) !== text(valueOf(form, member))

/** The body of a PATCH: the members that differ. Labels are merged by the API, so a label that is gone is `null`. */
export function changes<F>(members: readonly (keyof F & string)[], base: F, form: F): Record<string, unknown> {
  const body: Record<string, unknown> = {}
  for (const member of members) {
    if (!isChanged(base, form, member)) continue
    const value = valueOf(form, member)
    body[member] = member === 'labels' ? { ...Object.fromEntries(Object.keys(valueOf(base, member) as Texts).map((name) => [name, null])), ...(value as Texts) } : value
  }
  return body
}

/** Their version, with what was changed in `mine` since `base` on top of it. Of a map these are the entries that were changed. */
export function merged<F>(members: readonly (keyof F)[], base: F, mine: F, theirs: F): F {
  const result = { ...mine }
  for (const member of members) {
    if (!isChanged(base, mine, member)) result[member] = theirs[member]
    else if (Array.isArray(mine[member])) result[member] = mergedPairs(base[member] as Pair[], mine[member] as Pair[], theirs[member] as Pair[]) as F[keyof F]
  }
  return result
}

function mergedPairs(base: Pair[], mine: Pair[], theirs: Pair[]): Pair[] {
  const [was, is] = [textsOf(base), textsOf(mine)]
  const isMine = (name: string) => was[name] !== is[name]
  const kept = theirs.filter(([name]) => !isMine(name) || Object.hasOwn(is, name)).map(([name, value]): Pair => [name, isMine(name) ? is[name]! : value])
  const added = Object.entries(is).filter(([name]) => isMine(name) && !theirs.some(([other]) => other === name))
  return [...kept, ...added]
}
