use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Options, Settings, words};
use crate::error::Error;

/// Bytes 0 to 31.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A folder with an agent's file and an installation's environment file.
struct Files(PathBuf);

impl Files {
    fn new(config: &str, installation: &str) -> Self {
        let number = getrandom::u64().unwrap();
        let folder = std::env::temp_dir().join(format!("tenants-agent-settings-{number:016x}"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("agent.env"), config).unwrap();
        std::fs::write(folder.join("site.env"), installation).unwrap();
        Self(folder)
    }

    fn options(&self) -> Options {
        Options {
            config: Some(self.0.join("agent.env")),
            env_file: Some(self.0.join("site.env")),
            ..Options::default()
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn read(config: &str, options: impl FnOnce(&mut Options)) -> Result<Settings, Error> {
    let files = Files::new(config, &format!("CHEVERETO_ENCRYPTION_KEY={KEY}\n"));
    let mut all = files.options();
    options(&mut all);
    Settings::read(&all, nothing)
}

/// The configuration error of these settings.
fn refused(config: &str) -> String {
    match read(config, |_| ()) {
        Err(Error::Configuration(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it is taken: {config}"),
    }
}

const NEEDED: &str = "TENANTS_URL=https://api.example\nTENANTS_CELL=main\n";

#[test]
fn a_value_comes_from_the_option_the_environment_the_agents_file_or_the_installations_in_this_order()
 {
    fn environment(name: &str) -> Option<String> {
        match name {
            "TENANTS_CELL" | "TENANTS_AGENT_WORKERS" => Some("3".into()),
            // A variable that is set to nothing is not set.
            "CHEVERETO_CACHE_PORT" => Some(String::new()),
            _ => None,
        }
    }
    let files = Files::new(
        "TENANTS_URL=https://api.example\nTENANTS_CELL=file\nTENANTS_AGENT_WORKERS=4\nTENANTS_AGENT_INTERVAL=5\nCHEVERETO_CACHE_USER=agent\n",
        &format!(
            "CHEVERETO_ENCRYPTION_KEY={KEY}\nCHEVERETO_CACHE_HOST=redis.internal\nCHEVERETO_CACHE_PORT=6380\nCHEVERETO_CACHE_USER=site\n\
             CHEVERETO_DB_NAME=chevereto\nCHEVERETO_DB_USER=u\nCHEVERETO_DB_PASS=p\nTENANTS_CELL=installation\n"
        ),
    );
    let options = Options {
        cell: Some("option".into()),
        ..files.options()
    };
    let settings = Settings::read(&options, environment).unwrap();
    assert_eq!(settings.cell, "option");
    assert_eq!(settings.workers, 3);
    assert_eq!(settings.interval, Duration::from_secs(5));
    assert_eq!(settings.redis.user.as_deref(), Some("agent"));
    assert_eq!(settings.redis.host, "redis.internal");
    assert_eq!(settings.redis.port, 6380);
    assert_eq!(settings.database.unwrap().name, "chevereto");
    let settings = Settings::read(&files.options(), environment).unwrap();
    assert_eq!(settings.cell, "3");
    let settings = Settings::read(&files.options(), nothing).unwrap();
    assert_eq!((settings.cell.as_str(), settings.workers), ("file", 4));
}

#[test]
fn without_more_than_it_needs_an_agent_has_the_documented_defaults() {
    let settings = read(NEEDED, |_| ()).unwrap();
    assert_eq!(settings.state, Path::new("/var/lib/tenants-agent/state.db"));
    assert_eq!(settings.interval, Duration::from_secs(2));
    assert_eq!(settings.compare, Duration::from_secs(300));
    assert_eq!((settings.workers, settings.cron_workers), (2, 2));
    assert_eq!(settings.job_limit, Duration::from_secs(600));
    assert_eq!(settings.cron_limit, Duration::from_secs(300));
    assert_eq!(settings.lease_seconds, 30);
    assert_eq!(settings.redis.host, "127.0.0.1");
    assert_eq!((settings.redis.port, settings.redis.database), (6379, 0));
    assert!(settings.database.is_none() && settings.cli.is_empty());
    assert!(!settings.prune && !settings.dry_run);
    let settings = read(NEEDED, |o| o.installation = Some("/srv/chevereto".into())).unwrap();
    assert_eq!(
        settings.schema.as_deref(),
        Some(Path::new("/srv/chevereto/app/schemas/mysql-8"))
    );
}

#[test]
fn only_a_mode_that_has_prefixes_lets_sites_be_dropped() {
    for (mode, is_isolated) in [
        ("", false),
        ("table", false),
        ("Prefix", false),
        ("database", true),
        ("DATABASE", true),
        ("schema", true),
    ] {
        let line = format!("{NEEDED}CHEVERETO_TENANTS_DB_ISOLATION_MODE={mode}\n");
        let settings = read(&line, |_| ()).unwrap();
        assert_eq!(settings.is_isolated_by_database, is_isolated, "{mode}");
    }
}

#[test]
fn a_setting_that_is_missing_or_not_valid_is_named() {
    assert!(refused("").contains("TENANTS_URL is not set"));
    assert!(refused("TENANTS_URL=https://api.example\n").contains("TENANTS_CELL is not set"));
    for (line, text) in [
        ("TENANTS_URL=ftp://x", "TENANTS_URL: "),
        (
            "CHEVERETO_ENCRYPTION_KEY=abc",
            "CHEVERETO_ENCRYPTION_KEY: expected base64 of 32 bytes",
        ),
        (
            "TENANTS_AGENT_INTERVAL=soon",
            "TENANTS_AGENT_INTERVAL: expected a number, got `soon`",
        ),
        (
            "TENANTS_AGENT_INTERVAL=61",
            "TENANTS_AGENT_INTERVAL: expected 0.1 to 60 seconds",
        ),
        (
            "TENANTS_AGENT_COMPARE_SECONDS=0",
            "TENANTS_AGENT_COMPARE_SECONDS: expected 1 to 86400 seconds",
        ),
        (
            "TENANTS_AGENT_JOB_SECONDS=18446744073709551615",
            "TENANTS_AGENT_JOB_SECONDS: expected 1 to 86400 seconds",
        ),
        (
            "TENANTS_AGENT_WORKERS=0",
            "TENANTS_AGENT_WORKERS: expected 1 to 20",
        ),
        (
            "TENANTS_AGENT_LEASE_SECONDS=4",
            "TENANTS_AGENT_LEASE_SECONDS: expected 5 to 3600 seconds",
        ),
        (
            "CHEVERETO_CACHE_PORT=70000",
            "CHEVERETO_CACHE_PORT: expected a number",
        ),
        (
            "CHEVERETO_DB_NAME=chevereto",
            "CHEVERETO_DB_USER is not set",
        ),
        (
            "TENANTS_AGENT_TRAEFIK_FILE=/etc/x.json",
            "ends in .yml or .yaml",
        ),
        (
            "TENANTS_AGENT_CLI=php cli | tee x",
            "it is not run by a shell",
        ),
    ] {
        let found = refused(&format!("{NEEDED}{line}\n"));
        assert!(found.contains(text), "{line}: {found}");
    }
    let missing = Options {
        config: Some("/nowhere/agent.env".into()),
        ..Options::default()
    };
    let Err(Error::Configuration(text)) = Settings::read(&missing, nothing) else {
        panic!()
    };
    assert!(text.contains("/nowhere/agent.env cannot be read"), "{text}");
}

#[test]
fn a_key_needs_the_secret_that_signs_for_it_alone_and_no_other_will_do() {
    let keys = "TENANTS_API_KEY=chv_1_x\nCHEVERETO_TENANTS_API_REQUEST_SECRET=shared\n";
    let settings = read(&format!("{NEEDED}{keys}"), |_| ()).unwrap();
    let Err(Error::Configuration(text)) = settings.client() else {
        panic!()
    };
    assert!(text.contains("TENANTS_SIGNING_SECRET is not set"), "{text}");
    let own = "TENANTS_SIGNING_SECRET=own\n";
    let settings = read(&format!("{NEEDED}{keys}{own}"), |_| ()).unwrap();
    assert!(settings.client().is_ok());
}

#[test]
fn a_command_is_words_or_a_json_array_and_never_a_shells() {
    assert_eq!(
        words("php /var/www/app/bin/cli").unwrap(),
        ["php", "/var/www/app/bin/cli"]
    );
    assert_eq!(
        words(r#"["php", "/a b/cli"]"#).unwrap(),
        ["php", "/a b/cli"]
    );
    for bad in [
        "",
        "[]",
        "[1]",
        "php 'a b'",
        "php a; rm b",
        "php $HOME",
        "[\"\"]",
    ] {
        assert!(words(bad).is_err(), "{bad}");
    }
}
