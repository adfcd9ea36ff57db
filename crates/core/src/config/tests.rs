use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Config, VARIABLES};

fn read(set: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    Config::read(|name| {
        assert!(VARIABLES.contains(&name), "{name} is not in VARIABLES");
        set.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| (*v).into())
    })
    .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn an_empty_configuration_is_valid() {
    let config = read(&[]).unwrap();
    assert!(config.access.key_secret.is_none());
    assert!(config.sealer.is_none());
    assert_eq!(config.root_hostname.as_str(), "localhost");
    assert!(config.access.verifying_keys.is_none());
    assert!(
        read(&[("CHEVERETO_TENANTS_API_KEY_SECRET", "")])
            .unwrap()
            .access
            .key_secret
            .is_none()
    );
}

#[test]
fn errors_name_every_invalid_variable_and_show_no_secret() {
    let errors = read(&[
        ("CHEVERETO_TENANTS_API_IP_ALLOW_LIST", "10.0.0.0/8,nonsense"),
        ("CHEVERETO_ENCRYPTION_KEY", "c2hvcnQ="),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", "&&&"),
        ("CHEVERETO_INTERNAL_HOSTNAME", "a_b"),
        ("CHEVERETO_TENANTS_DB_ISOLATION_MODE", "database"),
        ("CHEVERETO_TENANT_ENFORCED", r#"{"a":"secret"}"#),
    ])
    .unwrap_err();
    assert_eq!(
        errors,
        [
            "CHEVERETO_INTERNAL_HOSTNAME: expected labels of 1 to 63 letters, digits and hyphens, no hyphen at either end, separated by dots; got `a_b`",
            "CHEVERETO_TENANTS_API_IP_ALLOW_LIST: expected addresses or CIDR ranges, separated by commas; got `nonsense`",
            "CHEVERETO_ENCRYPTION_KEY: expected base64 of 32 bytes; got 5 bytes",
            "CHEVERETO_ENCRYPTION_KEY_PREVIOUS: expected base64 of 32 bytes; it is not base64",
            "CHEVERETO_TENANT_ENFORCED: /a: expected a name of [A-Z][A-Z0-9_]*, at most 128 characters; got `a`",
            "CHEVERETO_TENANTS_DB_ISOLATION_MODE: `database` is not served by this version yet; expected `table`",
        ]
    );
}

#[test]
fn settings_of_traefiks_configuration_are_checked() {
    for (name, bad) in [
        ("CHEVERETO_PROXY_ENTRYPOINT", "web secure"),
        ("CHEVERETO_SERVICE_NAME", "php@docker"),
        ("CHEVERETO_SERVICE_NAME", "a`b"),
        ("CHEVERETO_SERVICE_PORT", "0"),
        ("CHEVERETO_SERVICE_PORT", "65536"),
        ("CHEVERETO_SERVICE_PORT", "+80"),
        ("CHEVERETO_PROXY_IP_ALLOW_LIST", "10.0.0.0/8,"),
        ("CHEVERETO_PROXY_IP_ALLOW_LIST", " "),
        ("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", "localhost"),
        ("TENANTS_DEVELOPMENT", "yes"),
    ] {
        let errors = read(&[(name, bad)]).unwrap_err();
        assert_eq!(errors.len(), 1, "{name}={bad}");
        assert!(errors[0].starts_with(name), "{errors:?}");
    }
    assert!(
        read(&[
            ("CHEVERETO_SERVICE_NAME", "my_php.internal"),
            ("CHEVERETO_SERVICE_PORT", "65535")
        ])
        .is_ok()
    );
}

#[test]
fn settings_of_sites_and_statistics_are_checked() {
    for (set, named) in [
        (
            &[("CHEVERETO_DB_TABLE_PREFIX", "chv")][..],
            "CHEVERETO_DB_TABLE_PREFIX",
        ),
        (
            &[("CHEVERETO_DB_TABLE_PREFIX", "d1_")],
            "CHEVERETO_DB_TABLE_PREFIX",
        ),
        (
            &[("TENANTS_PASSWORD_MEMORY_KIB", "7168")],
            "TENANTS_PASSWORD_MEMORY_KIB",
        ),
        (
            &[("TENANTS_PASSWORD_MEMORY_KIB", "65537")],
            "TENANTS_PASSWORD_MEMORY_KIB",
        ),
        (
            &[("TENANTS_PASSWORD_MEMORY_KIB", "19 MiB")],
            "TENANTS_PASSWORD_MEMORY_KIB",
        ),
        (
            &[("TENANTS_PASSWORD_MEMORY_KIB", "+47104")],
            "TENANTS_PASSWORD_MEMORY_KIB",
        ),
        (
            &[("TENANTS_PASSWORD_PASSES", "1")],
            "TENANTS_PASSWORD_PASSES",
        ),
        (
            &[("TENANTS_PASSWORD_PASSES", "-3")],
            "TENANTS_PASSWORD_PASSES",
        ),
        (&[("TENANTS_LOG_LEVEL", "all")], "TENANTS_LOG_LEVEL"),
        (&[("TENANTS_REUSED_ID", "Adopt")], "TENANTS_REUSED_ID"),
        (&[("TENANTS_STATS_MIN_AGE", "1h")], "TENANTS_STATS_MIN_AGE"),
        (&[("TENANTS_STATS_MIN_AGE", "-1")], "TENANTS_STATS_MIN_AGE"),
        (&[("TENANTS_STATS_PER_RUN", "0")], "TENANTS_STATS_PER_RUN"),
        (&[("TENANTS_STATS_PER_RUN", "500")], "TENANTS_STATS_PER_RUN"),
        (
            &[("TENANTS_STATS_PER_RUN", "many")],
            "TENANTS_STATS_PER_RUN",
        ),
        (
            &[
                ("TENANTS_PASSWORD_MEMORY_KIB", "7168"),
                ("TENANTS_PASSWORD_PASSES", "4"),
            ],
            "TENANTS_PASSWORD_PASSES",
        ),
    ] {
        let errors = read(set).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with(&alloc::format!("{named}: expected ")),
            "{errors:?}"
        );
    }
    let read = read(&[
        ("CHEVERETO_DB_TABLE_PREFIX", "my_"),
        ("TENANTS_PASSWORD_MEMORY_KIB", "7168"),
        ("TENANTS_PASSWORD_PASSES", "5"),
    ]);
    let read = read.unwrap();
    assert_eq!(read.site.table_prefix.as_str(), "my_");
    assert_eq!(read.stats_per_run(), 24);
}

#[test]
fn debug_output_shows_no_secret() {
    let config = read(&[
        ("CHEVERETO_TENANTS_API_KEY_SECRET", "hunter2"),
        ("CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS", "hunter2"),
        ("CHEVERETO_TENANTS_API_REQUEST_SECRET", "hunter2"),
        ("CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS", "hunter2"),
        (
            "CHEVERETO_ENCRYPTION_KEY",
            "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=",
        ),
    ])
    .unwrap();
    let printed = alloc::format!("{config:?}");
    assert!(
        !printed.contains("hunter2") && !printed.contains("aHVud"),
        "{printed}"
    );
}
