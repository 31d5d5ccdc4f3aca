//! `backstitch clusters list|test`: which deployments the settings mean, and
//! whether they are there.

use std::process::ExitCode;

use serde_json::{Map, Value, json};
use server::{ClusterSettings, Listed, StartError, Tried};

use crate::{Action, Clusters, Places};

/// The whole of `backstitch clusters`. The exit code of `test` is 1 when a
/// cluster did not answer, that of mistakes 2.
pub(crate) fn run(options: &Clusters) -> ExitCode {
    match work(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("backstitch: {error}");
            ExitCode::from(2)
        }
    }
}

fn work(options: &Clusters) -> Result<bool, StartError> {
    let settings = options.places.settings()?;
    match options.action {
        Action::List if options.name.is_some() => {
            Err(StartError("list shows all clusters".to_owned()))
        }
        Action::List => {
            let listed = settings.list(&options.places.data_dir);
            if options.json {
                let all: Value = listed.iter().map(|l| Value::Object(object(l))).collect();
                println!("{all:#}");
            } else {
                for listed in &listed {
                    println!("{}", line(listed));
                }
            }
            Ok(true)
        }
        Action::Test => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| StartError(error.to_string()))?;
            let tried =
                runtime.block_on(test(&settings, options.name.as_deref(), &options.places))?;
            if options.json {
                let all: Value = tried.iter().map(told).collect();
                println!("{all:#}");
            } else {
                tried.iter().for_each(show);
            }
            Ok(tried.iter().all(|tried| tried.found.is_ok()))
        }
    }
}

async fn test(
    settings: &ClusterSettings,
    name: Option<&str>,
    places: &Places,
) -> Result<Vec<Tried>, StartError> {
    settings.test(name, &places.data_dir).await
}

fn title(listed: &Listed) -> &str {
    match listed.name.as_str() {
        "" => "(own records)",
        name => name,
    }
}

fn line(listed: &Listed) -> String {
    format!("{:<16} {:<9} {}", title(listed), listed.kind, listed.place)
}

fn show(tried: &Tried) {
    println!("{}", line(&tried.cluster));
    match &tried.found {
        Ok(rows) => {
            for (name, value) in rows {
                println!("  {:<15} {value}", name.replace('_', " "));
            }
        }
        Err(why) => println!("  {:<15} {why}", "no answer"),
    }
}

fn object(listed: &Listed) -> Map<String, Value> {
    let mut object = Map::new();
    let own = listed.name.is_empty();
    let name = if own { Value::Null } else { json!(listed.name) };
    object.insert("name".to_owned(), name);
    object.insert("own_records".to_owned(), json!(own));
    object.insert("engine".to_owned(), json!(listed.kind));
    object.insert("place".to_owned(), json!(listed.place));
    object
}

fn told(tried: &Tried) -> Value {
    let mut object = object(&tried.cluster);
    object.insert("ok".to_owned(), json!(tried.found.is_ok()));
    match &tried.found {
        Ok(rows) => {
            for (name, value) in rows {
                let value = match *name {
                    "transactions" | "change_streams" => json!(value == "yes"),
                    "round_trip_ms" => json!(value.parse::<f64>().unwrap_or_default()),
                    "hosts" => json!(value.split(", ").collect::<Vec<_>>()),
                    _ => json!(value),
                };
                object.insert((*name).to_owned(), value);
            }
        }
        Err(why) => {
            object.insert("error".to_owned(), json!(why));
        }
    }
    Value::Object(object)
}
