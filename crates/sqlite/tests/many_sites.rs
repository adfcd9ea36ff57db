//! Ten thousand sites with a database each cost no more than ten. It takes some minutes and two gigabytes of disk, so ask for it:
//! `cargo test --release -p tenants-sqlite --test many_sites -- --ignored --nocapture`.
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tenants_core::machine::{Step, drive};
use tenants_core::sql::{Batch, Rows};
use tenants_core::task::keys::KeyCreation;
use tenants_core::task::stats::{Refresh, Which};
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::TenantId;
use tenants_core::{Api, Body, Failure, Headers, Host, Machine, Random, Request};
use tenants_sqlite::{Sites, SystemHost, SystemRandom, open, unix_seconds};

/// The sites of the larger registry.
const MANY: usize = 10_000;
/// The sites of the smaller one.
const FEW: usize = 10;
/// The times that each operation is measured, on both in turn.
const ROUNDS: usize = 200;

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "CHEVERETO_TENANTS_API_KEY_SECRET" => "the secret of keys",
        "CHEVERETO_TENANTS_API_REQUEST_SECRET" => "the secret of requests",
        "CHEVERETO_TENANTS_DB_ISOLATION_MODE" => "database",
        // The cheapest hash that is allowed. It is not measured.
        "TENANTS_PASSWORD_MEMORY_KIB" => "7168",
        "TENANTS_PASSWORD_PASSES" => "5",
        _ => return None,
    };
    Some(value.into())
}

struct Registry {
    api: Api,
    db: Connection,
    sites: Sites,
    key: String,
    folder: PathBuf,
}

/// A host that notes how long its batches take.
struct Timed<'a>(SystemHost<'a>, Duration);

impl Host for Timed<'_> {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Rows>, Failure> {
        let began = Instant::now();
        let rows = self.0.run(batch);
        self.1 += began.elapsed();
        rows
    }

    fn unix_seconds(&mut self) -> i64 {
        self.0.unix_seconds()
    }

    fn random(&mut self) -> &mut dyn Random {
        self.0.random()
    }
}

impl Registry {
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder.join("sites")).unwrap();
        let api = Api::for_host(true, variable);
        let mut db = open(folder.join("registry.sqlite")).unwrap();
        let config = api.config().unwrap();
        let creation =
            KeyCreation::begin(config, None, None, unix_seconds(), &mut SystemRandom).unwrap();
        let created = drive(Step::Run(creation), &mut SystemHost::new(&mut db)).unwrap();
        Self {
            key: created.key.text().to_owned(),
            sites: Sites::in_folder(folder.join("sites")),
            folder: folder.into(),
            api,
            db,
        }
    }

    /// Runs a machine, and returns how long its batches took.
    fn run<M: Machine>(&mut self, step: Step<M>) -> (M::Output, Duration) {
        let mut host = Timed(
            SystemHost::new(&mut self.db).with_sites(&self.sites),
            Duration::ZERO,
        );
        let output = drive(step, &mut host);
        (output, host.1)
    }

    fn ask(&mut self, status: u16, method: &str, path: &str, body: &str) -> Duration {
        let secret = self.api.config().unwrap().request_secret().unwrap();
        let signature = secret.sign(body.as_bytes());
        let target = format!("/_/api/4/{path}");
        let header = |name: &str| match name {
            "x-api-key" => Some(self.key.as_str()),
            "x-signature" => Some(signature.as_str()),
            "content-type" => (!body.is_empty()).then_some("application/json"),
            _ => None,
        };
        let request = Request {
            method,
            target: &target,
            origin: None,
            client_address: None,
            headers: Headers::from_fn(header),
            body: Body::Bytes(body.as_bytes()),
        };
        let step = self.api.begin(&request, unix_seconds(), &mut SystemRandom);
        let (answer, took) = self.run(step);
        assert_eq!(answer.response.status, status, "{}", answer.response.body);
        took
    }

    fn create(&mut self, id: &str) -> Duration {
        let body = format!(r#"{{"id":"{id}","hostname":"{id}.example.com","is_enabled":true}}"#);
        self.ask(201, "POST", "tenants", &body)
    }

    fn install(&mut self, id: &str) -> Duration {
        let body = r#"{"username":"admin","email":"a@example.com","password":"a password"}"#;
        self.ask(201, "POST", &format!("tenants/{id}/install"), body)
    }

    fn count(&mut self, id: &str) -> Duration {
        let now = Timestamp::from_unix(unix_seconds()).unwrap();
        let which = Which::One(TenantId::parse(id).unwrap());
        let task = Refresh::begin(self.api.config().unwrap(), &now, which, 1);
        let (report, took) = self.run(Step::Run(task));
        assert_eq!(report.unwrap().counted, 1);
        took
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.join("sites")).unwrap().count()
    }
}

#[test]
#[ignore = "takes some minutes and two gigabytes of disk"]
fn ten_thousand_sites_cost_no_more_than_ten() {
    let folder = std::env::temp_dir().join(format!("tenants-many-{}", std::process::id()));
    let mut few = Registry::new(&folder.join("few"));
    let mut many = Registry::new(&folder.join("many"));
    for (registry, sites) in [(&mut few, FEW), (&mut many, MANY)] {
        for n in 0..sites {
            registry.create(&format!("t{n}"));
            registry.install(&format!("t{n}"));
        }
        assert_eq!(registry.files(), sites);
    }

    let mut times: Vec<(&str, [Vec<Duration>; 2])> = Vec::new();
    for round in 0..ROUNDS {
        let id = format!("new{round}");
        let mut of_both = [Vec::new(), Vec::new()];
        for (registry, took) in [&mut few, &mut many].into_iter().zip(&mut of_both) {
            let reset = r#"{"username":"admin","password":"another one"}"#;
            let reset_path = format!("tenants/{id}/user-password-reset");
            let path = format!("tenants/{id}");
            took.push(("create a tenant", registry.create(&id)));
            took.push(("install", registry.install(&id)));
            took.push((
                "reset a password",
                registry.ask(200, "PATCH", &reset_path, reset),
            ));
            took.push(("count", registry.count(&id)));
            took.push(("get a tenant", registry.ask(200, "GET", &path, "")));
            let drop = r#"{"drop_tables":true}"#;
            took.push(("delete and drop", registry.ask(204, "DELETE", &path, drop)));
        }
        let [few, many] = of_both;
        for ((name, of_few), (_, of_many)) in few.into_iter().zip(many) {
            match times.iter_mut().find(|(known, _)| *known == name) {
                Some((_, [a, b])) => {
                    a.push(of_few);
                    b.push(of_many);
                }
                None => times.push((name, [vec![of_few], vec![of_many]])),
            }
        }
    }
    for (name, all) in &mut times {
        let [few, many] = all.each_mut().map(|times| {
            times.sort();
            times[times.len() / 2]
        });
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        println!("{name}: {few:?} at {FEW} sites, {many:?} at {MANY}, ratio {ratio:.2}");
        assert!(ratio <= 1.2, "{name}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
