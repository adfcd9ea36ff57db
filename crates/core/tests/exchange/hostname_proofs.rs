//! `TENANTS_HOSTNAME_PROOF=txt` (contract §18): a hostname is routed only after its owner has shown it by a record of DNS.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use tenants_core::machine::{
    Effect, FetchFailure, FetchRequest, FetchedAnswer, Machine, Outcome, Step,
};
use tenants_core::sql::Value;
use tenants_core::task::stats::Report;

use crate::ask::{Ask, delete, get, new_tenant, patch, post, put};
use crate::host::{Got, Host, WaitsForBatch as _};
use crate::invariants::is_followed_by_a_delivery;
use crate::statements::Group;

const ALIAS: &str = r#"{"kind":"alias"}"#;
const VARIABLES: &[(&str, &str)] = &[
    ("TENANTS_HOSTNAME_PROOF", "txt"),
    ("TENANTS_DOH_URL", "http://localhost:53/resolve?ct=1"),
    ("TENANTS_DEVELOPMENT", "true"),
];

/// The resolver: the records that there are by their hostnames, or what it answers instead.
enum Resolver {
    Has(Vec<(&'static str, String)>),
    Says(u16, &'static str),
    Fails,
    IsAbsent,
}

impl Resolver {
    fn none() -> Self {
        Self::Has(Vec::new())
    }

    fn outcome(&self, request: &FetchRequest) -> Outcome {
        let url = request.url.as_str();
        let name = url
            .strip_prefix("http://localhost:53/resolve?ct=1&name=_tenants-proof.")
            .and_then(|rest| rest.strip_suffix("&type=TXT"));
        let name = name.unwrap_or_else(|| panic!("{url}"));
        assert_eq!(request.headers, [("accept", "application/dns-json".into())]);
        let answer = |status, body: String| {
            Outcome::Fetched(Ok(FetchedAnswer {
                status,
                body: body.into(),
                milliseconds: 1,
            }))
        };
        match self {
            Self::Has(records) => {
                let of_name = records.iter().filter(|(hostname, _)| *hostname == name);
                let all: Vec<Json> = of_name
                    .map(|(_, text)| json!({"name": name, "type": 16, "TTL": 60, "data": format!("\"{text}\"")}))
                    .collect();
                answer(200, json!({"Status": 0, "Answer": all}).to_string())
            }
            Self::Says(status, body) => answer(*status, (*body).into()),
            Self::Fails => Outcome::Fetched(Err(FetchFailure::new("refused", 1))),
            Self::IsAbsent => Outcome::CannotFetch,
        }
    }
}

fn drive<M: Machine>(
    host: &mut Host,
    mut step: Step<M>,
    resolver: &Resolver,
) -> (M::Output, usize) {
    let mut asked = 0;
    loop {
        let machine = match step {
            Step::Done(output) => return (output, asked),
            Step::Run(machine) => machine,
        };
        let outcome = match machine.effect() {
            Effect::Batch(batch) => {
                let batch = batch.clone();
                crate::host::outcome(host.run(&batch))
            }
            Effect::Fetch(request) => {
                asked += 1;
                resolver.outcome(request)
            }
            Effect::Wait(_) => Outcome::CannotWait,
        };
        step = host.resumed_with(machine, outcome);
    }
}

/// Sends a request to its end.
fn send(host: &mut Host, status: u16, ask: &Ask, resolver: &Resolver) -> Got {
    let before = entries(host).len();
    let step = host.begin(ask);
    let (answer, _) = drive(host, step, resolver);
    let got = host.sent(ask, Step::Done(answer), false).unwrap();
    assert!(entries(host).len() == before || is_followed_by_a_delivery(host, &got));
    assert_eq!(got.status, status, "{ask:?}: {got:?}");
    got
}

fn cron(host: &mut Host, resolver: &Resolver) -> (Report, usize) {
    let carried_out = host.api.begin_stats(host.now).unwrap();
    host.complete(carried_out);
    let proofs = host.api.begin_proofs(host.now).unwrap();
    let (report, asked) = drive(host, Step::Run(proofs), resolver);
    (report.unwrap(), asked)
}

fn host() -> Host {
    let mut host = Host::with(VARIABLES);
    for id in ["a", "b"] {
        host.expect(201, &new_tenant(id).from("::1"));
    }
    host
}

fn add(id: &str) -> Ask {
    put(&format!("/tenants/{id}/hostnames/n.example"), ALIAS).from("::1")
}

fn verify(id: &str) -> Ask {
    post(&format!("/tenants/{id}/hostnames/n.example/verify"), "").from("::1")
}

/// Claims `n.example`. Returns the value that its record must have.
fn claim(host: &mut Host, id: &str) -> String {
    let got = host.expect(201, &add(id)).json();
    got["proof"]["value"].as_str().unwrap().to_owned()
}

fn record(value: &str) -> Resolver {
    Resolver::Has(vec![("n.example", value.to_owned())])
}

fn shown(host: &mut Host, id: &str) -> Json {
    let list = get(&format!("/tenants/{id}/hostnames")).from("::1");
    host.json(200, &list)[0].clone()
}

fn is_routed(host: &mut Host) -> bool {
    let poll = get("/config/traefik").no_key().no_signature().from("::1");
    host.expect(200, &poll).body.contains("`n.example`")
}

/// The details of the entries on hostnames, and whether a caller wrote them.
fn entries(host: &Host) -> Vec<Vec<Value>> {
    host.sql(
        "SELECT detail || iif(key_id IS NULL, ' cron', '') FROM audit_log WHERE changed = 'hostnames' ORDER BY id",
        &[],
    )
}

fn texts(all: &[&str]) -> Vec<Vec<Value>> {
    all.iter().map(|text| vec![(*text).into()]).collect()
}

#[test]
fn a_claim_is_routed_once_its_record_is_found() {
    let mut host = host();
    let got = host.expect(201, &add("a"));
    let value = got.json()["proof"]["value"].as_str().unwrap().to_owned();
    assert_eq!(value.len(), 24);
    assert_eq!(
        got.json(),
        json!({
            "hostname": "n.example", "kind": "alias", "created_at": "2026-08-18 23:16:57", "updated_at": "2026-08-18 23:16:57",
            "claimed_until": "2026-08-25 23:16:57", "proof": {"name": "_tenants-proof.n.example", "type": "TXT", "value": value},
            "proof_missing_since": null
        })
    );
    assert!(!is_routed(&mut host));
    for other in ["", "x", &value.to_lowercase()] {
        let got = send(&mut host, 409, &verify("a"), &record(other));
        assert_eq!(got.json()["code"], "proof_missing");
        assert!(got.body.contains("_tenants-proof.n.example"));
    }
    let before = host.dump();
    send(&mut host, 409, &verify("a").tried(), &Resolver::none());
    let tried = send(&mut host, 200, &verify("a").tried(), &record(&value));
    assert_eq!(tried.body, r#"{"valid":true}"#);
    assert_eq!(host.dump(), before);
    assert!(!is_routed(&mut host));

    host.now += 1;
    let got = send(&mut host, 200, &verify("a"), &record(&value)).json();
    assert_eq!(got["claimed_until"], Json::Null);
    assert_eq!(got, shown(&mut host, "a"));
    assert!(is_routed(&mut host));
    // It is so already.
    let before = host.dump();
    send(&mut host, 200, &verify("a"), &record(&value));
    assert_eq!(host.dump(), before);
    // Another kind keeps the proof.
    let redirect = put("/tenants/a/hostnames/n.example", r#"{"kind":"redirect"}"#).from("::1");
    let got = host.expect(200, &redirect).json();
    assert_eq!(
        (&got["claimed_until"], &got["proof"]["value"]),
        (&Json::Null, &json!(value))
    );
    assert_eq!(
        entries(&host),
        texts(&["hostname_added", "hostname_proven", "hostname_changed"])
    );
}

#[test]
fn a_resolver_that_does_not_know_decides_nothing() {
    let mut host = host();
    claim(&mut host, "a");
    for resolver in [
        Resolver::Fails,
        Resolver::IsAbsent,
        Resolver::Says(500, "{}"),
        Resolver::Says(200, "<html>"),
        Resolver::Says(200, r#"{"Status":2}"#),
    ] {
        let before = host.dump();
        let got = send(&mut host, 503, &verify("a"), &resolver);
        assert_eq!(got.json()["code"], "lookup_failed");
        assert!(got.header("retry-after").is_some());
        assert_eq!(host.dump(), before);
        host.now += 600;
        let (report, asked) = cron(&mut host, &resolver);
        assert_eq!((report.counted, report.failed.len(), asked), (0, 1, 1));
        assert_eq!(report.failed[0].tenant, "a");
    }
    for (status, ask) in [
        (404, post("/tenants/a/hostnames/m.example/verify", "")),
        (404, post("/tenants/a/hostnames/n..example/verify", "")),
        (404, post("/tenants/gone/hostnames/n.example/verify", "")),
        (404, verify("b")),
    ] {
        send(&mut host, status, &ask.from("::1"), &Resolver::Fails);
    }
    // Who has no valid key makes the service ask nobody.
    let step = host.begin(&verify("a"));
    host.sql("UPDATE api_keys SET deleted_at = created_at", &[]);
    let (answer, asked) = drive(&mut host, step, &Resolver::Fails);
    assert_eq!((answer.response.status, asked), (401, 0));
}

#[test]
fn a_claim_keeps_nobody_out_and_whoever_proves_first_has_the_name() {
    let mut host = host();
    let [of_a, of_b] = ["a", "b"].map(|id| claim(&mut host, id));
    assert_ne!(of_a, of_b);
    // Each one's record is its own.
    send(&mut host, 409, &verify("a"), &record(&of_b));
    let both = Resolver::Has(vec![("n.example", of_a.clone()), ("n.example", of_b)]);
    send(&mut host, 200, &verify("b"), &both);
    let got = send(&mut host, 409, &verify("a"), &both).json();
    assert_eq!(
        (&got["code"], &got["errors"][0]["holder"]),
        (&json!("conflict"), &json!("b"))
    );
    // A new claim of a name that somebody has is refused.
    let remove = delete("/tenants/a/hostnames/n.example").from("::1");
    host.expect(204, &remove);
    assert_eq!(
        host.expect(409, &add("a")).json()["errors"][0]["holder"],
        "b"
    );
    host.expect(204, &delete("/tenants/b/hostnames/n.example").from("::1"));

    // A tenant may take it as its own, with a claim or without.
    let again = claim(&mut host, "a");
    assert_ne!(again, of_a);
    let own = patch("/tenants/b", r#"{"hostname":"n.example"}"#).from("::1");
    host.expect(204, &own);
    let got = send(&mut host, 409, &verify("a"), &record(&again)).json();
    assert_eq!(got["errors"][0]["holder"], "b");
    host.now += 60;
    let before = shown(&mut host, "a");
    cron(&mut host, &record(&again));
    assert_eq!(shown(&mut host, "a"), before);
    // No filter finds a claim.
    let find = get("/tenants?fields=id&hostname=n.example").from("::1");
    assert_eq!(host.json(200, &find), json!([{"id": "b"}]));
}

/// Between the look-up and its write the claim was deleted and made again, or another tenant was sooner.
#[test]
fn a_look_up_that_comes_late_proves_nothing() {
    for other in ["again", "sooner"] {
        let mut host = host();
        let [of_a, of_b] = ["a", "b"].map(|id| claim(&mut host, id));
        let ask = verify("a");
        let mut step = host.begin(&ask);
        for _ in 0..2 {
            let Step::Run(exchange) = step else { panic!() };
            let outcome = match exchange.effect() {
                Effect::Batch(batch) => crate::host::outcome(host.run(&batch.clone())),
                Effect::Fetch(request) => record(&of_a).outcome(request),
                Effect::Wait(_) => panic!(),
            };
            step = host.resumed_with(exchange, outcome);
        }
        if other == "again" {
            host.expect(204, &delete("/tenants/a/hostnames/n.example").from("::1"));
            claim(&mut host, "a");
        } else {
            send(&mut host, 200, &verify("b"), &record(&of_b));
        }
        let before = host.dump();
        let (answer, _) = drive(&mut host, step, &Resolver::Fails);
        let expected = if other == "again" { 404 } else { 409 };
        assert_eq!(answer.response.status, expected, "{other}");
        assert_eq!(host.dump(), before);
    }
}

/// The cron trigger has not run yet.
#[test]
fn a_claim_that_is_past_its_end_is_not_proven() {
    for seconds in [-1, 0] {
        let mut host = host();
        let value = claim(&mut host, "a");
        // The look-up of this one begins just before the end.
        let ask = verify("a");
        host.now += 7 * 86_400 - 1;
        let mut step = host.begin(&ask);
        for _ in 0..2 {
            let Step::Run(exchange) = step else { panic!() };
            let outcome = match exchange.effect() {
                Effect::Batch(batch) => crate::host::outcome(host.run(&batch.clone())),
                Effect::Fetch(request) => record(&value).outcome(request),
                Effect::Wait(_) => panic!(),
            };
            step = host.resumed_with(exchange, outcome);
        }
        host.now += 1 + seconds;
        if seconds < 0 {
            send(&mut host, 200, &verify("a"), &record(&value));
            continue;
        }
        let before = host.dump();
        for resolver in [record(&value), Resolver::Fails, Resolver::none()] {
            send(&mut host, 404, &verify("a"), &resolver);
            send(&mut host, 404, &verify("a").tried(), &resolver);
        }
        assert_eq!(host.dump(), before);
        let proofs = host.api.begin_proofs(host.now).unwrap();
        let (report, _) = drive(&mut host, Step::Run(proofs), &record(&value));
        assert_eq!(report.unwrap().failed, []);
        assert!(!is_routed(&mut host));
        cron(&mut host, &record(&value));
        assert_eq!(shown(&mut host, "a"), Json::Null);
        let (answer, _) = drive(&mut host, step, &Resolver::Fails);
        assert_eq!(answer.response.status, 404);
    }
}

/// Otherwise the cron trigger would end a claim for which the answer was 200.
#[test]
fn a_claim_that_is_past_its_end_begins_anew() {
    for kind in ["alias", "redirect"] {
        let mut host = host();
        let first = claim(&mut host, "a");
        host.now += 7 * 86_400;
        let again = put(
            "/tenants/a/hostnames/n.example",
            format!(r#"{{"kind":"{kind}"}}"#),
        );
        let again = again.from("::1").idempotency_key("again");
        let got = host.expect(200, &again);
        let value = got.json()["proof"]["value"].as_str().unwrap().to_owned();
        assert_ne!(value, first);
        assert_eq!(got.json()["claimed_until"], "2026-09-01 23:16:57");
        assert_eq!(host.expect(200, &again).body, got.body);
        cron(&mut host, &record(&first));
        assert_eq!(shown(&mut host, "a"), got.json());
        send(&mut host, 200, &verify("a"), &record(&value));
    }
}

#[test]
fn the_cron_trigger_proves_claims_and_ends_those_that_nobody_proved() {
    let mut host = host();
    let value = claim(&mut host, "a");
    claim(&mut host, "b");
    let (report, asked) = cron(&mut host, &Resolver::none());
    assert_eq!((report.counted, asked), (2, 2));
    // Not each minute.
    host.now += 60;
    assert_eq!(cron(&mut host, &record(&value)).1, 0);
    host.now += 540;
    assert_eq!(cron(&mut host, &record(&value)).1, 2);
    assert!(is_routed(&mut host));
    assert_eq!(shown(&mut host, "a")["claimed_until"], Json::Null);
    assert_eq!(
        entries(&host),
        texts(&["hostname_added", "hostname_added", "hostname_proven cron"])
    );
    host.now += 7 * 86_400 - 601;
    cron(&mut host, &Resolver::Fails);
    assert_eq!(shown(&mut host, "b")["hostname"], "n.example");
    host.now += 1;
    cron(&mut host, &Resolver::Fails);
    assert_eq!(shown(&mut host, "b"), Json::Null);
    assert_eq!(entries(&host)[3..], texts(&["hostname_deleted cron"]));
    // The proven one has no end.
    assert!(is_routed(&mut host));
    let events = get("/events?type=tenant.updated").from("::1");
    let events = host.json(200, &events);
    assert_eq!(events.as_array().unwrap().len(), 4);
}

#[test]
fn a_proof_that_goes_away_is_reported_and_unroutes_nothing() {
    let mut host = host();
    let value = claim(&mut host, "a");
    send(&mut host, 200, &verify("a"), &record(&value));
    let known = host.expect(200, &get("/tenants/a/hostnames").from("::1"));
    host.now += 86_400;
    cron(&mut host, &Resolver::none());
    let since = shown(&mut host, "a")["proof_missing_since"].clone();
    assert_eq!(since, "2026-08-19 23:16:57");
    assert!(is_routed(&mut host));
    let now = host.expect(200, &get("/tenants/a/hostnames").from("::1"));
    assert_ne!(known.header("etag"), now.header("etag"));
    // It is reported once.
    host.now += 86_400;
    let before = entries(&host);
    cron(&mut host, &Resolver::none());
    let got = send(&mut host, 200, &verify("a"), &Resolver::none()).json();
    assert_eq!(got["proof_missing_since"], since);
    assert_eq!(entries(&host), before);
    // Who does not know reports nothing.
    host.now += 86_400;
    cron(&mut host, &Resolver::Fails);
    assert_eq!(shown(&mut host, "a")["proof_missing_since"], since);
    host.now += 86_400;
    cron(&mut host, &record(&value));
    assert_eq!(shown(&mut host, "a")["proof_missing_since"], Json::Null);
    assert!(is_routed(&mut host));
    assert_eq!(
        entries(&host)[1..],
        texts(&["hostname_proven", "proof_missing cron", "proof_found cron"])
    );
}

#[test]
fn a_run_looks_up_ten_records_at_the_most() {
    let mut host = host();
    for n in 0..25 {
        let ask = put(&format!("/tenants/a/hostnames/n{n}.example"), ALIAS);
        host.expect(201, &ask.from("::1"));
    }
    let asked = [10, 10, 5, 0].map(|_| {
        host.now += 1;
        cron(&mut host, &Resolver::none()).1
    });
    assert_eq!(asked, [10, 10, 5, 0]);
}

#[test]
fn without_the_variable_a_hostname_needs_no_proof() {
    let mut host = host();
    let value = claim(&mut host, "a");
    host.configure(&[("TENANTS_HOSTNAME_PROOF", "none")]);
    // The claim is one still, and its record counts.
    assert!(!is_routed(&mut host));
    let keyed = add("b").idempotency_key("k-1");
    let got = host.expect(201, &keyed);
    assert_eq!(got.json()["proof"], Json::Null);
    assert_eq!(host.expect(201, &keyed).body, got.body);
    assert!(is_routed(&mut host));
    let step = host.begin(&verify("b"));
    assert_eq!(drive(&mut host, step, &Resolver::Fails).1, 0);
    send(&mut host, 409, &verify("a"), &record(&value));
    host.expect(204, &delete("/tenants/b/hostnames/n.example").from("::1"));
    // A PUT takes the name.
    let keyed = add("a").idempotency_key("k-2");
    let got = host.expect(200, &keyed);
    assert_eq!(got.json()["claimed_until"], Json::Null);
    assert_eq!(got.json(), shown(&mut host, "a"));
    assert_eq!(host.expect(200, &keyed).body, got.body);
    host.now += 30 * 86_400;
    assert_eq!(cron(&mut host, &Resolver::none()).1, 0);
    assert!(is_routed(&mut host));
    for (name, value) in [
        ("TENANTS_HOSTNAME_PROOF", "dns"),
        ("TENANTS_DOH_URL", "http://192.0.2.1/"),
        ("TENANTS_DOH_URL", "resolver"),
    ] {
        host.configure(&[(name, value)]);
        let errors = host.api.config().unwrap_err();
        assert_eq!(errors[0].name, name);
        host.configure(&[(name, "")]);
    }
}

#[test]
fn a_remembered_claim_is_answered_as_it_was() {
    let mut host = host();
    for keyed in [
        add("a").idempotency_key("k-1"),
        add("a").idempotency_key("k-2"),
    ] {
        let first = host.ask(&keyed);
        host.now += 1;
        let again = host.ask(&keyed);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!((first.status, &first.body), (again.status, &again.body));
        assert_eq!(first.json(), shown(&mut host, "a"));
    }
}

#[test]
fn a_tenant_that_is_brought_back_has_what_it_had_proven() {
    let mut host = host();
    let value = claim(&mut host, "a");
    send(&mut host, 200, &verify("a"), &record(&value));
    let other = put("/tenants/a/hostnames/m.example", ALIAS).from("::1");
    host.expect(201, &other);
    let before = shown(&mut host, "a");
    assert_eq!(before["hostname"], "m.example");
    host.expect(204, &delete("/tenants/a").from("::1"));
    // Nobody else's claim is in the way.
    claim(&mut host, "b");
    send(
        &mut host,
        200,
        &post("/tenants/a/restore", "").from("::1"),
        &Resolver::none(),
    );
    let back = shown(&mut host, "a");
    assert_eq!(back["hostname"], "n.example");
    assert_eq!(back["proof"]["value"], value);
    assert!(is_routed(&mut host));
    let (report, _) = cron(&mut host, &Resolver::none());
    assert_eq!(report.counted, 2);
    assert_ne!(shown(&mut host, "a")["proof_missing_since"], Json::Null);
}

/// The statements of proofs, and the walks of their plans.
pub(crate) fn groups_of_proofs() -> Vec<(Group, BTreeSet<String>)> {
    let mut host = host();
    let mut groups = Vec::new();
    let mut group = Group::new("PUT /tenants/{id}/hostnames/{hostname}, a claim");
    let ask = add("a");
    let exchange = host.first(&ask);
    let rows = group.run(&mut host, exchange.batch());
    let got = host.finish(&ask, exchange, Ok(rows)).json();
    let resolver = record(got["proof"]["value"].as_str().unwrap());
    groups.push((group, BTreeSet::new()));
    claim(&mut host, "b");

    let mut group = Group::new("the cron trigger's look at hostnames' records");
    let mut step = Step::Run(host.api.begin_proofs(host.now).unwrap());
    while let Step::Run(task) = step {
        let outcome = match task.effect() {
            Effect::Batch(batch) => {
                let batch = batch.clone();
                crate::host::outcome(Ok(group.run(&mut host, &batch)))
            }
            Effect::Fetch(request) => resolver.outcome(request),
            Effect::Wait(_) => panic!(),
        };
        step = host.resumed_with(task, outcome);
    }
    let found = ["SCAN json_each VIRTUAL TABLE INDEX 1:".to_owned()];
    groups.push((group, found.into()));

    let mut group = Group::new("POST /tenants/{id}/hostnames/{hostname}/verify");
    let mut step = host.begin(&verify("a"));
    while let Step::Run(exchange) = step {
        let outcome = match exchange.effect() {
            Effect::Batch(batch) => {
                let batch = batch.clone();
                crate::host::outcome(Ok(group.run(&mut host, &batch)))
            }
            Effect::Fetch(request) => resolver.outcome(request),
            Effect::Wait(_) => panic!(),
        };
        step = host.resumed_with(exchange, outcome);
    }
    groups.push((group, BTreeSet::new()));
    groups
}
