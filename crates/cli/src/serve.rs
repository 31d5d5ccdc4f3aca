//! `backstitch serve`, and what both ways of serving share.

use std::collections::BTreeMap;
use std::process::ExitCode;

use app::mail::{MailSettings, Outlet, Templates};
use app::{AppRules, EgressSettings, Outbound, ProviderEndpoints, Roots};
use js::{Limits, PoolSettings};
use server::{KeySettings, Listening, Patience, Running, Settings, StartError};
use tokio::signal;

use crate::{Serve, ServerOptions};

/// Runs a command on the runtime; an error is printed.
pub(crate) fn with_runtime(work: impl Future<Output = Result<(), StartError>>) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .compact()
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("backstitch: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("backstitch: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts a server with the options of the command line; without an SMTP server
/// there, mails go where `unsent` says.
pub(crate) async fn start(options: ServerOptions, unsent: Outlet) -> Result<Running, StartError> {
    let mut workers =
        PoolSettings::this_program().map_err(|error| StartError(error.to_string()))?;
    if let Some(most) = options.workers_max {
        workers.workers_max = most.max(1);
    }
    if options.admin_public_key.is_some() != options.admin_private_key.is_some() {
        let text = "a public key and a private key go together: set both or neither";
        return Err(StartError(text.to_owned()));
    }
    let outbound = outbound(&options)?;
    let mail = mail(&options, &outbound.http.roots, unsent)?;
    let npm_registry = npm_registry(options.npm_registry, options.npm_token)?;
    let clusters = options.places.settings()?;
    server::start(Settings {
        data_dir: options.places.data_dir,
        clusters,
        listening: Listening {
            listen: options.listen,
            metrics_listen: options.metrics_listen,
            public_url: options.public_url,
            trusted_proxies: options.trusted_proxies,
            patience: Patience::default(),
        },
        keys: KeySettings {
            project_id: options.project_id,
            public_key: options.admin_public_key,
            private_key: options.admin_private_key.map(Into::into),
        },
        master_key: options.master_key.map(Into::into),
        workers,
        limits: Limits {
            time_ms: options.call_ms_max,
            memory_bytes: options.call_memory_bytes_max,
        },
        npm_registry,
        outbound,
        mail,
    })
    .await
}

/// The machines that the server itself turns to.
fn outbound(options: &ServerOptions) -> Result<Outbound, StartError> {
    let roots = match &options.egress_roots {
        Some(path) if !path.as_os_str().is_empty() => std::fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|pem| Roots::from_pem(&pem))
            .map_err(|error| StartError(format!("{}: {error}", path.display())))?,
        _ => Roots::default(),
    };
    let elsewhere = options.provider_endpoints.iter().map(String::as_str);
    Ok(Outbound {
        http: EgressSettings {
            allowed: options.egress_allow.clone(),
            roots,
            apps: of_apps(&options.egress_app_allow, &options.egress_app_only)?,
        },
        endpoints: ProviderEndpoints::new(elsewhere.filter(|text| !text.is_empty()))
            .map_err(|error| StartError(format!("provider endpoints: {error}")))?,
    })
}

/// What functions of single apps may connect to: `APP=NETWORK` and `APP=HOST`.
fn of_apps(allow: &[String], only: &[String]) -> Result<BTreeMap<String, AppRules>, StartError> {
    let mut apps: BTreeMap<String, AppRules> = BTreeMap::new();
    let split = |flag: &str, text: &str| {
        let parts = text.trim().split_once('=');
        let (app, what) = parts.filter(|(app, _)| !app.is_empty()).ok_or_else(|| {
            StartError(format!(
                "--{flag}: '{text}' does not begin with an app's id and ="
            ))
        })?;
        Ok::<_, StartError>((app.to_owned(), what.to_owned()))
    };
    for text in allow.iter().filter(|text| !text.is_empty()) {
        let (app, network) = split("egress-app-allow", text)?;
        let network = network.parse();
        let network = network.map_err(|why| StartError(format!("--egress-app-allow: {why}")))?;
        apps.entry(app).or_default().allowed.push(network);
    }
    for text in only.iter().filter(|text| !text.is_empty()) {
        let (app, host) = split("egress-app-only", text)?;
        let host = host.parse();
        let host = host.map_err(|why| StartError(format!("--egress-app-only: {why}")))?;
        apps.entry(app).or_default().only.push(host);
    }
    Ok(apps)
}

/// Where mails go, and what is in them.
fn mail(
    options: &ServerOptions,
    roots: &Roots,
    unsent: Outlet,
) -> Result<MailSettings, StartError> {
    let templates = match &options.mail_templates {
        Some(folder) => Templates::read(folder)
            .map_err(|error| StartError(format!("mail templates: {error}")))?,
        None => Templates::default(),
    };
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let outlet = match (set(&options.smtp_url), set(&options.mail_from)) {
        (Some(url), Some(from)) => Outlet::smtp(&url.into(), &from, roots)
            .map_err(|error| StartError(format!("mail: {error}")))?,
        (None, None) => unsent,
        _ => {
            let text = "mail: an SMTP server and a sender go together: set both or neither";
            return Err(StartError(text.to_owned()));
        }
    };
    Ok(MailSettings { outlet, templates })
}

fn npm_registry(
    url: Option<String>,
    token: Option<String>,
) -> Result<Option<app::NpmRegistry>, StartError> {
    let set = |text: &String| !text.is_empty();
    match (url.filter(set), token.filter(set)) {
        (Some(url), token) => app::NpmRegistry::new(&url, token.map(Into::into))
            .map(Some)
            .map_err(|error| StartError(format!("npm registry: {error}"))),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(StartError(
            "a token of an npm registry is nothing without its URL: set BACKSTITCH_NPM_REGISTRY"
                .to_owned(),
        )),
    }
}

/// Waits for the signal to stop.
pub(crate) async fn stopped() {
    let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) else {
        let _ = signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// The whole of `backstitch serve`.
pub(crate) async fn run(options: Serve) -> Result<(), StartError> {
    let running = start(options.server, Outlet::Nowhere).await?;
    eprintln!(
        "backstitch serves {} (project {})",
        running.url, running.project_id
    );
    stopped().await;
    running.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::of_apps;

    #[test]
    fn what_apps_may_connect_to_is_said_one_by_one() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let allow = texts(&["shop-abcde=10.0.0.0/8", "shop-abcde=::1", ""]);
        let only = texts(&["shop-abcde=api.example.com", "blog-fghij=*.example.org"]);
        let apps = of_apps(&allow, &only).unwrap();
        assert_eq!(apps["shop-abcde"].allowed.len(), 2);
        assert!(apps["shop-abcde"].only[0].matches("API.example.com."));
        assert!(apps["blog-fghij"].only[0].matches("a.b.example.org"));
        assert!(!apps["blog-fghij"].only[0].matches("example.org"));
        for (allow, only) in [
            ("10.0.0.0/8", ""),
            ("=10.0.0.0/8", ""),
            ("shop=ten", ""),
            ("", "api.example.com"),
            ("", "shop="),
            ("", "shop=*"),
            ("", "shop=a.*.b"),
            ("", "shop=https://a"),
        ] {
            let wrong = of_apps(&texts(&[allow]), &texts(&[only]));
            assert!(wrong.is_err(), "{allow} {only}");
        }
    }
}
