//! An app directory with more than fifteen different mistakes: each is found,
//! with its file and line, in one go.

use config::{Files, parse};

const BROKEN: &str = r#"
//- /realm_config.json
{
  "name": 5,
  "deployment_model": "GLOBALL",
}
//- /auth/providers.json
{
  "anon-user": { "type": "anon-usr" },
  "api-key": { "type": "api-key", "disabled": "no" },
  "api-key": { "type": "api-key" }
}
//- /auth/custom_user_data.json
{ "enabled": true, "mongo_service_name": "nowhere" }
//- /data_sources/db/config.json
{ "name": "other", "type": "mongodb-atlas" }
//- /data_sources/db/d/c/rules.json
{
  "database": "d",
  "collection": "wrong",
  "roles": [{ "name": "a", "apply_when": {} }, { "name": "a" }]
}
//- /functions/config.json
[
  { "name": "f", "privat": true },
  { "name": "f" },
  { "private": true },
  { "name": "missing" }
]
//- /functions/f.js
exports = 1;
//- /functions/unlisted.js
exports = 1;
//- /http_endpoints/config.json
[{ "route": "x", "http_method": "FETCH", "function_name": "ff" }]
//- /triggers/t.json
{ "name": "t", "type": "SCHEDULED", "config": { "schedule": "61 * * * *" } }
//- /values/v.json
{ "name": "v" }
//- /sync/config.json
{ "type": "flexible" "state": "" }
//- /notes/readme.json
{}
"#;

#[test]
fn all_are_found_at_once() {
    let (config, findings) = parse(&Files::from_fixture(BROKEN));
    assert!(config.is_none(), "a file that is no JSON leaves no value");
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
}
