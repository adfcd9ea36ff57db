// Which tenants an edit of a plan reaches, and what changes for each (docs/API.md §6 has the order of the settings).

import type { Plan, Tenant, Texts } from '../api/types'

export interface Change {
  name: string
  before: string | undefined
  after: string | undefined
}

export interface Reach {
  id: string
  hostname: string
  changes: Change[]
}

type Maps = Pick<Plan, 'limits' | 'env'>
type Own = Pick<Tenant, 'id' | 'hostname' | 'limits' | 'env'>

/** The effective value of a setting. An enforced one is above all: no plan changes it. */
function effective(name: string, tenant: Own, plan: Maps): string | undefined {
  for (const map of [tenant.env, plan.env, tenant.limits, plan.limits] as (Texts | null)[]) if (map && Object.hasOwn(map, name)) return map[name]
  return undefined
}

/** The names whose value differs between two versions of a plan. */
export function changedNames(before: Maps, after: Maps): string[] {
  const names = new Set([before.limits, before.env, after.limits, after.env].flatMap((map) => Object.keys(map ?? {})))
  return [...names].filter((name) => before.limits?.[name] !== after.limits?.[name] || before.env?.[name] !== after.env?.[name]).sort()
}

/** The changes that an edit makes for each of a plan's tenants. `enforced` has the names that the operator enforces for all. */
export function reach(tenants: Own[], before: Maps, after: Maps, enforced: Set<string> = new Set()): Reach[] {
  const names = changedNames(before, after).filter((name) => !enforced.has(name))
  return tenants.map((tenant) => {
    const changes = names.map((name) => ({ name, before: effective(name, tenant, before), after: effective(name, tenant, after) }))
    return { id: tenant.id, hostname: tenant.hostname, changes: changes.filter((change) => change.before !== change.after) }
  })
}
