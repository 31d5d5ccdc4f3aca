//! Node's built-in modules: probes in `node/NAME.js` answer as Node v20 did
//! (`node/NAME.json`, written by `node/expected.mjs`).

use bson::Bson;

use crate::value;

async fn answers_as_node_does(probes: &str, expected: &str) {
    let head = include_str!("node/head.js");
    let source =
        format!("exports = async () => {{ {head}\n{probes}\nreturn JSON.stringify(out); }}");
    let Bson::String(answers) = value(&source).await else {
        panic!("probes answer a text");
    };
    let read = |text| serde_json::from_str::<Vec<(String, String)>>(text).unwrap();
    let (answers, expected) = (read(&answers), read(expected));
    assert_eq!(
        answers.len(),
        expected.len(),
        "node/expected.mjs has to run again"
    );
    let mut wrong = Vec::new();
    for ((probe, wanted), (_, answer)) in expected.iter().zip(&answers) {
        if wanted != answer {
            wrong.push(format!("{probe}\n    node: {wanted}\n    here: {answer}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        expected.len(),
        wrong.join("\n")
    );
}

macro_rules! modules {
    ($($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            answers_as_node_does(
                include_str!(concat!("node/", stringify!($name), ".js")),
                include_str!(concat!("node/", stringify!($name), ".json")),
            )
            .await;
        }
    )*};
}

modules! {
    crypto
    buffer
    fetch
    http
    http2
    net
    encoding
    intl_dates
    intl_numbers
    intl_text
    punycode
    querystring
    string_decoder
    url
    events
    stream
    util
    random_values
    order
    console
    web_streams
    modules
    assert
    path
    timers
    zlib
}
