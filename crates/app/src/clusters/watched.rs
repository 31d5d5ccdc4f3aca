//! A deployment that may go away and come back: while it is away, nobody waits
//! for it for as long as for one that is only slow.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bson::RawDocument;
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};

/// How long a deployment may take to say that it is well, and how long a
/// command may take while it is away. It is tried all the same: a secondary may
/// be there for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a deployment may be away before nobody waits for it any more: an
/// election of another primary takes less.
const ELECTION: Duration = Duration::from_secs(15);
/// How often a deployment that is away is asked.
const ASK_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Watched {
    name: String,
    engine: SharedEngine,
    patience: Duration,
    election: Duration,
    away: Arc<Mutex<Away>>,
}

#[derive(Default)]
struct Away {
    /// Why and since when, while it is.
    because: Option<(CommandError, Instant)>,
    /// Whether somebody is finding out.
    asking: bool,
}

impl Watched {
    pub(crate) fn new(name: &str, engine: SharedEngine) -> Self {
        Self {
            name: name.to_owned(),
            engine,
            patience: PATIENCE,
            election: ELECTION,
            away: Arc::default(),
        }
    }

    pub(crate) fn is(&self, engine: &SharedEngine) -> bool {
        Arc::ptr_eq(&self.engine, engine)
    }

    /// Time of one round trip.
    pub(crate) async fn health(&self) -> Result<Duration, CommandError> {
        let start = Instant::now();
        let asked = ask(&self.engine, self.patience).await;
        if asked.is_err() {
            self.suspect();
        }
        asked.map(|()| start.elapsed())
    }

    async fn patiently<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        let mut work = std::pin::pin!(work);
        let result = loop {
            match tokio::time::timeout(self.patience, &mut work).await {
                Ok(result) => break result,
                Err(_) => match self.gone() {
                    Some(because) => break Err(because),
                    // It may only be slow.
                    None => self.suspect(),
                },
            }
        };
        if let Err(error) = &result
            && error.is_unreachable()
        {
            self.suspect();
        }
        result
    }

    /// Why the deployment is away, if it has been for long.
    fn gone(&self) -> Option<CommandError> {
        let away = lock(&self.away);
        let (because, since) = away.because.as_ref()?;
        (since.elapsed() >= self.election).then(|| because.clone())
    }

    /// Finds out whether the deployment is away, and when it is back. A command
    /// may have failed for a reason of its own, such as tags that no server has.
    fn suspect(&self) {
        if std::mem::replace(&mut lock(&self.away).asking, true) {
            return;
        }
        let (name, away) = (self.name.clone(), Arc::downgrade(&self.away));
        let patience = self.patience;
        tokio::spawn(find_out(name, self.engine.clone(), patience, away));
    }
}

async fn find_out(name: String, engine: SharedEngine, patience: Duration, away: Weak<Mutex<Away>>) {
    loop {
        let asked = ask(&engine, patience).await;
        let Some(away) = away.upgrade() else { return };
        {
            let mut away = lock(&away);
            match asked {
                Ok(()) => {
                    if away.because.take().is_some() {
                        tracing::info!("the cluster {name} answers again");
                    }
                    away.asking = false;
                    return;
                }
                Err(error) => {
                    if away.because.is_none() {
                        tracing::warn!("the cluster {name} does not answer: {error}");
                    }
                    let since = away.because.take().map(|(_, since)| since);
                    away.because = Some((error, since.unwrap_or_else(Instant::now)));
                }
            }
        }
        drop(away);
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn ask(engine: &SharedEngine, patience: Duration) -> Result<(), CommandError> {
    let answer = tokio::time::timeout(patience, engine.health()).await;
    let late = || {
        let message = format!("no answer within {patience:?}");
        Err(CommandError::new(89, message))
    };
    answer.unwrap_or_else(|_| late())
}

fn lock(away: &Mutex<Away>) -> std::sync::MutexGuard<'_, Away> {
    away.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine for Watched {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        Box::pin(self.patiently(self.engine.command(database, command)))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<SharedEngine>, CommandError>> {
        Box::pin(self.patiently(self.engine.snapshot()))
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        Box::pin(self.patiently(self.engine.watch(request)))
    }

    fn health(&self) -> BoxFuture<'_, Result<(), CommandError>> {
        Box::pin(async { Self::health(self).await.map(drop) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use bson::{RawDocument, rawdoc};
    use engine::{Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, WatchRequest};
    use tokio::sync::Notify;

    use super::{Watched, lock};

    /// Answers, or waits until it gives up.
    #[derive(Default)]
    struct Distant {
        away: AtomicBool,
        /// Only pings are answered.
        choosy: AtomicBool,
        gives_up: Notify,
    }

    impl Engine for Distant {
        fn capabilities(&self) -> Capabilities {
            Capabilities {
                name: "distant",
                transactions: false,
                change_feeds: false,
            }
        }

        fn command<'a>(&'a self, _: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
            let ping = command.get("ping").is_ok_and(|ping| ping.is_some());
            Box::pin(async move {
                let away = self.away.load(Ordering::SeqCst);
                if away || self.choosy.load(Ordering::SeqCst) && !ping {
                    self.gives_up.notified().await;
                    return Err(CommandError::new(133, "nobody is there"));
                }
                Ok(rawdoc! { "ok": 1 })
            })
        }

        fn watch(
            &self,
            _: WatchRequest,
        ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
            Box::pin(async { Err(CommandError::new(133, "nobody is there")) })
        }
    }

    /// The code of a command's error, 0 without one; nothing while it waits.
    async fn outcome(watched: &Watched) -> Option<i32> {
        let find = rawdoc! { "find": "c" };
        let answer = watched.command("d", &find);
        let answer = tokio::time::timeout(Duration::from_millis(300), answer).await;
        answer
            .ok()
            .map(|answer| answer.map_or_else(|error| error.code, |_| 0))
    }

    async fn until(what: impl Fn() -> bool) {
        let all = async {
            while !what() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all)
            .await
            .expect("it comes about");
    }

    #[tokio::test]
    async fn nobody_waits_long_for_what_is_away_and_it_comes_back_by_itself() {
        let distant = Arc::new(Distant::default());
        let mut watched = Watched::new("c", distant.clone());
        watched.patience = Duration::from_millis(20);
        let is_away = |watched: &Watched| lock(&watched.away).because.is_some();
        assert_eq!(outcome(&watched).await, Some(0));
        distant.away.store(true, Ordering::SeqCst);
        assert_eq!(outcome(&watched).await, None, "it may be an election");
        until(|| is_away(&watched)).await;
        distant.gives_up.notify_waiters();
        watched.election = Duration::ZERO;
        assert_eq!(outcome(&watched).await, Some(89));
        assert_eq!(watched.health().await.unwrap_err().code, 89);
        distant.away.store(false, Ordering::SeqCst);
        assert_eq!(outcome(&watched).await, Some(0));
        until(|| !is_away(&watched)).await;
        // What fails for a reason of its own does not make the rest impatient.
        distant.choosy.store(true, Ordering::SeqCst);
        distant.gives_up.notify_one();
        assert_eq!(outcome(&watched).await, Some(133));
        until(|| !lock(&watched.away).asking).await;
        assert_eq!(outcome(&watched).await, None);
    }
}
