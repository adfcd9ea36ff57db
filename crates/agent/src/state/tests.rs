use super::{Plan, Row, Staged, State};

fn state(name: &str) -> (State, std::path::PathBuf) {
    let folder = std::env::temp_dir().join(format!(
        "tenants-agent-{name}-{:016x}",
        getrandom::u64().unwrap()
    ));
    (State::open(&folder.join("state.db")).unwrap(), folder)
}

fn present(id: &str, hostnames: &[&str]) -> Staged {
    Staged::Present(Row {
        id: id.into(),
        is_enabled: true,
        cron_seconds: 300,
        env: None,
        value: format!("{id} {hostnames:?}").into_bytes(),
        hostnames: hostnames.iter().map(|h| (*h).to_owned()).collect(),
    })
}

fn round(state: &mut State, is_full: bool, changes: &[Staged]) -> Plan {
    state.stage(changes).unwrap();
    let plan = state.plan(is_full).unwrap();
    state.apply(&plan, "c", is_full).unwrap();
    plan
}

/// Empties the work list for Redis, and returns it: the written ids, the deleted tenants and the hostnames to delete if they are still of their tenant.
fn flushed(state: &mut State) -> (Vec<String>, Vec<String>, Vec<(String, String)>) {
    let written = state.dirty().unwrap();
    let super::Garbage { tenants, hostnames } = state.garbage().unwrap();
    state.set_clean(&written).unwrap();
    state.forget_garbage().unwrap();
    assert!(state.is_clean().unwrap());
    let ids = written.into_iter().map(|w| w.id).collect();
    (ids, tenants, hostnames)
}

#[test]
fn the_file_is_its_owners_alone_and_has_one_agent() {
    use std::os::unix::fs::PermissionsExt as _;

    let (state, folder) = state("lock");
    let path = folder.join("state.db");
    state.set_meta("cursor", Some("1")).unwrap();
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
    let lock = State::lock(&path).unwrap();
    assert!(State::lock(&path).is_err());
    drop(lock);
    assert!(State::lock(&path).is_ok());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_unchanged_tenant_is_not_written_again() {
    let (mut state, folder) = state("same");
    let a = present("a", &["a.example"]);
    assert_eq!(
        round(&mut state, true, std::slice::from_ref(&a)).written,
        ["a"]
    );
    flushed(&mut state);
    assert_eq!(round(&mut state, true, &[a]).written, Vec::<String>::new());
    assert!(state.is_clean().unwrap());
    assert_eq!(state.meta("cursor").unwrap().as_deref(), Some("c"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn two_tenants_that_swap_names_keep_both() {
    let (mut state, folder) = state("swap");
    round(
        &mut state,
        true,
        &[present("a", &["x.example"]), present("b", &["y.example"])],
    );
    flushed(&mut state);
    round(
        &mut state,
        false,
        &[present("a", &["y.example"]), present("b", &["x.example"])],
    );
    let hostnames = |id: &str| state.tenant(id).unwrap().unwrap().hostnames;
    assert_eq!(hostnames("a"), ["y.example"]);
    assert_eq!(hostnames("b"), ["x.example"]);
    let (written, tenants, garbage) = flushed(&mut state);
    assert_eq!(written, ["a", "b"]);
    assert!(tenants.is_empty());
    // Redis deletes it only if it still holds its former tenant, which it does not.
    let pairs: Vec<(&str, &str)> = garbage
        .iter()
        .map(|(h, i)| (h.as_str(), i.as_str()))
        .collect();
    assert_eq!(pairs, [("x.example", "a")]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_tenant_that_is_gone_and_comes_back_is_not_deleted() {
    let (mut state, folder) = state("back");
    round(&mut state, true, &[present("a", &["a.example"])]);
    flushed(&mut state);
    round(&mut state, false, &[Staged::Gone("a".into())]);
    assert_eq!(state.tenant("a").unwrap(), None);
    assert!(!state.is_clean().unwrap());
    // Redis was away, and the tenant is back before the keys are deleted.
    round(
        &mut state,
        false,
        &[present("a", &["a.example", "www.a.example"])],
    );
    let (written, tenants, hostnames) = flushed(&mut state);
    assert_eq!(
        (written, tenants, hostnames),
        (vec!["a".into()], vec![], vec![])
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_full_sync_removes_only_what_the_registry_no_longer_names() {
    let (mut state, folder) = state("full");
    let all = ["a", "b", "c", "Shop"].map(|id| present(id, &[&format!("{id}.example")]));
    round(&mut state, true, &all);
    flushed(&mut state);
    let plan = round(
        &mut state,
        true,
        &[
            present("a", &["a.example"]),
            Staged::Broken("b".into()),
            Staged::Gone("Shop".into()),
            present("shop", &["shop.example"]),
        ],
    );
    assert_eq!(plan.before, 4);
    assert_eq!(plan.removed, ["Shop", "c"]);
    assert_eq!(plan.written, ["shop"]);
    let ids: Vec<String> = state.tenants().unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(ids, ["a", "b", "shop"]);
    // Without the whole list, silence about a tenant means nothing.
    assert_eq!(round(&mut state, false, &[]).removed, Vec::<String>::new());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_plan_names_the_tenants_that_would_be_disabled() {
    let (mut state, folder) = state("disabled");
    let a = present("a", &["a.example"]);
    round(&mut state, true, &[a.clone(), present("b", &["b.example"])]);
    let Staged::Present(mut row) = a else {
        panic!()
    };
    row.is_enabled = false;
    row.value = b"off".to_vec();
    let plan = round(&mut state, false, &[Staged::Present(row)]);
    assert_eq!(plan.disabled, ["a"]);
    assert!(!state.tenant("a").unwrap().unwrap().is_enabled);
    std::fs::remove_dir_all(folder).unwrap();
}
