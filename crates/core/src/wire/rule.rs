//! The rules of the values that requests carry: one name for each, which a reader of a field or of a parameter gives together with the
//! value's name. `describe/rules.rs` writes each as a JSON Schema, so a value that nobody described does not compile.

/// The rule of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// `true` or `false`.
    Boolean,
    /// A boolean; in the legacy dialect `1` or `0`, too.
    Switch,
    TenantId,
    PlanId,
    /// The plan of a tenant: a plan that exists; `null` or `""` for none.
    PlanOfTenant,
    Hostname,
    /// Another system's id, or `null`.
    ExternalId,
    /// The labels of a new resource, or `null`.
    Labels,
    /// A change to labels, or `null` to remove all.
    LabelsPatch,
    Limits,
    Env,
    PlanName,
    /// The description of a legacy plan, or `null`.
    PlanDescription,
    /// The id of a key, in a path.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the description has it"))]
    KeyId,
    /// A key's name, or `null`.
    KeyName,
    Scopes,
    /// The first second in which a key is no longer valid, or `null`.
    KeyEnd,
    OverlapSeconds,
    Username,
    Email,
    Password,
    /// A password; without one, or with `null`, the service generates one.
    NewPassword,
    /// Why a tenant is held, for the operator.
    HoldReason,
    /// What visitors of a held tenant read, or `null`.
    HoldMessage,
    /// The end of a hold, or `null`.
    HoldEnd,
    /// When a tenant is suspended, or `null`.
    SuspendAt,
    /// When a tenant is deleted, or `null`.
    DeleteAt,
    /// The kind of a further hostname.
    HostnameKind,
    CellId,
    /// The cell of a tenant: a cell that takes tenants; `null` for none.
    CellOfTenant,
    /// The name of a cell, or `null`.
    CellName,
    /// Traefik's service, or `null`.
    Service,
    /// The most jobs to lease.
    LeaseCount,
    /// The seconds of a lease.
    LeaseSeconds,
    /// The token of a lease.
    Lease,
    /// How a job ended.
    EndState,
    /// Why a job failed, or `null`.
    JobError,
    /// The address of a webhook's receiver.
    WebhookUrl,
    /// The types of events that a webhook wants, or `null` for all.
    EventTypes,
    /// What a webhook is for, or `null`.
    WebhookDescription,
    /// Where a webhook begins that is enabled again.
    BacklogOrNow,
    /// The counters of tenants.
    StatsOfTenants,
}
