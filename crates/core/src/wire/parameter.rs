//! The query parameters that routes read. A query is read by these names only, and `describe/rules.rs` writes each one's rule, so a
//! parameter that nobody described does not compile.

macro_rules! parameters {
    ($($parameter:ident = $name:literal,)+) => {
        /// A query parameter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Parameter { $($parameter),+ }

        impl Parameter {
            /// Every parameter.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$parameter),+];

            /// Finds a parameter by its name.
            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$parameter),)+
                    _ => None,
                }
            }

            /// The name in a query.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$parameter => $name,)+
                }
            }
        }
    };
}

parameters! {
    Limit = "limit",
    After = "after",
    Id = "id",
    PlanId = "plan_id",
    IsEnabled = "is_enabled",
    Hostname = "hostname",
    ExternalId = "external_id",
    Label = "label",
    CreatedSince = "created_since",
    UpdatedSince = "updated_since",
    Prefix = "q",
    Fields = "fields",
    Count = "count",
    Sort = "sort",
    Deleted = "deleted",
    Agent = "agent",
    AgentVersion = "agent_version",
    Tenant = "tenant",
    State = "state",
    SubjectType = "subject_type",
    Subject = "subject",
    Action = "action",
    KeyId = "key_id",
    Since = "since",
    Type = "type",
    Cell = "cell",
    ValidateOnly = "validate_only",
}
