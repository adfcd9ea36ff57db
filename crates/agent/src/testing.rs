//! An agent for unit tests: it has a folder of its own, and its registry, Redis and MySQL refuse every connection.

use std::path::PathBuf;

use crate::registry::Registry;
use crate::settings::{Options, Settings};
use crate::shared::Shared;
use crate::state::{Row, Staged, State};
use crate::wire::Job;

/// Nobody listens on port 1.
const CONFIG: &str = "TENANTS_URL=http://127.0.0.1:1
TENANTS_CELL=main
TENANTS_API_KEY=chv_1_00
TENANTS_SIGNING_SECRET=00
CHEVERETO_ENCRYPTION_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
CHEVERETO_CACHE_HOST=127.0.0.1
CHEVERETO_CACHE_PORT=1
";
const DATABASE: &str = "CHEVERETO_DB_HOST=127.0.0.1
CHEVERETO_DB_PORT=1
CHEVERETO_DB_NAME=chevereto
CHEVERETO_DB_USER=chevereto
CHEVERETO_DB_PASS=chevereto
";

pub(crate) struct Agent {
    pub(crate) shared: Shared,
    pub(crate) state: State,
    pub(crate) folder: PathBuf,
}

impl Agent {
    /// Makes an agent whose commands are `sh -c script`, with further lines of its file.
    pub(crate) fn new(script: &str, more: &str) -> Self {
        let number = getrandom::u64().unwrap();
        let folder = std::env::temp_dir().join(format!("tenants-agent-test-{number:016x}"));
        let schema = folder.join("schema");
        std::fs::create_dir_all(&schema).unwrap();
        std::fs::write(schema.join("users.sql"), "").unwrap();
        let config = folder.join("agent.env");
        std::fs::write(&config, format!("{CONFIG}{more}")).unwrap();
        let options = Options {
            config: Some(config),
            state: Some(folder.join("state.db")),
            cli: Some(serde_json::json!(["sh", "-c", script]).to_string()),
            ..Options::default()
        };
        let settings = Settings::read(&options, |_| None).unwrap();
        let registry = Registry::new(&settings, "agent").unwrap();
        let shared = Shared::new(settings, registry);
        shared.runner.prepare().unwrap();
        let state = State::open(&shared.settings.state).unwrap();
        Self {
            shared,
            state,
            folder,
        }
    }

    /// The same, with a MySQL.
    pub(crate) fn with_database(script: &str, more: &str) -> Self {
        let mut agent = Self::new(script, &format!("{DATABASE}{more}"));
        agent.shared.settings.schema = Some(agent.folder.join("schema"));
        agent
    }

    /// Takes over what the registry says.
    pub(crate) fn apply(&mut self, staged: &[Staged]) {
        self.state.stage(staged).unwrap();
        let plan = self.state.plan(false).unwrap();
        self.state.apply(&plan, "cursor", false).unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A tenant that is served.
pub(crate) fn present(id: &str) -> Staged {
    Staged::Present(Row {
        id: id.into(),
        is_enabled: true,
        cron_seconds: 300,
        env: Some("sealed".into()),
        value: Vec::new(),
        hostnames: Vec::new(),
    })
}

/// A job for the tenant `a`.
pub(crate) fn job(kind: &str, attempt: u32) -> Job {
    let input = serde_json::json!({"username": "u", "email": "e", "password": "hunter2"});
    let job = serde_json::json!({"id": "j", "lease": "l", "tenant_id": "a", "kind": kind, "attempt": attempt, "input": input});
    serde_json::from_value(job).unwrap()
}
