//! `functions run --local`: one call of a function of an app directory, by a
//! server that is there for it alone.

use std::ffi::OsStr;
use std::path::Path;

use app::mail::Outlet;
use app::{Cx, DebugRun, Rejected, RequestInfo};
use bson::Bson;
use clap::Parser;
use serde_json::{Value, json};

use crate::ServerOptions;
use crate::archives::Failed;
use crate::dev::{Modules, first_deployment};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    server: ServerOptions,
}

/// Deploys the directory and calls the function as the system. Data is in
/// `data_dir`, or nowhere afterwards. The answer is the Admin API's.
pub(crate) fn run(
    folder: &Path,
    data_dir: Option<&Path>,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Failed> {
    let folder = folder.canonicalize();
    let folder = folder.map_err(|error| format!("the app directory cannot be read: {error}"))?;
    let nowhere = tempfile::tempdir()?;
    let data_dir = data_dir.unwrap_or(nowhere.path());
    // Records of its own, whatever the environment says: the app here is none of
    // another server's.
    let words = [
        "backstitch",
        "--listen",
        "127.0.0.1:0",
        "--state-uri",
        "",
        "--data-dir",
    ];
    let words = words.map(OsStr::new);
    let options = Options::try_parse_from(words.iter().copied().chain([data_dir.as_os_str()]))?;
    let arguments = arguments
        .iter()
        .map(kit::ejson::parse_value)
        .collect::<Result<Vec<Bson>, _>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let running = crate::serve::start(options.server, Outlet::Shown).await?;
        let called = async {
            let mut modules = Modules::default();
            let (app, outcome) = first_deployment(&running, &folder, &mut modules).await?;
            match outcome {
                Ok(deployed) => {
                    for warning in deployed.warnings {
                        eprintln!("{warning}");
                    }
                }
                Err(Rejected::Problem(problem)) => return Err(problem.message.into()),
                Err(Rejected::Findings(findings)) => {
                    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
                    return Err(lines.join("\n").into());
                }
            }
            let cx = Cx::of_system(&app, RequestInfo::default());
            let run = app.debug_run(&cx, name, None, None, arguments).await;
            run.map_err(|problem| problem.message.into())
        };
        let called: Result<DebugRun, Failed> = called.await;
        running.shutdown().await;
        answer(called?)
    })
}

fn answer(run: DebugRun) -> Result<Value, Failed> {
    let mut answer = json!({ "logs": run.logs, "error_logs": run.error_logs, "stack": run.stack });
    match run.result {
        Ok(value) => {
            let value = bson::RawBson::try_from(value)?;
            let mut text = Vec::new();
            kit::ejson::canonical(value.as_raw_bson_ref(), &mut text);
            answer["result"] = serde_json::from_slice(&text)?;
        }
        Err(problem) => answer["error"] = problem.message.into(),
    }
    Ok(answer)
}
