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
    assert_eq!(config.hostnames.root.as_str(), "localhost");
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
        ("TENANTS_RESERVED_HOSTNAMES", "a, b c"),
        ("CHEVERETO_TENANTS_DB_ISOLATION_MODE", "database"),
        ("CHEVERETO_TENANT_ENFORCED", r#"{"a":"secret"}"#),
    ])
    .unwrap_err();
    assert_eq!(
        errors,
        [
            "CHEVERETO_INTERNAL_HOSTNAME: expected labels of 1 to 63 letters, digits and hyphens, no hyphen at either end, separated by dots; got `a_b`",
            "TENANTS_RESERVED_HOSTNAMES: expected hostnames and `*.` with a hostname, separated by commas; got `b c`",
            "CHEVERETO_TENANTS_API_IP_ALLOW_LIST: expected addresses or CIDR ranges, separated by commas; got `nonsense`",
            "CHEVERETO_ENCRYPTION_KEY: expected base64 of 32 bytes; got 5 bytes",
            "CHEVERETO_ENCRYPTION_KEY_PREVIOUS: expected base64 of 32 bytes; it is not base64",
            "CHEVERETO_TENANT_ENFORCED: /a: expected a name of [A-Z][A-Z0-9_]*, at most 128 characters; got `a`",
            "CHEVERETO_TENANTS_DB_ISOLATION_MODE: `database` is not served by this host, which has no database for a site; expected `table`",
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
        ("CHEVERETO_PROXY_IP_ALLOW_LIST", "cloudflare,"),
        ("CHEVERETO_PROXY_IP_ALLOW_LIST", "cloudflare6"),
        ("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", "localhost"),
        ("CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST", "cloudflare"),
        ("TENANTS_DEVELOPMENT", "yes"),
        ("TENANTS_CONSOLE", "1"),
        ("TENANTS_HELD_URL", "pages.example.com"),
        ("TENANTS_HELD_URL", "ftp://pages.example.com"),
        ("TENANTS_HELD_URL", "https://"),
        ("TENANTS_HELD_URL", "https:///held"),
        ("TENANTS_HELD_URL", "https://me@pages.example.com"),
        ("TENANTS_HELD_URL", "https://pages.example.com/?id="),
        ("TENANTS_HELD_URL", "https://pages.example.com/#held"),
        ("TENANTS_HELD_URL", "https://pages.example.com/a b"),
        ("TENANTS_HELD_URL", "https://pages.example.com/\"}"),
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
    assert_eq!(read.stats_per_run(), 19);
}

/// Only a list that is absent lets everybody in.
#[test]
fn an_allow_list_without_an_address_is_refused() {
    for name in [
        "CHEVERETO_TENANTS_API_IP_ALLOW_LIST",
        "CHEVERETO_TENANTS_API_ALLOW_LIST",
        "CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST",
        "CHEVERETO_PROXY_IP_ALLOW_LIST",
    ] {
        for bad in [" ", "\t\n", ",", " , ,", "192.0.2.1,", ",192.0.2.1"] {
            let errors = read(&[(name, bad)]).unwrap_err();
            assert_eq!(errors.len(), 1, "{name}={bad:?}: {errors:?}");
            assert!(
                errors[0].starts_with(&alloc::format!("{name}: expected ")),
                "{errors:?}"
            );
        }
        let access = read(&[(name, "")]).unwrap().access;
        assert!(access.allow_list.is_empty());
    }
}

#[test]
fn the_allow_list_may_have_its_older_name() {
    const NAME: &str = "CHEVERETO_TENANTS_API_IP_ALLOW_LIST";
    const OLDER: &str = "CHEVERETO_TENANTS_API_ALLOW_LIST";
    for set in [
        &[(OLDER, "192.0.2.1")][..],
        &[(NAME, "192.0.2.1")],
        &[(OLDER, "192.0.2.1"), (NAME, "")],
        &[(OLDER, " 192.0.2.1/32"), (NAME, "192.0.2.1")],
        &[
            (OLDER, "192.0.2.1, 10.0.0.0/8"),
            (NAME, "10.0.0.0/8,192.0.2.1"),
        ],
    ] {
        let list = read(set).unwrap().access.allow_list;
        assert!(list.contains("192.0.2.1"), "{set:?}");
        assert!(!list.contains("192.0.2.2"), "{set:?}");
    }
    let errors = read(&[(OLDER, "192.0.2.1"), (NAME, "192.0.2.1,192.0.2.2")]).unwrap_err();
    assert_eq!(
        errors,
        [
            "CHEVERETO_TENANTS_API_IP_ALLOW_LIST: expected the same addresses as in CHEVERETO_TENANTS_API_ALLOW_LIST, the older name; got others: set one of the two"
        ]
    );
}

#[test]
fn the_word_cloudflare_stands_for_its_ranges() {
    let ranges = |text| {
        let config = read(&[("CHEVERETO_PROXY_IP_ALLOW_LIST", text)]).unwrap();
        let ranges = config.proxy.ranges.ranges().map(ToString::to_string);
        ranges.collect::<Vec<_>>()
    };
    let published = read(&[]).unwrap().proxy.ranges;
    let published: Vec<_> = published.ranges().map(ToString::to_string).collect();
    assert!(published.len() > 20, "{published:?}");
    assert_eq!(ranges("cloudflare"), published);
    assert_eq!(ranges(" CloudFlare "), published);
    let among = ranges("192.0.2.0/24, CLOUDFLARE ,2001:db8::/32");
    let expected = [
        &["192.0.2.0/24".into()][..],
        &published,
        &["2001:db8::/32".into()],
    ]
    .concat();
    assert_eq!(among, expected);
}

#[test]
fn the_isolation_mode_has_two_names_for_tables() {
    let read = |mode| read(&[("CHEVERETO_TENANTS_DB_ISOLATION_MODE", mode)]);
    for mode in ["", "table", "prefix"] {
        assert!(read(mode).is_ok(), "{mode}");
    }
    for mode in ["database", "Prefix", "tables"] {
        assert!(read(mode).is_err(), "{mode}");
    }
    let read = |mode: &str| {
        Config::read_for_host(true, |name| {
            (name == "CHEVERETO_TENANTS_DB_ISOLATION_MODE").then(|| mode.into())
        })
    };
    for (mode, is_apart) in [("table", false), ("prefix", false), ("database", true)] {
        let prefix = read(mode).unwrap().site.table_prefix;
        assert_eq!((prefix.as_str(), prefix.is_apart()), ("chv_", is_apart));
    }
    let errors = read("databases").unwrap_err();
    assert_eq!(
        errors[0].detail,
        "expected `table` or `database`; got `databases`"
    );
}

#[test]
fn a_root_hostname_that_ends_in_a_number_is_refused() {
    for bad in ["127.1", "root.0x7f", "2130706433"] {
        let errors = read(&[("CHEVERETO_INTERNAL_HOSTNAME", bad)]).unwrap_err();
        assert_eq!(
            errors,
            [alloc::format!(
                "CHEVERETO_INTERNAL_HOSTNAME: expected a name whose last label is not a number, since browsers take such a name for an IP address; got `{bad}`"
            )]
        );
    }
}

#[test]
fn an_empty_list_of_enforced_settings_is_an_empty_map() {
    let read = |text| read(&[("CHEVERETO_TENANT_ENFORCED", text)]);
    assert!(read("[]").unwrap().enforced().is_empty());
    assert!(read(" [ ] ").unwrap().enforced().is_empty());
    assert_eq!(
        read(r#"["A"]"#).unwrap_err(),
        ["CHEVERETO_TENANT_ENFORCED: expected an object; got an array"]
    );
}

const KEY: &str = "CHEVERETO_TENANTS_API_KEY_SECRET";
const KEY_PREVIOUS: &str = "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS";
const REQUEST: &str = "CHEVERETO_TENANTS_API_REQUEST_SECRET";
const REQUEST_PREVIOUS: &str = "CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS";

#[test]
fn a_secret_has_at_least_16_bytes() {
    for name in [KEY, KEY_PREVIOUS, REQUEST, REQUEST_PREVIOUS] {
        // Bytes count, not characters.
        for (secret, bytes) in [("x", 1), ("fifteen-bytes-x", 15), ("ééééééé", 14)] {
            assert_eq!(
                read(&[(name, secret)]).unwrap_err(),
                [alloc::format!(
                    "{name}: expected a secret of at least 16 bytes; got {bytes}"
                )]
            );
        }
        for secret in ["sixteen-bytes-xx", "éééééééé"] {
            assert!(read(&[(name, secret)]).is_ok(), "{name}={secret}");
        }
    }
}

/// An API key shows its holder a MAC under the key secret.
#[test]
fn no_secret_serves_both_keys_and_requests() {
    const ONE: &str = "one-of-two-secrets";
    const OTHER: &str = "the-other-secret-of-two";
    for key in [KEY, KEY_PREVIOUS] {
        for request in [REQUEST, REQUEST_PREVIOUS] {
            assert_eq!(
                read(&[(key, ONE), (request, ONE)]).unwrap_err(),
                [alloc::format!(
                    "{request}: expected another secret than {key}; got the same"
                )]
            );
            assert!(read(&[(key, ONE), (request, OTHER)]).is_ok());
        }
    }
    let swapped = [
        (KEY, ONE),
        (KEY_PREVIOUS, OTHER),
        (REQUEST, OTHER),
        (REQUEST_PREVIOUS, ONE),
    ];
    assert_eq!(read(&swapped).unwrap_err().len(), 2);
    // A rotation that has not begun.
    let same = [
        (KEY, ONE),
        (KEY_PREVIOUS, ONE),
        (REQUEST, OTHER),
        (REQUEST_PREVIOUS, OTHER),
    ];
    assert!(read(&same).is_ok());
}

#[test]
fn debug_output_shows_no_secret() {
    let config = read(&[
        (KEY, "hunter2 hunter2 key"),
        (KEY_PREVIOUS, "hunter2 hunter2 key, previous"),
        (REQUEST, "hunter2 hunter2 request"),
        (REQUEST_PREVIOUS, "hunter2 hunter2 request, previous"),
        (
            "CHEVERETO_TENANT_ENFORCED",
            r#"{"SMTP_PASSWORD":"hunter2"}"#,
        ),
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
    // It shows the names.
    assert!(printed.contains("SMTP_PASSWORD"), "{printed}");
}
