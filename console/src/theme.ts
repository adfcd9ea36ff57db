// Light, dark, or as the system has it. The choice is the only thing that the console stores in a browser.

import { createSignal } from 'solid-js'

const names = ['system', 'light', 'dark'] as const
export type Theme = (typeof names)[number]

const stored = localStorage.getItem('theme')
const [theme, setTheme] = createSignal<Theme>(names.find((name) => name === stored) ?? 'system')
export { theme }

function apply() {
  document.documentElement.dataset['theme'] = theme()
}

export function nextTheme() {
  setTheme((now) => names[(names.indexOf(now) + 1) % names.length]!)
  localStorage.setItem('theme', theme())
  apply()
}

/** Calls back now, and whenever the colours change. */
export const isDark = () => theme() === 'dark' || (theme() === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)

apply()
