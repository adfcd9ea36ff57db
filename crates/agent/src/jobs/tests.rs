use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Unfinished, failed, perform, wait_for_tenant};
use crate::command::{Ended, Output};
use crate::lease::Lease;
use crate::registry::Ending;
use crate::state::Staged;
use crate::testing::{Agent, job, present};
use crate::wire::Input;

#[test]
fn an_error_does_not_repeat_the_password() {
    let output = Output {
        ended: Ended::Code(1),
        stdout: String::new(),
        stderr: "bad password hunter2!".into(),
    };
    let input: Input =
        serde_json::from_str(r#"{"username": "u", "email": "e", "password": "hunter2"}"#).unwrap();
    let Ending::Failed(text) = failed(&output, &input) else {
        panic!()
    };
    assert_eq!(text, "exit code 1: bad password …!");
    // Nor a part of it, where the line is cut.
    let long = Output {
        stderr: format!("{}hunter2", "x".repeat(296)),
        ..output
    };
    let Ending::Failed(text) = failed(&long, &input) else {
        panic!()
    };
    assert!(!text.contains("hunt"), "{text}");
}
#[test]
fn a_job_whose_tenant_is_busy_for_too_long_is_given_back() {
    let agent = Agent::new("exit 0", "TENANTS_AGENT_JOB_SECONDS=1\n");
    let _update = agent.shared.runner.try_lock("a").unwrap();
    let lease = Lease::new("l", Instant::now() + Duration::from_secs(60));
    let outcome = perform(&agent.shared, &agent.state, &job("drop", 1), &lease, None);
    assert!(
        matches!(outcome, Err(Unfinished::GivenBack(_))),
        "{outcome:?}"
    );
}

#[test]
fn a_job_whose_tenant_does_not_arrive_is_given_back_and_one_that_cannot_be_read_fails() {
    let mut agent = Agent::new("exit 0", "");
    let wait = |agent: &Agent, id| wait_for_tenant(&agent.shared, &agent.state, id, Duration::ZERO);
    agent.apply(&[present("a"), present("b"), Staged::Broken("c".into())]);
    let written = agent.state.dirty().unwrap();
    agent.state.set_clean(&written[..1]).unwrap();
    // Another tenant that is still to be written does not matter.
    assert!(wait(&agent, "a").is_ok());
    for id in ["b", "unknown"] {
        assert!(matches!(wait(&agent, id), Err(Unfinished::GivenBack(_))));
    }
    let Err(Unfinished::Failed(error)) = wait(&agent, "c") else {
        panic!()
    };
    assert!(error.to_string().contains("cannot read the tenant"));
    agent.shared.stop.store(true, Ordering::Relaxed);
    assert!(matches!(wait(&agent, "c"), Err(Unfinished::GivenBack(_))));
}
#[test]
fn only_an_installation_that_ran_before_may_set_the_password_of_a_site_that_is_installed() {
    let mut agent = Agent::new("echo $1 >> $PWD/calls; [ $1 != install ] || exit 5", "");
    agent.shared.runner.folder = Some(agent.folder.clone());
    agent.apply(&[present("a")]);
    agent
        .state
        .set_clean(&agent.state.dirty().unwrap())
        .unwrap();
    let lease = Lease::new("l", Instant::now() + Duration::from_secs(60));
    let install = || {
        let calls = agent.folder.join("calls");
        let _ = std::fs::remove_file(&calls);
        let ending = perform(
            &agent.shared,
            &agent.state,
            &job("install", 2),
            &lease,
            None,
        );
        (ending.unwrap(), std::fs::read_to_string(calls).unwrap())
    };
    // Twice: the refused run is none that may have installed the site.
    for _ in 0..2 {
        assert_eq!(install(), (Ending::Refused(None), "install\n".into()));
    }
    agent.state.begin_install("a").unwrap();
    let both = "install\npassword-reset\n".to_owned();
    assert_eq!(install(), (Ending::Done, both));
}
#[test]
fn an_installation_is_done_also_if_the_state_file_cannot_be_written_after_it() {
    let mut agent = Agent::new("exit 0", "");
    agent.apply(&[present("a")]);
    agent
        .state
        .set_clean(&agent.state.dirty().unwrap())
        .unwrap();
    rusqlite::Connection::open(&agent.shared.settings.state)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON sites BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .unwrap();
    assert!(agent.state.set_installed(&["a"]).is_err());
    let lease = Lease::new("l", Instant::now() + Duration::from_secs(60));
    let ending = perform(
        &agent.shared,
        &agent.state,
        &job("install", 1),
        &lease,
        None,
    );
    assert_eq!(ending.unwrap(), Ending::Done);
}
