//! Properties of the parsers, of keys and of sealing, on values that nobody thought of. The seeds are fixed: a run that fails,
//! fails again.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::string::string_regex;
use proptest::test_runner::RngSeed;
use proptest::{prop_assert, prop_assert_eq, prop_assume, proptest};
use serde_json::{Value as Json, json};
use tenants_core::address::AddressList;
use tenants_core::auth::key::{KeyError, KeySecret};
use tenants_core::auth::signature::SignatureError;
use tenants_core::auth::verifying_key::VerifyingKeys;
use tenants_core::hostname::Hostname;
use tenants_core::id::{PlanId, TenantId};
use tenants_core::seal::{OpenError, Place, Sealer, SealingKey};
use tenants_core::secret::Secret;
use tenants_core::sql::json::rows_from_json;
use tenants_core::variables::Variables;

use crate::ask::{BASE, LEGACY_BASE, get, patch, post};
use crate::host::{Foreseen, Host};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
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
        .prop_filter("at most 255", |name| name.len() <= 255)
        .prop_filter("no address", |name| name.parse::<Ipv4Addr>().is_err())
        .prop_filter("no address-like", |name| {
            name.bytes().any(|b| !b.is_ascii_digit() && b != b'.')
        })
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

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn every_ldh_name_is_a_hostname_in_lower_case(name in hostname()) {
        let parsed = Hostname::parse(&name);
        prop_assert_eq!(parsed.map(|h| h.to_string()), Ok(name.to_ascii_lowercase()));
    }

    #[test]
    fn a_hostname_that_was_read_is_safe_and_reads_as_itself(text in prop_oneof![
        any::<String>(),
        regex("[a-zA-Z0-9.\\-]{0,70}"),
        regex("[ -~]{0,20}"),
        regex("[0-9.]{1,16}"),
        (hostname(), any::<Index>(), any::<char>()).prop_map(|(mut name, at, c)| {
            name.insert(at.index(name.len() + 1), c);
            name
        }),
    ]) {
        match Hostname::parse(&text) {
            Ok(parsed) => {
                let name = parsed.as_str();
                prop_assert!(is_ldh(&text), "{text:?}");
                prop_assert!(name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-')));
                prop_assert!(name.parse::<IpAddr>().is_err());
                prop_assert_eq!(Hostname::parse(name), Ok(parsed.clone()));
            }
            Err(detail) => {
                let four_numbers = text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                    && text.split('.').count() == 4;
                prop_assert!(!is_ldh(&text) || four_numbers, "{text:?}: {detail}");
                prop_assert!(detail.starts_with("expected ") && detail.chars().count() < 1_000);
            }
        }
    }

    #[test]
    fn an_identifier_is_what_its_rule_says(text in prop_oneof![
        any::<String>(),
        regex("[A-Za-z0-9_\\-]{0,70}"),
        regex("[A-Za-z0-9][A-Za-z0-9_\\-]{0,15}[ -~]?"),
    ]) {
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
    }

    #[test]
    fn a_map_that_was_read_is_stored_and_read_again_as_itself(map in variables(8)) {
        let text = serde_json::to_string(&map).unwrap();
        let read = Variables::parse(&text).unwrap();
        prop_assert!(read.iter().eq(map.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
        prop_assert_eq!(Variables::from_stored(&read.to_stored()), Ok(read));
    }

    #[test]
    fn what_is_read_of_any_text_as_a_map_has_names_of_the_rule(text in prop_oneof![
        any::<String>(),
        json_value().prop_map(|v| v.to_string()),
    ]) {
        if let Ok(map) = Variables::parse(&text) {
            let pattern = |name: &str| {
                name.starts_with(|c: char| c.is_ascii_uppercase())
                    && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            };
            prop_assert!(map.iter().all(|(name, value)| pattern(name) && !value.contains('\0')));
        }
    }

    #[test]
    fn a_text_that_was_not_issued_is_no_key(text in prop_oneof![
        any::<String>(),
        regex("chv_[0-9]{1,17}_[A-Za-z0-9_\\-]{60,66}"),
        regex("chv_[1-9][0-9]{0,14}_[A-Za-z0-9_\\-]{64}"),
    ]) {
        prop_assert!(keys().verify(&text).is_err());
    }

    #[test]
    fn a_key_with_another_character_anywhere_is_no_key(
        id in 1_u64..1_000_000_000_000_000,
        seed in 1_u64..,
        at in any::<Index>(),
        c in prop_oneof![any::<char>(), regex("[A-Za-z0-9_\\-=]").prop_map(|s| s.chars().next().unwrap())],
    ) {
        let key = keys().issue(id, &mut Foreseen(seed)).unwrap();
        prop_assert_eq!(keys().verify(key.text()).map(|k| (k.id(), k.digest())), Ok((id.cast_signed(), key.digest().into())));
        let at = at.index(key.text().len());
        let mut other: Vec<char> = key.text().chars().collect();
        prop_assume!(other[at] != c);
        other[at] = c;
        prop_assert!(keys().verify(&other.iter().collect::<String>()).is_err());
        other.remove(at);
        prop_assert!(keys().verify(&other.iter().collect::<String>()).is_err());
        let foreign = KeySecret::new(&Secret::new("another".into()));
        prop_assert_eq!(foreign.verify(key.text()), Err(KeyError::Forged));
    }

    #[test]
    fn an_address_is_in_a_range_as_the_mask_says(
        v4 in any::<bool>(),
        network in any::<u128>(),
        prefix in 0_u32..=128,
        flipped in 0_u32..128,
        far in any::<Option<u128>>(),
    ) {
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
        // Those are IPv4 addresses, and another test's.
        let mapped = |n: u128| !v4 && n >> 32 == 0xffff;
        prop_assume!(!mapped(network) && !mapped(address));

        let list = AddressList::parse(&format!("203.0.113.9,{}/{prefix} , 3fff::9", text(network))).unwrap();
        let expected = address & mask == network & mask;
        prop_assert_eq!(list.contains(&text(address)), expected, "{} in {}/{}", text(address), text(network), prefix);
        prop_assert!(list.contains(&text(network)));
        if v4 {
            prop_assert_eq!(list.contains(&format!("::ffff:{}", text(address))), expected);
        }
        let alone = AddressList::parse(&text(network)).unwrap();
        prop_assert_eq!(alone.contains(&text(address)), address == network);
    }

    #[test]
    fn no_text_brings_the_allow_list_down(list in prop_oneof![any::<String>(), regex("[0-9a-f:./, ]{0,40}")], address in any::<String>()) {
        if let Ok(list) = AddressList::parse(&list) {
            prop_assert!(!list.contains(&address) || address.trim().parse::<IpAddr>().is_ok());
        }
    }

    #[test]
    fn a_sealed_text_opens_at_its_place_alone_and_as_it_was(
        plain in any::<String>(),
        seed in 1_u64..,
        here in place(),
        there in place(),
        bit in any::<Index>(),
    ) {
        let sealer = Sealer::new(SealingKey::new(&[7; 32]), Some(SealingKey::new(&[8; 32])));
        let at = |(table, row, column): &(&'static str, String, &'static str)| -> (&'static str, String, &'static str) {
            (table, row.clone(), column)
        };
        let (table, row, column) = at(&here);
        let home = Place { table, row: &row, column };
        let sealed = sealer.seal(home, &plain, &mut Foreseen(seed)).unwrap();
        let opened = sealer.open(home, &sealed);
        prop_assert_eq!(opened.as_deref().map(String::as_str), Ok(plain.as_str()));

        if here != there {
            let (table, row, column) = at(&there);
            let away = Place { table, row: &row, column };
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
    }

    #[test]
    fn no_text_opens_that_was_not_sealed(text in prop_oneof![any::<String>(), regex("1\\.[0-9a-f]{8}\\.[A-Za-z0-9_\\-]{50,90}")]) {
        let sealer = Sealer::new(SealingKey::new(&[7; 32]), None);
        let place = Place { table: "tenants", row: "a", column: "env" };
        prop_assert!(sealer.open(place, &text).is_err());
    }
}

proptest! {
    #![proptest_config(config(64))]

    /// Ed25519 as its library signs it: of that body alone, by that key alone, in that one form.
    #[test]
    fn a_legacy_signature_is_of_one_body_by_one_key(
        seed in any::<[u8; 32]>(),
        body in vec(any::<u8>(), 0..300),
        other in vec(any::<u8>(), 0..300),
        bit in 0_usize..512,
    ) {
        let signer = SigningKey::from_bytes(&seed);
        let keys = VerifyingKeys::parse(&hex::encode(signer.verifying_key().as_bytes())).unwrap();
        let mut signature = signer.sign(&body).to_bytes();
        prop_assert_eq!(keys.verify(&STANDARD.encode(signature), &body), Ok(()));
        prop_assert!(body == other || keys.verify(&STANDARD.encode(signature), &other).is_err());
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(keys.verify(&STANDARD.encode(signature), &body), Err(SignatureError::Wrong));
    }

    #[test]
    fn no_text_brings_verifying_keys_down(
        keys in prop_oneof![any::<String>(), regex("(ssh-ed25519 |-----BEGIN PUBLIC KEY-----\n)?[A-Za-z0-9+/=\n ]{0,90}(-----END PUBLIC KEY-----)?")],
        signature in any::<String>(),
    ) {
        if let Ok(keys) = VerifyingKeys::parse(&keys) {
            prop_assert!(keys.verify(&signature, b"").is_err());
        }
    }
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

/// Maps of variables whose values are any Unicode text without U+0000.
fn variables(most: usize) -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = any::<String>().prop_map(|text| text.replace('\0', ""));
    btree_map(regex("[A-Z][A-Z0-9_]{0,127}"), value, 0..=most)
}

/// JSON of all kinds, with the contract's names in it.
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

/// A method and a target: mostly of a route that there is.
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

/// A body in which each field is there or not, and right or not.
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

/// JSON in which every character of every text is escaped, as some encoders do.
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

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn variables_come_back_as_they_went_in(limits in variables(6), env in variables(6), escapes in any::<bool>()) {
        let mut host = Host::new();
        let body = json!({"id": "a", "hostname": "a", "is_enabled": true, "limits": limits, "env": env});
        let body = if escapes { escaped(&body) } else { body.to_string() };
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
    }
}

proptest! {
    #![proptest_config(config(400))]

    /// A response of the contract, whatever comes; what must hold for every one of them, `crate::invariants` says.
    #[test]
    fn any_request_is_answered_as_the_contract_knows(
        (method, target) in route(),
        body in prop_oneof![
            1 => vec(any::<u8>(), 0..200),
            1 => json_value().prop_map(|v| v.to_string().into_bytes()),
            6 => nearly_right().prop_map(|v| v.to_string().into_bytes()),
            2 => nearly_right().prop_map(|v| escaped(&v).into_bytes()),
        ],
        key in proptest::option::weighted(0.1, any::<String>()),
        signature in proptest::option::weighted(0.1, any::<String>()),
        content_type in proptest::option::weighted(0.2, any::<String>()),
        request_id in any::<String>(),
        address in any::<String>(),
    ) {
        let mut host = Host::legacy(&[]);
        host.expect(201, &crate::ask::new_plan("a"));
        host.expect(201, &crate::ask::new_tenant("a"));
        let mut ask = crate::ask::Ask::new(&method, target).body(body).request_id(request_id).from(&address);
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
        // Whatever was written can be read.
        host.expect(200, &get("/tenants"));
        host.expect(200, &get("/tenants-plans"));
        host.expect(200, &get("/tenants-plans").legacy());
    }

    /// Rows that no statement of ours has: an answer all the same, and never a write that succeeded where nothing says so.
    #[test]
    fn any_rows_are_answered(rows in vec(vec(vec(cell(), 0..11), 0..3), 0..5), which in 0_usize..6) {
        let asks = [
            get("/tenants"),
            get("/tenants/a"),
            crate::ask::new_tenant("a"),
            patch("/tenants/a", r#"{"plan_id":"p"}"#),
            crate::ask::delete("/tenants/a"),
            post("/auth/verify", ""),
        ];
        let mut host = Host::new();
        let exchange = host.exchange(&asks[which]);
        let rows = rows_from_json(&Json::from(rows).to_string());
        let nothing = rows.as_ref().is_ok_and(|rows| rows.first().is_none_or(Vec::is_empty));
        let got = host.finish(&asks[which], exchange, rows);
        prop_assert!([200, 201, 204, 401, 404, 409, 422, 500].contains(&got.status), "{got:?}");
        prop_assert!(!nothing || got.status >= 400, "{got:?}");
    }
}

fn cell() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        (0..3_i64).prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        Just(Json::from("{}")),
    ]
}
