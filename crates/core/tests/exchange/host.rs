//! A host of the core on SQLite in memory. Like D1, it runs each batch in one transaction.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::mem;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use rusqlite::Connection;
use serde_json::Value as Json;
use tenants_core::crypto::message::SigningSecret;
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::RequestSecret;
use tenants_core::log::LogEntry;
use tenants_core::sql::json::{JSON_ROWS, rows_from_json};
use tenants_core::sql::{Batch, Database, Row, Rows, Statement, Value};
pub(crate) use tenants_core::task::TaskError;
use tenants_core::value::scope::Scopes;
use tenants_core::{
    Answer, Api, Body, Context, Effect, Exchange, Failure, Headers, Machine, Outcome, Random,
    RandomUnavailable, Request, Response, Rest, Step,
};

use crate::ask::{Ask, Header};
use crate::database::new_database;
use crate::described;
use crate::invariants;

/// The clock's reading until a test moves it: 2026-08-18 23:16:57 UTC.
pub(crate) const NOW: i64 = 1_787_095_017;
pub(crate) const NOW_TEXT: &str = "2026-08-18 23:16:57";

/// Every value of every `env` in these tests contains it, so that no log line, problem or row may.
pub(crate) const HIDDEN: &str = "hidden";

/// The secrets of the configuration.
pub(crate) const SECRETS: [(&str, &str); 3] = [
    ("CHEVERETO_TENANTS_API_KEY_SECRET", "the-secret-of-keys"),
    (
        "CHEVERETO_TENANTS_API_REQUEST_SECRET",
        "the-secret-of-requests",
    ),
    (
        "CHEVERETO_ENCRYPTION_KEY",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ),
];

/// Signs the requests to [`Host::legacy`].
pub(crate) fn legacy_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Repeatable bytes from a seed: xorshift64 (Marsaglia 2003).
pub(crate) struct Foreseen(pub(crate) u64);

impl Random for Foreseen {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0.to_le_bytes()[3];
        }
        Ok(())
    }
}

/// A host without randomness.
pub(crate) struct Exhausted;

impl Random for Exhausted {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
        Err(RandomUnavailable)
    }
}

pub(crate) struct Host {
    pub(crate) api: Api,
    pub(crate) db: Connection,
    /// The databases of sites, by their ids.
    pub(crate) sites: BTreeMap<String, Connection>,
    pub(crate) random: Box<dyn Random>,
    pub(crate) now: i64,
    /// A valid key.
    pub(crate) key: String,
    pub(crate) key_id: i64,
    pub(crate) variables: BTreeMap<&'static str, String>,
    /// No response and no log line may contain one of these.
    pub(crate) secrets: Vec<String>,
}

/// A task of the core: a machine whose output is a report, or an error.
pub(crate) trait Task: Machine<Output = Result<Self::Report, TaskError>> {
    type Report;
}

impl<M: Machine<Output = Result<R, TaskError>>, R> Task for M {
    type Report = R;
}

/// The next step of a task that has not failed.
#[derive(Debug)]
pub(crate) enum TaskStep<T, R> {
    Run(T),
    Done(R),
}

/// A machine that waits for a batch.
pub(crate) trait WaitsForBatch {
    /// The batch.
    fn batch(&self) -> &Batch;
}

impl<M: Machine> WaitsForBatch for M {
    fn batch(&self) -> &Batch {
        match self.effect() {
            Effect::Batch(batch) => batch,
            other => panic!("it waits for another thing: {other:?}"),
        }
    }
}

/// Puts the array of each row that is JSON in the place of the row, as a host may.
pub(crate) fn unpack(batch: &Batch, results: &mut [Rows]) {
    let is_json = |statement: &Statement| statement.text().starts_with(JSON_ROWS);
    let are_json = batch.statements().iter().map(is_json);
    for (rows, is_json) in results.iter_mut().zip(are_json) {
        for row in rows.iter_mut().filter(|_| is_json) {
            let [Value::Text(array)] = row.as_slice() else {
                panic!("{row:?}")
            };
            let mut unpacked = rows_from_json(&format!("[[{array}]]")).unwrap();
            *row = unpacked.remove(0).remove(0);
        }
    }
}

/// The result of a batch, as the core takes it.
pub(crate) fn outcome(result: Result<Vec<Rows>, String>) -> Outcome {
    Outcome::Batch(result.map_err(Failure::new))
}

/// The response to a request, with its log entry.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) response: Response,
    pub(crate) log: LogEntry,
}

impl Host {
    /// A host without variables and without a key. `seed` is that of its random numbers.
    pub(crate) fn over(db: Connection, seed: u64) -> Self {
        Self {
            api: Api::new(|_| None),
            db,
            sites: BTreeMap::new(),
            random: Box::new(Foreseen(seed)),
            now: NOW,
            key: String::new(),
            key_id: 0,
            variables: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }

    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A host with these variables, which add to [`SECRETS`] or replace some of them. An empty value unsets a variable.
    pub(crate) fn with(variables: &[(&'static str, &str)]) -> Self {
        let mut host = Self::over(new_database(), 88_172_645_463_325_252);
        host.configure(&SECRETS);
        (host.key_id, host.key) = host.issue("first", None);
        host.configure(variables);
        host
    }

    /// The same, and serves the legacy dialect as well.
    pub(crate) fn legacy(variables: &[(&'static str, &str)]) -> Self {
        let mut host = Self::with(variables);
        let key = hex::encode(legacy_key().verifying_key().as_bytes());
        host.configure(&[("CHEVERETO_TENANTS_PUBLIC_KEY", &key)]);
        host
    }

    /// Changes the configuration and keeps the database.
    pub(crate) fn configure(&mut self, variables: &[(&'static str, &str)]) {
        for (name, value) in variables {
            self.variables.insert(name, (*value).into());
            if (name.contains("SECRET") || name.contains("ENCRYPTION")) && !value.is_empty() {
                self.secrets.push((*value).into());
            }
        }
        self.api = Api::for_host(true, |name| self.variables.get(name).cloned());
    }

    /// Issues a key without the core's task. Returns its id and text.
    pub(crate) fn issue(&mut self, name: &str, expires_at: Option<&str>) -> (i64, String) {
        self.sql(
            "INSERT INTO api_keys (name, digest, created_at, expires_at) VALUES (?1, '', ?2, ?3)",
            &[name.into(), "2026-01-02 03:04:05".into(), expires_at.into()],
        );
        let id = self.db.last_insert_rowid();
        let secret = self.api.config().unwrap().key_secret().unwrap();
        let issued = secret
            .issue(u64::try_from(id).unwrap(), self.random.as_mut())
            .unwrap();
        let (text, digest) = (issued.text().to_owned(), issued.digest().to_owned());
        self.sql(
            "UPDATE api_keys SET digest = ?1 WHERE id = ?2",
            &[digest.as_str().into(), id.into()],
        );
        self.secrets
            .push(text.splitn(3, '_').nth(2).unwrap().into());
        self.secrets.push(digest);
        (id, text)
    }

    /// Issues a key with these scopes only. Returns its text.
    pub(crate) fn issue_scoped(&mut self, scopes: &[&str]) -> String {
        let (id, key) = self.issue("scoped", None);
        let scopes = Scopes::parse(scopes.iter().copied()).unwrap();
        self.sql(
            "UPDATE api_keys SET scopes = ?1, permits = ?2, digest = upper(digest) WHERE id = ?3",
            &[
                scopes.to_stored().into(),
                scopes.permits().into(),
                id.into(),
            ],
        );
        key
    }

    /// Issues a bound key, which has every scope. Returns its text and its signing secret.
    pub(crate) fn issue_bound(&mut self) -> (String, SigningSecret) {
        let (id, key) = self.issue("bound", None);
        self.sql(
            "UPDATE api_keys SET is_bound = 1, digest = 'bound:' || digest WHERE id = ?1",
            &[id.into()],
        );
        let secrets = self.api.config().unwrap().key_secret().unwrap();
        let secret = secrets.signing_secret(&secrets.verify(&key).unwrap());
        self.secrets.push(secret.text().into());
        (key, SigningSecret::new(&secret))
    }

    /// Runs a statement of the test and returns its rows.
    pub(crate) fn sql(&self, text: &str, values: &[Value]) -> Rows {
        tenants_sqlite::query(&self.db, text, values).unwrap()
    }

    /// Runs a statement of the test that returns one value.
    pub(crate) fn one(&self, text: &str) -> Value {
        let rows = self.sql(text, &[]);
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{text}");
        rows[0][0].clone()
    }

    /// Every table, index, view, trigger and row, apart from SQLite's own and the record of migrations, which has the real time.
    pub(crate) fn dump(&self) -> String {
        let mut out = String::new();
        for object in self.sql(
            "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' AND name <> 'd1_migrations' ORDER BY name",
            &[],
        ) {
            let [Value::Text(kind), Value::Text(name)] = object.as_slice() else {
                panic!("{object:?}")
            };
            out.push_str(&format!("{kind} {name}\n"));
            if kind != "table" {
                continue;
            }
            // Sorted by the first column, and by the second if there is one.
            let columns = self.sql(
                "SELECT name FROM pragma_table_info(?1)",
                &[name.as_str().into()],
            );
            let second = columns.len().min(2);
            for row in self.sql(
                &format!("SELECT * FROM \"{name}\" ORDER BY 1, {second}"),
                &[],
            ) {
                out.push_str(&format!("{name} {row:?}\n"));
            }
        }
        out
    }

    /// The names of all tables and indexes of tenants' sites.
    pub(crate) fn own_tables(&self) -> Vec<String> {
        let rows = self.sql(
            "SELECT name FROM sqlite_master WHERE substr(name, 1, 4) = 'chv_' ORDER BY name",
            &[],
        );
        let name = |row: &Row| match &row[0] {
            Value::Text(name) => name.clone(),
            other => panic!("{other:?}"),
        };
        rows.iter().map(name).collect()
    }

    pub(crate) fn sign(&self, body: &[u8]) -> String {
        let secret = self
            .variables
            .get("CHEVERETO_TENANTS_API_REQUEST_SECRET")
            .cloned()
            .unwrap_or_default();
        RequestSecret::new(&Secret::new(secret)).sign(body)
    }

    /// Begins a request.
    pub(crate) fn begin(&mut self, ask: &Ask) -> Step<Exchange> {
        let is = |header: &Header, right: Option<String>| match header {
            Header::Right => right,
            Header::Absent => None,
            Header::Is(value) => Some(value.clone()),
        };
        let key = is(&ask.key, Some(self.key.clone()));
        let right = if ask.is_legacy() {
            STANDARD.encode(legacy_key().sign(&ask.body).to_bytes())
        } else {
            self.sign(&ask.body)
        };
        let signature = is(&ask.signature, Some(right));
        let json = (!ask.body.is_empty()).then(|| "application/json".into());
        let content_type = is(&ask.content_type, json);
        let request = Request {
            method: &ask.method,
            target: &ask.target,
            origin: ask.origin.as_deref(),
            client_address: ask.address.as_deref(),
            headers: Headers {
                api_key: key.as_deref(),
                signature: signature.as_deref(),
                content_type: content_type.as_deref(),
                content_encoding: ask.content_encoding.as_deref(),
                request_id: ask.request_id.as_deref(),
                if_none_match: ask.if_none_match.as_deref(),
                idempotency_key: ask.idempotency_key.as_deref(),
                prefer: ask.prefer.as_deref(),
                if_match: ask.if_match.as_deref(),
                signature_input: ask.signature_input.as_deref(),
                message_signature: ask.message_signature.as_deref(),
                content_digest: ask.content_digest.as_deref(),
                cookie: ask.cookie.as_deref(),
                sec_fetch_site: ask.sec_fetch_site.as_deref(),
                csrf_token: ask.csrf_token.as_deref(),
            },
            body: if ask.too_large {
                Body::TooLarge
            } else {
                Body::Bytes(&ask.body)
            },
        };
        self.api.begin(&request, self.now, self.random.as_mut())
    }

    /// Begins a request that must reach the database. Returns the exchange that waits for its first batch.
    pub(crate) fn first(&mut self, ask: &Ask) -> Exchange {
        match self.begin(ask) {
            Step::Run(exchange) => exchange,
            Step::Done(answer) => panic!("{ask:?} did not reach the database: {answer:?}"),
        }
    }

    /// Resumes an exchange with the rows of the first of its two batches. It must have a second batch to run.
    pub(crate) fn second(&mut self, ask: &Ask, exchange: Exchange, rows: Vec<Rows>) -> Exchange {
        match self.resumed(exchange, Ok(rows)) {
            Step::Run(exchange) => exchange,
            Step::Done(answer) => panic!("{ask:?} has no second batch: {answer:?}"),
        }
    }

    /// Begins a request that must reach its last batch. The first of two batches is run on the way.
    pub(crate) fn exchange(&mut self, ask: &Ask) -> Exchange {
        self.reach(ask)
            .unwrap_or_else(|got| panic!("{ask:?} did not reach its last batch: {got:?}"))
    }

    /// Begins a request, and runs the first of its batches if it has two. Returns the exchange that waits for the last batch, or the
    /// response if there is one already.
    fn reach(&mut self, ask: &Ask) -> Result<Exchange, Box<Got>> {
        let mut step = self.begin(ask);
        if ask.has_two_batches()
            && let Step::Run(exchange) = step
        {
            let rows = self.run(exchange.batch());
            assert!(rows.is_ok(), "{ask:?}: {rows:?}");
            step = self.resumed(exchange, rows);
        }
        match step {
            Step::Run(exchange) => Ok(exchange),
            step @ Step::Done(_) => Err(Box::new(self.sent(ask, step, false).unwrap())),
        }
    }

    /// Runs a batch in one transaction, which is rolled back if a statement fails. Checks each statement first.
    pub(crate) fn run(&mut self, batch: &Batch) -> Result<Vec<Rows>, String> {
        self.run_observed(batch, |_, _| ())
    }

    /// The same, and calls `observe` before each statement, inside the transaction.
    pub(crate) fn run_observed(
        &mut self,
        batch: &Batch,
        mut observe: impl FnMut(&Connection, &Statement),
    ) -> Result<Vec<Rows>, String> {
        let db = match batch.database() {
            Database::Registry => &mut self.db,
            Database::Site(id) => (self.sites.entry(id.clone()))
                .or_insert_with(|| Connection::open_in_memory().unwrap()),
        };
        tenants_sqlite::run_observed(db, batch, |db, statement| {
            invariants::of_statement(db, statement);
            observe(db, statement);
        })
        .map_err(|error| error.to_string())
    }

    /// Resumes a task with the outcome of its batch.
    pub(crate) fn resume<T: Task>(
        &mut self,
        task: T,
        outcome: Result<Vec<Rows>, String>,
    ) -> Result<TaskStep<T, T::Report>, TaskError> {
        match self.resumed(task, outcome) {
            Step::Run(next) => Ok(TaskStep::Run(next)),
            Step::Done(result) => result.map(TaskStep::Done),
        }
    }

    /// Resumes a machine with the result of its batch.
    pub(crate) fn resumed<M: Machine>(
        &mut self,
        machine: M,
        result: Result<Vec<Rows>, String>,
    ) -> Step<M> {
        match self.resumed_with(machine, outcome(result)) {
            // Tests that have a network resume by themselves.
            Step::Run(m) if matches!(m.effect(), Effect::Fetch(_)) => {
                self.resumed_with(m, Outcome::CannotFetch)
            }
            step => step,
        }
    }

    /// Resumes a machine with the outcome of its effect.
    pub(crate) fn resumed_with<M: Machine>(&mut self, machine: M, outcome: Outcome) -> Step<M> {
        let mut context = Context {
            unix_seconds: self.now,
            random: self.random.as_mut(),
        };
        machine.resume(outcome, &mut context)
    }

    /// Runs a task's batch, which must succeed, and resumes the task.
    pub(crate) fn step<T: Task>(&mut self, task: T) -> Result<TaskStep<T, T::Report>, TaskError> {
        let rows = self.run(task.batch());
        assert!(rows.is_ok(), "{rows:?}");
        self.resume(task, rows)
    }

    /// Runs a task's batch and resumes the task, which must have another batch to run.
    pub(crate) fn step_on<T: Task<Report: Debug>>(&mut self, task: T) -> T {
        match self.step(task).unwrap() {
            TaskStep::Run(next) => next,
            TaskStep::Done(report) => panic!("done already: {report:?}"),
        }
    }

    /// Runs a task to its end. Every batch must succeed.
    pub(crate) fn complete<T: Task>(&mut self, mut task: T) -> T::Report {
        loop {
            match self.step(task).unwrap() {
                TaskStep::Run(next) => task = next,
                TaskStep::Done(report) => return report,
            }
        }
    }

    /// Resumes an exchange with the outcome of its batch. It must have a response.
    pub(crate) fn finish(
        &mut self,
        ask: &Ask,
        exchange: Exchange,
        result: Result<Vec<Rows>, String>,
    ) -> Got {
        let mut step = self.resumed(exchange, result);
        // A poll reads the tenants if the state that it knows is not the present one.
        if ask.target.contains("/config/traefik")
            && let Step::Run(exchange) = step
        {
            let rows = self.run(exchange.batch());
            step = self.resumed(exchange, rows);
        }
        let step = self.whole(step);
        self.sent(ask, step, false)
            .unwrap_or_else(|| panic!("{ask:?} asks for another batch"))
    }

    /// Runs the batches of a body's rest, and puts its parts together.
    fn whole(&mut self, step: Step<Exchange>) -> Step<Exchange> {
        let Step::Done(mut answer) = step else {
            return step;
        };
        let mut parts = self.parts(answer.rest.take());
        let mut body = answer.response.body.to_string();
        Step::Done(match parts.pop() {
            Some(Err(failed)) => *failed,
            last => {
                parts.extend(last);
                body.extend(parts.into_iter().map(Result::unwrap));
                answer.response.body = body.into();
                answer
            }
        })
    }

    /// Runs the batches of a body's rest. Returns the parts, the last of which may be a failure.
    pub(crate) fn parts(&mut self, mut rest: Option<Rest>) -> Vec<Result<String, Box<Answer>>> {
        let mut parts = Vec::new();
        while let Some(waiting) = rest {
            let rows = self.run(waiting.batch());
            let Step::Done(part) = self.resumed(waiting, rows) else {
                panic!("a part asks for another batch");
            };
            rest = match part {
                Ok(part) => {
                    parts.push(Ok(part.text));
                    part.rest
                }
                Err(failed) => {
                    parts.push(Err(failed));
                    None
                }
            };
        }
        parts
    }

    /// Resumes an exchange whose last batch failed. It must ask why with one more batch.
    pub(crate) fn ask_why(&mut self, ask: &Ask, exchange: Exchange, reason: &str) -> Exchange {
        match self.resumed(exchange, Err(reason.into())) {
            Step::Run(exchange) => exchange,
            Step::Done(answer) => panic!("{ask:?} does not ask why: {answer:?}"),
        }
    }

    /// Resumes an exchange with the outcome of that batch. It must have a response.
    pub(crate) fn finish_why(
        &mut self,
        ask: &Ask,
        exchange: Exchange,
        result: Result<Vec<Rows>, String>,
    ) -> Got {
        let step = self.resumed(exchange, result);
        self.sent(ask, step, true)
            .unwrap_or_else(|| panic!("{ask:?} asks for another batch"))
    }

    pub(crate) fn sent(&self, ask: &Ask, step: Step<Exchange>, failed: bool) -> Option<Got> {
        let Step::Done(Answer {
            response,
            log,
            rest: None,
            ..
        }) = step
        else {
            return None;
        };
        let got = Got {
            status: response.status,
            body: response.body.to_string(),
            response,
            log,
        };
        invariants::of_answer(ask, &got, &self.secrets, failed);
        described::of_answer(&got);
        let served = self.variables.get("CHEVERETO_TENANTS_PUBLIC_KEY");
        let served = served.is_some_and(|key| !key.is_empty()) && self.api.config().is_ok();
        invariants::of_dialect(&got, served && got.log.legacy);
        Some(got)
    }

    /// Sends a request and runs the batches that it may need, and those that follow if the last one fails.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Got {
        let before = self.dump();
        let got = match self.reach(ask) {
            Ok(exchange) => match self.run(exchange.batch()) {
                Ok(rows) => self.finish(ask, exchange, Ok(rows)),
                Err(reason) => self.explain(ask, exchange, &reason),
            },
            Err(got) => *got,
        };
        invariants::of_change(self, ask, &got, &before);
        got
    }

    /// Sends a request that must have this status without the database.
    pub(crate) fn refuse(&mut self, status: u16, ask: &Ask) -> Got {
        let step = self.begin(ask);
        let got = self
            .sent(ask, step, false)
            .unwrap_or_else(|| panic!("{ask:?} reached the database"));
        assert_eq!(got.status, status, "{ask:?}: {got:?}");
        got
    }

    /// Sends a request that must have this status after its batch, or after its two batches.
    pub(crate) fn expect(&mut self, status: u16, ask: &Ask) -> Got {
        let before = self.dump();
        let got = self.answered(status, ask);
        invariants::of_change(self, ask, &got, &before);
        got
    }

    /// The same, and compares no tables before and after, which takes long with many rows.
    pub(crate) fn answered(&mut self, status: u16, ask: &Ask) -> Got {
        let got = match self.reach(ask) {
            Ok(exchange) => {
                let result = self.run(exchange.batch());
                assert!(result.is_ok(), "{ask:?}: {result:?}");
                self.finish(ask, exchange, result)
            }
            Err(got) => *got,
        };
        assert_eq!(got.status, status, "{ask:?}: {got:?}");
        got
    }

    /// The same as [`Host::expect`], and calls `between` before the last batch.
    pub(crate) fn expect_after(
        &mut self,
        status: u16,
        ask: &Ask,
        between: impl FnOnce(&Self),
    ) -> Got {
        let mut before = self.dump();
        let got = match self.reach(ask) {
            Ok(exchange) => {
                between(self);
                before = self.dump();
                let result = self.run(exchange.batch());
                assert!(result.is_ok(), "{ask:?}: {result:?}");
                self.finish(ask, exchange, result)
            }
            Err(got) => *got,
        };
        invariants::of_change(self, ask, &got, &before);
        assert_eq!(got.status, status, "{ask:?}: {got:?}");
        got
    }

    /// Sends a request of two batches that must have this status after the first one.
    pub(crate) fn expect_first(&mut self, status: u16, ask: &Ask) -> Got {
        assert!(ask.has_two_batches(), "{ask:?}");
        let before = self.dump();
        let exchange = self.first(ask);
        let result = self.run(exchange.batch());
        assert!(result.is_ok(), "{ask:?}: {result:?}");
        let got = self.finish(ask, exchange, result);
        invariants::of_change(self, ask, &got, &before);
        assert_eq!(got.status, status, "{ask:?}: {got:?}");
        got
    }

    /// Runs an exchange to its end. `run` runs each batch, or fails.
    pub(crate) fn finish_with(
        &mut self,
        ask: &Ask,
        exchange: Exchange,
        mut run: impl FnMut(&mut Self, &Batch) -> Result<Vec<Rows>, String>,
    ) -> Got {
        let mut step = Step::Run(exchange);
        let mut failed = false;
        while let Step::Run(next) = step {
            let result = run(self, next.batch());
            failed |= result.is_err();
            step = self.resumed(next, result);
        }
        self.sent(ask, step, failed).unwrap()
    }

    /// Resumes an exchange whose batch failed, and runs the batches that follow.
    fn explain(&mut self, ask: &Ask, exchange: Exchange, reason: &str) -> Got {
        let mut is_first = true;
        let got = self.finish_with(ask, exchange, |host, batch| {
            if mem::take(&mut is_first) {
                return Err(reason.into());
            }
            host.run(batch)
        });
        assert!(got.status == 401 || got.cause().contains(reason), "{got:?}");
        got
    }

    /// Sends a request whose last batch must fail, and which must have this status after the batches that follow.
    pub(crate) fn expect_failing(&mut self, status: u16, ask: &Ask) -> Got {
        self.expect_failing_after(status, ask, |_| ())
    }

    /// The same, and calls `between` before the last batch.
    pub(crate) fn expect_failing_after(
        &mut self,
        status: u16,
        ask: &Ask,
        between: impl FnOnce(&Self),
    ) -> Got {
        let exchange = self.exchange(ask);
        between(self);
        let before = self.dump();
        let reason = self.run(exchange.batch()).expect_err("the batch must fail");
        let got = self.explain(ask, exchange, &reason);
        assert_eq!(got.status, status, "{ask:?}: {got:?}");
        invariants::of_change(self, ask, &got, &before);
        got
    }

    /// The same as [`Host::expect`]. Returns the body.
    pub(crate) fn json(&mut self, status: u16, ask: &Ask) -> Json {
        serde_json::from_str(&self.expect(status, ask).body).unwrap()
    }
}

impl Got {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.header(name)
    }

    pub(crate) fn cause(&self) -> &str {
        self.log.cause.as_deref().unwrap_or_default()
    }

    /// The pointers and parameters of a 409 or 422, in its order.
    pub(crate) fn named(&self) -> Vec<String> {
        self.json()["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| {
                let at = e.get("pointer").or_else(|| e.get("parameter"));
                at.and_then(Json::as_str).unwrap().into()
            })
            .collect()
    }
}

/// How the log begins the cause of a response to rows that the statement cannot return.
pub(crate) const UNEXPECTED_ROWS: &str = "unexpected result from the database: ";

/// The body of a 500 for a request with the id `r-1`.
pub(crate) fn internal_error() -> String {
    let detail = "something failed on this side; the log has it under the request id";
    problem(500, "Internal Server Error", detail, "internal", "")
}

/// The body of a 503 for a request with the id `r-1`.
pub(crate) fn not_configured() -> String {
    let detail =
        "the service is not configured for this; its log has the reason under the request id";
    problem(503, "Service Unavailable", detail, "not_configured", "")
}

/// The same problem in the legacy dialect, which has no empty list of errors.
pub(crate) fn without_errors(problem: &str) -> String {
    problem.replace(r#","errors":[]"#, "")
}

/// The body of a problem for a request with the id `r-1`.
pub(crate) fn problem(status: u16, title: &str, detail: &str, code: &str, errors: &str) -> String {
    let errors = if errors.is_empty() { "[]" } else { errors };
    format!(
        r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}","code":"{code}","request_id":"r-1","errors":{errors}}}"#
    )
}
