//! A program that a signal ends, as Ctrl-C does.
#![cfg(unix)]

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{API_KEY, Project, REQUEST_SECRET};

#[test]
fn no_unfinished_file_stays_behind() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        // Nobody answers.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let project = Project::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tenants"))
            .args(["export", "--output=out.jsonl", "--url", &url])
            .current_dir(project.path())
            .env("TENANTS_API_KEY", API_KEY)
            .env("CHEVERETO_TENANTS_API_REQUEST_SECRET", REQUEST_SECRET)
            .env_remove("http_proxy")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let part = project.path().join("out.jsonl.part");
        let begun = Instant::now();
        while !part.exists() && begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(part.exists(), "{name}");
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(number), "{status}");
        let left = fs::read_dir(project.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["wrangler.toml"], "{name}");
    }
}
