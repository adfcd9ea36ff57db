// Fields of forms. Each shows the API's own error beside its input.

import { TextField } from '@kobalte/core/text-field'
import { For, type JSX, Show, createUniqueId } from 'solid-js'
import { t } from '../texts'
import { Button } from './basics'
import type { Pair } from './versions'

interface Common {
  label: string
  help?: JSX.Element
  error?: string | undefined
  isRequired?: boolean
}

interface TextProps extends Common {
  value: string
  onInput: (value: string) => void
  type?: string
  isReadOnly?: boolean
  rows?: number
  placeholder?: string
  mono?: boolean
  autocomplete?: string
  inputRef?: (element: HTMLInputElement) => void
}

export const TextInput = (props: TextProps) => (
  <TextField class="field" value={props.value} onChange={props.onInput} validationState={props.error ? 'invalid' : 'valid'} required={props.isRequired ?? false} readOnly={props.isReadOnly ?? false}>
    <TextField.Label>
      {props.label}
      <Show when={!props.isRequired && !props.isReadOnly}>
        <span class="faint optional"> {t.optional}</span>
      </Show>
    </TextField.Label>
    <Show
      when={props.rows}
      fallback={<TextField.Input ref={(element: HTMLInputElement) => props.inputRef?.(element)} class={props.mono ? 'mono' : ''} type={props.type ?? 'text'} placeholder={props.placeholder} autocomplete={props.autocomplete ?? 'off'} spellcheck={false} autocapitalize="none" />}
    >
      <TextField.TextArea rows={props.rows} />
    </Show>
    <Show when={props.help}>
      <TextField.Description class="help">{props.help}</TextField.Description>
    </Show>
    <TextField.ErrorMessage class="error">{props.error}</TextField.ErrorMessage>
  </TextField>
)

/** The help and the error of an input, which names them as its description by `id`. */
const Notes = (props: Pick<Common, 'help' | 'error'> & { id: string }) => (
  <div id={props.id}>
    <Show when={props.help}>
      <div class="help">{props.help}</div>
    </Show>
    <Show when={props.error}>
      <div class="error">{props.error}</div>
    </Show>
  </div>
)

export function Select(props: Common & { value: string; onInput: (value: string) => void; options: [value: string, text: string][] }) {
  const id = createUniqueId()
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select id={id} aria-invalid={props.error ? 'true' : undefined} aria-describedby={`${id}-help`} onInput={(event) => props.onInput(event.currentTarget.value)}>
        <For each={props.options}>{([value, text]) => <option value={value} selected={value === props.value}>{text}</option>}</For>
      </select>
      <Notes id={`${id}-help`} help={props.help} error={props.error} />
    </div>
  )
}

export function Check(props: Common & { value: boolean; onInput: (value: boolean) => void }) {
  const id = createUniqueId()
  return (
    <div class="field check">
      <input id={id} type="checkbox" checked={props.value} aria-invalid={props.error ? 'true' : undefined} aria-describedby={`${id}-help`} onChange={(event) => props.onInput(event.currentTarget.checked)} />
      <label for={id}>{props.label}</label>
      <Notes id={`${id}-help`} help={props.help} error={props.error} />
    </div>
  )
}

/** A time in UTC. The value has the API's form, or is empty. */
export const TimeInput = (props: Common & { value: string; onInput: (value: string) => void }) => (
  <TextInput {...props} placeholder="YYYY-MM-DD HH:MM:SS" mono help={props.help ?? t.timeHelp} />
)

/** Rows of names and values: limits, env, labels. */
export function Pairs(props: { label: string; help?: string; pairs: Pair[]; onInput: (pairs: Pair[]) => void; error?: string | undefined; namePlaceholder?: string; isReadOnly?: boolean }) {
  const id = createUniqueId()
  let box: HTMLFieldSetElement | undefined
  const change = (index: number, at: 0 | 1, text: string) => {
    // The rows are changed in place, so that an input keeps its focus.
    const next = props.pairs.map((pair): Pair => [...pair])
    next[index]![at] = text
    props.onInput(next)
  }
  const add = () => {
    props.onInput([...props.pairs, ['', '']])
    queueMicrotask(() => [...(box?.querySelectorAll<HTMLInputElement>('.pair input:first-child') ?? [])].at(-1)?.focus())
  }
  const remove = (index: number) => {
    props.onInput(props.pairs.filter((_, at) => at !== index))
    // The focus was on a button that is gone, or stands for the next row.
    box?.querySelector<HTMLElement>(':scope > .button')?.focus()
  }
  return (
    <fieldset class="field pairs" ref={box} aria-describedby={`${id}-help`}>
      <legend>{props.label}</legend>
      <For each={props.pairs.map((_, index) => index)}>
        {(index) => (
          <div class="pair">
            <input class="mono" aria-label={t.nameOf(props.label, index + 1)} placeholder={props.namePlaceholder ?? t.name} value={props.pairs[index]?.[0] ?? ''} readOnly={props.isReadOnly ?? false} onInput={(event) => change(index, 0, event.currentTarget.value)} spellcheck={false} autocomplete="off" />
            <input class="mono" aria-label={t.valueOf(props.label, index + 1)} placeholder={t.value} value={props.pairs[index]?.[1] ?? ''} readOnly={props.isReadOnly ?? false} onInput={(event) => change(index, 1, event.currentTarget.value)} spellcheck={false} autocomplete="off" />
            <Show when={!props.isReadOnly}>
              <Button look="quiet" aria-label={t.removeRow(props.pairs[index]?.[0] || String(index + 1))} onClick={() => remove(index)}>
                ✕
              </Button>
            </Show>
          </div>
        )}
      </For>
      <Show when={!props.isReadOnly}><Button onClick={add}>{t.addRow}</Button></Show>
      <Notes id={`${id}-help`} help={props.help} error={props.error} />
    </fieldset>
  )
}
