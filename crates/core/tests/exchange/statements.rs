//! The statements of every kind of request and of every task: their text, pinned in `statements.sql`, and their query plans, those
//! of triggers and foreign keys included.
//!
//! After an intended change, `UPDATE=1 cargo test -p tenants-core --test exchange statements` writes the file again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

use tenants_core::sql::{Batch, Statement, Value};
use tenants_core::task::keys::{KeyChoice, KeyCreation, KeyDeletion, KeyList};
use tenants_core::task::orphans::{self, OrphanDrop};
use tenants_core::task::reseal::{Reseal, Survey};
use tenants_core::task::restored::Restored;
use tenants_core::task::stats::{Refresh, Which};
use tenants_core::task::status::Status;
use tenants_core::task::{Operator, Run};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::TenantId;

use crate::ask::{
    Ask, delete, delete_with_tables, get, install, new_plan, new_tenant, patch, post, reset,
};
use crate::cells_statements::requests_of_cells;
use crate::filled::host_with_tables;
use crate::host::{Foreseen, Host, SECRETS, Task, TaskStep, WaitsForBatch as _};
use crate::hostname_proofs::groups_of_proofs;
use crate::hostnames::requests_of_hostnames;
use crate::put_statements::requests_of_puts;
use crate::query_plans::{creates_or_drops, plan, walks};
use crate::session_statements::groups_of_sessions;
use crate::site_statements::groups_of_sites;

const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/statements.sql");

/// A batch's statements, and those steps of their plans that walk through a table or sort.
pub(crate) struct Group {
    name: &'static str,
    pub(crate) statements: Vec<Statement>,
    walks: BTreeSet<String>,
    /// The triggers that the statements can fire.
    triggers: BTreeSet<String>,
}

/// A run at the command line.
fn run() -> Run {
    Run::new("cli-1").by(Operator::parse("me@host").unwrap())
}

/// Traefik's poll from the developer's own machine.
pub(crate) fn developers_poll() -> Ask {
    get("/config/traefik").no_key().no_signature().from("::1")
}

/// Traefik's poll from an address on the allow list, with a key.
pub(crate) fn poll() -> Ask {
    get("/config/traefik").no_signature().from("198.51.100.7")
}

/// The poll of a cell's agent.
pub(crate) fn poll_of_cell() -> Ask {
    get("/config/traefik?cell=eu")
        .no_signature()
        .from("198.51.100.7")
}

/// Every kind of request that reaches the database, by a name, and the walks of its plan. A walk through all tenants in the order of
/// their ids is what Traefik asks for.
pub(crate) fn requests() -> Vec<(&'static str, Ask, &'static [&'static str])> {
    // The chunks of tenants, of which there are few, the tenants with holds, and the hostnames besides the tenants' own.
    const CHUNKS: &[&str] = &[
        "SCAN chunk LEFT-JOIN",
        "SCAN cells",
        "SCAN t USING INDEX tenants_held",
        "SCAN f USING INDEX tenant_hostnames_taken",
        "USE TEMP B-TREE FOR GROUP BY",
    ];
    // The members of one bound text.
    const IDS: &[&str] = &["SCAN json_each VIRTUAL TABLE INDEX 1:"];
    // Has one row for each table.
    const NEXT_ID: &[&str] = &["SCAN sqlite_sequence"];
    // These rows are not in the order of ids, which an index of something else cannot have.
    const SORT: &[&str] = &["USE TEMP B-TREE FOR ORDER BY"];
    const EVERY_FILTER: &str = "/tenants?id=a&plan_id=p&is_enabled=true&hostname=a&external_id=e-1&label=tier:gold&label=sold\
        &created_since=2026-01-01%2000:00:00&updated_since=2026-01-01%2000:00:00&q=a&count=true&after=0";
    let edit_tenant = r#"{"hostname":"a","is_enabled":true,"external_id":"e-1","labels":{"tier":"gold"},"plan_id":"p","limits":{"A":1},"env":{"A":"hidden"}}"#;
    let edit_plan = r#"{"limits":{"A":1},"env":{"A":"hidden"}}"#;
    let legacy_plan = r#"{"name":"P","description":"D","limits":{"A":1},"env":{"A":"hidden"}}"#;
    vec![
        ("POST /auth/verify", post("/auth/verify", ""), &[]),
        ("GET /tenants", get("/tenants"), &[]),
        (
            "GET /tenants, a further page",
            get("/tenants?limit=10&after=a"),
            &[],
        ),
        (
            "GET /tenants, by id",
            get("/tenants?id=a&id=b&limit=10"),
            IDS,
        ),
        (
            "GET /tenants, by external_id",
            get("/tenants?external_id=e-1"),
            &[],
        ),
        (
            "GET /tenants, by hostname",
            get("/tenants?hostname=a.example.com"),
            &[],
        ),
        (
            "GET /tenants, by a label, a further page",
            get("/tenants?label=tier:gold&limit=10&after=0"),
            &[],
        ),
        (
            "GET /tenants, by a label's name",
            get("/tenants?label=tier"),
            SORT,
        ),
        ("GET /tenants, by a prefix", get("/tenants?q=a"), SORT),
        (
            "GET /tenants, by plan, a further page",
            get("/tenants?plan_id=p&limit=10&after=0"),
            &[],
        ),
        (
            "GET /tenants, without a plan",
            get("/tenants?plan_id="),
            &[],
        ),
        (
            "GET /tenants, by is_enabled, a further page",
            get("/tenants?is_enabled=true&limit=10&after=0"),
            &[],
        ),
        (
            "GET /tenants, by created_since",
            get("/tenants?created_since=2026-01-01%2000:00:00"),
            SORT,
        ),
        (
            "GET /tenants, by updated_since",
            get("/tenants?updated_since=2026-01-01%2000:00:00"),
            SORT,
        ),
        (
            "GET /tenants, what is new, in its order",
            get("/tenants?updated_since=2026-01-01%2000:00:00&sort=updated_at"),
            &[],
        ),
        (
            "GET /tenants, in the order of updates, the last first",
            get("/tenants?sort=-updated_at"),
            &[],
        ),
        (
            "GET /tenants, in the order of creation, a further page",
            get("/tenants?sort=created_at&limit=10&after=2026-01-01%2000:00:00,a"),
            &[],
        ),
        (
            "GET /tenants, in the order of hostnames",
            get("/tenants?sort=hostname"),
            &[],
        ),
        ("GET /tenants, all that filters", get(EVERY_FILTER), IDS),
        (
            "GET /tenants, counted, some members",
            get("/tenants?fields=id,hostname&count=true"),
            &[],
        ),
        (
            "GET /tenants/{id}/settings",
            get("/tenants/a/settings"),
            &[],
        ),
        ("GET /tenants/{id}", get("/tenants/a"), &[]),
        ("POST /tenants", new_tenant("new"), IDS),
        (
            "PATCH /tenants/{id}, everything set",
            patch("/tenants/a", edit_tenant),
            IDS,
        ),
        (
            "PATCH /tenants/{id}, everything cleared",
            patch(
                "/tenants/a",
                r#"{"plan_id":null,"limits":null,"env":null,"external_id":null,"labels":null}"#,
            ),
            IDS,
        ),
        ("DELETE /tenants/{id}", delete("/tenants/a"), &[]),
        (
            "DELETE /tenants/{id}, drop_tables",
            delete_with_tables("a"),
            &[],
        ),
        ("POST /tenants/{id}/install", install("not-yet"), &[]),
        ("PATCH /tenants/{id}/user-password-reset", reset("a"), &[]),
        (
            "POST /tenants, with an Idempotency-Key",
            new_tenant("keyed").idempotency_key("k-1"),
            IDS,
        ),
        (
            "PATCH /tenants/{id}, with an Idempotency-Key",
            patch("/tenants/a", r#"{"is_enabled":true}"#).idempotency_key("k-2"),
            IDS,
        ),
        (
            "DELETE /tenants/{id}, with an Idempotency-Key",
            delete("/tenants/a").idempotency_key("k-3"),
            &[],
        ),
        (
            "DELETE /tenants/{id}, drop_tables, with an Idempotency-Key",
            delete_with_tables("a").idempotency_key("k-4"),
            &[],
        ),
        (
            "DELETE /tenants/{id} of an id that nothing can have, with an Idempotency-Key",
            delete("/tenants/_").idempotency_key("k-5"),
            &[],
        ),
        (
            "POST /tenants/{id}/install, with an Idempotency-Key",
            install("not-yet").idempotency_key("k-6"),
            &[],
        ),
        (
            "PATCH /tenants/{id}/user-password-reset, with an Idempotency-Key",
            reset("a").idempotency_key("k-7"),
            &[],
        ),
        (
            "POST /tenants-plans, with an Idempotency-Key",
            new_plan("keyed").idempotency_key("k-8"),
            IDS,
        ),
        (
            "PATCH /tenants-plans/{id}, with an Idempotency-Key",
            patch("/tenants-plans/p", edit_plan).idempotency_key("k-9"),
            IDS,
        ),
        ("GET /tenants-plans", get("/tenants-plans"), &[]),
        (
            "GET /tenants-plans, by external_id",
            get("/tenants-plans?external_id=e-1"),
            &[],
        ),
        (
            "GET /tenants-plans, by labels",
            get("/tenants-plans?label=tier:gold&label=sold&limit=10&after=0"),
            &[],
        ),
        ("GET /tenants-plans/{id}", get("/tenants-plans/p"), &[]),
        ("POST /tenants-plans", new_plan("new"), IDS),
        (
            "PATCH /tenants-plans/{id}, everything set",
            patch("/tenants-plans/p", edit_plan),
            IDS,
        ),
        (
            "PATCH /tenants-plans/{id}, everything cleared",
            patch("/tenants-plans/p", r#"{"limits":null,"env":null}"#),
            IDS,
        ),
        (
            "PATCH /tenants-plans/{id} in the legacy dialect, everything set",
            patch("/tenants-plans/p", legacy_plan).legacy(),
            IDS,
        ),
        (
            "PATCH /tenants-plans/{id} in the legacy dialect, the description cleared",
            patch("/tenants-plans/p", r#"{"description":null}"#).legacy(),
            IDS,
        ),
        (
            "DELETE /tenants-plans/{id}",
            delete("/tenants-plans/p"),
            &[],
        ),
        ("GET /keys", get("/keys"), &[]),
        ("GET /keys/{id}", get("/keys/2"), NEXT_ID),
        ("POST /keys", post("/keys", r#"{"scopes":["*"]}"#), NEXT_ID),
        (
            "PATCH /keys/{id}",
            patch("/keys/2", r#"{"name":"x"}"#),
            NEXT_ID,
        ),
        ("DELETE /keys/{id}", delete("/keys/2"), NEXT_ID),
        (
            "POST /keys/{id}/rotate",
            post("/keys/2/rotate", ""),
            NEXT_ID,
        ),
        ("GET /audit", get("/audit"), &[]),
        (
            "GET /audit, of a subject, a further page",
            get("/audit?subject=a&limit=10&after=1"),
            &[],
        ),
        (
            "GET /audit, since a time",
            get("/audit?since=2026-01-01%2000:00:00"),
            &[],
        ),
        (
            "GET /audit, all that filters",
            get(
                "/audit?subject_type=tenant&subject=a&action=tenant.update&key_id=1&since=2026-01-01%2000:00:00",
            ),
            &[],
        ),
        ("GET /events", get("/events"), &[]),
        (
            "GET /events, of a type, a further page",
            get("/events?type=tenant.created&limit=10&after=fedcba9876543210.0"),
            &[],
        ),
        ("GET /config/traefik", poll(), CHUNKS),
        (
            "GET /config/traefik with If-None-Match",
            poll().if_none_match("\"x-1\""),
            CHUNKS,
        ),
        (
            "GET /config/traefik with If-None-Match: *",
            poll().if_none_match("*"),
            &[],
        ),
        (
            "GET /config/traefik by a developer, with If-None-Match",
            developers_poll().if_none_match("*"),
            &[],
        ),
        ("any request for a malformed id", get("/tenants/_"), &[]),
        (
            "GET /_/health",
            Ask::new("GET", "/_/health"),
            // A row for each migration.
            &["SCAN d1_migrations"],
        ),
        (
            "GET /_/held/{id}",
            Ask::new("GET", "/_/held/on-eu"),
            // The members of one tenant's holds.
            &["SCAN h VIRTUAL TABLE INDEX 1:"],
        ),
    ]
}

/// Every combination of fields that a PATCH can set, clear or leave out.
fn patches() -> Vec<Ask> {
    let or_none = |all: &[&'static str]| {
        let mut choices = vec![""];
        choices.extend(all);
        choices
    };
    let maps = |name: &str| -> Vec<String> {
        ["null", "{}", r#"{"A":"hidden"}"#]
            .map(|value| format!(r#""{name}":{value},"#))
            .into()
    };
    let (limits, envs) = (maps("limits"), maps("env"));
    let limits = or_none(
        &limits
            .iter()
            .map(|s| s.clone().leak() as &str)
            .collect::<Vec<_>>(),
    );
    let envs = or_none(
        &envs
            .iter()
            .map(|s| s.clone().leak() as &str)
            .collect::<Vec<_>>(),
    );
    let mut all = Vec::new();
    for env in &envs {
        for limits in &limits {
            let maps = format!("{limits}{env}")
                .replace(r#""limits":{"A":"hidden"}"#, r#""limits":{"A":"x"}"#);
            for hostname in or_none(&[r#""hostname":"a","#]) {
                for is_enabled in or_none(&[r#""is_enabled":false,"#]) {
                    for plan in or_none(&[r#""plan_id":null,"#, r#""plan_id":"p","#]) {
                        let fields = format!("{hostname}{is_enabled}{plan}{maps}");
                        all.push(("/tenants/a", fields));
                    }
                }
            }
            for name in or_none(&[r#""name":"P","#]) {
                for description in or_none(&[r#""description":null,"#, r#""description":"D","#]) {
                    all.push(("/tenants-plans/p", format!("{name}{description}{maps}")));
                }
            }
        }
    }
    all.into_iter()
        .filter(|(_, fields)| !fields.is_empty())
        .map(|(path, fields)| {
            let ask = patch(path, format!("{{{}}}", fields.trim_end_matches(',')));
            let named = fields.contains("name\":\"P") || fields.contains("description");
            if named { ask.legacy() } else { ask }
        })
        .collect()
}

/// Runs every request and every task, and looks at each statement just before it runs.
fn groups() -> Vec<(Group, BTreeSet<String>)> {
    let set = |walks: &[&str]| walks.iter().map(|&step| step.to_owned()).collect();
    let mut groups = Vec::new();
    let all = requests()
        .into_iter()
        .chain(requests_of_puts())
        .chain(requests_of_hostnames())
        .chain(requests_of_cells())
        .chain(crate::restore::requests_of_holds())
        .chain(crate::webhooks::requests());
    for (name, ask, walks) in all {
        let mut host = host_with_tables();
        let mut group = Group::new(name);
        let mut exchange = host.first(&ask);
        let mut rows = group.run(&mut host, exchange.batch());
        if ask.has_two_batches() {
            exchange = host.second(&ask, exchange, rows);
            rows = group.run(&mut host, exchange.batch());
        }
        let got = host.finish(&ask, exchange, Ok(rows));
        let refused = ["/_", "/_/held/on-eu"]
            .iter()
            .any(|end| ask.target.ends_with(end));
        assert!(got.status < 400 || refused, "{name}: {got:?}");
        groups.push((group, set(walks)));
    }

    let mut host = host_with_tables();
    let mut group = Group::new(
        "the batch that asks why the last one failed, of a request that creates, drops or uses a tenant's tables",
    );
    let keyed = install("not-yet").idempotency_key("k-1");
    for ask in [install("not-yet"), keyed] {
        let exchange = host.exchange(&ask);
        let why = host.ask_why(&ask, exchange, "failed");
        group.run(&mut host, why.batch());
    }
    groups.push((group, set(&[])));

    let mut host = host_with_tables();
    let mut group =
        Group::new("DELETE /tenants/{id} with drop_tables of a tenant with a cell, the last batch");
    let ask = delete_with_tables("on-eu");
    let exchange = host.exchange(&ask);
    let reason = host.run(exchange.batch()).unwrap_err();
    let why = host.ask_why(&ask, exchange, &reason);
    let rows = host.run(why.batch()).unwrap();
    let last = host.second(&ask, why, rows);
    let rows = group.run(&mut host, last.batch());
    assert_eq!(host.finish(&ask, last, Ok(rows)).status, 202);
    groups.push((group, set(&[])));

    let mut host = host_with_tables();
    let now = Timestamp::from_unix(host.now).unwrap();
    let config = host.api.config().unwrap();
    let creation = KeyCreation::begin(config, None, None, host.now, &mut Foreseen(3)).unwrap();
    let oldest = Refresh::begin(config, &now, Which::Oldest(24), 1);
    let all = Refresh::begin(config, &now, Which::All, 1);
    let one = Refresh::begin(config, &now, Which::One(TenantId::parse("a").unwrap()), 1);
    // Has one row for each table.
    let creation = Group::of_task("the creation of a key", &mut host, creation);
    groups.push((creation, set(&["SCAN sqlite_sequence"])));
    // There are few keys, and an operator lists and deletes them.
    let list = Group::of_task("the list of keys", &mut host, KeyList::all());
    groups.push((list, set(&["SCAN api_keys"])));
    let found = Group::of_task("a key by its digest", &mut host, KeyList::of(1, "x"));
    groups.push((found, set(&[])));
    let choice = KeyChoice::Id(2);
    let deletion = KeyDeletion::begin(&choice, &run(), &now);
    let deletion = Group::of_task("the deletion of keys", &mut host, deletion);
    groups.push((deletion, set(&["SCAN api_keys"])));
    let restored = Restored::begin(&run(), &now);
    let restored = Group::of_task("what follows a restore", &mut host, restored);
    // The index has the unfinished jobs alone, and the table the sessions of some hours.
    groups.push((
        restored,
        set(&[
            "SCAN cell_work USING INDEX cell_work_waiting",
            "SCAN console_sessions",
        ]),
    ));
    // Counting reads the whole of a site, each of its tables once.
    let site = [
        "SCAN chv_a_albums",
        "SCAN chv_a_categories USING COVERING INDEX sqlite_autoindex_chv_a_categories_1",
        "SCAN chv_a_files",
        "SCAN chv_a_jobs",
        "SCAN chv_a_likes",
        "SCAN chv_a_login_providers USING COVERING INDEX sqlite_autoindex_chv_a_login_providers_1",
        "SCAN chv_a_pages USING COVERING INDEX sqlite_autoindex_chv_a_pages_1",
        "SCAN chv_a_storages",
        "SCAN chv_a_tags",
        "SCAN chv_a_users",
    ];
    let one = Group::of_task("the statistics of one tenant", &mut host, one);
    groups.push((one, set(&site)));
    let oldest = Group::of_task(
        "the statistics of those whose turn it is",
        &mut host,
        oldest,
    );
    groups.push(crate::ends::work_of_each_minute(&mut host));
    // The cells of a few marks to prune, and the holds of a tenant.
    let few = [
        &site[..],
        &[
            "USE TEMP B-TREE FOR GROUP BY",
            "SCAN h VIRTUAL TABLE INDEX 1:",
        ],
    ]
    .concat();
    groups.push((oldest, set(&few)));
    // An operator's count looks up the tables of every tenant.
    let everyone = [&site[..], &["SCAN tenants"]].concat();
    let all = Group::of_task("the statistics of every tenant", &mut host, all);
    groups.push((all, set(&everyone)));
    let mut group = Group::new("the statistics of tenants that could not be counted");
    let choice = Refresh::begin(host.api.config().unwrap(), &now, Which::Oldest(24), 1);
    let count = host.step_on(choice);
    let look_up = match host.resume(count, Err("failed".into())).unwrap() {
        TaskStep::Run(look_up) => look_up,
        TaskStep::Done(report) => panic!("{report:?}"),
    };
    group.run(&mut host, look_up.batch());
    groups.push((group, set(&["SCAN json_each VIRTUAL TABLE INDEX 1:"])));

    let status = Status::begin(host.api.config().unwrap(), host.now).unwrap();
    let status = Group::of_task("the state of the service", &mut host, status);
    // An operator counts everything, and decrypts every env.
    let walked = [
        "SCAN api_keys",
        "SCAN audit_log USING COVERING INDEX audit_log_by_subject_type",
        "SCAN d1_migrations",
        "SCAN tenants USING COVERING INDEX sqlite_autoindex_tenants_2",
        "SCAN tenants USING INDEX tenants_by_stats_turn",
        "SCAN tenants_plans USING COVERING INDEX sqlite_autoindex_tenants_plans_1",
        "SCAN webhook_behind USING COVERING INDEX webhook_behind_due",
        "SCAN webhook_deliveries USING COVERING INDEX webhook_deliveries_given_up",
        "SCAN webhooks",
        "SCAN webhooks USING COVERING INDEX sqlite_autoindex_webhooks_1",
        "USE TEMP B-TREE FOR ORDER BY",
    ];
    groups.push((status, set(&walked)));
    host.expect(201, &new_tenant("gone"));
    host.expect(201, &install("gone"));
    host.expect(204, &delete("/tenants/gone"));
    let config = host.api.config().unwrap();
    let orphans = OrphanDrop::begin(config, orphans::Which::All, run(), &now, 8);
    let orphans = Group::of_task("the drop of orphans", &mut host, orphans);
    groups.push((
        orphans,
        set(&[
            "SCAN part VIRTUAL TABLE INDEX 1:",
            "SCAN site_databases",
            "SCAN t",
            "USE TEMP B-TREE FOR ORDER BY",
        ]),
    ));

    host.configure(&[
        (
            "CHEVERETO_ENCRYPTION_KEY",
            "//////////////////////////////////////////8=",
        ),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", SECRETS[2].1),
    ]);
    let config = host.api.config().unwrap();
    let survey = Survey::begin(config).unwrap();
    let reseal = Reseal::begin(config, &run(), &now, 90_000).unwrap();
    let count = [
        "SCAN tenants",
        "SCAN tenants_plans",
        "SCAN cell_work",
        "SCAN deleted_tenants",
        "SCAN webhook_secrets",
    ];
    let survey = Group::of_task("the count of encrypted rows", &mut host, survey);
    // The index has the remembered responses with a secret alone.
    let count = [
        &count[..],
        &["SCAN idempotency USING INDEX idempotency_by_secret"],
    ]
    .concat();
    groups.push((survey, set(&count)));
    // A slice of at most 500 rows comes from the index; the rows that fit a batch are sorted once more.
    let slice = [&count[..], &["USE TEMP B-TREE FOR ORDER BY"]].concat();
    let reseal = Group::of_task("the encryption under a new key", &mut host, reseal);
    groups.push((reseal, set(&slice)));
    groups.extend(groups_of_proofs());
    groups.extend(groups_of_sites());
    groups.extend(groups_of_sessions());
    groups
}

impl Group {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            statements: Vec::new(),
            walks: BTreeSet::new(),
            triggers: BTreeSet::new(),
        }
    }

    /// Runs a task to its end.
    fn of_task<T: Task>(name: &'static str, host: &mut Host, mut task: T) -> Self {
        let mut group = Self::new(name);
        loop {
            let rows = group.run(host, task.batch());
            match host.resume(task, Ok(rows)).unwrap() {
                TaskStep::Run(next) => task = next,
                TaskStep::Done(_) => return group,
            }
        }
    }

    /// Runs a batch. A statement whose text is known already is not noted again.
    pub(crate) fn run(&mut self, host: &mut Host, batch: &Batch) -> Vec<tenants_core::sql::Rows> {
        let rows = host.run_observed(batch, |db, statement| {
            if self.statements.iter().all(|s| s.text() != statement.text()) {
                self.statements.push(statement.clone());
            }
            if creates_or_drops(statement.text()) {
                return;
            }
            let steps = plan(db, statement.text(), statement.values());
            let triggers = steps
                .iter()
                .filter_map(|step| step.strip_prefix("-- TRIGGER "));
            self.triggers.extend(triggers.map(str::to_owned));
            self.walks.extend(walks(&steps));
        });
        rows.unwrap()
    }
}

/// The statements of all batches of a request that must reach its last one.
pub(crate) fn statements_of(host: &mut Host, ask: &Ask) -> Vec<Statement> {
    let mut all = host.first(ask).batch().statements().to_vec();
    if ask.has_two_batches() {
        all.extend_from_slice(host.exchange(ask).batch().statements());
    }
    all
}

#[test]
fn the_text_of_every_statement_is_pinned() {
    const INTENDED: &str =
        "if the change is intended, run again with UPDATE=1 and read the difference";
    let mut text = String::from(
        "-- Every statement of every kind of request and task, as the core writes it. A test compares; UPDATE=1 writes the file again.\n",
    );
    for (group, _) in groups() {
        write!(text, "\n-- {}\n", group.name).unwrap();
        for statement in &group.statements {
            writeln!(text, "{};", statement.text()).unwrap();
        }
    }
    if env::var_os("UPDATE").is_some() {
        fs::write(PINNED, &text).unwrap();
    }
    let pinned = fs::read_to_string(PINNED).unwrap();
    for (line, pinned) in text.lines().zip(pinned.lines()) {
        assert_eq!(line, pinned, "{INTENDED}");
    }
    assert_eq!(text.len(), pinned.len(), "{INTENDED}");
}

/// Other ids, other values and other maps give the same statements.
#[test]
fn a_statements_text_does_not_depend_on_values() {
    let mut host = host_with_tables();
    host.expect(201, &new_tenant("b"));
    let texts = |host: &mut Host, ask: &Ask| -> Vec<String> {
        let all = statements_of(host, ask);
        all.iter().map(|s| s.text().to_owned()).collect()
    };
    for (one, other) in [
        (new_tenant("a"), new_tenant("Other-1")),
        (get("/tenants?limit=1"), get("/tenants?limit=7&after=a")),
        (get("/tenants?limit=101"), get("/tenants")),
        (get("/tenants/a"), get("/tenants/b")),
        (
            reset("a"),
            patch(
                "/tenants/A/user-password-reset",
                r#"{"username":"Another"}"#,
            ),
        ),
        (
            install("b"),
            post(
                "/tenants/B/install",
                r#"{"username":"Another","email":"o'neil@b","password":"hidden ');--"}"#,
            ),
        ),
        (
            new_tenant("a"),
            post(
                "/tenants",
                r#"{"id":"b","hostname":"b","is_enabled":false,"plan_id":"p","limits":{"A":"');--"},"env":{"B":"hidden"}}"#,
            ),
        ),
        (
            patch("/tenants/a", r#"{"limits":{"A":"');--"}}"#),
            patch("/tenants/b", r#"{"limits":{"A":"","B":""}}"#),
        ),
    ] {
        assert_eq!(texts(&mut host, &one), texts(&mut host, &other));
    }
}

/// [`crate::invariants::of_statement`] checks each statement as it runs.
#[test]
fn every_patch_runs_one_statement_for_tenants_or_one_for_plans() {
    let mut distinct = BTreeSet::new();
    let mut group = Group::new("PATCH");
    for ask in patches() {
        let mut host = Host::legacy(&[]);
        host.expect(201, &new_plan("p"));
        host.expect(201, &new_tenant("a"));
        let exchange = host.exchange(&ask);
        let [statement] = exchange.batch().statements() else {
            panic!("{ask:?}: more than one statement")
        };
        distinct.insert(statement.text().to_owned());
        let rows = group.run(&mut host, exchange.batch());
        assert_eq!(host.finish(&ask, exchange, Ok(rows)).status, 204, "{ask:?}");
    }
    assert_eq!(distinct.len(), 2);
    // The members of one bound text.
    let members = "SCAN json_each VIRTUAL TABLE INDEX 1:".to_owned();
    assert_eq!(group.walks, [members].into());
}

#[test]
fn every_lookup_uses_an_index_and_every_walk_is_known() {
    let mut triggers = BTreeSet::new();
    for (group, known) in groups() {
        assert_eq!(group.walks, known, "{}", group.name);
        triggers.extend(group.triggers);
    }
    let host = Host::new();
    let all = host.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'", &[]);
    let all: BTreeSet<String> = all
        .into_iter()
        .flatten()
        .map(|name| match name {
            Value::Text(name) => name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(triggers, all, "the plans cover every trigger of the schema");
}
