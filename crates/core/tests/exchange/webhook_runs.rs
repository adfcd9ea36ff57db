//! What a run of the deliveries does with the events of many subjects and webhooks, and with what changes meanwhile.

use serde_json::{Value as Json, json};
use tenants_core::machine::Outcome;
use tenants_core::task::deliver::Report;

use crate::ask::{get, new_tenant};
use crate::host::Host;
use crate::webhooks::{accept, deliveries, run, webhook};

/// A host drives runs as long as they say that they were cut off (`scheduled` of the npm package), so one without a network must not say so.
#[test]
fn a_run_without_a_network_refuses_nothing_and_is_not_cut_off() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
    for tenant in ["a", "b", "c"] {
        host.expect(201, &new_tenant(tenant));
    }
    for _ in 0..2 {
        let (got, report) = run(&mut host, |_| Outcome::CannotFetch);
        assert_eq!(got, ["tenant.created a"], "one is enough to find out");
        let expected = Report {
            enabled: true,
            ..Report::default()
        };
        assert_eq!(report, expected);
    }
    let shown = host.json(200, &get(&format!("/webhooks/{id}")));
    assert_eq!(
        (&shown["failing_since"], &shown["behind"]),
        (&Json::Null, &0.into())
    );
    assert_eq!(deliveries(&mut host, &id), [json!(null); 0]);
    // The events wait for a host with one.
    let (got, report) = run(&mut host, accept);
    assert_eq!((got.len(), report.is_cut), (3, false));
}
