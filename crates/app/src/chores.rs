//! What has to be done from time to time, by one server of those that share
//! their records: old log entries, old records of changes, sessions that have
//! run out, anonymous users who were not seen for long and bytes that nothing
//! refers to are removed, and what apps used is summed up.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bson::doc;
use kit::{Problem, limit};
use state::leases::Candidate;

use crate::{Backstitch, RequestInfo, new_id, stored};

/// How often to look whether something is due, beginning after this time.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often it is.
const DUE_EVERY_MS: i64 = 3_600_000;
/// How long a server that does it may be silent: longer than it takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Users that are looked at together.
const USERS_AT_ONCE: u64 = 500;

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
    async fn do_chores(self: &Arc<Self>, candidate: &mut Candidate) -> Result<bool, Problem> {
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
            let sessions = self.state.sessions.delete_all(over.clone()).await;
            sessions.map_err(stored)?;
            let spent = self.state.spent_flows.delete_all(over).await;
            spent.map_err(stored)?;
            let counted = doc! { "since": { "$lte": now - DUE_EVERY_MS } };
            let counts = &self.state.mail_counts;
            counts.delete_all(counted).await.map_err(stored)?;
            let begun = doc! { "created": { "$lte": now - limit::REFRESH_TOKEN_S * 1000 } };
            let sessions = &self.state.admin_sessions;
            sessions.delete_all(begun).await.map_err(stored)?;
            self.remove_unseen_users(now).await?;
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

    /// Removes the anonymous users of every app whom nobody has seen for as long
    /// as the app says.
    async fn remove_unseen_users(self: &Arc<Self>, now: i64) -> Result<(), Problem> {
        let apps = &self.state.apps;
        let apps = apps.list(doc! {}, doc! { "_id": 1 }, 0, 0).await;
        for record in apps.map_err(stored)? {
            let days = record.settings.anonymous_days;
            let days = days.unwrap_or(limit::ANONYMOUS_USER_DAYS);
            if days > 0 {
                let before = now - days * 24 * 3_600_000;
                self.remove_unseen_users_of(&record.id, before).await?;
            }
        }
        Ok(())
    }

    async fn remove_unseen_users_of(
        self: &Arc<Self>,
        app_id: &str,
        before: i64,
    ) -> Result<(), Problem> {
        let other = doc! { "$elemMatch": { "provider_type": { "$ne": "anon-user" } } };
        let unseen = doc! {
            "app_id": app_id, "identities.provider_type": "anon-user",
            "last_seen": { "$lte": before }, "identities": { "$not": other },
        };
        let request = RequestInfo::default();
        loop {
            let users = &self.state.users;
            let some = users.list(unseen.clone(), doc! { "_id": 1 }, 0, USERS_AT_ONCE);
            let some = some.await.map_err(stored)?;
            if some.is_empty() {
                return Ok(());
            }
            let app = self.app(app_id).await?;
            for user in &some {
                // Whom somebody sees in this moment stays.
                app.delete_user_if(&user.id, unseen.clone(), &request)
                    .await?;
            }
        }
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
    use state::{AdminSession, LogChunk, MasterKey, Session, SpentFlow};

    use super::DUE_EVERY_MS;
    use crate::administrators::Administrator;
    use crate::audit::{AuditQuery, Changing};
    use crate::{Backstitch, RequestInfo, Settings};

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
            mail: crate::mail::MailSettings::default(),
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
            let mut chunk = LogChunk::pack(id.to_owned(), "a".to_owned(), &[]).unwrap();
            (chunk.from, chunk.to) = (at, at);
            one.state.logs.insert(&chunk).await.unwrap();
        }
        for (id, expires) in [("over", NOW_MS), ("good", NOW_MS + 1)] {
            let session = Session {
                id: id.to_owned(),
                app_id: "a".to_owned(),
                user_id: "u".to_owned(),
                device_id: String::new(),
                provider_type: "anon-user".to_owned(),
                identity_id: String::new(),
                created: 0,
                expires,
                revoked: false,
            };
            one.state.sessions.insert(&session).await.unwrap();
            let spent = SpentFlow {
                id: id.to_owned(),
                app_id: "a".to_owned(),
                expires,
            };
            one.state.spent_flows.insert(&spent).await.unwrap();
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
        assert_eq!(one.state.spent_flows.count(doc! {}).await.unwrap(), 1);
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

    const DAY_MS: i64 = 24 * 3_600_000;

    #[tokio::test]
    async fn an_anonymous_user_whom_nobody_sees_for_long_is_removed() {
        let clock = Arc::new(FakeClock::at(NOW_MS));
        let engine: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
        let core = core(&engine, &clock).await;
        let author = crate::Author {
            user_id: "u".to_owned(),
            origin: "API".to_owned(),
        };
        let files = config::Files::from_fixture(
            r#"
//- /realm_config.json
{ "config_version": 20210101, "name": "a" }
//- /auth/providers.json
{ "anon-user": { "name": "anon-user", "type": "anon-user", "disabled": false },
  "local-userpass": { "name": "local-userpass", "type": "local-userpass",
    "config": { "autoConfirm": true }, "disabled": false } }
"#,
        );
        let new = crate::NewApp {
            name: "a".to_owned(),
            config: config::parse(&files).0,
            ..crate::NewApp::default()
        };
        let app = core.create_app("p", new, &author).await.unwrap();
        let mut events = app.auth_events();
        let (device, request) = (crate::users::Device::default, RequestInfo::default());
        let login = async || {
            let login = app.login("anon-user", &doc! {}, device(), &request).await;
            login.unwrap()
        };
        let account = doc! { "username": "a@x", "password": "secret123" };
        let (unseen, seen, linked) = (login().await, login().await, login().await);
        app.register("a@x", "secret123", &request).await.unwrap();
        let token = &linked.access_token;
        let link = app.link(token, "local-userpass", &account, device(), &request);
        link.await.unwrap();
        let mut chores = core.chores();
        let left = async || {
            let users = app.list_users(&crate::users::UserQuery::default()).await;
            users
                .unwrap()
                .into_iter()
                .map(|user| user.id)
                .collect::<Vec<_>>()
        };
        clock.advance_ms(89 * DAY_MS);
        app.refresh(&seen.refresh_token).await.unwrap();
        assert!(core.do_chores(&mut chores).await.unwrap());
        assert_eq!(left().await.len(), 3);
        while events.try_recv().is_ok() {}
        clock.advance_ms(DAY_MS);
        assert!(core.do_chores(&mut chores).await.unwrap());
        assert_eq!(left().await, [seen.user_id.as_str(), &linked.user_id]);
        assert!(app.refresh(&unseen.refresh_token).await.is_err());
        let told = events.try_recv().unwrap();
        assert_eq!(told.kind, crate::users::AuthEventKind::Delete);
        assert_eq!(
            (told.user.id.as_str(), &*told.providers),
            (&*unseen.user_id, &["anon-user".to_owned()][..])
        );
        assert!(events.try_recv().is_err());
        // As long as the app says.
        app.set_anonymous_user_days(0).await.unwrap();
        clock.advance_ms(1000 * DAY_MS);
        assert!(core.do_chores(&mut chores).await.unwrap());
        assert_eq!(left().await.len(), 2);
        app.set_anonymous_user_days(1001 + 89).await.unwrap();
        assert!(app.set_anonymous_user_days(-1).await.is_err());
        clock.advance_ms(DUE_EVERY_MS);
        assert!(core.do_chores(&mut chores).await.unwrap());
        assert_eq!(left().await.len(), 2);
        app.set_anonymous_user_days(1000).await.unwrap();
        clock.advance_ms(DUE_EVERY_MS);
        assert!(core.do_chores(&mut chores).await.unwrap());
        assert_eq!(left().await, [linked.user_id.as_str()]);
    }
}
