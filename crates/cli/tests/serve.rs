//! `backstitch serve`: its settings, and those that are none.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Served, data, folder, path, program, run};

/// The project of the servers here.
pub(crate) const PROJECT: &str = "0123456789abcdef01234567";

/// A server whose project and key pair, `public` and `a-private-key`, variables
/// give.
pub(crate) fn keyed(data: &Path) -> Command {
    let mut command = program(&["serve"]);
    command
        .env("BACKSTITCH_DATA_DIR", data)
        .env("BACKSTITCH_LISTEN", "127.0.0.1:0")
        .env("BACKSTITCH_PROJECT_ID", PROJECT)
        .env("BACKSTITCH_ADMIN_PUBLIC_KEY", "public")
        .env("BACKSTITCH_ADMIN_PRIVATE_KEY", "a-private-key");
    command
}

/// The line that says where it serves.
pub(crate) fn ready(served: &mut Served) -> String {
    loop {
        let line = served.text();
        if let Some(rest) = line.strip_prefix("backstitch serves ") {
            let url = rest.split(' ').next().unwrap();
            url.clone_into(&mut served.url);
            return line;
        }
    }
}

fn login(served: &Served, public: &str, private: &str) -> u16 {
    let path = "/api/admin/v3.0/auth/providers/mongodb-cloud/login";
    let pair = json!({ "username": public, "apiKey": private });
    served.post(path, "", &pair).0
}

#[test]
fn variables_make_the_project_and_its_keys() {
    let data = data();
    let mut served = Served::of(&mut keyed(data.path()));
    let line = ready(&mut served);
    assert!(line.ends_with(&format!("(project {PROJECT})")), "{line}");
    assert_eq!(login(&served, "public", "a-private-key"), 200);
    assert_eq!(login(&served, "public", "another-key"), 401);
}

#[test]
fn a_file_has_settings_and_flags_go_before() {
    let data = data();
    let settings = folder("");
    let file = settings.path().join("settings.json");
    let text = json!({
        "listen": "127.0.0.1:1", "data_dir": data.path(), "call_ms_max": 2000,
        "project_id": PROJECT, "admin_public_key": "public", "admin_private_key": "from-the-file",
    });
    std::fs::write(&file, text.to_string()).unwrap();
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--config"]);
    command
        .arg(&file)
        .env("BACKSTITCH_ADMIN_PRIVATE_KEY", "from-a-variable");
    let mut served = Served::of(&mut command);
    assert!(ready(&mut served).contains(PROJECT));
    assert_eq!(login(&served, "public", "from-a-variable"), 200);
    assert!(data.path().join("master.key").is_file());
}

#[test]
fn a_file_with_mistakes_is_refused_with_all_of_them() {
    let settings = folder(
        "//- /s.json\n{\n  \"listn\": \"127.0.0.1:0\",\n  \"listen\": \"nowhere\",\n  \"call_ms_max\": true,\n  \"project_id\": \"xyz\"\n}\n",
    );
    let file = settings.path().join("s.json");
    let (code, _, errors) = run(program(&["serve", "--config"]).arg(&file));
    assert_eq!(code, 2);
    let file = file.display();
    assert_eq!(
        errors,
        format!(
            "backstitch: {file}:2:3: error: there is no setting \"listn\"; did you mean \"listen\"?\n\
             backstitch: {file}:3:3: error: \"listen\": invalid socket address syntax\n\
             backstitch: {file}:4:3: error: \"call_ms_max\" has to be a text or a number\n\
             backstitch: {file}:5:3: error: \"project_id\": 24 hex digits are needed\n"
        )
    );
    let (code, _, errors) = run(&mut program(&["serve", "--config", "/no/such/file"]));
    assert_eq!(code, 2);
    assert!(errors.contains("/no/such/file: No such file"), "{errors}");
}

#[test]
fn a_variable_that_means_nothing_is_refused() {
    let data = data();
    for (name, wanted) in [
        ("BACKSTITCH_LISTN", "did you mean BACKSTITCH_LISTEN?"),
        (
            "BACKSTITCH_WHATEVER_THIS_IS",
            "BACKSTITCH_WHATEVER_THIS_IS is no setting",
        ),
    ] {
        for verb in ["serve", "dev"] {
            let mut command = program(&[verb, "--listen", "127.0.0.1:0", "--data-dir"]);
            let (code, _, errors) = run(command.arg(path(&data)).env(name, "x"));
            assert_eq!(code, 2, "{errors}");
            assert!(errors.contains(wanted), "{errors}");
        }
    }
    let (code, _, errors) = run(program(&["serve"]).env("BACKSTITCH_PROJECT_ID", "short"));
    assert_eq!(code, 2);
    assert!(errors.contains("24 hex digits are needed"), "{errors}");
    let mut half = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    let (code, _, errors) = run(half
        .arg(path(&data))
        .env("BACKSTITCH_ADMIN_PUBLIC_KEY", "public"));
    assert_eq!(code, 1);
    assert!(errors.contains("go together"), "{errors}");
}

#[test]
fn a_registry_of_packages_that_is_none_is_refused() {
    let data = data();
    for (url, token, wanted) in [
        ("npm.example.com", "", "npm registry: "),
        ("ftp://npm.example.com", "", "npm registry: "),
        (
            "https://user:hunter2@npm.example.com",
            "",
            "has no user and no password",
        ),
        (
            "https://npm.example.com",
            "hunter2 hunter2",
            "visible ASCII characters",
        ),
        ("", "hunter2", "set BACKSTITCH_NPM_REGISTRY"),
    ] {
        let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command
            .arg(path(&data))
            .env("BACKSTITCH_NPM_REGISTRY", url)
            .env("BACKSTITCH_NPM_TOKEN", token);
        let (code, _, errors) = run(&mut command);
        assert_eq!(code, 1, "{errors}");
        assert!(errors.contains(wanted), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn settings_of_what_is_reached_outside_are_checked() {
    let data = data();
    for (name, value, expected, wanted) in [
        ("BACKSTITCH_EGRESS_ALLOW", "10.0.0.0/40", 2, "10.0.0.0/40"),
        (
            "BACKSTITCH_EGRESS_ROOTS",
            "/nowhere.pem",
            1,
            "/nowhere.pem: ",
        ),
        (
            "BACKSTITCH_EGRESS_ROOTS",
            "/dev/null",
            1,
            "no certificate in it",
        ),
        (
            "BACKSTITCH_PROVIDER_ENDPOINTS",
            "google.tokens=https://a",
            1,
            "there is no endpoint 'google.tokens'",
        ),
        (
            "BACKSTITCH_PROVIDER_ENDPOINTS",
            "google.token=https://a,apple.keys=https://user:hunter2@a",
            1,
            "apple.keys: that is no plain URL",
        ),
    ] {
        let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        let (code, _, errors) = run(command.arg(path(&data)).env(name, value));
        assert_eq!(code, expected, "{errors}");
        assert!(errors.contains(wanted), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn settings_of_mail_are_checked() {
    let data = data();
    let templates = folder("//- /reset.txt\nHello {{name}}\n");
    let templates = path(&templates);
    for (url, from, templates, wanted) in [
        ("smtp://localhost", "", "", "go together"),
        ("", "shop@example.com", "", "go together"),
        (
            "smtp://localhost",
            "shop",
            "",
            "mail: the sender is no address",
        ),
        (
            "https://u:hunter2@mail.example.com",
            "shop@example.com",
            "",
            "mail: the URL has to begin with smtp://",
        ),
        (
            "smtp://u:hunter2@mail.example.com?tls=none",
            "shop@example.com",
            "",
            "mail: the password would be sent in clear",
        ),
        (
            "",
            "",
            "/no/such/folder",
            "mail templates: /no/such/folder: ",
        ),
        ("", "", templates, "reset.txt: line 1: there is no {{name}}"),
    ] {
        let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command
            .arg(path(&data))
            .env("BACKSTITCH_SMTP_URL", url)
            .env("BACKSTITCH_MAIL_FROM", from);
        if !templates.is_empty() {
            command.env("BACKSTITCH_MAIL_TEMPLATES", templates);
        }
        let (code, _, errors) = run(&mut command);
        assert_eq!(code, 1, "{errors}");
        assert!(errors.contains(wanted), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_lost_master_key_is_missed_and_none_is_made_up() {
    let data = data();
    let home = data.path().join("new");
    let key = home.join("master.key");
    let serve = || {
        let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(&home);
        command
    };
    ready(&mut Served::of(&mut serve()));
    let kept = std::fs::read(&key).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&home).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    std::fs::remove_file(&key).unwrap();
    let (code, _, errors) = run(&mut serve());
    assert_eq!(code, 1);
    assert!(errors.contains("master.key is missing"), "{errors}");
    assert!(!key.exists());
    std::fs::write(&key, kept).unwrap();
    ready(&mut Served::of(&mut serve()));
}
