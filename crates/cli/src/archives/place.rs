//! Where the data is: in a folder, on a running server, on a MongoDB
//! deployment.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use engine::SharedEngine;
use engine_embedded::Embedded;
use engine_mongo::Mongo;
use kit::SystemClock;

use super::Failed;
use super::remote::Server;

/// Where the data is.
#[derive(Args)]
pub(crate) struct Place {
    /// The server's folder; a server that runs in it is asked for its data
    #[arg(long, env = "BACKSTITCH_DATA_DIR", default_value = ".backstitch")]
    data_dir: PathBuf,
    /// A running server, instead of a folder; needs the operator's keys
    #[arg(long, conflicts_with = "uri")]
    server: Option<String>,
    /// A MongoDB deployment (mongodb:// or mongodb+srv://), instead of a folder
    #[arg(long)]
    uri: Option<String>,
    /// Which of a running server's clusters (default: the one of every other name)
    #[arg(long, conflicts_with = "uri")]
    cluster: Option<String>,
    /// The operator's public key
    #[arg(
        long,
        env = "BACKSTITCH_ADMIN_PUBLIC_KEY",
        requires = "admin_private_key"
    )]
    admin_public_key: Option<String>,
    /// The operator's private key
    #[arg(long, env = "BACKSTITCH_ADMIN_PRIVATE_KEY", hide_env_values = true)]
    admin_private_key: Option<String>,
}

/// What was found there.
pub(crate) enum Reached {
    /// Data that nobody else uses, or a deployment.
    Engine(SharedEngine),
    /// A running server.
    Server(Server),
}

impl Place {
    /// Opens it, or logs in there.
    pub(crate) async fn reach(&self) -> Result<Reached, Failed> {
        if let Some(uri) = &self.uri {
            let settings = engine_mongo::Settings::new(uri.clone());
            return Ok(Reached::Engine(Arc::new(Mongo::connect(settings).await?)));
        }
        let kept = server::kept(&self.data_dir);
        if let Some(url) = &self.server {
            return self.log_in(url, kept);
        }
        match Embedded::open(&self.data_dir, Arc::new(SystemClock)) {
            Ok(_) if self.cluster.is_some() => {
                let text = "no server runs here, and a folder knows no clusters; name a \
                            deployment with --uri";
                Err(text.into())
            }
            Ok(engine) => Ok(Reached::Engine(Arc::new(engine))),
            Err(error) if error.code == engine_embedded::IN_USE => match &kept.url {
                Some(url) => self.log_in(&url.clone(), kept),
                None => Err(format!("{error}; name the server with --server").into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn log_in(&self, url: &str, kept: server::Kept) -> Result<Reached, Failed> {
        let keys = match (&self.admin_public_key, &self.admin_private_key) {
            (Some(public), Some(private)) => Some((public.clone(), private.clone())),
            _ => kept.keys.map(|pair| {
                let private = pair.private_key.expose().clone();
                (pair.public_key, private)
            }),
        };
        let Some((public, private)) = keys else {
            return Err(format!(
                "{url}: give the operator's keys, --admin-public-key and --admin-private-key"
            )
            .into());
        };
        let cluster = self.cluster.clone();
        let server = Server::log_in(url, (&public, &private), cluster)?;
        Ok(Reached::Server(server))
    }
}
