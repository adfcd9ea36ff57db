//! Webhooks: their routes, and the runs that send events to receivers, with a clock and receivers of the tests.

use serde_json::{Value as Json, json};
use tenants_core::machine::{FetchFailure, FetchRequest, FetchedAnswer, Outcome, Step};
use tenants_core::task::deliver::{DISABLED_AFTER_S, Delivery, MOST_REQUESTS, PAUSES_S, Report};
use tenants_core::{Context, Effect, Machine};

use crate::ask::{Ask, delete, get, new_plan, new_tenant, patch, post};
use crate::host::{Host, outcome};

pub(crate) const URL: &str = "https://hooks.example.com/tenants";

/// A message as a receiver gets it.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) url: String,
    pub(crate) id: String,
    signature: String,
    time: String,
    pub(crate) body: Json,
    pub(crate) text: String,
}

impl Got {
    fn of(request: &FetchRequest) -> Self {
        assert_eq!(request.method, "POST");
        let url = request.url.as_str().to_owned();
        assert!(url.starts_with("https://hooks.example.com/"));
        let header = |name: &str| {
            let found = request.headers.iter().find(|(n, _)| *n == name);
            found.unwrap().1.clone()
        };
        assert_eq!(header("content-type"), "application/json");
        Self {
            url,
            id: header("webhook-id"),
            signature: header("webhook-signature"),
            time: header("webhook-timestamp"),
            body: serde_json::from_str(&request.body).unwrap(),
            text: request.body.clone(),
        }
    }

    /// The type and the subject of its event.
    pub(crate) fn name(&self) -> String {
        format!(
            "{} {}",
            self.body["type"].as_str().unwrap(),
            self.body["data"]["id"].as_str().unwrap()
        )
    }
}

/// Resumes a machine on a host with a network.
fn resumed<M: Machine>(host: &mut Host, machine: M, outcome: Outcome) -> Step<M> {
    let mut context = Context {
        unix_seconds: host.now,
        random: host.random.as_mut(),
    };
    machine.resume(outcome, &mut context)
}

/// Drives a delivery. `answer` is the receiver.
pub(crate) fn run_with(host: &mut Host, answer: impl FnMut(&mut Host, Got) -> Outcome) -> Report {
    run_counted(host, answer).0
}

/// The same. Returns the number of statements, too.
pub(crate) fn run_counted(
    host: &mut Host,
    mut answer: impl FnMut(&mut Host, Got) -> Outcome,
) -> (Report, usize) {
    let mut statements = 0;
    let delivery =
        Delivery::begin(host.api.config().unwrap(), host.now, host.random.as_mut()).unwrap();
    let mut step = Step::Run(delivery);
    loop {
        let delivery = match step {
            Step::Run(delivery) => delivery,
            Step::Done(report) => return (report.unwrap(), statements),
        };
        step = match delivery.effect() {
            Effect::Batch(batch) => {
                let batch = batch.clone();
                statements += batch.statements().len();
                let rows = host.run(&batch);
                resumed(host, delivery, outcome(rows))
            }
            Effect::Fetch(request) => {
                let got = Got::of(request);
                let came = answer(host, got);
                resumed(host, delivery, came)
            }
            Effect::Wait(_) => panic!("a delivery waits"),
        };
    }
}

pub(crate) fn status(status: u16) -> Outcome {
    Outcome::Fetched(Ok(FetchedAnswer {
        status,
        body: format!("answer {status}").into_bytes(),
        milliseconds: 12,
    }))
}

pub(crate) fn down() -> Outcome {
    Outcome::Fetched(Err(FetchFailure::new("connection refused", 3)))
}

/// Runs once. Returns the events that the receiver got, by their type and subject. It answers with what `answer` says of each.
pub(crate) fn run(
    host: &mut Host,
    mut answer: impl FnMut(&str) -> Outcome,
) -> (Vec<String>, Report) {
    let mut got = Vec::new();
    let report = run_with(host, |_, message| {
        got.push(message.name());
        answer(&message.name())
    });
    (got, report)
}

pub(crate) fn accept(_: &str) -> Outcome {
    status(204)
}

/// Makes a webhook. Returns its id and its secret.
pub(crate) fn webhook(host: &mut Host, more: Json) -> (String, String) {
    let mut body = json!({"url": URL});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let made = host.json(201, &post("/webhooks", body.to_string()));
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

pub(crate) fn deliveries(host: &mut Host, id: &str) -> Vec<Json> {
    let path = format!("/webhooks/{id}/deliveries?limit=1000");
    host.json(200, &get(&path)).as_array().unwrap().clone()
}

/// The id of the webhook of [`add_webhook`].
pub(crate) const WEBHOOK: &str = "0123456789abcdef0123456789abcdef";

/// Makes a webhook with this id.
pub(crate) fn add_webhook(host: &mut Host) {
    let (id, _) = webhook(host, json!({}));
    for text in [
        "UPDATE webhooks SET id = ?1 WHERE id = ?2",
        "UPDATE webhook_secrets SET webhook_id = ?1 WHERE webhook_id = ?2",
    ] {
        host.sql(text, &[WEBHOOK.into(), id.as_str().into()]);
    }
}

/// A request of each route but the one that sends, with the walks of its plan.
pub(crate) fn requests() -> Vec<(&'static str, Ask, &'static [&'static str])> {
    let at = |below: &str| format!("/webhooks/{WEBHOOK}{below}");
    let made = r#"{"url":"https://hooks.example.com/"}"#;
    vec![
        ("GET /webhooks", get("/webhooks"), &[]),
        ("GET /webhooks/{id}", get(&at("")), &[]),
        // It counts them: there are 32 at the most.
        (
            "POST /webhooks",
            post("/webhooks", made),
            &["SCAN webhooks USING COVERING INDEX sqlite_autoindex_webhooks_1"],
        ),
        (
            "PATCH /webhooks/{id}",
            patch(&at(""), r#"{"is_enabled":true,"from":"now"}"#),
            &[],
        ),
        ("DELETE /webhooks/{id}", delete(&at("")), &[]),
        ("POST /webhooks/{id}/rotate", post(&at("/rotate"), ""), &[]),
        (
            "GET /webhooks/{id}/deliveries",
            get(&at("/deliveries")),
            &[],
        ),
        (
            "POST /webhooks/{id}/deliveries/{event}/retry",
            post(&at("/deliveries/fedcba9876543210.1/retry"), ""),
            // The actions, which are one bound text, and the webhook's types.
            &[
                "SCAN e VIRTUAL TABLE INDEX 1: LEFT-JOIN",
                "SCAN t VIRTUAL TABLE INDEX 1:",
            ],
        ),
    ]
}

/// The outcomes of all attempts, the oldest first.
pub(crate) fn outcomes(host: &mut Host, id: &str) -> String {
    let mut all = deliveries(host, id);
    all.reverse();
    let words: Vec<_> = all.iter().map(|d| d["outcome"].as_str().unwrap()).collect();
    words.join(" ")
}

#[test]
fn a_webhook_is_made_read_changed_and_deleted() {
    let mut host = Host::new();
    assert_eq!(host.json(200, &get("/webhooks")), json!([]));
    let got = host.expect(
        201,
        &post(
            "/webhooks",
            json!({"url": URL, "types": ["tenant.*", "plan.created", "tenant.*"], "description": "billing"}).to_string(),
        ),
    );
    let mut made = got.json();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(
        got.header("location").unwrap(),
        format!("/_/api/4/webhooks/{id}")
    );
    let secret = made.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["types"], json!(["tenant.*", "plan.created"]));
    assert_eq!(made["is_enabled"], true);
    let path = format!("/webhooks/{id}");
    assert_eq!(host.json(200, &get(&path)), made);
    assert_eq!(host.json(200, &get("/webhooks")), json!([made]));
    // No column has the secret in clear.
    assert!(!host.dump().contains(secret.as_str().unwrap()));

    host.expect(
        204,
        &patch(
            &path,
            r#"{"types":null,"description":null,"is_enabled":false}"#,
        ),
    );
    let after = host.json(200, &get(&path));
    assert_eq!(after["types"], json!([]));
    assert_eq!(
        (&after["description"], &after["is_enabled"]),
        (&Json::Null, &false.into())
    );
    // A change that changes nothing leaves no entry, and is remembered all the same.
    let same = patch(&path, r#"{"description":null,"is_enabled":false}"#);
    let before = host.dump();
    host.expect(204, &same);
    assert_eq!(host.dump(), before);
    let same = same.idempotency_key("same");
    host.expect(204, &same);
    let again = host.expect(204, &same);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    host.expect(204, &delete(&path));
    host.expect(404, &get(&path));
    host.expect(404, &delete(&path));
    assert_eq!(host.one("SELECT count(*) FROM webhook_secrets"), 0.into());
    assert_eq!(
        host.one("SELECT group_concat(action || ':' || coalesce(changed, ''), ' ') FROM audit_log WHERE action LIKE 'webhook%'"),
        "webhook.create: webhook.update:types description is_enabled webhook.delete:".into()
    );
}

#[test]
fn bad_input_is_refused_and_named() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({}));
    for (body, pointer) in [
        (json!({}), "/url"),
        (json!({"url": 7}), "/url"),
        (json!({"url": "http://hooks.example.com/"}), "/url"),
        (json!({"url": "https://localhost/"}), "/url"),
        (json!({"url": "http://127.0.0.1:9/"}), "/url"),
        (json!({"url": "https://192.168.1.1/"}), "/url"),
        (json!({"url": "https://[::ffff:10.0.0.1]/"}), "/url"),
        (json!({"url": URL, "types": "all"}), "/types"),
        (
            json!({"url": URL, "types": ["tenant.created", "tenant.create"]}),
            "/types/1",
        ),
        (json!({"url": URL, "types": ["tenant*"]}), "/types/0"),
        (json!({"url": URL, "types": ["*"]}), "/types/0"),
        (json!({"url": URL, "types": [1]}), "/types/0"),
        (json!({"url": URL, "description": ""}), "/description"),
        (json!({"url": URL, "secret": "whsec_AAAA"}), "/secret"),
    ] {
        let got = host.refuse(422, &post("/webhooks", body.to_string()));
        assert_eq!(got.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"is_enabled": true}), "/from"),
        (json!({"is_enabled": true, "from": "then"}), "/from"),
        (json!({"is_enabled": false, "from": "now"}), "/from"),
        (json!({"from": "now"}), "/from"),
        (json!({"url": "https://10.0.0.1/"}), "/url"),
    ] {
        let got = host.refuse(422, &patch(&format!("/webhooks/{id}"), body.to_string()));
        assert_eq!(got.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    let another = post("/webhooks", json!({"url": URL}).to_string());
    for _ in 1..32 {
        host.expect(201, &another);
    }
    let full = "expected at most 32 webhooks; there are so many";
    assert_eq!(host.expect(409, &another).json()["detail"], full);
    for path in ["/webhooks/x", "/webhooks/0f1e2d3c4b5a69788796a5b4c3d2e1f0"] {
        host.expect(404, &get(path));
        host.expect(404, &patch(path, r#"{"url":"https://a.example.com/"}"#));
        host.expect(404, &post(&format!("{path}/rotate"), ""));
        host.expect(404, &get(&format!("{path}/deliveries")));
    }
    for event in ["x", "fedcba9876543210.99", "0000000000000000.1"] {
        host.expect(
            404,
            &post(&format!("/webhooks/{id}/deliveries/{event}/retry"), ""),
        );
    }
}

#[test]
fn a_message_is_an_event_with_a_signature_of_each_valid_secret() {
    let mut host = Host::new();
    let (id, first) = webhook(&mut host, json!({}));
    host.expect(201, &new_tenant("Shop"));
    let rotated = host.json(
        200,
        &post(
            &format!("/webhooks/{id}/rotate"),
            r#"{"overlap_seconds":60}"#,
        ),
    );
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert_eq!(rotated["previous_until"], "2026-08-18 23:17:57");
    let mut messages = Vec::new();
    let report = run_with(&mut host, |_, message| {
        messages.push(message);
        status(200)
    });
    assert_eq!(
        (report.accepted, report.refused, report.is_cut),
        (2, 0, false)
    );
    let [created, _] = &messages[..] else {
        panic!("two events")
    };
    let events = host.json(200, &get("/events?type=tenant.created"));
    let mut event = events[0].clone();
    let event_id = event.as_object_mut().unwrap().remove("id").unwrap();
    assert_eq!(created.body, event);
    assert_eq!(created.body["data"]["revision"], event_id);
    assert_eq!(created.time, host.now.to_string());
    let token = host.one("SELECT token FROM audit_log WHERE action = 'tenant.create'");
    assert_eq!(token, created.id.as_str().into());
    // As the specification's own library signs.
    let verifies = |message: &Got, secret: &str| {
        let library = standardwebhooks::Webhook::new(secret).unwrap();
        let time = message.time.parse().unwrap();
        let expected = library.sign(&message.id, time, message.text.as_bytes());
        let expected = expected.unwrap();
        message
            .signature
            .split(' ')
            .any(|signature| signature == expected)
    };
    assert_eq!(created.signature.split(' ').count(), 2);
    assert!(verifies(created, &first) && verifies(created, &second));
    let other = Got {
        text: created.text.replace("shop", "stop"),
        ..created.clone()
    };
    assert!(!verifies(&other, &first) && !verifies(&other, &second));
    // After the overlap, only the new one signs.
    host.now += 61;
    host.expect(204, &patch("/tenants/shop", r#"{"is_enabled":false}"#));
    run_with(&mut host, |_, message| {
        assert!(verifies(&message, &second) && !verifies(&message, &first));
        status(200)
    });
    assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
}

#[test]
fn a_refused_event_holds_up_its_own_subject_in_order_and_no_other() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
    host.expect(201, &new_plan("basic"));
    for tenant in ["a", "b"] {
        host.expect(201, &new_tenant(tenant));
        host.expect(
            204,
            &patch(&format!("/tenants/{tenant}"), r#"{"is_enabled":false}"#),
        );
    }
    let mut ids = Vec::new();
    let mut refusing = |host: &mut Host| {
        let mut got = Vec::new();
        run_with(host, |_, message| {
            got.push(message.name());
            if message.name().ends_with(" a") {
                ids.push(message.id);
                return status(500);
            }
            status(200)
        });
        got
    };
    assert_eq!(
        refusing(&mut host),
        ["tenant.created a", "tenant.created b", "tenant.updated b"]
    );
    // Nothing is due yet, and a new event of the same subject waits, too.
    host.expect(204, &delete("/tenants/a"));
    assert_eq!(refusing(&mut host), [""; 0]);
    assert_eq!(
        host.json(200, &get(&format!("/webhooks/{id}")))["behind"],
        1
    );
    host.now += 10;
    assert_eq!(refusing(&mut host), ["tenant.created a"]);
    host.now += 400;
    let (got, report) = run(&mut host, accept);
    assert_eq!(
        got,
        ["tenant.created a", "tenant.updated a", "tenant.deleted a"]
    );
    assert_eq!(report.accepted, 3);
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "the same id in each attempt");
    assert_eq!(
        outcomes(&mut host, &id),
        "refused accepted accepted refused accepted accepted accepted"
    );
    let webhook = host.json(200, &get(&format!("/webhooks/{id}")));
    assert_eq!(
        (&webhook["behind"], &webhook["failing_since"]),
        (&0.into(), &Json::Null)
    );
    let newest = deliveries(&mut host, &id)[0].clone();
    assert_eq!(newest["answer"], "answer 204");
    assert_eq!(
        (&newest["status"], &newest["milliseconds"]),
        (&204.into(), &12.into())
    );
}

#[test]
fn an_event_is_tried_for_three_days_and_then_given_up_and_can_be_sent_again() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
    host.expect(201, &new_tenant("a"));
    host.expect(201, &new_tenant("b"));
    let began = host.now;
    let refuse_a = |name: &str| {
        if name.ends_with(" a") {
            down()
        } else {
            status(200)
        }
    };
    run(&mut host, refuse_a);
    let mut attempts = 1;
    for pause in PAUSES_S {
        let pause = i64::from(pause);
        host.now += pause - 1;
        assert_eq!(run(&mut host, refuse_a).0, [""; 0], "after {pause} s");
        // The receiver is not dead: it accepts another tenant's events.
        host.expect(204, &patch("/tenants/b", r#"{"is_enabled":true}"#));
        host.now += pause / 10 + 1;
        let (got, _) = run(&mut host, refuse_a);
        assert!(got.contains(&"tenant.created a".into()), "{got:?}");
        attempts += 1;
    }
    let days = (host.now - began) / 86_400;
    assert_eq!((attempts, days), (10, 3));
    let all = deliveries(&mut host, &id);
    let of_a: Vec<_> = all.iter().filter(|d| d["subject"] == "a").collect();
    assert_eq!(of_a.len(), 10);
    assert_eq!(of_a[0]["outcome"], "given_up");
    assert_eq!(
        (&of_a[0]["status"], &of_a[0]["answer"]),
        (&Json::Null, &"connection refused".into())
    );
    assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
    assert_eq!(host.one("SELECT is_enabled FROM webhooks"), 1.into());
    // Later events of the subject go on without it.
    host.expect(204, &patch("/tenants/a", r#"{"is_enabled":false}"#));
    assert_eq!(run(&mut host, accept).0, ["tenant.updated a"]);
    // The operator asks for it.
    let event = of_a[0]["event"].as_str().unwrap();
    host.expect(
        204,
        &post(&format!("/webhooks/{id}/deliveries/{event}/retry"), ""),
    );
    assert_eq!(
        run(&mut host, accept).0,
        ["tenant.created a", "tenant.updated a"]
    );
    assert_eq!(host.one("SELECT count(*) FROM webhook_behind"), 0.into());
}

#[test]
fn a_webhook_that_accepts_nothing_for_three_days_is_disabled_and_begins_where_it_is_told() {
    for (from, expected) in [
        ("now", vec!["tenant.created new"]),
        (
            "backlog",
            vec!["tenant.created a", "tenant.created b", "tenant.created new"],
        ),
    ] {
        let mut host = Host::new();
        let (id, _) = webhook(&mut host, json!({"types": ["tenant.*"]}));
        let path = format!("/webhooks/{id}");
        host.expect(201, &new_tenant("a"));
        assert_eq!(run(&mut host, |_| status(500)).1.disabled, 0);
        host.now += DISABLED_AFTER_S - 1;
        assert_eq!(run(&mut host, |_| status(500)).1.disabled, 0);
        host.expect(201, &new_tenant("b"));
        host.now += 1;
        assert_eq!(run(&mut host, |_| status(500)).1.disabled, 1);
        let shown = host.json(200, &get(&path));
        assert_eq!(
            (&shown["is_enabled"], &shown["failing_since"]),
            (&false.into(), &"2026-08-18 23:16:57".into())
        );
        let events = host.json(200, &get("/events?type=webhook.disabled"));
        assert_eq!(events[0]["data"]["id"], id.as_str());
        let (got, report) = run(&mut host, accept);
        assert_eq!((got.len(), report.enabled), (0, false));
        host.refuse(422, &patch(&path, r#"{"is_enabled":true}"#));
        host.expect(
            204,
            &patch(&path, json!({"is_enabled": true, "from": from}).to_string()),
        );
        host.expect(201, &new_tenant("new"));
        assert_eq!(run(&mut host, accept).0, expected, "{from}");
        let shown = host.json(200, &get(&path));
        assert_eq!(
            (&shown["is_enabled"], &shown["failing_since"]),
            (&true.into(), &Json::Null)
        );
    }
}

#[test]
fn a_run_that_was_cut_off_loses_nothing_and_two_runs_never_send_the_same() {
    let mut host = Host::new();
    webhook(&mut host, json!({"types": ["tenant.*"]}));
    host.expect(201, &new_tenant("a"));
    let mut first = Vec::new();
    // While the receiver works, another run begins: it finds nothing to do.
    run_with(&mut host, |host, message| {
        first.push(message.id);
        let (got, report) = run(host, accept);
        assert_eq!((got.len(), report.enabled), (0, true));
        status(200)
    });
    assert_eq!(first.len(), 1);
    // A run ends after it has sent, and before it has written that.
    host.expect(201, &new_tenant("b"));
    let mut cut = None;
    let delivery =
        Delivery::begin(host.api.config().unwrap(), host.now, host.random.as_mut()).unwrap();
    let Effect::Batch(batch) = delivery.effect() else {
        panic!("it reads first")
    };
    let batch = batch.clone();
    let rows = host.run(&batch);
    if let Step::Run(delivery) = resumed(&mut host, delivery, outcome(rows)) {
        let Effect::Fetch(request) = delivery.effect() else {
            panic!("it sends")
        };
        cut = Some(Got::of(request).id);
    }
    assert_eq!(run(&mut host, accept).0, [""; 0]);
    host.now += 61;
    let mut again = None;
    run_with(&mut host, |_, message| {
        again = Some(message.id);
        status(200)
    });
    assert_eq!(again, cut);
    assert!(again.is_some());
}

#[test]
fn ten_thousand_events_drain_in_order_within_the_bounds_of_each_run() {
    let mut host = Host::new();
    webhook(&mut host, json!({"types": ["tenant.*"]}));
    host.sql(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000) \
         INSERT INTO audit_log (action, subject, request_id, created_at) \
         SELECT 'tenant.update', 't' || (n % 50), 'r', '2026-08-18 23:16:57' FROM c",
        &[],
    );
    let (mut runs, mut revisions) = (0, Vec::new());
    loop {
        let mut requests = 0;
        let (report, statements) = run_counted(&mut host, |_, message| {
            requests += 1;
            let revision = message.body["data"]["revision"].as_str().unwrap();
            revisions.push(revision.rsplit('.').next().unwrap().parse::<i64>().unwrap());
            status(200)
        });
        assert!(requests <= MOST_REQUESTS, "{requests} requests");
        assert!(statements <= 40, "{statements} statements");
        runs += 1;
        if !report.is_cut {
            break;
        }
    }
    assert_eq!(revisions.len(), 10_000);
    assert!(
        revisions.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, each once"
    );
    assert!((333..=335).contains(&runs), "{runs} runs");
    assert_eq!(
        host.one("SELECT count(*) FROM webhook_deliveries WHERE outcome = 1"),
        10_000.into()
    );
}

#[test]
fn a_test_event_is_sent_at_once_and_the_answer_tells_what_came_of_it() {
    let mut host = Host::new();
    let (id, _) = webhook(&mut host, json!({}));
    let ask = post(&format!("/webhooks/{id}/test"), "");
    for (came, expected) in [
        (
            status(200),
            json!({"outcome": "accepted", "status": 200, "milliseconds": 12, "answer": "answer 200"}),
        ),
        (
            status(302),
            json!({"outcome": "refused", "status": 302, "milliseconds": 12, "answer": "answer 302"}),
        ),
        (
            down(),
            json!({"outcome": "refused", "status": null, "milliseconds": 3, "answer": "connection refused"}),
        ),
        (
            Outcome::CannotFetch,
            json!({"outcome": "refused", "status": null, "milliseconds": 0, "answer": "the service runs where it has no network"}),
        ),
    ] {
        let exchange = host.first(&ask);
        let Effect::Batch(batch) = exchange.effect() else {
            panic!("it reads first")
        };
        let batch = batch.clone();
        let rows = host.run(&batch);
        let Step::Run(exchange) = resumed(&mut host, exchange, outcome(rows)) else {
            panic!("it sends")
        };
        let Effect::Fetch(request) = exchange.effect() else {
            panic!("it sends")
        };
        let got = Got::of(request);
        assert_eq!(
            (&got.body["type"], &got.body["data"]),
            (&"webhook.test".into(), &json!({"id": id}))
        );
        let step = resumed(&mut host, exchange, came);
        let Step::Done(answer) = step else {
            panic!("it is over")
        };
        assert_eq!(answer.response.status, 200);
        let shown: Json = serde_json::from_str(&answer.response.body).unwrap();
        assert_eq!(shown, expected);
    }
    assert_eq!(deliveries(&mut host, &id), [json!(null); 0]);
}

#[test]
fn a_repeated_request_with_its_key_makes_one_webhook_and_shows_its_secret_again() {
    let mut host = Host::new();
    let create = || post("/webhooks", json!({"url": URL}).to_string()).idempotency_key("\"k\"");
    let first = host.json(201, &create());
    host.now += 5;
    assert_eq!(host.json(201, &create()), first);
    let id = first["id"].as_str().unwrap();
    assert_eq!(host.one("SELECT count(*) FROM webhooks"), 1.into());
    let rotate = || {
        post(
            &format!("/webhooks/{id}/rotate"),
            r#"{"overlap_seconds":9}"#,
        )
        .idempotency_key("\"r\"")
    };
    let second = host.json(200, &rotate());
    host.now += 5;
    assert_eq!(host.json(200, &rotate()), second);
    assert_ne!(first["secret"], second["secret"]);
    assert_eq!(host.one("SELECT count(*) FROM webhook_secrets"), 2.into());
}

#[test]
fn old_entries_wait_for_enabled_webhooks_for_thirty_days_at_the_most() {
    use tenants_core::task::stats::{Refresh, Which};
    use tenants_core::value::clock::Timestamp;

    let mut host = Host::with(&[("TENANTS_AUDIT_DAYS", "1")]);
    let sweep = |host: &mut Host| {
        let now = Timestamp::from_unix(host.now).unwrap();
        let refresh = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(1), 1);
        host.complete(refresh);
        host.one("SELECT count(*) FROM audit_log WHERE subject = 'a'")
    };
    let (id, _) = webhook(&mut host, json!({}));
    host.expect(201, &new_tenant("a"));
    host.now += 2 * 86_400;
    host.expect(201, &new_tenant("b"));
    assert_eq!(sweep(&mut host), 1.into(), "it waits to be sent");
    run(&mut host, |name| {
        if name.ends_with(" a") {
            status(500)
        } else {
            status(200)
        }
    });
    assert_eq!(sweep(&mut host), 1.into(), "it was refused, and waits");
    host.now += 10;
    run(&mut host, accept);
    assert_eq!(sweep(&mut host), 0.into(), "it was accepted");
    host.expect(204, &delete("/tenants/a"));
    host.now += 32 * 86_400;
    host.expect(201, &new_tenant("c"));
    assert_eq!(sweep(&mut host), 0.into(), "it waited for 30 days");
    // An entry whose clock was behind does not go before those that wait.
    host.expect(201, &new_tenant("a"));
    host.sql(
        "INSERT INTO audit_log (action, subject, request_id, created_at) VALUES ('tenant.update', 'a', 'r', '2026-01-01 00:00:00')",
        &[],
    );
    host.now += 2 * 86_400;
    host.expect(201, &new_tenant("e"));
    assert_eq!(sweep(&mut host), 2.into(), "no gap");
    host.expect(204, &delete("/tenants/a"));
    // A webhook that is disabled keeps nothing.
    host.expect(201, &new_tenant("a"));
    host.expect(
        204,
        &patch(&format!("/webhooks/{id}"), r#"{"is_enabled":false}"#),
    );
    host.now += 2 * 86_400;
    host.expect(201, &new_tenant("d"));
    assert_eq!(sweep(&mut host), 0.into());
}

#[test]
fn a_write_without_webhooks_starts_a_run_once_a_minute_at_the_most() {
    let mut host = Host::new();
    let begun = |host: &mut Host, status: u16, ask: &crate::ask::Ask| {
        let exchange = host.first(ask);
        let batch = exchange.effect().batch().unwrap().clone();
        let rows = host.run(&batch);
        let Step::Done(answer) = resumed(host, exchange, outcome(rows)) else {
            panic!("one batch")
        };
        assert_eq!(answer.response.status, status);
        host.api
            .delivery_after(&answer.log, host.now, host.random.as_mut())
            .is_some()
    };
    assert!(!begun(&mut host, 200, &get("/tenants")), "a read");
    assert!(begun(&mut host, 201, &new_tenant("a")));
    let (_, report) = run(&mut host, accept);
    host.api.delivered(&report, host.now);
    assert!(
        !begun(&mut host, 201, &new_tenant("b")),
        "no webhook was there"
    );
    assert!(begun(
        &mut host,
        201,
        &post("/webhooks", json!({"url": URL}).to_string())
    ));
    host.now += 61;
    assert!(begun(&mut host, 201, &new_tenant("c")));
}
