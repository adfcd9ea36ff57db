//! Runs the conformance set (tests/conformance/README.md) on the core itself, natively, with rusqlite.
#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test helpers may panic, as tests do"
)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection;
use serde::Deserialize;
use sha2::Sha256;
use tenants_core::machine::drive;
use tenants_core::sql::Value;
use tenants_core::{Api, Body, Headers, Request, Response};
use tenants_sqlite::{Sites, SystemHost, SystemRandom, unix_seconds};

#[derive(Deserialize)]
struct Scenario {
    name: String,
    config: BTreeMap<String, String>,
    setup: Vec<Statement>,
    steps: Vec<ScenarioStep>,
}

#[derive(Deserialize)]
struct Statement {
    sql: String,
    params: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ScenarioStep {
    Statements {
        setup: Vec<Statement>,
    },
    Asked {
        name: String,
        request: Box<Asked>,
        expect: Expected,
    },
}

#[derive(Deserialize)]
struct Asked {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Option<AskedBody>,
    client_address: Option<String>,
    signing: Option<Signing>,
}

/// How a request signs itself as a whole.
#[derive(Deserialize)]
struct Signing {
    secret: String,
    base: String,
}

impl Signing {
    /// Puts the signature and the times in place of a header's marks.
    fn fill(&self, header: &str, now: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(timed(&self.base, now).as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        timed(header, now).replace("<signature>", &signature)
    }
}

/// Puts times in place of `<now>`, `<now+…>` and `<now-…>`.
fn timed(text: &str, now: i64) -> String {
    let mut parts = text.split("<now");
    let mut timed = parts.next().unwrap().to_owned();
    for part in parts {
        let (seconds, rest) = part.split_once('>').unwrap();
        let seconds: i64 = if seconds.is_empty() {
            0
        } else {
            seconds.parse().unwrap()
        };
        timed += &format!("{}{rest}", now + seconds);
    }
    timed
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AskedBody {
    Text(String),
    Bytes { base64: String },
    Repeated { repeat: String, times: usize },
}

#[derive(Deserialize)]
struct Expected {
    status: u16,
    headers: BTreeMap<String, Option<String>>,
    body: String,
}

#[test]
fn the_core_passes_the_conformance_set() {
    let (passed, failures) = run(&scenarios(), None);
    report(passed, failures.len());
    assert_eq!(failures, Vec::<String>::new());
    assert!(passed > 0, "a runner that asked nothing passes nothing");
}

/// Each scenario once more, but for those that make a site's tables in the registry.
#[test]
fn so_does_the_core_with_a_database_for_each_site() {
    let mut scenarios = scenarios();
    scenarios.retain(|scenario| {
        let makes_tables = scenario.steps.iter().any(|step| match step {
            ScenarioStep::Statements { setup } => {
                setup.iter().any(|s| s.sql.starts_with("CREATE TABLE"))
            }
            ScenarioStep::Asked { .. } => false,
        });
        !makes_tables && !scenario.config.contains_key(ISOLATION)
    });
    for scenario in &mut scenarios {
        scenario.config.insert(ISOLATION.into(), "database".into());
    }
    let folder = std::env::temp_dir().join(format!("tenants-sites-{}", std::process::id()));
    let (passed, failures) = run(&scenarios, Some(&folder));
    assert_eq!(failures, Vec::<String>::new());
    assert!(passed > 100, "{passed}");
    let installed = folder.join("a site/site-acme.sqlite");
    let site = Connection::open(&installed).unwrap();
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'chv_users'";
    let rows = tenants_sqlite::query(&site, tables, &[]).unwrap();
    assert_eq!(rows, [[Value::Integer(0)]], "its tables were dropped");
    drop(site);
    fs::remove_dir_all(&folder).unwrap();
}

const ISOLATION: &str = "CHEVERETO_TENANTS_DB_ISOLATION_MODE";

/// Runs scenarios. Each has a folder for its sites' databases in `sites`.
fn run(scenarios: &[Scenario], sites: Option<&Path>) -> (usize, Vec<String>) {
    let (mut passed, mut failures) = (0, Vec::new());
    for scenario in scenarios {
        let sites = sites.map(|folder| {
            let folder = folder.join(&scenario.name);
            fs::create_dir_all(&folder).unwrap();
            Sites::in_folder(folder)
        });
        let mut host = Host::new(scenario, sites);
        for step in &scenario.steps {
            match step {
                ScenarioStep::Statements { setup } => host.prepare(setup),
                ScenarioStep::Asked {
                    name,
                    request,
                    expect,
                } => {
                    let differences = expect.differences(&host.ask(request));
                    if differences.is_empty() {
                        passed += 1;
                    } else {
                        let what = differences.join("; ");
                        failures.push(format!("{}: {name}: {what}", scenario.name));
                    }
                }
            }
        }
    }
    (passed, failures)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn scenarios() -> Vec<Scenario> {
    let folder = root().join("tests/conformance");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| -> Vec<Scenario> {
        serde_json::from_str(&fs::read_to_string(path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    files.iter().flat_map(read).collect()
}

/// Writes the result for the table of all hosts.
fn report(passed: usize, failed: usize) {
    let folder = root().join("build/conformance");
    fs::create_dir_all(&folder).unwrap();
    let result = serde_json::json!({
        "host": "The core itself, natively",
        "version": env!("CARGO_PKG_VERSION"),
        "database": format!("rusqlite, SQLite {}", rusqlite::version()),
        "passed": passed,
        "failed": failed,
    });
    fs::write(folder.join("native.json"), format!("{result}\n")).unwrap();
}

struct Host {
    api: Api,
    db: Connection,
    sites: Option<Sites>,
}

impl Host {
    fn new(scenario: &Scenario, sites: Option<Sites>) -> Self {
        let variable = |name: &str| scenario.config.get(name).cloned();
        let host = Self {
            api: Api::for_host(sites.is_some(), variable),
            db: tenants_sqlite::open_in_memory().unwrap(),
            sites,
        };
        host.prepare(&scenario.setup);
        host
    }

    fn prepare(&self, statements: &[Statement]) {
        for Statement { sql, params } in statements {
            let values = params.iter().map(|value| match value {
                serde_json::Value::Null => Value::Null,
                serde_json::Value::String(text) => text.as_str().into(),
                number => Value::Integer(number.as_i64().expect("an integer")),
            });
            tenants_sqlite::query(&self.db, sql, &values.collect::<Vec<_>>()).unwrap();
        }
    }

    fn ask(&mut self, asked: &Asked) -> Response {
        let now = unix_seconds();
        let mut headers = asked.headers.clone();
        if let Some(signing) = &asked.signing {
            for value in headers.values_mut() {
                *value = signing.fill(value, now);
            }
        }
        let header = |name: &str| headers.get(name).map(String::as_str);
        let body = match &asked.body {
            None => Vec::new(),
            Some(AskedBody::Text(text)) => text.clone().into_bytes(),
            Some(AskedBody::Bytes { base64 }) => STANDARD.decode(base64).unwrap(),
            Some(AskedBody::Repeated { repeat, times }) => repeat.repeat(*times).into_bytes(),
        };
        let request = Request {
            method: &asked.method,
            target: &asked.target,
            origin: None,
            client_address: asked.client_address.as_deref(),
            headers: Headers::from_fn(header),
            body: Body::Bytes(&body),
        };
        let step = self.api.begin(&request, now, &mut SystemRandom);
        let mut host = SystemHost::new(&mut self.db);
        if let Some(sites) = &self.sites {
            host = host.with_sites(sites);
        }
        let host = &mut host;
        drive(step, host).whole(host).response
    }
}

impl Expected {
    /// The differences between a response and the expected one.
    fn differences(&self, response: &Response) -> Vec<String> {
        let mut found = Vec::new();
        if response.status != self.status {
            found.push(format!(
                "status {} instead of {}",
                response.status, self.status
            ));
        }
        for (name, expected) in &self.headers {
            let got = response.header(name);
            let same = match (expected, got) {
                (None, None) => true,
                (Some(expected), Some(got)) => matches(expected, got),
                _ => false,
            };
            if !same {
                found.push(format!("{name}: {got:?} instead of {expected:?}"));
            }
        }
        let id = response.header("x-request-id").unwrap_or_default();
        let body = self.body.replace(
            r#""request_id":"<request-id>""#,
            &format!(r#""request_id":"{id}""#),
        );
        if !matches(&body, &response.body) {
            found.push(format!("body {} instead of {}", response.body, self.body));
        }
        found
    }
}

/// Whether a text is the expected one. Placeholders in `<…>` match the parts that differ from run to run.
fn matches(expected: &str, got: &str) -> bool {
    let Some(at) = expected.find('<') else {
        return expected == got;
    };
    let (literal, rest) = expected.split_at(at);
    let Some(got) = got.strip_prefix(literal) else {
        return false;
    };
    let word = |range: RangeInclusive<usize>, more: &[u8], rest: &str| {
        let length = got
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || more.contains(b))
            .count();
        range.contains(&length) && matches(rest, &got[length..])
    };
    if let Some(rest) = rest.strip_prefix("<request-id>") {
        word(1..=64, b"._-", rest)
    } else if let Some(rest) = rest.strip_prefix("<version>") {
        word(1..=64, b"._-", rest)
    } else if let Some(rest) = rest.strip_prefix("<password>") {
        word(16..=128, b"_-", rest)
    } else if let Some(rest) = rest.strip_prefix("<id>") {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let length = got.bytes().take_while(|&b| is_hex(b)).count();
        length == 32 && matches(rest, &got[length..])
    } else if let Some(rest) = rest.strip_prefix("<time>") {
        let shape = "0000-00-00 00:00:00".len();
        got.len() >= shape && is_time(&got.as_bytes()[..shape]) && matches(rest, &got[shape..])
    } else {
        got.strip_prefix('<')
            .is_some_and(|got| matches(&rest[1..], got))
    }
}

fn is_time(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(i, byte)| match i {
        4 | 7 => *byte == b'-',
        10 => *byte == b' ',
        13 | 16 => *byte == b':',
        _ => byte.is_ascii_digit(),
    })
}

#[test]
fn a_placeholder_matches_its_own_kind_of_text_only() {
    assert!(matches(
        r#"{"a":"<time>","b":"<b>"}"#,
        r#"{"a":"2026-01-02 03:04:05","b":"<b>"}"#
    ));
    assert!(!matches("<time>", "2026-01-02T03:04:05"));
    assert!(!matches("<time>", "2026-01-02 03:04"));
    assert!(matches("<version>", "0.1.0"));
    assert!(!matches("<version>", ""));
    assert!(!matches("<password>", "short"));
    assert!(matches("<password>", "0123456789abcdef"));
    assert!(matches("<id>\"", "0123456789abcdef0123456789abcdef\""));
    assert!(!matches("<id>", "0123456789abcdef0123456789abcdeg"));
    assert!(!matches("<id>", "0123456789abcdef"));
    assert!(!matches("a", "b"));
    assert!(!matches("a<request-id>", "a"));
}
