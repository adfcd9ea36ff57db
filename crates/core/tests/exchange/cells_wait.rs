//! `Prefer: wait` and `respond-async` (contract §15, RFC 7240): how long a request waits for its cell is the caller's choice.

use crate::ask::{Ask, delete_with_tables, install, new_tenant, new_tenant_on, patch, reset};
use crate::cells::{host_with, host_with_cells};
use crate::cells_jobs::{drive, with_end};
use crate::host::{Got, Host};

const APPLIED: &str = "preference-applied";

/// Sends a request whose job never ends. Returns the response, and the pauses.
fn wait(host: &mut Host, ask: &Ask) -> (Got, Vec<u32>) {
    let mut pauses = Vec::new();
    let got = drive(host, ask, |_, milliseconds| {
        pauses.push(milliseconds);
        true
    });
    (got, pauses)
}

#[test]
fn the_caller_chooses_how_long_a_request_waits() {
    for (prefer, waited_ms, applied) in [
        ("respond-async", 0, Some("respond-async")),
        ("wait=0", 0, Some("wait=0")),
        ("wait=1", 1_000, Some("wait=1")),
        ("wait=45", 45_000, Some("wait=45")),
        ("wait=60", 60_000, Some("wait=60")),
        ("wait=61", 60_000, Some("wait=60")),
        ("wait=99999999999", 60_000, Some("wait=60")),
        (
            "respond-async, wait=2",
            2_000,
            Some("respond-async, wait=2"),
        ),
        ("wait=2, wait=50", 2_000, Some("wait=2")),
        ("wait=soon", 20_000, None),
        ("handling=strict, return=minimal", 20_000, None),
    ] {
        let mut host = host_with_cells();
        host.expect(201, &new_tenant_on("a", "eu"));
        let (got, pauses) = wait(&mut host, &install("a").prefer(prefer));
        assert_eq!(got.status, 202, "{prefer}: {got:?}");
        assert_eq!(pauses.iter().sum::<u32>(), waited_ms, "{prefer}");
        assert!(pauses.len() <= 15, "{prefer}: {pauses:?}");
        assert_eq!(got.header(APPLIED), applied, "{prefer}");
        assert!(got.header("location").is_some());
    }
}

#[test]
fn what_was_done_in_time_is_answered_as_ever_and_says_what_was_applied() {
    let mut host = host_with(&[("TENANTS_JOB_WAIT_SECONDS", "0")]);
    host.expect(201, &new_tenant_on("a", "eu"));
    for (ask, status) in [
        (install("a"), 201),
        (reset("a"), 200),
        (
            patch("/tenants/a/user-password-reset", r#"{"username":"admin"}"#),
            200,
        ),
        (delete_with_tables("a"), 204),
    ] {
        let got = with_end(&mut host, &ask.prefer("wait=30"), "done");
        assert_eq!(
            (got.status, got.header(APPLIED)),
            (status, Some("wait=30")),
            "{got:?}"
        );
    }
}

#[test]
fn a_preference_that_the_host_or_the_cell_does_not_allow_is_not_called_applied() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant_on("t", "eu"));
    let ask = install("t").prefer("respond-async, wait=30");
    let got = drive(&mut host, &ask, |_, _| false);
    assert_eq!(
        (got.status, got.header(APPLIED)),
        (202, Some("respond-async")),
        "the host cannot wait"
    );
    for n in 0..20 {
        let id = format!("t{n}");
        host.expect(201, &new_tenant_on(&id, "eu"));
        let (got, _) = wait(&mut host, &install(&id).prefer("respond-async"));
        assert_eq!(got.status, 202);
    }
    host.expect(201, &new_tenant_on("last", "eu"));
    let (got, pauses) = wait(&mut host, &install("last").prefer("wait=30"));
    assert_eq!((got.status, got.header(APPLIED)), (202, None));
    assert_eq!(pauses, [0; 0], "too many wait for the cell");
    let async_too = install("last").prefer("wait=30, respond-async");
    let (got, _) = wait(&mut host, &async_too);
    assert_eq!(got.header(APPLIED), Some("respond-async"));
}

#[test]
fn a_tenant_without_a_cell_has_nothing_to_wait_for() {
    let mut host = host_with_cells();
    host.expect(201, &new_tenant("a"));
    for (ask, status) in [
        (install("a"), 201),
        (reset("a"), 200),
        (delete_with_tables("a"), 204),
    ] {
        let ask = ask.prefer("respond-async, wait=5");
        let got = drive(&mut host, &ask, |_, _| panic!("it does not wait"));
        assert_eq!((got.status, got.header(APPLIED)), (status, None), "{got:?}");
    }
}
