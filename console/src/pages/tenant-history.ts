// Reads a log that begins with its oldest entry.

export interface Newest<T> {
  /** The newest first. */
  entries: T[]
  /** Older ones were found, and left out. */
  hasOlder: boolean
  /** The log goes on after what was read. */
  hasNewer: boolean
}

/** Reads a log to its end, at most `pages` of its pages, and keeps the newest entries. `read` gives the page after a cursor, and the cursor of the next one. */
export async function newest<T>(read: (after: string | undefined) => Promise<{ entries: T[]; next: string | undefined }>, { keep, pages }: { keep: number; pages: number }): Promise<Newest<T>> {
  let entries: T[] = []
  let hasOlder = false
  let after: string | undefined
  for (let page = 0; page < pages; page += 1) {
    const found = await read(after)
    entries.push(...found.entries)
    if (entries.length > keep) {
      hasOlder = true
      entries = entries.slice(-keep)
    }
    after = found.next
    if (after === undefined) break
  }
  return { entries: entries.reverse(), hasOlder, hasNewer: after !== undefined }
}
