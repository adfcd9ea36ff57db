// Charts by uPlot, which draws on a canvas: each has a table behind it for those who cannot see it.

import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { type JSX, createEffect, on, onCleanup, onMount } from 'solid-js'
import { t } from '../texts'
import { isDark, theme } from '../theme'

interface Common {
  label: string
  table: JSX.Element
}

const HEIGHT = 220

/** Draws again when the data, the theme or the width changes. */
function Plot(props: Common & { make: (width: number) => { options: uPlot.Options; data: uPlot.AlignedData } | undefined }) {
  let box!: HTMLDivElement
  let plot: uPlot | undefined
  const draw = () => {
    plot?.destroy()
    plot = undefined
    const made = box.clientWidth > 0 ? props.make(box.clientWidth) : undefined
    if (made) plot = new uPlot(made.options, made.data, box)
  }
  onMount(() => {
    let width = box.clientWidth
    const watch = new ResizeObserver(() => {
      if (box.clientWidth === width) return
      width = box.clientWidth
      draw()
    })
    watch.observe(box)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', draw)
    onCleanup(() => {
      watch.disconnect()
      scheme.removeEventListener('change', draw)
      plot?.destroy()
    })
  })
  createEffect(on([() => props.make, theme], () => queueMicrotask(draw)))
  return (
    <figure class="chart">
      <div ref={box} class="plot" role="img" aria-label={props.label} />
      <details>
        <summary>{t.asTable}</summary>
        {props.table}
      </details>
    </figure>
  )
}

const colours = () => (isDark() ? { line: '#7aa2ff', fill: '#7aa2ff26', text: '#a3adbd', grid: '#2a313d' } : { line: '#2458d3', fill: '#2458d31f', text: '#566074', grid: '#e3e7ee' })

const FONT = '12px system-ui, sans-serif'

/** A line over time. `points` are [seconds since 1970, value], the oldest first. */
export const TimeChart = (props: Common & { points: [number, number][] }) => {
  const make = () => {
    const points = props.points
    return (width: number) => {
      if (points.length === 0) return undefined
      const c = colours()
      const axis = { stroke: c.text, grid: { stroke: c.grid, width: 1 }, ticks: { stroke: c.grid, width: 1 }, font: FONT }
      const options: uPlot.Options = {
        width,
        height: HEIGHT,
        // As all times of the console.
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
        cursor: { y: false },
        legend: { show: false },
        scales: { y: { range: (_, __, max) => [0, Math.max(1, Math.ceil(max * 1.08))] } },
        axes: [axis, { ...axis, size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000] }],
        series: [{}, { stroke: c.line, fill: c.fill, width: 2, points: { show: false } }],
      }
      return { options, data: [points.map(([x]) => x), points.map(([, y]) => y)] as uPlot.AlignedData }
    }
  }
  return <Plot label={props.label} table={props.table} make={make()} />
}

/** Bars with names under them. */
export const BarChart = (props: Common & { bars: [string, number][]; format: (value: number) => string }) => {
  const make = () => {
    const bars = props.bars
    return (width: number) => {
      if (bars.length === 0) return undefined
      const c = colours()
      const axis = { stroke: c.text, font: FONT, ticks: { show: false } }
      const room = Math.max(4, Math.floor((width - 80) / bars.length / 7))
      const options: uPlot.Options = {
        width,
        height: HEIGHT,
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false, range: [-0.5, bars.length - 0.5] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, splits: bars.map((_, index) => index), values: (_, splits) => splits.map((at) => short(bars[at]?.[0] ?? '', room)) },
          { ...axis, grid: { stroke: c.grid, width: 1 }, size: 72, incrs: SIZES, values: (_, splits) => splits.map(props.format) },
        ],
        series: [{}, { stroke: c.line, fill: c.line, width: 0, paths: uPlot.paths.bars!({ size: [0.6, 64] }), points: { show: false } }],
      }
      return { options, data: [bars.map((_, index) => index), bars.map(([, value]) => value)] as uPlot.AlignedData }
    }
  }
  return <Plot label={props.label} table={props.table} make={make()} />
}

/** Steps of an axis of sizes: powers of two. */
const SIZES = Array.from({ length: 53 }, (_, power) => 2 ** power)

const short = (text: string, room: number) => (text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text)
