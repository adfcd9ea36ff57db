//! Properties of the parsers, of keys, of encryption and of whole exchanges, on generated values. A run uses a fixed seed and a
//! random one, which it prints.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::{env, io};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::collection::{btree_map, vec};
use proptest::prelude::{BoxedStrategy, Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::Union;
use proptest::string::string_regex;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use proptest::{prop_assert, prop_assert_eq, prop_assume};
use serde_json::{Value as Json, json};
use tenants_core::crypto::api_key::{KeyError, KeySecret};
use tenants_core::crypto::seal::{OpenError, Place, Sealer, SealingKey};
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::SignatureError;
use tenants_core::crypto::verifying_key::VerifyingKeys;
use tenants_core::sql::{Rows, Value};
use tenants_core::value::address::AddressList;
use tenants_core::value::hostname::Hostname;
use tenants_core::value::id::{PlanId, TenantId};
use tenants_core::wire::variables::Variables;

use crate::ask::{
    Ask, BASE, LEGACY_BASE, delete, get, install, new_plan, new_tenant, patch, post, reset,
};
use crate::host::{Foreseen, Host, WaitsForBatch as _};

/// Each property is checked with this seed, so that a failure on one machine is a failure on every other.
const FIXED_SEED: u64 = 4;

/// Takes the place of the random seed, to repeat a run.
const SEED_VARIABLE: &str = "TENANTS_PROPERTY_SEED";

/// Each property is checked with this seed, too, which is another one in each run.
static RANDOM_SEED: LazyLock<u64> = LazyLock::new(|| {
    let seed = match env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().expect(SEED_VARIABLE),
        Err(_) => RandomState::new().build_hasher().finish(),
    };
    // Written to the stream itself: `cargo test` shows what `eprintln!` prints in failed tests only.
    let mut stderr = io::stderr();
    writeln!(
        stderr,
        "properties: {SEED_VARIABLE}={seed} repeats this run"
    )
    .unwrap();
    seed
});

/// Checks a property on `cases` values for each of the two seeds.
fn holds<S: Strategy>(
    cases: u32,
    values: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    for seed in [FIXED_SEED, *RANDOM_SEED] {
        let config = ProptestConfig {
            cases,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        if let Err(error) = TestRunner::new(config).run(&values, &property) {
            panic!("{error}\n{SEED_VARIABLE}={seed} repeats it");
        }
    }
}

fn regex(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).unwrap()
}

/// A label of the LDH rule (RFC 952, RFC 1123 §2.1).
fn label() -> impl Strategy<Value = String> {
    regex("[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
}

fn hostname() -> impl Strategy<Value = String> {
    vec(label(), 1..8)
        .prop_map(|labels| labels.join("."))
        .prop_filter("valid", |n| n.len() < 256 && !ends_in_a_number(n))
}

/// The URL standard's check (<https://url.spec.whatwg.org/#ends-in-a-number-checker>) of a name without a dot at its end.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    match last.to_ascii_lowercase().strip_prefix("0x") {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => !last.is_empty() && last.chars().all(|c| c.is_ascii_digit()),
    }
}

/// The LDH rule, character by character.
fn is_ldh(name: &str) -> bool {
    let bytes = name.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(b'.');
    let mut run = 0;
    for i in 0..=bytes.len() {
        match at(i) {
            b'.' if !(1..=63).contains(&run) => return false,
            b'.' => run = 0,
            b'-' if run == 0 || at(i + 1) == b'.' => return false,
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => run += 1,
            _ => return false,
        }
    }
    bytes.len() <= 255
}

#[test]
fn every_ldh_name_is_read_as_a_hostname_in_lower_case() {
    holds(512, hostname(), |name| {
        let parsed = Hostname::parse(&name);
        prop_assert_eq!(parsed.map(|h| h.to_string()), Ok(name.to_ascii_lowercase()));
        Ok(())
    });
}

#[test]
fn a_parsed_hostname_is_an_ldh_name_and_parses_to_itself() {
    holds(
        512,
        prop_oneof![
            any::<String>(),
            regex("[a-zA-Z0-9.\\-]{0,70}"),
            regex("[ -~]{0,20}"),
            regex("[0-9.]{1,16}"),
            regex("[a-z]{1,3}\\.(0[xX])?[0-9a-g]{0,6}"),
            (hostname(), any::<Index>(), any::<char>()).prop_map(|(mut name, at, c)| {
                name.insert(at.index(name.len() + 1), c);
                name
            }),
        ],
        |text| {
            match Hostname::parse(&text) {
                Ok(parsed) => {
                    let name = parsed.as_str();
                    prop_assert!(is_ldh(&text), "{text:?}");
                    prop_assert!(!ends_in_a_number(&text), "{text:?}");
                    prop_assert!(
                        name.bytes()
                            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
                    );
                    prop_assert!(name.parse::<IpAddr>().is_err());
                    prop_assert_eq!(Hostname::parse(name), Ok(parsed.clone()));
                }
                Err(detail) => {
                    let refused = !is_ldh(&text) || ends_in_a_number(&text);
                    prop_assert!(refused, "{text:?}: {detail}");
                    prop_assert!(detail.starts_with("expected ") && detail.chars().count() < 1_000);
                }
            }
            Ok(())
        },
    );
}

#[test]
fn an_id_parses_if_and_only_if_it_follows_the_rule() {
    holds(
        512,
        prop_oneof![
            any::<String>(),
            regex("[A-Za-z0-9_\\-]{0,70}"),
            regex("[A-Za-z0-9][A-Za-z0-9_\\-]{0,15}[ -~]?"),
        ],
        |text| {
            let ok = |max: usize| {
                let mut chars = text.chars();
                chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
                    && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
                    && text.chars().count() <= max
            };
            let tenant = TenantId::parse(&text);
            prop_assert_eq!(tenant.is_ok(), ok(16));
            let plan = PlanId::parse(&text);
            prop_assert_eq!(plan.is_ok(), ok(64));
            if let Ok(id) = plan {
                prop_assert_eq!(id.as_str(), text.as_str());
                prop_assert_eq!(id.folded(), text.to_lowercase());
            }
            Ok(())
        },
    );
}

#[test]
fn a_parsed_map_survives_its_stored_form() {
    holds(512, variables(8), |map| {
        let text = serde_json::to_string(&map).unwrap();
        let read = Variables::parse(&text).unwrap();
        prop_assert!(
            read.iter()
                .eq(map.iter().map(|(n, v)| (n.as_str(), v.as_str())))
        );
        prop_assert_eq!(Variables::from_stored(&read.to_stored()), Ok(read));
        Ok(())
    });
}

#[test]
fn every_parsed_map_has_valid_names_and_values() {
    holds(
        512,
        prop_oneof![any::<String>(), json_value().prop_map(|v| v.to_string()),],
        |text| {
            if let Ok(map) = Variables::parse(&text) {
                let pattern = |name: &str| {
                    name.starts_with(|c: char| c.is_ascii_uppercase())
                        && name
                            .chars()
                            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
                };
                prop_assert!(
                    map.iter()
                        .all(|(name, value)| pattern(name) && !value.contains('\0'))
                );
            }
            Ok(())
        },
    );
}

#[test]
fn a_random_text_is_no_key() {
    holds(
        512,
        prop_oneof![
            any::<String>(),
            regex("chv_[0-9]{1,17}_[A-Za-z0-9_\\-]{60,66}"),
            regex("chv_[1-9][0-9]{0,14}_[A-Za-z0-9_\\-]{64}"),
        ],
        |text| {
            prop_assert!(keys().verify(&text).is_err());
            Ok(())
        },
    );
}

#[test]
fn a_key_with_one_changed_or_missing_character_is_refused() {
    holds(
        512,
        (
            1_u64..1_000_000_000_000_000,
            1_u64..,
            any::<Index>(),
            prop_oneof![
                any::<char>(),
                regex("[A-Za-z0-9_\\-=]").prop_map(|s| s.chars().next().unwrap())
            ],
        ),
        |(id, seed, at, c)| {
            let key = keys().issue(id, &mut Foreseen(seed)).unwrap();
            prop_assert_eq!(
                keys().verify(key.text()).map(|k| (k.id(), k.digest())),
                Ok((id.cast_signed(), key.digest().into()))
            );
            let at = at.index(key.text().len());
            let mut other: Vec<char> = key.text().chars().collect();
            prop_assume!(other[at] != c);
            other[at] = c;
            prop_assert!(keys().verify(&other.iter().collect::<String>()).is_err());
            other.remove(at);
            prop_assert!(keys().verify(&other.iter().collect::<String>()).is_err());
            let foreign = KeySecret::new(&Secret::new("another".into()));
            prop_assert_eq!(foreign.verify(key.text()), Err(KeyError::Forged));
            Ok(())
        },
    );
}

#[test]
fn an_address_is_in_a_range_if_and_only_if_the_mask_says_so() {
    holds(
        512,
        (
            any::<bool>(),
            any::<u128>(),
            0_u32..=128,
            0_u32..128,
            any::<Option<u128>>(),
        ),
        |(v4, network, prefix, flipped, far)| {
            let bits = if v4 { 32 } else { 128 };
            let (prefix, flipped) = (prefix.min(bits), flipped % bits);
            let width = if v4 { u128::from(u32::MAX) } else { u128::MAX };
            let network = network & width;
            let address = far.map_or(network ^ (1 << flipped), |far| far & width);
            let mask = width & width.checked_shl(bits - prefix).unwrap_or(0);
            let text = |n: u128| match v4 {
                true => Ipv4Addr::from_bits(u32::try_from(n).unwrap()).to_string(),
                false => Ipv6Addr::from_bits(n).to_string(),
            };
            // IPv4-mapped addresses are IPv4 addresses, which another test covers.
            let mapped = |n: u128| !v4 && n >> 32 == 0xffff;
            prop_assume!(!mapped(network) && !mapped(address));

            let list =
                AddressList::parse(&format!("203.0.113.9,{}/{prefix} , 3fff::9", text(network)))
                    .unwrap();
            let expected = address & mask == network & mask;
            prop_assert_eq!(
                list.contains(&text(address)),
                expected,
                "{} in {}/{}",
                text(address),
                text(network),
                prefix
            );
            prop_assert!(list.contains(&text(network)));
            if v4 {
                prop_assert_eq!(
                    list.contains(&format!("::ffff:{}", text(address))),
                    expected
                );
            }
            let alone = AddressList::parse(&text(network)).unwrap();
            prop_assert_eq!(alone.contains(&text(address)), address == network);
            Ok(())
        },
    );
}

#[test]
fn no_text_makes_the_allow_list_panic() {
    holds(
        512,
        (
            prop_oneof![any::<String>(), regex("[0-9a-f:./, ]{0,40}")],
            any::<String>(),
        ),
        |(list, address)| {
            if let Ok(list) = AddressList::parse(&list) {
                prop_assert!(!list.contains(&address) || address.trim().parse::<IpAddr>().is_ok());
            }
            Ok(())
        },
    );
}

#[test]
fn an_encrypted_text_is_decrypted_only_at_its_place() {
    holds(
        512,
        (any::<String>(), 1_u64.., place(), place(), any::<Index>()),
        |(plain, seed, here, there, bit)| {
            let sealer = Sealer::new(SealingKey::new(&[7; 32]), Some(SealingKey::new(&[8; 32])));
            let at = |(table, row, column): &(&'static str, String, &'static str)| -> (&'static str, String, &'static str) {
            (table, row.clone(), column)
        };
            let (table, row, column) = at(&here);
            let home = Place {
                table,
                row: &row,
                column,
            };
            let sealed = sealer.seal(home, &plain, &mut Foreseen(seed)).unwrap();
            let opened = sealer.open(home, &sealed);
            prop_assert_eq!(opened.as_deref().map(String::as_str), Ok(plain.as_str()));

            if here != there {
                let (table, row, column) = at(&there);
                let away = Place {
                    table,
                    row: &row,
                    column,
                };
                prop_assert_eq!(sealer.open(away, &sealed), Err(OpenError::Forged));
            }

            let (head, text) = sealed.rsplit_once('.').unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            prop_assert_eq!(bytes.len(), 24 + plain.len() + 16);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = format!("{head}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(sealer.open(home, &flipped), Err(OpenError::Forged));
            bytes.truncate(bit / 8);
            let short = format!("{head}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert!(sealer.open(home, &short).is_err());
            let other = Sealer::new(SealingKey::new(&[9; 32]), None);
            prop_assert_eq!(other.open(home, &sealed), Err(OpenError::UnknownKey));
            Ok(())
        },
    );
}

#[test]
fn a_random_text_is_never_decrypted() {
    holds(
        512,
        prop_oneof![
            any::<String>(),
            regex("1\\.[0-9a-f]{8}\\.[A-Za-z0-9_\\-]{50,90}")
        ],
        |text| {
            let sealer = Sealer::new(SealingKey::new(&[7; 32]), None);
            let place = Place {
                table: "tenants",
                row: "a",
                column: "env",
            };
            prop_assert!(sealer.open(place, &text).is_err());
            Ok(())
        },
    );
}

/// The library makes the signature; a changed bit, another body or another key must not verify.
#[test]
fn a_legacy_signature_matches_one_body_and_one_key() {
    holds(
        64,
        (
            any::<[u8; 32]>(),
            vec(any::<u8>(), 0..300),
            vec(any::<u8>(), 0..300),
            0_usize..512,
        ),
        |(seed, body, other, bit)| {
            let signer = SigningKey::from_bytes(&seed);
            let keys =
                VerifyingKeys::parse(&hex::encode(signer.verifying_key().as_bytes())).unwrap();
            let mut signature = signer.sign(&body).to_bytes();
            prop_assert_eq!(keys.verify(&STANDARD.encode(signature), &body), Ok(()));
            prop_assert!(
                body == other || keys.verify(&STANDARD.encode(signature), &other).is_err()
            );
            signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(
                keys.verify(&STANDARD.encode(signature), &body),
                Err(SignatureError::Wrong)
            );
            Ok(())
        },
    );
}

#[test]
fn no_text_makes_the_verifying_keys_panic() {
    holds(
        64,
        (
            prop_oneof![
                any::<String>(),
                regex(
                    "(ssh-ed25519 |-----BEGIN PUBLIC KEY-----\n)?[A-Za-z0-9+/=\n ]{0,90}(-----END PUBLIC KEY-----)?"
                )
            ],
            any::<String>(),
        ),
        |(keys, signature)| {
            if let Ok(keys) = VerifyingKeys::parse(&keys) {
                prop_assert!(keys.verify(&signature, b"").is_err());
            }
            Ok(())
        },
    );
}

fn keys() -> KeySecret {
    KeySecret::new(&Secret::new("the-secret-of-keys".into()))
}

fn place() -> impl Strategy<Value = (&'static str, String, &'static str)> {
    (
        select(vec!["tenants", "tenants_plans", "users"]),
        prop_oneof![Just(String::from("a")), regex("[a-z0-9][a-z0-9_\\-]{0,15}")],
        select(vec!["env", "limits"]),
    )
}

/// Maps of variables whose values are Unicode texts without U+0000.
fn variables(most: usize) -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = any::<String>().prop_map(|text| text.replace('\0', ""));
    btree_map(regex("[A-Z][A-Z0-9_]{0,127}"), value, 0..=most)
}

/// Any JSON, with the contract's names among the members.
fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        regex("[a-c]").prop_map(Json::from),
    ];
    let name = prop_oneof![
        select(vec![
            "id",
            "hostname",
            "is_enabled",
            "plan_id",
            "limits",
            "env",
            "drop_tables"
        ])
        .prop_map(String::from),
        regex("[A-Z][A-Z0-9_]{0,3}"),
        any::<String>(),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Json::from),
            3 => btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// A method and a target, most of them of an existing route.
fn route() -> impl Strategy<Value = (String, String)> {
    let routes = vec![
        ("GET", "/tenants"),
        ("POST", "/tenants"),
        ("PATCH", "/tenants/a"),
        ("DELETE", "/tenants/A"),
        ("GET", "/tenants/a"),
        ("POST", "/tenants-plans"),
        ("PATCH", "/tenants-plans/A"),
        ("HEAD", "/tenants-plans"),
        ("DELETE", "/tenants-plans/a"),
        ("POST", "/auth/verify"),
        ("POST", "/tenants/a/install"),
        ("PATCH", "/tenants/a/user-password-reset"),
    ];
    let base = prop_oneof![2 => Just(BASE), 1 => Just(LEGACY_BASE)];
    let rest = prop_oneof![
        8 => Just(String::new()),
        1 => any::<String>(),
        2 => regex("\\?(limit|after)=[a-c0-9]{0,5}")
    ];
    let known = (base, select(routes), rest)
        .prop_map(|(base, (method, path), rest)| (method.into(), format!("{base}{path}{rest}")));
    prop_oneof![8 => known, 1 => any::<(String, String)>()]
}

/// A body in which each field is right, wrong or absent.
fn nearly_right() -> impl Strategy<Value = Json> {
    let field = |name: &'static str, right: Vec<Json>| {
        prop_oneof![
            5 => select(right).prop_map(Some),
            3 => Just(None),
            1 => json_value().prop_map(Some),
        ]
        .prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    (
        field("id", vec![json!("a"), json!("B"), json!("c-1")]),
        field("hostname", vec![json!("a.example.com"), json!("b")]),
        field("is_enabled", vec![json!(true), json!(false)]),
        field(
            "plan_id",
            vec![json!("A"), json!("b"), json!(""), Json::Null],
        ),
        field(
            "limits",
            vec![json!({"A": 1, "B": "x"}), json!({}), Json::Null],
        ),
        field("env", vec![json!({"A": "hidden"}), json!({}), Json::Null]),
    )
        .prop_map(|(a, b, c, d, e, f)| {
            let fields = [a, b, c, d, e, f].into_iter().flatten();
            Json::from(fields.collect::<serde_json::Map<_, _>>())
        })
}

/// JSON in which every character of every text is escaped, as some encoders write it.
fn escaped(value: &Json) -> String {
    let text = |text: &str| {
        let units: String = text
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        format!("\"{units}\"")
    };
    match value {
        Json::String(s) => text(s),
        Json::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .map(|(n, v)| format!("{}:{}", text(n), escaped(v)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

#[test]
fn variables_are_returned_as_they_were_sent() {
    holds(
        64,
        (variables(6), variables(6), any::<bool>()),
        |(limits, env, escapes)| {
            let mut host = Host::new();
            let body = json!({"id": "a", "hostname": "a", "is_enabled": true, "limits": limits, "env": env});
            let body = if escapes {
                escaped(&body)
            } else {
                body.to_string()
            };
            let made = host.json(201, &post("/tenants", body));
            prop_assert_eq!(&made["limits"], &json!(limits));
            prop_assert_eq!(&made["env"], &json!(env));
            prop_assert_eq!(host.json(200, &get("/tenants/a")), made);

            let body = json!({"limits": env, "env": limits}).to_string();
            host.expect(204, &patch("/tenants/a", &body));
            let list = host.json(200, &get("/tenants"));
            prop_assert_eq!(&list[0]["limits"], &json!(env));
            prop_assert_eq!(&list[0]["env"], &json!(limits));

            host.expect(201, &post("/tenants-plans", r#"{"id":"p"}"#));
            host.expect(204, &patch("/tenants-plans/p", &body));
            let plan = host.json(200, &get("/tenants-plans/p"));
            prop_assert_eq!(&plan["limits"], &json!(env));
            prop_assert_eq!(&plan["env"], &json!(limits));
            Ok(())
        },
    );
}

/// [`crate::invariants`] checks each response further.
#[test]
fn every_request_has_a_response_that_the_contract_knows() {
    holds(
        400,
        (
            route(),
            prop_oneof![
                1 => vec(any::<u8>(), 0..200),
                1 => json_value().prop_map(|v| v.to_string().into_bytes()),
                6 => nearly_right().prop_map(|v| v.to_string().into_bytes()),
                2 => nearly_right().prop_map(|v| escaped(&v).into_bytes()),
            ],
            proptest::option::weighted(0.1, any::<String>()),
            proptest::option::weighted(0.1, any::<String>()),
            proptest::option::weighted(0.2, any::<String>()),
            any::<String>(),
            any::<String>(),
        ),
        |((method, target), body, key, signature, content_type, request_id, address)| {
            let mut host = Host::legacy(&[]);
            host.expect(201, &new_plan("a"));
            host.expect(201, &new_tenant("a"));
            let mut ask = Ask::new(&method, target)
                .body(body)
                .request_id(request_id)
                .from(&address);
            if let Some(key) = key {
                ask = ask.key(key);
            }
            if let Some(signature) = signature {
                ask = ask.signature(signature);
            }
            if let Some(content_type) = content_type {
                ask = ask.content_type(content_type);
            }
            let got = host.ask(&ask);
            let known = [200, 201, 204, 400, 401, 404, 405, 409, 415, 422];
            prop_assert!(known.contains(&got.status), "{ask:?}: {got:?}");
            // All rows can be read after any write.
            host.expect(200, &get("/tenants"));
            host.expect(200, &get("/tenants-plans"));
            host.expect(200, &get("/tenants-plans").legacy());
            Ok(())
        },
    );
}

/// A request, and results for its batch. Their number and width are right; their values may be wrong.
#[derive(Debug, Clone)]
struct Answered {
    ask: Ask,
    results: Vec<Rows>,
}

/// The requests for [`any_rows_are_answered`].
fn asks() -> Vec<Ask> {
    vec![
        post("/auth/verify", ""),
        get("/tenants"),
        get("/tenants?limit=1"),
        get("/tenants/a"),
        get("/tenants/_"),
        new_tenant("b"),
        new_tenant("a"),
        patch("/tenants/a", r#"{"plan_id":"p","env":{"A":"hidden"}}"#),
        delete("/tenants/a"),
        install("not-yet"),
        reset("a"),
        get("/tenants-plans"),
        get("/tenants-plans/p"),
        new_plan("q"),
        patch("/tenants-plans/p", r#"{"limits":{"A":1}}"#),
        delete("/tenants-plans/p"),
        get("/tenants-plans").legacy(),
        get("/config/traefik").no_key().no_signature().from("::1"),
    ]
}

/// A host on which each of [`asks`] succeeds, apart from the one that creates `a` again.
fn host_of_asks() -> Host {
    let mut host = Host::legacy(&[("TENANTS_DEVELOPMENT", "true")]);
    host.expect(201, &new_plan("p"));
    host.expect(201, &new_tenant("a"));
    host.expect(201, &install("a"));
    host.expect(201, &new_tenant("not-yet"));
    host
}

/// Runs each of [`asks`] for its rows, then changes their number and some of their values. The width of a row is the number of
/// columns that SQLite gives the statement.
fn answered() -> impl Strategy<Value = Answered> {
    let each = asks().into_iter().map(|ask| {
        let mut host = host_of_asks();
        let exchange = host.exchange(&ask);
        let mut widths = Vec::new();
        let right = host.run_observed(exchange.batch(), |db, statement| {
            widths.push(db.prepare(statement.text()).unwrap().column_count());
        });
        let results: Vec<BoxedStrategy<Rows>> = right
            .unwrap()
            .into_iter()
            .zip(widths)
            .map(|(right, width)| rows_like(&right, width))
            .collect();
        results
            .prop_map(move |results| Answered {
                ask: ask.clone(),
                results,
            })
            .boxed()
    });
    Union::new(each)
}

/// Up to three rows of a width, most of their values taken from a row that is right.
fn rows_like(right: &Rows, width: usize) -> BoxedStrategy<Rows> {
    if width == 0 {
        return Just(Rows::new()).boxed();
    }
    let cells = (0..width).map(|column| match right.first() {
        Some(row) => prop_oneof![24 => Just(row[column].clone()), 1 => cell()].boxed(),
        None => cell().boxed(),
    });
    vec(cells.collect::<Vec<_>>(), 0..=3).boxed()
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (0..3_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("{}")),
    ]
}

/// The rows need not make sense. There is a response all the same, and it is a success only if there is a row.
#[test]
fn any_rows_are_answered() {
    let host = RefCell::new(host_of_asks());
    let [successes, refusals, failures] = [const { Cell::new(0) }; 3];
    holds(400, answered(), |Answered { ask, results }| {
        let mut host = host.borrow_mut();
        host.configure(&[]); // forgets the body of Traefik's poll before
        let exchange = host.exchange(&ask);
        let is_silent = results.iter().all(Vec::is_empty);
        let got = host.finish(&ask, exchange, Ok(results));
        let counter = match got.status {
            200 | 201 | 204 => &successes,
            401 | 403 | 404 | 409 | 412 | 422 => &refusals,
            500 => &failures,
            _ => return Err(TestCaseError::fail(format!("{got:?}"))),
        };
        counter.set(counter.get() + 1);
        let is_wrong = is_silent && got.status < 400 || got.cause().contains("results of");
        prop_assert!(!is_wrong, "{got:?}");
        Ok(())
    });
    // The values pass the first check of a row often enough, and the last.
    let counts = [&successes, &refusals, &failures].map(Cell::get);
    assert!(counts.iter().all(|n| *n >= 50), "{counts:?}");
}
