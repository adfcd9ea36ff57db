// The events of a tenant, by the actions of its audit entries.

const PAST: Record<string, string> = { create: 'created', update: 'updated', delete: 'deleted', hold: 'held', release: 'released', restore: 'restored', install: 'installed', move: 'moved', site_move: 'site_moved', drop_tables: 'tables_dropped' }

/** The type of the event that an audit entry is. */
export function eventOf(action: string): string {
  const [subject = '', verb = ''] = action.split('.')
  return `${subject}.${PAST[verb] ?? verb}`
}
