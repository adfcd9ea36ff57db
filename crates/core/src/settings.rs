//! A tenant's effective settings: the variables that its site runs with (contract §6).
//!
//! This module decides which value wins if a name has several. Highest first: `CHEVERETO_TENANT_ENFORCED`, the tenant's `env`, its plan's
//! `env`, the tenant's `limits`, its plan's `limits`. Chevereto applies the maps in this order, so any `env` may lift a limit. Only
//! `CHEVERETO_TENANT_ENFORCED` wins over every map.
//!
//! This module reads no database. Its caller passes in the maps, from rows or from the API's responses. `GET /tenants/{id}/settings` shows
//! effective settings, and programs that embed the core and start tenants' sites may need them.
//!
//! ```
//! use tenants_core::config::Config;
//! use tenants_core::settings::{Maps, Source, effective};
//! use tenants_core::wire::variables::Variables;
//!
//! # fn main() -> Result<(), String> {
//! let config = Config::read(|name| {
//!     (name == "CHEVERETO_TENANT_ENFORCED").then(|| r#"{"CHEVERETO_DEBUG_LEVEL": "0"}"#.into())
//! })
//! .map_err(|errors| format!("{errors:?}"))?;
//! // As the API returns them.
//! let own = Variables::parse(r#"{"CHEVERETO_MAX_USERS": "5", "CHEVERETO_DEBUG_LEVEL": "3"}"#)?;
//! let plans = Variables::parse(r#"{"CHEVERETO_MAX_USERS": "2", "CHEVERETO_MAX_FILES": "100"}"#)?;
//!
//! let tenant = Maps { limits: Some(&own), env: None };
//! let plan = Maps { limits: Some(&plans), env: None };
//! let settings = effective(config.enforced(), tenant, Some(plan));
//! let shown: Vec<_> = settings.iter().map(|(name, s)| (name, s.value, s.source)).collect();
//! assert_eq!(
//!     shown,
//!     [
//!         ("CHEVERETO_DEBUG_LEVEL", "0", Source::Enforced),
//!         ("CHEVERETO_MAX_FILES", "100", Source::PlanLimits),
//!         ("CHEVERETO_MAX_USERS", "5", Source::TenantLimits),
//!     ]
//! );
//! # Ok(())
//! # }
//! ```

use alloc::collections::BTreeMap;

use serde::Serialize;

use crate::wire::variables::Variables;

/// The two maps of a tenant or a plan. `None` means that the map was never set, and counts as empty. `env` is decrypted here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Maps<'a> {
    /// The limits.
    pub limits: Option<&'a Variables>,
    /// The environment.
    pub env: Option<&'a Variables>,
}

/// The source of a setting. If several sources have a name, the first of these variants wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `CHEVERETO_TENANT_ENFORCED`
    Enforced,
    /// The tenant's own `env`.
    TenantEnv,
    /// The `env` of its plan.
    PlanEnv,
    /// The tenant's own `limits`.
    TenantLimits,
    /// The `limits` of its plan.
    PlanLimits,
}

/// An effective setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Setting<'a> {
    /// The value.
    pub value: &'a str,
    /// The source of the value.
    pub source: Source,
}

/// Effective settings by name. In JSON: `{"NAME": {"value": "…", "source": "tenant_limits"}, …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Effective<'a>(BTreeMap<&'a str, Setting<'a>>);

impl<'a> Effective<'a> {
    /// The setting with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Setting<'a>> {
        self.0.get(name).copied()
    }

    /// Names and settings, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Setting<'a>)> {
        self.0.iter().map(|(name, setting)| (*name, *setting))
    }
}

/// The settings that a tenant's site runs with. `enforced` is [`crate::config::Config::enforced`]. `plan` is `None` if the tenant has no
/// plan.
#[must_use]
pub fn effective<'a>(
    enforced: &'a Variables,
    tenant: Maps<'a>,
    plan: Option<Maps<'a>>,
) -> Effective<'a> {
    let plan = plan.unwrap_or_default();
    // Lowest first: later layers overwrite earlier ones.
    let layers = [
        (Source::PlanLimits, plan.limits),
        (Source::TenantLimits, tenant.limits),
        (Source::PlanEnv, plan.env),
        (Source::TenantEnv, tenant.env),
        (Source::Enforced, Some(enforced)),
    ];
    let mut settings = BTreeMap::new();
    for (source, map) in layers {
        for (name, value) in map.into_iter().flat_map(Variables::iter) {
            settings.insert(name, Setting { value, source });
        }
    }
    Effective(settings)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::{Maps, Setting, Source, effective};
    use crate::wire::variables::Variables;

    /// Highest first (contract §6).
    const PRECEDENCE: [Source; 5] = [
        Source::Enforced,
        Source::TenantEnv,
        Source::PlanEnv,
        Source::TenantLimits,
        Source::PlanLimits,
    ];

    fn map(json: &str) -> Variables {
        Variables::parse(json).unwrap()
    }

    /// Covers every combination of the five maps: the bits of a name's number say which maps have the name.
    #[test]
    fn the_highest_source_of_a_name_wins() {
        let maps: Vec<Variables> = (0..5)
            .map(|layer| {
                let entries: Vec<_> = (0..32)
                    .filter(|which| which & (1 << layer) != 0)
                    .map(|which| format!(r#""N{which}":"{layer}""#))
                    .collect();
                map(&format!("{{{}}}", entries.join(",")))
            })
            .collect();
        let (tenant, plan) = (
            Maps {
                limits: Some(&maps[3]),
                env: Some(&maps[1]),
            },
            Maps {
                limits: Some(&maps[4]),
                env: Some(&maps[2]),
            },
        );
        let settings = effective(&maps[0], tenant, Some(plan));
        assert_eq!(settings.iter().count(), 31, "what none has is not there");
        for which in 1_usize..32 {
            let layer = which.trailing_zeros() as usize;
            let setting = settings.get(&format!("N{which}")).unwrap();
            assert_eq!(setting.source, PRECEDENCE[layer], "{which:b}");
            assert_eq!(setting.value, format!("{layer}"), "{which:b}");
        }
        assert!(PRECEDENCE.is_sorted());
    }

    #[test]
    fn a_tenant_without_a_plan_has_its_own_settings_and_the_enforced_ones() {
        let (enforced, own) = (map(r#"{"A":"0"}"#), map(r#"{"A":"1","B":"1"}"#));
        let tenant = Maps {
            limits: None,
            env: Some(&own),
        };
        let settings = effective(&enforced, tenant, None);
        let expected = effective(&enforced, tenant, Some(Maps::default()));
        assert_eq!(settings, expected, "as under a plan that sets nothing");
        assert_eq!(
            settings.get("B"),
            Some(Setting {
                value: "1",
                source: Source::TenantEnv
            })
        );
        assert_eq!(
            serde_json::to_string(&settings).unwrap(),
            r#"{"A":{"value":"0","source":"enforced"},"B":{"value":"1","source":"tenant_env"}}"#
        );
    }

    #[test]
    fn an_empty_value_overrides_the_plans_value() {
        let (none, own, plans) = (map("{}"), map(r#"{"A":""}"#), map(r#"{"A":"1"}"#));
        let limits = |limits| Maps {
            limits: Some(limits),
            env: None,
        };
        let settings = effective(&none, limits(&own), Some(limits(&plans)));
        assert_eq!(settings.get("A").unwrap().value, "");
        assert_eq!(effective(&none, Maps::default(), None).iter().count(), 0);
    }
}
