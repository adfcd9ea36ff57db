// An edit sends the members that differ from those its form began with, so it writes nothing over what somebody else has changed meanwhile.

/** The members of `is` that are others than in `was`, or undefined if all are the same. */
export function changed<T extends object>(was: T, is: T): Partial<T> | undefined {
  const others = Object.entries(is).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(was[name as keyof T]))
  return others.length > 0 ? (Object.fromEntries(others) as Partial<T>) : undefined
}
