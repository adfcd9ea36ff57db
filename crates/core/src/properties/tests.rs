//! The properties on the seeds of `fuzz/seeds`, and on bytes that are made from them. A run uses a fixed seed of randomness and a random one,
//! which a failure names.
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

extern crate std;

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::prelude::v1::*;
use std::{assert_eq, env, format, panic, vec};

use proptest::collection;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::{RngSeed, TestRunner};

use super::{ALL, Property};

const FIXED_SEED: u64 = 4;

/// Takes the place of the random seed, to repeat a run.
const SEED_VARIABLE: &str = "TENANTS_PROPERTY_SEED";

/// The number of generated inputs for each property and each of the two seeds of randomness.
const CASES: u32 = 600;

/// Every property: the core's, and that of the crate of Chevereto's forms.
fn all() -> impl Iterator<Item = (&'static str, Property)> {
    let php: Property = tenants_chevereto::properties::php;
    ALL.iter().copied().chain([("php", php)])
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The seeds of a property: the files of its folder.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder().join("seeds").join(name)).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Bytes that a reader takes further than random ones: pieces of seeds, changed, repeated and joined.
fn near(seeds: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let piece =
        (select(seeds.to_vec()), any::<Index>(), any::<Index>()).prop_map(|(seed, a, b)| {
            let (a, b) = (a.index(seed.len() + 1), b.index(seed.len() + 1));
            seed[a.min(b)..a.max(b)].to_vec()
        });
    let byte = any::<u8>().prop_map(|byte| vec![byte]);
    let put = prop_oneof![
        piece.clone(),
        byte,
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        (piece, 1_usize..300)
            .prop_map(|(piece, times)| piece.repeat(times.min(2_000 / (piece.len() + 1) + 1))),
    ];
    let edits = collection::vec((any::<Index>(), 0_usize..12, put), 0..5);
    (select(seeds.to_vec()), edits).prop_map(|(mut bytes, edits)| {
        for (at, cut, put) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, put);
        }
        bytes
    })
}

#[test]
fn every_property_holds_for_its_seeds_and_for_bytes_made_from_them() {
    let random = match env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().expect(SEED_VARIABLE),
        Err(_) => RandomState::new().build_hasher().finish(),
    };
    for (name, property) in all() {
        let seeds = seeds(name);
        assert!(seeds.len() > 2, "{name} has {} seeds", seeds.len());
        for seed in &seeds {
            property(seed);
        }
        property(b"");
        let values = prop_oneof![
            8 => near(&seeds),
            1 => collection::vec(any::<u8>(), 0..200),
        ];
        for seed in [FIXED_SEED, random] {
            let config = ProptestConfig {
                cases: CASES,
                rng_seed: RngSeed::Fixed(seed),
                failure_persistence: None,
                ..ProptestConfig::default()
            };
            let result = TestRunner::new(config).run(&values, |bytes| {
                property(&bytes);
                Ok(())
            });
            if let Err(error) = result {
                panic!("{name}: {error}\n{SEED_VARIABLE}={seed} repeats it");
            }
        }
    }
}

#[test]
fn every_property_has_a_target_of_the_fuzzer() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let targets: BTreeSet<&str> = manifest
        .lines()
        .filter_map(|line| {
            line.strip_prefix("path = \"fuzz_targets/")?
                .strip_suffix(".rs\"")
        })
        .collect();
    for (name, _) in ALL {
        assert!(targets.contains(name), "fuzz/ has no target {name}");
        let path = folder().join(format!("fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("tenants_core::properties::{name}(data)")));
    }
    let of_others = targets
        .iter()
        .filter(|name| !ALL.iter().any(|(known, _)| known == *name));
    assert_eq!(of_others.copied().collect::<Vec<_>>(), ["php"]);
}
