//! Servers that share their records: what another one changes is taken over
//! here, so that no cache says what is no longer so.
//!
//! What is kept in memory of the records: live releases, which npm packages are
//! installed, secrets' values, users of verified access tokens, open change
//! streams. A change stream on the
//! records tells what to forget. Whenever one is opened, and twice a second
//! where there are none, [`Backstitch::catch_up`] brings everything up to date,
//! so that nothing has to be remembered of a stream that broke.

use std::sync::Weak;
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{RawDocument, rawdoc};
use engine::{ChangeFeed, SharedEngine, WatchRequest};
use kit::Problem;

use crate::Backstitch;

/// How often the records are looked at where they have no change stream, and
/// how long until another try to open one.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often it is asked whether the records are still there: a stream of a
/// frozen server is only silent.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Follows until the core is gone.
pub(crate) async fn follow(core: Weak<Backstitch>, engine: SharedEngine, database: String) {
    loop {
        let feed = open(&engine, &database).await;
        {
            let Some(core) = core.upgrade() else { return };
            // After the opening: nothing falls in between.
            if let Err(problem) = core.catch_up().await {
                tracing::warn!(%problem, "the records could not be followed");
            }
        }
        match feed {
            Some(feed) => read(&core, &engine, feed).await,
            None => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

async fn open(engine: &SharedEngine, database: &str) -> Option<Box<dyn ChangeFeed>> {
    if !engine.capabilities().change_feeds {
        return None;
    }
    let known = rawdoc! {
        "ns.coll": { "$in": ["apps", "secrets", "users", "sessions"] },
        "operationType": { "$in": ["update", "replace", "delete"] },
    };
    // That there are none is known, too.
    let packages = rawdoc! {
        "ns.coll": "dependencies",
        "operationType": { "$in": ["insert", "update", "replace", "delete"] },
    };
    let changes = rawdoc! { "$match": { "$or": [known, packages] } };
    let request = WatchRequest {
        database: Some(database.to_owned()),
        pipeline: vec![changes],
        ..WatchRequest::default()
    };
    match engine.watch(request).await {
        Ok(feed) => Some(feed),
        Err(error) => {
            tracing::warn!("no change stream of the records: {error}");
            None
        }
    }
}

async fn read(core: &Weak<Backstitch>, engine: &SharedEngine, mut feed: Box<dyn ChangeFeed>) {
    let mut check = tokio::time::interval(CHECK_EVERY);
    loop {
        let event = tokio::select! {
            event = feed.next() => event,
            _ = check.tick() => match engine.health().await {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
        };
        let Some(core) = core.upgrade() else { return };
        match event {
            Ok(event) => core.take_over(&event),
            Err(error) => {
                tracing::warn!("the change stream of the records broke: {error}");
                // What is kept may be wrong from here on.
                core.forget_all();
                return;
            }
        }
    }
}

impl Backstitch {
    /// Forgets whatever is quickly read again.
    fn forget_all(&self) {
        for app in self.kept_apps() {
            app.tokens.forget_all();
            app.forget_secrets();
        }
    }

    /// Brings everything that is kept in memory up to date.
    async fn catch_up(&self) -> Result<(), Problem> {
        self.forget_all();
        for app in self.kept_apps() {
            app.catch_up().await?;
            app.end_stale_streams().await?;
        }
        Ok(())
    }

    /// Acts on a change of a record.
    fn take_over(&self, event: &RawDocument) {
        let text = |document: &RawDocument, name: &str| {
            document.get_str(name).unwrap_or_default().to_owned()
        };
        let (Ok(namespace), Ok(key)) =
            (event.get_document("ns"), event.get_document("documentKey"))
        else {
            return;
        };
        let (table, id) = (text(namespace, "coll"), text(key, "_id"));
        let gone = text(event, "operationType") == "delete";
        match table.as_str() {
            "apps" => {
                if let Some(app) = self.kept_apps().into_iter().find(|app| app.id == id) {
                    // It may have to be compiled; others do not wait for it.
                    tokio::spawn(async move {
                        if let Err(problem) = app.catch_up().await {
                            let app = &app.client_app_id;
                            tracing::error!(app, %problem, "a deployment was not taken over");
                        }
                    });
                }
            }
            "dependencies" => {
                if let Some(app) = self.kept_apps().into_iter().find(|app| app.id == id) {
                    tokio::spawn(async move {
                        if let Err(problem) = app.refresh_packages().await {
                            let app = &app.client_app_id;
                            tracing::error!(app, %problem, "packages were not taken over");
                        }
                    });
                }
            }
            "secrets" => self.kept_apps().iter().for_each(|app| app.forget_secrets()),
            "users" if !is_login(event) => {
                let ends = gone || is_disabled(event);
                for app in self.kept_apps() {
                    app.tokens.forget(&id);
                    if ends {
                        app.streams.end(&id, None);
                    }
                }
            }
            "sessions" if !gone => {
                for app in self.kept_apps() {
                    app.tokens.forget_renewal(&id);
                }
            }
            "sessions" => {
                for app in self.kept_apps() {
                    app.tokens.forget_session(&id);
                    app.streams.end_session(&id);
                }
            }
            _ => {}
        }
    }
}

fn updated(event: &RawDocument) -> Option<&RawDocument> {
    let description = event.get_document("updateDescription").ok()?;
    description.get_document("updatedFields").ok()
}

/// Whether only the times changed at which the user came.
fn is_login(event: &RawDocument) -> bool {
    let mut names = updated(event).into_iter().flatten().flatten().peekable();
    names.peek().is_some() && names.all(|(name, _)| name == "last_login" || name == "last_seen")
}

fn is_disabled(event: &RawDocument) -> bool {
    let disabled = updated(event).and_then(|fields| fields.get("disabled").ok().flatten());
    matches!(disabled, Some(RawBsonRef::Boolean(true)))
}
