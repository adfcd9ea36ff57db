// The frame around all pages: who is signed in, where one can go, and the page itself.

import { For, type JSX, Match, Show, Switch, createEffect, createMemo, createSignal, lazy, on, onMount } from 'solid-js'
import { can, resume, session, signOut, standing } from './api/session'
import { Button, Loading, Notes, Page, ProblemBox } from './parts/basics'
import { Dialog } from './parts/dialog'
import { asProblem } from './parts/load'
import { AuditPage } from './pages/audit'
import { CellsPage } from './pages/cells'
import { KeysPage } from './pages/keys'
import { PlanPage } from './pages/plan'
import { PlansPage } from './pages/plans'
import { SignIn } from './pages/sign-in'
import { TenantPage } from './pages/tenant'
import { TenantForm } from './pages/tenant-form'
import { TenantsPage } from './pages/tenants'
import { WebhooksPage } from './pages/webhooks'
import { NEW, go, href, route } from './router'
import { t } from './texts'
import { nextTheme, theme } from './theme'
import type { Problem } from './api/types'

const OverviewPage = lazy(async () => ({ default: (await import('./pages/overview')).OverviewPage }))

/** The pages in the navigation, and the scope that each needs. */
const places: { path: string; text: string; scopes: string[] }[] = [
  { path: 'overview', text: t.nav.overview, scopes: ['tenants:read'] },
  { path: 'tenants', text: t.nav.tenants, scopes: ['tenants:read'] },
  { path: 'plans', text: t.nav.plans, scopes: ['plans:read'] },
  { path: 'cells', text: t.nav.cells, scopes: ['cells'] },
  { path: 'webhooks', text: t.nav.webhooks, scopes: ['webhooks:read'] },
  { path: 'keys', text: t.nav.keys, scopes: ['keys'] },
  { path: 'audit', text: t.nav.audit, scopes: ['audit'] },
]

const shown = () => places.filter((place) => can(...place.scopes) || (place.path === 'cells' && can('sites')))

export function App() {
  const [problem, setProblem] = createSignal<Problem>()
  const begin = () => {
    setProblem(undefined)
    resume().catch((error: unknown) => setProblem(asProblem(error)))
  }
  onMount(begin)
  return (
    <Switch>
      <Match when={standing() === 'loading'}>
        <main class="alone">
          <Show when={problem()} fallback={<Loading />}>
            <ProblemBox problem={problem()} onRetry={begin} />
          </Show>
        </main>
      </Match>
      <Match when={standing() === 'out'}>
        <SignIn />
      </Match>
      <Match when={standing() !== 'loading' && standing() !== 'out'}>
        <Shell />
        <Dialog title={t.signIn.again} isOpen={standing() === 'over'} onClose={() => {}} isFixed>
          <SignIn isInDialog />
        </Dialog>
        <Notes />
      </Match>
    </Switch>
  )
}

function Shell() {
  const place = () => route().path[0] ?? ''
  let main: HTMLElement | undefined
  let side: HTMLElement | undefined
  createEffect(() => {
    if (place() === '' && shown()[0]) go([shown()[0]!.path], {}, { replace: true })
  })
  // Where the navigation is a row that scrolls, the present place is in sight.
  createEffect(on(place, () => queueMicrotask(() => side?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' }))))
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main?.querySelector('h1')?.focus() }}>{t.skip}</a>
      <header class="top">
        <a class="brand" href={href([shown()[0]?.path ?? ''])}>
          <Mark /> {t.title}
        </a>
        <Who />
      </header>
      <nav class="side" aria-label={t.nav.label} ref={side}>
        <ul>
          <For each={shown()}>
            {(item) => (
              <li>
                <a href={href([item.path])} aria-current={place() === item.path ? 'page' : undefined}>
                  {item.text}
                </a>
              </li>
            )}
          </For>
        </ul>
      </nav>
      <main id="main" ref={main}>
        <Here />
      </main>
    </div>
  )
}

/** The page of the present address. It begins anew with another one, but not with other parameters. */
function Here() {
  const path = createMemo(() => route().path.join('\0'))
  const page = createMemo((): JSX.Element => {
    const [place, id, part] = path().split('\0')
    switch (place) {
      case '':
        return shown().length > 0 ? null : <NothingHere />
      case 'overview':
        return <OverviewPage />
      case 'tenants':
        if (id === NEW) return <TenantForm />
        if (id && part === 'edit') return <TenantForm id={id} />
        return id ? <TenantPage id={id} /> : <TenantsPage />
      case 'plans':
        if (id === NEW) return <PlanPage />
        return id ? <PlanPage id={id} /> : <PlansPage />
      case 'cells':
        return <CellsPage />
      case 'webhooks':
        return <WebhooksPage id={id} />
      case 'keys':
        return <KeysPage />
      case 'audit':
        return <AuditPage />
      default:
        return <NoPage />
    }
  })
  return <>{page()}</>
}

const NoPage = () => <Page title={t.noPage}>{null}</Page>

/** For a key of a machine, such as a cell's agent. */
const NothingHere = () => (
  <Page title={t.nothingHere.title}>
    <p>{t.nothingHere.detail}</p>
  </Page>
)

function Who() {
  const [problem, setProblem] = createSignal<Problem>()
  const leave = () => signOut().catch((error: unknown) => setProblem(asProblem(error)))
  return (
    <div class="who">
      <ProblemBox problem={problem()} />
      <span class="key-name" title={session()?.scopes.join(', ')}>
        {session()?.key.name ?? t.keyNumber(session()?.key.id ?? 0)}
      </span>
      <Button look="quiet" onClick={nextTheme} aria-label={t.theme.change(t.theme[theme()])} title={t.theme[theme()]}>
        <ThemeIcon />
      </Button>
      <Button onClick={leave}>{t.signOut}</Button>
    </div>
  )
}

const Mark = () => (
  <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true" class="mark">
    <rect width="16" height="16" rx="4" />
    <path d="M3.5 4.5h9M3.5 8h9M3.5 11.5h5.5" />
  </svg>
)

const ThemeIcon = () => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5">
    <Switch>
      <Match when={theme() === 'light'}>
        <circle cx="8" cy="8" r="3" />
        <path d="M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.5 1.5M11.500 11.500L13 13M13 3l-1.500 1.500M4.500 11.500L3 13" />
      </Match>
      <Match when={theme() === 'dark'}>
        <path d="M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500Z" />
      </Match>
      <Match when={true}>
        <circle cx="8" cy="8" r="5.500" />
        <path d="M8 2.500a5.500 5.500 0 0 1 0 11Z" fill="currentColor" />
      </Match>
    </Switch>
  </svg>
)
