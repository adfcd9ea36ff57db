//! The brake: a change that would remove or disable many sites waits for `tenants-agent accept`.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::state::{Plan, State};

/// The least number of sites that a change must hit to be held.
const MIN_SITES: usize = 20;
/// The share of all sites, in percent, above which a change is held.
const PERCENT: usize = 5;
/// How many names of sites are kept for people.
const SHOWN: usize = 20;

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// Names this very change: another one is not covered by its acceptance.
    pub(crate) token: String,
    pub(crate) reason: String,
    pub(crate) sites: usize,
    pub(crate) removed: usize,
    pub(crate) disabled: usize,
    /// The first names of both.
    pub(crate) first: Vec<String>,
    #[serde(default)]
    pub(crate) is_accepted: bool,
}

impl Hold {
    /// `registry` is the registry and cell that the change comes from.
    pub(crate) fn new(reason: String, plan: &Plan, registry: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(registry);
        hash.update(" ");
        hash.update(&reason);
        for (mark, ids) in [("removed", &plan.removed), ("disabled", &plan.disabled)] {
            hash.update(mark);
            for id in ids {
                hash.update(" ");
                hash.update(id);
            }
        }
        let names = plan.removed.iter().chain(&plan.disabled);
        Self {
            token: hex::encode(&hash.finalize()[..8]),
            reason,
            sites: plan.before,
            removed: plan.removed.len(),
            disabled: plan.disabled.len(),
            first: names.take(SHOWN).cloned().collect(),
            is_accepted: false,
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Returns why a change must wait for a person, if it must.
pub(crate) fn reason(plan: &Plan, is_full: bool, other_registry: Option<&str>) -> Option<String> {
    let hit = plan.removed.len() + plan.disabled.len();
    if let Some(other) = other_registry
        && plan.before > 0
    {
        return Some(format!(
            "the sites came from another registry or cell: {other}"
        ));
    }
    if is_full && plan.before > 0 && plan.removed.len() == plan.before {
        return Some("the registry has none of the sites any more".into());
    }
    (hit >= MIN_SITES && hit * 100 > plan.before * PERCENT)
        .then(|| format!("more than {PERCENT} % of the sites would be removed or disabled at once"))
}

/// Returns the change that waits.
pub(crate) fn current(state: &State) -> Result<Option<Hold>, Error> {
    let text = state.meta("hold")?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

pub(crate) fn store(state: &State, hold: &Hold) -> Result<(), Error> {
    state.set_meta("hold", Some(&hold.to_json().to_string()))
}

pub(crate) fn clear(state: &State) -> Result<(), Error> {
    if state.meta("hold")?.is_some() {
        state.set_meta("hold", None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Hold, reason};
    use crate::state::Plan;

    fn plan(before: usize, removed: usize, disabled: usize) -> Plan {
        let ids = |kind: &str, count| (0..count).map(|n| format!("{kind}{n}")).collect();
        Plan {
            before,
            removed: ids("r", removed),
            disabled: ids("d", disabled),
            written: Vec::new(),
        }
    }

    #[test]
    fn a_change_of_twenty_sites_and_more_than_five_percent_is_held() {
        for (before, removed, disabled, is_held) in [
            (100, 19, 0, false),
            (100, 10, 10, true),
            (100, 20, 0, true),
            (400, 20, 0, false),
            (400, 21, 0, true),
            (400, 0, 21, true),
            (3, 3, 0, false),
            (0, 0, 0, false),
        ] {
            let plan = plan(before, removed, disabled);
            assert_eq!(reason(&plan, false, None).is_some(), is_held, "{plan:?}");
        }
    }

    #[test]
    fn an_empty_or_another_registry_is_held_whatever_its_size() {
        assert!(reason(&plan(3, 3, 0), true, None).is_some());
        assert!(reason(&plan(3, 2, 0), true, None).is_none());
        assert!(reason(&plan(3, 0, 0), true, Some("https://other main")).is_some());
        assert!(reason(&plan(0, 0, 0), true, Some("https://other main")).is_none());
    }

    #[test]
    fn an_acceptance_covers_one_change() {
        let of = |registry: &str, removed, disabled| {
            Hold::new(String::new(), &plan(100, removed, disabled), registry).token
        };
        let token = |removed, disabled| of("https://a main", removed, disabled);
        assert_ne!(token(30, 0), of("https://b main", 30, 0));
        assert_eq!(token(30, 0), token(30, 0));
        assert_ne!(token(30, 0), token(31, 0));
        assert_ne!(token(30, 0), token(30, 1));
    }
}
