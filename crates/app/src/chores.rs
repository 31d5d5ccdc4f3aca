//! What has to be done from time to time, by one server of those that share
//! their records: old log entries, old records of changes, sessions that have
//! run out and bytes that nothing refers to are removed, and what apps used is
//! summed up.

use std::sync::Weak;
use std::time::{Duration, Instant};

use bson::doc;
use kit::{Problem, limit};
use state::leases::Candidate;

use crate::{Backstitch, new_id, stored};

/// How often to look whether something is due, beginning after this time.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often it is.
const DUE_EVERY_MS: i64 = 3_600_000;
/// How long a server that does it may be silent: longer than it takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a body stays that nothing refers to: who reads it may go on, and
/// who wrote it may say what it is.
const LOOSE_MS: i64 = 3_600_000;
/// Bodies that are looked at together.
const BODIES_AT_ONCE: u64 = 500;

/// Does what is due until the core is gone.
pub(crate) async fn run(core: Weak<Backstitch>) {
    let mut candidate = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(core) = core.upgrade() else { return };
        let candidate = candidate.get_or_insert_with(|| core.chores());
        if let Err(problem) = core.do_chores(candidate).await {
            tracing::warn!(%problem, "old records could not be removed");
        }
    }
}

impl Backstitch {
    fn chores(&self) -> Candidate {
        Candidate::new(&self.state.leases, "chores", &new_id(), PATIENCE)
    }

    /// True when this server did them.
    async fn do_chores(&self, candidate: &mut Candidate) -> Result<bool, Problem> {
        let now = self.clock.now_ms();
        let due = |kept: &bson::Document| {
            let done = kept.get_i64("done").unwrap_or_default();
            // A time to come is one of a clock that was wrong.
            !(0..DUE_EVERY_MS).contains(&(now - done))
        };
        if !due(&candidate.kept().await.map_err(stored)?) {
            return Ok(false);
        }
        let Some(held) = candidate.take(Instant::now()).await.map_err(stored)? else {
            return Ok(false);
        };
        let does = due(&held.kept);
        if does {
            self.logbook.trim(now).await?;
            self.meters.sum_up(now).await?;
            let over = doc! { "expires": { "$lte": now } };
            self.state.sessions.delete_all(over).await.map_err(stored)?;
            let begun = doc! { "created": { "$lte": now - limit::REFRESH_TOKEN_S * 1000 } };
            let sessions = &self.state.admin_sessions;
            sessions.delete_all(begun).await.map_err(stored)?;
            self.trim_changes(now).await?;
            self.settle_changes(false).await?;
            self.tidy_bodies(now).await?;
            let done = held.keep(doc! { "done": now }).await.map_err(stored)?;
            if !done {
                tracing::warn!("another server took over the removal of old records");
            }
        }
        held.release().await.map_err(stored)?;
        Ok(does)
    }

    /// Removes the bytes that nothing has referred to for an hour, as of a time.
    pub async fn tidy_bodies(&self, now: i64) -> Result<(), Problem> {
        let bodies = &self.state.bodies;
        loop {
            let loose = bodies.loose_before(now - LOOSE_MS, BODIES_AT_ONCE).await;
            let loose = loose.map_err(stored)?;
            for body in &loose {
                let done = if self.refers_to(&body.id).await? {
                    bodies.bind(&body.id).await
                } else {
                    bodies.remove(&body.id).await
                };
                done.map_err(stored)?;
            }
            if (loose.len() as u64) < BODIES_AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn refers_to(&self, body: &str) -> Result<bool, Problem> {
        let assets = self.state.assets.count(doc! { "body": body }).await;
        let draft = self.state.drafts.count(doc! { "_id": body }).await;
        let packages = self.state.dependencies.count(doc! { "body": body }).await;
        let counted = [assets, draft, packages];
        for count in counted {
            if count.map_err(stored)? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use bson::doc;
    use engine::SharedEngine;
    use engine_embedded::Embedded;
    use kit::clock::FakeClock;
    use state::{AdminSession, LogChunk, MasterKey, Session};

    use super::DUE_EVERY_MS;
    use crate::administrators::Administrator;
    use crate::audit::{AuditQuery, Changing};
    use crate::{Backstitch, Settings};

    const NOW_MS: i64 = 1_700_000_000_000;

    const CHANGE: Changing<'_> = Changing {
        request_id: "r",
        operation: "o",
        project_id: "",
        app_id: "",
        resource: "/",
        origin: "API",
        address: "",
    };

    async fn core(engine: &SharedEngine, clock: &Arc<FakeClock>) -> Arc<Backstitch> {
        Backstitch::open(Settings {
            engine: engine.clone(),
            clusters: HashMap::new(),
            state: None,
            master_key: MasterKey::from_text("test"),
            workers: js::PoolSettings::new("/nonexistent", [""; 0]),
            limits: js::Limits::default(),
            clock: clock.clone(),
            cheap_passwords: true,
            npm_registry: None,
            outbound: crate::Outbound::default(),
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn one_of_two_servers_removes_what_is_old_once_an_hour() {
        let clock = Arc::new(FakeClock::at(NOW_MS));
        let engine: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
        let (one, two) = (core(&engine, &clock).await, core(&engine, &clock).await);
        for (id, age_days) in [("old", 11), ("young", 9)] {
            let at = NOW_MS - age_days * 24 * 3_600_000;
            let chunk = LogChunk {
                id: id.to_owned(),
                app_id: "a".to_owned(),
                from: at,
                to: at,
                entries: Vec::new(),
            };
            one.state.logs.insert(&chunk).await.unwrap();
        }
        for (id, expires) in [("over", NOW_MS), ("good", NOW_MS + 1)] {
            let session = Session {
                id: id.to_owned(),
                app_id: "a".to_owned(),
                user_id: "u".to_owned(),
                device_id: String::new(),
                provider_type: "anon-user".to_owned(),
                created: 0,
                expires,
                revoked: false,
            };
            one.state.sessions.insert(&session).await.unwrap();
        }
        for (id, age_days) in [("old", 61), ("young", 59)] {
            let session = AdminSession {
                id: id.to_owned(),
                key_id: "k".to_owned(),
                created: NOW_MS - age_days * 24 * 3_600_000,
            };
            one.state.admin_sessions.insert(&session).await.unwrap();
        }
        let by = Administrator {
            id: "k".to_owned(),
            name: "k".to_owned(),
            provider: "mongodb-cloud",
            roles: Vec::new(),
            operator: true,
        };
        clock.advance_ms(-366 * 24 * 3_600_000);
        one.record_change(&by, CHANGE).await.unwrap();
        clock.advance_ms(366 * 24 * 3_600_000);
        let young = one.record_change(&by, CHANGE).await.unwrap();
        let (mut first, mut second) = (one.chores(), two.chores());
        let (did, too) = tokio::join!(one.do_chores(&mut first), two.do_chores(&mut second));
        assert!(did.unwrap() != too.unwrap());
        assert!(one.state.logs.get("old").await.unwrap().is_none());
        assert!(one.state.logs.get("young").await.unwrap().is_some());
        assert_eq!(one.state.sessions.count(doc! {}).await.unwrap(), 1);
        assert!(one.state.sessions.get("good").await.unwrap().is_some());
        let begun = one.state.admin_sessions.list(doc! {}, doc! {}, 0, 0).await;
        let begun: Vec<String> = begun.unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(begun, ["young"]);
        let kept = one.changes(&AuditQuery::default()).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].id, young);

        clock.advance_ms(DUE_EVERY_MS - 1);
        assert!(!two.do_chores(&mut second).await.unwrap());
        clock.advance_ms(1);
        assert!(two.do_chores(&mut second).await.unwrap());
        // A clock that was set back does not stop it for long.
        clock.advance_ms(-10 * DUE_EVERY_MS);
        assert!(one.do_chores(&mut first).await.unwrap());
    }
}
