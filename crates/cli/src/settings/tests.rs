use std::fs;
use std::path::{Path, PathBuf};

use super::{API_KEY, KEY_SECRET, Needs, Options, PROJECT, REQUEST_SECRET, Settings, URL};
use crate::error::{Error, Exit};
use crate::testing::Folder;

fn project() -> Folder {
    let folder = Folder::new();
    fs::write(folder.path().join("wrangler.toml"), "").unwrap();
    fs::write(
        folder.path().join(".dev.vars"),
        "CHEVERETO_TENANTS_API_REQUEST_SECRET=from-dev-vars\nCHEVERETO_TENANTS_API_KEY_SECRET='from-dev-vars'\n",
    )
    .unwrap();
    fs::write(folder.path().join(".dev.key.local"), "chv_dev\n").unwrap();
    fs::write(
        folder.path().join("named.vars"),
        "CHEVERETO_TENANTS_API_REQUEST_SECRET=from-named\nTENANTS_API_KEY=chv_named\nTENANTS_URL=https://named.example\n",
    )
    .unwrap();
    folder
}

fn with<T>(
    folder: &Path,
    options: &Options,
    set: &[(&str, &str)],
    ask: impl FnOnce(&Settings<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let variable = |name: &str| {
        set.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| (*v).to_owned())
    };
    ask(&Settings::new(options, &variable, folder.to_path_buf())?)
}

fn request_secret(folder: &Path, options: &Options, set: &[(&str, &str)]) -> (String, String) {
    let found = with(folder, options, set, |s| s.request_secret(true)).unwrap();
    (found.secret.text().to_owned(), found.from)
}

#[test]
fn an_option_precedes_the_vars_file_the_environment_and_dev_vars_in_this_order() {
    let project = project();
    let environment = [(REQUEST_SECRET, "from-environment")];
    let mut options = Options::default();
    let read = |options: &Options, set: &[(&str, &str)]| {
        let (text, from) = request_secret(project.path(), options, set);
        format!("{text} {from}")
    };
    assert_eq!(read(&options, &[]), "from-dev-vars .dev.vars");
    assert_eq!(
        read(&options, &[(REQUEST_SECRET, "")]),
        "from-dev-vars .dev.vars"
    );
    assert_eq!(
        read(&options, &environment),
        "from-environment CHEVERETO_TENANTS_API_REQUEST_SECRET"
    );
    options.vars_file = Some("named.vars".into());
    assert_eq!(read(&options, &environment), "from-named --vars-file");
    options.request_secret = Some("from-option".into());
    assert_eq!(read(&options, &environment), "from-option --request-secret");
}

#[test]
fn dev_vars_are_read_only_for_this_machine() {
    let project = project();
    let options = Options::default();
    for error in [
        with(project.path(), &options, &[], |s| s.key_secret(false)).unwrap_err(),
        with(project.path(), &options, &[], |s| s.request_secret(false)).unwrap_err(),
    ] {
        assert_eq!(error.exit(), Exit::Configuration);
        assert!(error.problem().detail.contains("--vars-file"), "{error:?}");
    }
    let found = with(project.path(), &options, &[(KEY_SECRET, "k")], |s| {
        s.key_secret(false)
    });
    assert_eq!(found.unwrap().secret.text(), "k");
    // `--vars-file` can name the same file.
    let options = Options {
        vars_file: Some(".dev.vars".into()),
        ..Options::default()
    };
    let found = with(project.path(), &options, &[], |s| s.key_secret(false));
    assert_eq!(found.unwrap().secret.text(), "from-dev-vars");
}

#[test]
fn the_development_key_is_sent_only_to_this_machine() {
    let project = project();
    let key = |url: &str, set: &[(&str, &str)]| {
        let options = Options {
            url: Some(url.into()),
            ..Options::default()
        };
        with(project.path(), &options, set, |s| s.api_key(&s.address()?))
            .map(|found| found.secret.text().to_owned())
    };
    assert_eq!(key("http://127.0.0.1:1", &[]).unwrap(), "chv_dev");
    assert_eq!(
        key("http://127.0.0.1:1", &[(API_KEY, "chv_env")]).unwrap(),
        "chv_env"
    );
    let error = key("https://tenants.example", &[]).unwrap_err();
    assert_eq!(error.exit(), Exit::Configuration);
    assert!(!error.problem().to_json().contains("chv_dev"));
}

#[test]
fn the_address_comes_from_an_option_the_vars_file_the_environment_or_the_default() {
    let project = project();
    let address = |options: &Options, set: &[(&str, &str)]| {
        with(project.path(), options, set, |s| s.address())
            .unwrap()
            .origin()
            .to_owned()
    };
    let mut options = Options::default();
    assert_eq!(address(&options, &[]), "http://127.0.0.1:8787");
    let set = [(URL, "https://env.example/")];
    assert_eq!(address(&options, &set), "https://env.example");
    options.vars_file = Some("named.vars".into());
    assert_eq!(address(&options, &set), "https://named.example");
    options.url = Some("http://option.example".into());
    assert_eq!(address(&options, &set), "http://option.example");
    options.url = Some("nonsense".into());
    let error = with(project.path(), &options, &[], |s| s.address()).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn the_project_is_the_named_one_or_the_nearest_one_upwards() {
    let project = project();
    let deep = project.path().join("a").join("b");
    fs::create_dir_all(&deep).unwrap();
    let found = |folder: &Path, options: &Options, set: &[(&str, &str)]| {
        with(folder, options, set, |s| s.project())
    };
    let options = Options::default();
    let expected = Some(project.path().to_path_buf());
    assert_eq!(found(&deep, &options, &[]).unwrap(), expected);
    let elsewhere = Folder::new();
    assert_eq!(found(elsewhere.path(), &options, &[]).unwrap(), None);
    let text = project.path().to_str().unwrap().to_owned();
    assert_eq!(
        found(elsewhere.path(), &options, &[(PROJECT, &text)]).unwrap(),
        expected
    );
    let options = Options {
        project: Some(PathBuf::from("nowhere")),
        ..Options::default()
    };
    assert_eq!(
        found(&deep, &options, &[]).unwrap_err().exit(),
        Exit::Configuration
    );
}

#[test]
fn a_missing_vars_file_is_an_error() {
    let options = Options {
        vars_file: Some("none.vars".into()),
        ..Options::default()
    };
    let error = with(Folder::new().path(), &options, &[], |s| s.project()).unwrap_err();
    assert_eq!(error.exit(), Exit::Configuration);
}

/// Otherwise the command would go to 127.0.0.1:8787, the default, with whatever key it finds.
#[test]
fn a_vars_file_that_is_not_understood_stops_the_command() {
    let project = project();
    let file = |name: &str, text: &str| {
        fs::write(project.path().join(name), text).unwrap();
    };
    let named = Options {
        vars_file: Some("named.vars".into()),
        ..Options::default()
    };
    for (text, reason) in [
        (
            "\u{feff}TENANTS_URL=https://named.example\n",
            "line 1: the file begins with a byte order mark",
        ),
        (
            "# ours\nTENANTS_URL: https://named.example\n",
            "line 2: expected NAME=value",
        ),
        (
            "TENANTS_API_KEY=hunter2\n\nTENANTS_ULR=https://named.example/hunter2\n",
            "line 3: TENANTS_ULR is not a variable of this program or of the service; did you mean TENANTS_URL?",
        ),
    ] {
        file("named.vars", text);
        let error = with(project.path(), &named, &[], |s| s.address()).unwrap_err();
        assert_eq!(error.exit(), Exit::Configuration);
        let detail = error.problem().detail;
        assert!(
            detail.contains(&format!("named.vars: {reason}")) && !detail.contains("hunter2"),
            "{detail}"
        );
        // The project's own file is read by the same rules.
        file(".dev.vars", text);
        let read = with(project.path(), &Options::default(), &[], |s| {
            s.key_secret(true)
        });
        let detail = read.unwrap_err().problem().detail;
        assert!(detail.contains(&format!(".dev.vars: {reason}")), "{detail}");
    }
    file(
        "named.vars",
        "TENANTS_URL=https://named.example\nCLOUDFLARE_API_TOKEN=x\nOTHER='a\nb'\n",
    );
    let address = with(project.path(), &named, &[], |s| s.address()).unwrap();
    assert_eq!(address.origin(), "https://named.example");
}

#[test]
fn plain_variables_are_also_read_from_wrangler_toml_and_validated() {
    const HOSTNAME: &str = "CHEVERETO_INTERNAL_HOSTNAME";
    let project = project();
    let toml = |name: &str, value: &str| {
        let text = format!("name = 'x'\n[vars]\nOTHER = {{ A = 1 }}\n{HOSTNAME} = \"{value}\"\n");
        fs::write(project.path().join(name), text).unwrap();
    };
    toml("wrangler.toml", "in toml");
    toml("other.toml", "in other");
    let read = |named: Option<&str>, local: bool, set: &[(&str, &str)]| {
        let needs = Needs {
            plain: &[HOSTNAME],
            wrangler_toml: named.map(Into::into),
            ..Needs::default()
        };
        let config = with(project.path(), &Options::default(), set, |s| {
            s.config(&needs, local)
        });
        config.map(|_| ()).map_err(|error| error.problem().detail)
    };
    // None of these is a hostname, so the error shows which one was read.
    for (named, local, set, value) in [
        (None, true, &[][..], "in toml"),
        (None, false, &[], "in toml"),
        (Some("other.toml"), false, &[], "in other"),
        (
            None,
            true,
            &[(HOSTNAME, "in environment")],
            "in environment",
        ),
    ] {
        let detail = read(named, local, set).unwrap_err();
        assert!(
            detail.starts_with(HOSTNAME) && detail.contains(&format!("`{value}`")),
            "{detail}"
        );
    }
    fs::write(
        project.path().join(".dev.vars"),
        format!("{HOSTNAME}=in dev-vars\n"),
    )
    .unwrap();
    assert!(read(None, true, &[]).unwrap_err().contains("`in dev-vars`"));
    assert!(read(None, false, &[]).unwrap_err().contains("`in toml`"));
    toml("wrangler.toml", "a.example");
    assert_eq!(read(None, false, &[]), Ok(()));
    fs::write(project.path().join("wrangler.toml"), "[vars").unwrap();
    assert!(
        read(None, false, &[])
            .unwrap_err()
            .contains("wrangler.toml cannot be read")
    );
}

#[test]
fn a_job_needs_its_required_secrets_but_not_its_optional_ones() {
    let project = project();
    let needs = Needs {
        secrets: &["CHEVERETO_ENCRYPTION_KEY"],
        optional_secrets: &["CHEVERETO_ENCRYPTION_KEY_PREVIOUS"],
        ..Needs::default()
    };
    let read = |set: &[(&str, &str)]| {
        with(project.path(), &Options::default(), set, |s| {
            s.config(&needs, false)
        })
        .map(|_| ())
    };
    let error = read(&[]).unwrap_err();
    assert_eq!(error.exit(), Exit::Configuration);
    assert!(
        error
            .problem()
            .detail
            .starts_with("CHEVERETO_ENCRYPTION_KEY is not set")
    );
    let good = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    assert!(read(&[("CHEVERETO_ENCRYPTION_KEY", good)]).is_ok());
    let both = [
        ("CHEVERETO_ENCRYPTION_KEY", good),
        ("CHEVERETO_ENCRYPTION_KEY_PREVIOUS", "hunter2"),
    ];
    let detail = read(&both).unwrap_err().problem().detail;
    assert!(
        detail.starts_with("CHEVERETO_ENCRYPTION_KEY_PREVIOUS: expected base64"),
        "{detail}"
    );
    assert!(!detail.contains("hunter2"));
}
