//! What a server is started with, and what it opens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::Backstitch;
use app::administrators::KeyPair;
use app::mail::MailSettings;
use engine_embedded::Embedded;
use js::{Limits, PoolSettings};
use kit::{Clock, Secret, SystemClock};
use state::MasterKey;

use crate::{ClusterSettings, Listening, StartError};

/// What a server is started with.
pub struct Settings {
    /// Where everything lives that is in no other deployment.
    pub data_dir: PathBuf,
    /// Which deployment each cluster is.
    pub clusters: ClusterSettings,
    /// Where and how to listen.
    pub listening: Listening,
    /// The first project and key pair.
    pub keys: KeySettings,
    /// The master key's text; a key file in the data directory unless set.
    pub master_key: Option<Secret>,
    /// How workers are started.
    pub workers: PoolSettings,
    /// Bounds of a function call.
    pub limits: Limits,
    /// Where npm packages are fetched from; nowhere unless set.
    pub npm_registry: Option<app::NpmRegistry>,
    /// The machines that the server itself turns to.
    pub outbound: app::Outbound,
    /// Where mails go, and what is in them.
    pub mail: MailSettings,
}

/// The first project and key pair; what is not given is made up and kept in
/// the data directory.
#[derive(Default)]
pub struct KeySettings {
    /// 24 hex digits.
    pub project_id: Option<String>,
    /// The public half.
    pub public_key: Option<String>,
    /// The private half.
    pub private_key: Option<Secret>,
}

/// Opens engine and core.
pub(crate) async fn open_core(settings: &Settings) -> Result<Arc<Backstitch>, StartError> {
    let failed = |error: &dyn std::fmt::Display| {
        StartError(format!("{}: {error}", settings.data_dir.display()))
    };
    create_private(&settings.data_dir).map_err(|error| failed(&error))?;
    let key_file = settings.data_dir.join("master.key");
    if settings.master_key.is_none() && !key_file.exists() {
        if settings.clusters.is_shared() {
            return Err(failed(
                &"servers that share their records share a master key: start each with the same BACKSTITCH_MASTER_KEY, or with the same master.key here",
            ));
        }
        if Embedded::is_in(&settings.data_dir) {
            return Err(failed(
                &"master.key is missing, with which the data's secrets are sealed; put it back, or start with BACKSTITCH_MASTER_KEY if that is what it was",
            ));
        }
    }
    // The key is there before anything is sealed with it.
    let master_key = match &settings.master_key {
        Some(text) => MasterKey::from_text(text.expose()),
        None => MasterKey::from_file(&key_file).map_err(|error| failed(&error))?,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let opened = settings
        .clusters
        .open(&settings.data_dir, clock.clone())
        .await?;
    let core = Backstitch::open(app::Settings {
        engine: opened.default,
        clusters: opened.named,
        state: Some(opened.state),
        master_key,
        workers: settings.workers.clone(),
        limits: settings.limits,
        clock,
        cheap_passwords: false,
        npm_registry: settings.npm_registry.clone(),
        outbound: settings.outbound.clone(),
        mail: settings.mail.clone(),
    })
    .await?;
    Ok(core)
}

/// Opens engine and core, and makes project and keys.
pub(crate) async fn open(
    settings: &Settings,
) -> Result<(Arc<Backstitch>, String, Option<KeyPair>), StartError> {
    let core = open_core(settings).await?;
    let failed = |error: &dyn std::fmt::Display| {
        StartError(format!("{}: {error}", settings.data_dir.display()))
    };
    core.pool()
        .warm()
        .await
        .map_err(|error| StartError(format!("a function worker cannot be started: {error}")))?;
    let (project, keys) = keys(&core, settings, &failed).await?;
    Ok((core, project, keys))
}

/// What a server keeps in its folder for those who run it.
#[derive(Default)]
pub struct Kept {
    /// The URL by which a server that runs is reached on this machine.
    pub url: Option<String>,
    /// The operator's key pair.
    pub keys: Option<KeyPair>,
}

/// Reads what a server keeps in its folder.
pub fn kept(folder: &Path) -> Kept {
    let read = |name| std::fs::read_to_string(folder.join(name)).ok();
    let keys = read("admin-keys").and_then(|text| {
        let mut lines = text.lines().skip(1).map(str::to_owned);
        Some(KeyPair {
            public_key: lines.next()?,
            private_key: lines.next()?.into(),
        })
    });
    Kept {
        url: read("url").map(|url| url.trim().to_owned()),
        keys,
    }
}

/// Keeps the URL of a server that runs.
pub(crate) fn keep_url(folder: &Path, url: &str) -> std::io::Result<()> {
    write_private(&folder.join("url"), format!("{url}\n").as_bytes())
}

/// The first project and the operator's key pair: as set, else as kept in the
/// data directory, else those that the first of all servers made up. Its key is
/// known to it alone.
async fn keys(
    core: &Backstitch,
    settings: &Settings,
    failed: &(dyn Fn(&dyn std::fmt::Display) -> StartError + Sync),
) -> Result<(String, Option<KeyPair>), StartError> {
    let path = settings.data_dir.join("admin-keys");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = kept.lines().map(str::to_owned);
    let (project, public, private) = (lines.next(), lines.next(), lines.next());
    let set = &settings.keys;
    let project = match set.project_id.clone().or(project) {
        Some(known) => {
            core.agree("project", &known).await?;
            known
        }
        None => core.agree("project", &state::random_hex::<12>()).await?,
    };
    let pair = match (&set.public_key, &set.private_key, public, private) {
        (Some(public), Some(private), ..) => Some(KeyPair {
            public_key: public.clone(),
            private_key: private.clone(),
        }),
        (_, _, Some(public), Some(private)) => Some(KeyPair {
            public_key: public,
            private_key: private.into(),
        }),
        _ => {
            let new = Backstitch::new_key_pair();
            let first = core.agree("operator", &new.public_key).await?;
            (first == new.public_key).then_some(new)
        }
    };
    let mut text = format!("{project}\n");
    if let Some(pair) = &pair {
        core.agree("operator", &pair.public_key).await?;
        for part in [&pair.public_key, pair.private_key.expose()] {
            text.push_str(part);
            text.push('\n');
        }
    }
    if text != kept {
        write_private(&path, text.as_bytes()).map_err(|error| failed(&error))?;
    }
    core.ensure_project(Some(&project), "default").await?;
    if let Some(pair) = &pair {
        core.ensure_key(&project, pair).await?;
    }
    Ok((project, pair))
}

/// Makes a folder that only its owner can enter, unless there is one.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
