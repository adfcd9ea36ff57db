// Signing in with a bound key. The signing secret stays in its input until one request is signed.

import { Show, createSignal, onMount } from 'solid-js'
import { session, signIn, signOut } from '../api/session'
import { prepare } from '../api/signer'
import type { Problem } from '../api/types'
import { Button, ProblemBox } from '../parts/basics'
import { asProblem } from '../parts/load'
import { t } from '../texts'

export function SignIn(props: { isInDialog?: boolean }) {
  let key!: HTMLInputElement
  let secret!: HTMLInputElement
  const [problem, setProblem] = createSignal<Problem>()
  const [isRunning, setRunning] = createSignal(false)
  // The signer is there when the form is sent. If it cannot be loaded, sending says so.
  onMount(() => {
    if (!props.isInDialog) document.title = t.title
    prepare().catch(() => {})
    key.focus()
  })
  const leave = () => signOut().catch((error: unknown) => setProblem(asProblem(error)))
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    if (isRunning()) return
    if (!key.value.trim() || !secret.value.trim()) {
      setProblem({ status: 0, code: 'page', title: t.signIn.both, detail: t.signIn.lead, errors: [] })
      return
    }
    setRunning(true)
    setProblem(undefined)
    try {
      await signIn(key, secret)
    } catch (error) {
      const found = asProblem(error)
      setProblem(found.code === 'unauthorized' ? { ...found, title: t.signIn.refused, detail: t.signIn.refusedDetail } : found)
    } finally {
      secret.value = ''
      setRunning(false)
    }
  }
  const form = (
    <form class="stack" onSubmit={submit} noValidate>
      <ProblemBox problem={problem()} />
      <Show when={props.isInDialog && session()}>
        <p>{t.signIn.over}</p>
      </Show>
      <div class="field">
        <label for="sign-in-key">{t.signIn.key}</label>
        <input id="sign-in-key" class="mono" ref={key} autocomplete="off" spellcheck={false} autocapitalize="none" placeholder="chv_…" required />
      </div>
      <div class="field">
        <label for="sign-in-secret">{t.signIn.secret}</label>
        <input id="sign-in-secret" class="mono" ref={secret} type="password" autocomplete="off" spellcheck={false} aria-describedby="sign-in-help" required />
        <div class="help" id="sign-in-help">{t.signIn.help}</div>
      </div>
      <Button type="submit" look="primary" isBusy={isRunning()}>
        {t.signIn.action}
      </Button>
      <Show when={props.isInDialog}>
        <Button onClick={leave}>{t.signOut}</Button>
      </Show>
    </form>
  )
  return (
    <Show when={!props.isInDialog} fallback={form}>
      <main class="alone">
        <div class="sign-in card">
          <h1>{t.title}</h1>
          <p class="lead">{t.signIn.lead}</p>
          {form}
        </div>
      </main>
    </Show>
  )
}
