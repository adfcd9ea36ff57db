// The API's types, by the names that the pages use. `made/api.d.ts` is made of docs/openapi.json.

import type { components } from '../made/api'

type Schemas = components['schemas']

export type Tenant = Schemas['Tenant']
/** A tenant of a list, which may have fewer members, or `deleted_at`. */
export type ListedTenant = Schemas['ListedTenant']
export type Plan = Schemas['Plan']
export type ApiKey = Schemas['ApiKey']
export type NewApiKey = Schemas['NewApiKey']
export type AuditEntry = Schemas['AuditEntry']
export type Cell = Schemas['Cell']
export type Job = Schemas['Job']
export type Event = Schemas['Event']
export type Settings = Schemas['Settings']
export type PasswordReset = Schemas['PasswordReset']
export type Stats = Schemas['Stats']
export type Session = Schemas['Session']
export type ListedSession = Schemas['ListedSession']
export type TenantHostname = Schemas['TenantHostname']
export type Webhook = Schemas['Webhook']
export type NewWebhook = Schemas['NewWebhook']
export type WebhookSecret = Schemas['WebhookSecret']
export type WebhookTest = Schemas['WebhookTest']
export type Delivery = Schemas['Delivery']

/** A problem as the API sends it (RFC 9457). */
export type SentProblem = Schemas['Problem']

/** One error of a problem: at a member of the body, or at a parameter of the query. */
export interface FieldError {
  pointer?: string
  parameter?: string
  detail: string
  holder?: string
}

/** A problem to show: the API's, or one of the page's own. */
export interface Problem {
  status: number
  code: string
  title: string
  detail: string
  errors: FieldError[]
  scope?: string[]
  requestId?: string | undefined
}

export type Texts = Record<string, string>
