//! `backstitch check`.

use super::{app, folder, path, program, run, write};

/// More than fifteen different mistakes, in one app.
const BROKEN: &str = r#"
//- /realm_config.json
{
    "name": 5,
    "deployment_model": "GLOBALL",
}
//- /auth/providers.json
{
    "anon-user": { "type": "anon-usr" },
    "local-userpass": {
        "type": "local-userpass",
        "config": { "runResetFunction": true, "resetFunctionName": "resetPasword", "emailConfirmationUrl": "https://a" }
    },
    "api-key": { "type": "api-key", "disabled": "no" }
}
//- /auth/custom_user_data.json
{ "enabled": true, "mongo_service_name": "nowhere", "database_name": "d", "user_id_field": "u" }
//- /data_sources/db/config.json
{
    "name": "other",
    "type": "mongodb-atlas"
}
//- /data_sources/db/shop/items/rules.json
{
    "database": "shop",
    "collection": "wrong",
    "roles": [
        { "name": "a", "apply_when": { "%%usr.id": "x" } },
        { "name": "a", "apply_when": {} },
        {
            "name": "b",
            "apply_when": { "%%true": { "%function": { "name": "isAllowed", "arguments": [] } } }
        }
    ]
}
//- /data_sources/db/shop/items/schema.json
{
    "title": "Item",
    "properties": { "a": { "bsonType": "sting" } }
}
//- /environments/qa.json
{ "values": [] }
//- /functions/config.json
[
    { "name": "resetPassword", "privat": true },
    { "name": "resetPassword" },
    { "private": true },
    { "name": "missing" },
    { "name": "guarded", "can_evaluate": { "%%user.id": { "%foo": 1 } } }
]
//- /functions/resetPassword.js
exports = async (a) => {
    const b = ;
};
//- /functions/guarded.js
exports = () => 1;
//- /functions/unlisted.js
exports = () => 1;
//- /graphql/custom_resolvers/a.json
{ "on_type": "Query", "field_name": "x", "function_name": "guarded" }
//- /graphql/custom_resolvers/b.json
{ "on_type": "Query", "field_name": "x", "function_name": "guarded" }
//- /http_endpoints/config.json
[
    { "route": "hello", "http_method": "FETCH", "function_name": "guarded" },
    { "route": "/a", "http_method": "GET", "function_name": "guarded" },
    { "route": "/a", "http_method": "GET", "function_name": "guarded" }
]
//- /log_forwarders/l.json
{ "name": "l", "action": { "type": "function", "name": "guardd" } }
//- /sync/config.json
{ "type": "flexible" "state": "" }
//- /triggers/nightly.json
{
    "name": "nightly", "type": "SCHEDULED", "function_name": "guarded",
    "config": { "schedule": "61 * * * *" }
}
//- /triggers/watch.json
{
    "name": "watcher", "type": "DATABASE", "function_name": "guarded",
    "config": { "service_name": "atlas", "operation_types": ["INSRT"] }
}
//- /values/key.json
{ "name": "key", "value": 7, "from_secret": true }
//- /values/v.json
{ "name": "v" }
//- /valuess/w.json
{ "name": "w", "value": 1 }
"#;

#[test]
fn every_mistake_is_reported_at_once() {
    let app = folder(BROKEN);
    let (code, said, errors) = run(&mut program(&["check", path(&app)]));
    assert_eq!(errors, "");
    insta::assert_snapshot!(said);
    assert_eq!(code, 1);
}

#[test]
fn every_finding_has_a_file_and_a_line() {
    let (_, said, _) = run(&mut program(&["check", path(&folder(BROKEN))]));
    let mut findings: Vec<&str> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    let count = findings.pop().unwrap();
    assert!(findings.len() > 15, "{said}");
    for finding in &findings {
        // A file that is left out has no line.
        let placed = finding
            .split(':')
            .nth(1)
            .is_some_and(|line| line.parse::<u32>().is_ok());
        assert!(placed || finding.contains("is left out"), "{finding}");
    }
    let errors = findings.iter().filter(|f| f.contains(": error: ")).count();
    let warnings = findings.len() - errors;
    assert_eq!(count, format!("{errors} errors, {warnings} warnings"));
}

#[test]
fn warnings_do_not_fail() {
    let app = app(&[("hello", "exports = () => 1;")]);
    write(&app, "functions/unlisted.js", "exports = () => 2;");
    write(
        &app,
        "sync/config.json",
        r#"{ "type": "flexible", "state": "enabled" }"#,
    );
    write(&app, "README.md", "# about");
    let (code, said, _) = run(&mut program(&["check", path(&app)]));
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        said,
        "functions/unlisted.js:1: warning: the function \"unlisted\" has no entry, so it gets the defaults: everyone may call it\n\
         \x20   hint: add it to functions/config.json; \"private\": true keeps it from clients\n\
         sync/config.json:1:23: warning: not supported yet: Device Sync\n\
         shop: 2 functions, no errors, 2 warnings\n"
    );
}

#[test]
fn what_is_no_app_directory() {
    let empty = folder("");
    let (code, said, _) = run(&mut program(&["check", path(&empty)]));
    assert_eq!(code, 1);
    assert!(said.starts_with("realm_config.json: error: "), "{said}");
    let missing = empty.path().join("missing");
    let (code, _, errors) = run(program(&["check"]).arg(&missing));
    assert_eq!(code, 2);
    assert!(errors.contains("missing: No such file"), "{errors}");
}

#[test]
fn files_that_cannot_be_taken_are_named() {
    let app = app(&[("hello", "exports = () => 1;")]);
    let outside = folder("//- /linked.js\nexports = () => 3;\n");
    let link = |from: &str, to: &str| {
        let target = outside.path().join(from);
        std::os::unix::fs::symlink(target, app.path().join(to)).unwrap();
    };
    link("linked.js", "functions/linked.js");
    link("", "triggers");
    link("nowhere", "functions/dangling.js");
    let large = std::fs::File::create(app.path().join("functions/large.js")).unwrap();
    large.set_len(26 << 20).unwrap();
    let (code, said, _) = run(&mut program(&["check", path(&app)]));
    assert_eq!(code, 0, "{said}");
    for wanted in [
        "functions/linked.js:1: warning: the function \"linked\" has no entry",
        "functions/large.js: warning: the file is larger than 25 MiB, so it is left out",
        "triggers: warning: a link to a folder, which is left out",
        "shop: 2 functions, no errors, 3 warnings",
    ] {
        assert!(said.contains(wanted), "{wanted} is missing in\n{said}");
    }
}
