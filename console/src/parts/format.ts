// Numbers, sizes and times, as people read them.

const number = new Intl.NumberFormat('en')

export const count = (value: number) => number.format(value)

/** A size in bytes, with three digits at least. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let unit = 0
  let rest = value
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024
    unit += 1
  }
  return `${rest < 10 && unit > 0 ? rest.toFixed(1) : Math.round(rest)} ${units[unit]}`
}

/** The API's times are UTC: `YYYY-MM-DD HH:MM:SS`. */
export const parsed = (time: string) => new Date(`${time.replace(' ', 'T')}Z`)

/** A time as the API takes it. */
export const written = (time: Date) => time.toISOString().slice(0, 19).replace('T', ' ')

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** How long ago a time is, or how far ahead: "3 hours ago". */
export function ago(time: string, now = Date.now()): string {
  const seconds = (parsed(time).getTime() - now) / 1000
  const steps: [number, Intl.RelativeTimeFormatUnit][] = [[60, 'second'], [60, 'minute'], [24, 'hour'], [30, 'day'], [12, 'month'], [Infinity, 'year']]
  let rest = seconds
  for (const [size, unit] of steps) {
    if (Math.abs(rest) < size) return relative.format(Math.round(rest), unit)
    rest /= size
  }
  return time
}
