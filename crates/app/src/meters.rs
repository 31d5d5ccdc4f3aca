//! Meters: what apps really used, counted in memory and written together, by
//! minute and then by hour (triggers-ops.md §9 and §10).
//!
//! Several servers add to the same records. A server that dies loses the counts
//! of the last seconds.

mod report;
mod used;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bson::{Document, doc};
use kit::Problem;
use state::{HourOfUse, MinutesOfUse, State};

pub use report::{Billed, Series, Span};
pub use used::Area;
use used::{Areas, Used};

use crate::{App, Backstitch, stored};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How long counts wait for others.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// Minutes of one app that wait while they cannot be written.
const WAITING_MINUTES_MAX: usize = 24 * 60;
/// When an hour is summed up: no server counts for it any more.
const SUMMED_AFTER_MS: i64 = 2 * HOUR_MS;
/// How long minutes are kept.
const MINUTES_KEPT_MS: i64 = 10 * DAY_MS;
/// How long hours are kept.
const HOURS_KEPT_MS: i64 = 400 * DAY_MS;
/// Hours that are summed up at once.
const SUMMED_AT_ONCE: u64 = 100;

/// The meters of every app.
pub struct Meters {
    state: State,
    waiting: Mutex<HashMap<String, OfApp>>,
    /// Held while counts are written, so that a reader finds all of them.
    writing: tokio::sync::Mutex<()>,
}

/// The counts of one app that wait to be written, by the minute's beginning.
#[derive(Default)]
struct OfApp {
    project_id: String,
    minutes: BTreeMap<i64, Areas>,
}

impl OfApp {
    fn add(&mut self, minute: i64, areas: &Areas) {
        let known = self.minutes.entry(minute).or_default();
        for (area, used) in areas {
            known.entry(*area).or_default().add(used);
        }
        while self.minutes.len() > WAITING_MINUTES_MAX {
            self.minutes.pop_first();
            tracing::warn!("the oldest minute of an app's counts is lost: they cannot be written");
        }
    }
}

/// Writes counts until the core is gone.
pub(crate) async fn run(core: Weak<Backstitch>) {
    loop {
        tokio::time::sleep(WRITE_EVERY).await;
        let Some(core) = core.upgrade() else { return };
        if let Err(problem) = core.meters.write().await {
            tracing::warn!(%problem, "what apps used could not be written; it waits");
        }
    }
}

impl Meters {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state,
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, OfApp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, app: &App, area: Area, now: i64, change: impl FnOnce(&mut Used)) {
        let minute = now - now.rem_euclid(MINUTE_MS);
        let mut waiting = self.waiting();
        if !waiting.contains_key(&app.id) {
            let of_app = OfApp {
                project_id: app.project_id.clone(),
                minutes: BTreeMap::new(),
            };
            waiting.insert(app.id.clone(), of_app);
        }
        if let Some(of_app) = waiting.get_mut(&app.id) {
            let areas = of_app.minutes.entry(minute).or_default();
            change(areas.entry(area).or_default());
        }
    }

    /// Writes what was counted before.
    ///
    /// # Errors
    /// When the records cannot be reached; the counts wait for another try.
    pub async fn write(&self) -> Result<(), Problem> {
        let _writing = self.writing.lock().await;
        let taken = std::mem::take(&mut *self.waiting());
        let mut failed = None;
        for (app_id, of_app) in taken {
            for (hour, minutes) in by_hour(of_app.minutes) {
                let id = format!("{app_id}/{}", hour / HOUR_MS);
                let mut numbers = Document::new();
                for (minute, areas) in &minutes {
                    let place = format!("minutes.{}", number(minute - hour));
                    used::numbers(areas, &place, &mut numbers);
                }
                let update = doc! {
                    "$setOnInsert": {
                        "app_id": &app_id, "project_id": &of_app.project_id, "hour": hour,
                    },
                    "$set": { "summed": false },
                    "$inc": numbers,
                };
                let written = self.state.usage_minutes.change_or_make(&id, update).await;
                if let Err(error) = written {
                    failed = Some(error);
                    let mut waiting = self.waiting();
                    let again = waiting.entry(app_id.clone()).or_default();
                    again.project_id.clone_from(&of_app.project_id);
                    for (minute, areas) in &minutes {
                        again.add(*minute, areas);
                    }
                }
            }
        }
        failed.map_or(Ok(()), |error| Err(stored(error)))
    }

    /// Sums up hours that are over, and removes what is too old.
    pub(crate) async fn sum_up(&self, now: i64) -> Result<(), Problem> {
        let (hours, minutes) = (&self.state.usage_hours, &self.state.usage_minutes);
        loop {
            let over = doc! { "summed": false, "hour": { "$lt": now - SUMMED_AFTER_MS } };
            let order = doc! { "hour": 1, "_id": 1 };
            let found = minutes.list(over, order, 0, SUMMED_AT_ONCE).await;
            let found = found.map_err(stored)?;
            for hour in &found {
                // Set anew from its minutes: done twice it is the same.
                hours.put(&summed(hour)).await.map_err(stored)?;
                let done = doc! { "$set": { "summed": true } };
                let of = doc! { "_id": &hour.id };
                minutes.change(of, done).await.map_err(stored)?;
            }
            if (found.len() as u64) < SUMMED_AT_ONCE {
                break;
            }
        }
        let old = doc! { "summed": true, "hour": { "$lt": now - MINUTES_KEPT_MS } };
        minutes.delete_all(old).await.map_err(stored)?;
        let old = doc! { "hour": { "$lt": now - HOURS_KEPT_MS } };
        hours.delete_all(old).await.map_err(stored)?;
        Ok(())
    }
}

/// The name of a minute in its hour.
fn number(since_hour: i64) -> String {
    format!("m{}", since_hour / MINUTE_MS)
}

fn by_hour(minutes: BTreeMap<i64, Areas>) -> BTreeMap<i64, Vec<(i64, Areas)>> {
    let mut hours = BTreeMap::<i64, Vec<(i64, Areas)>>::new();
    for (minute, areas) in minutes {
        let hour = minute - minute.rem_euclid(HOUR_MS);
        hours.entry(hour).or_default().push((minute, areas));
    }
    hours
}

fn summed(hour: &MinutesOfUse) -> HourOfUse {
    let mut all = Areas::new();
    for minute in hour.minutes.values().filter_map(bson::Bson::as_document) {
        used::add(&mut all, &used::read(minute));
    }
    HourOfUse {
        id: hour.id.clone(),
        app_id: hour.app_id.clone(),
        project_id: hour.project_id.clone(),
        hour: hour.hour,
        used: used::document(&all),
    }
}

impl App {
    fn metered(&self, area: Area, change: impl FnOnce(&mut Used)) {
        let now = self.core.clock.now_ms();
        self.core.meters.count(self, area, now, change);
    }

    /// Counts an answered request: whether it failed, bytes of the answer, and
    /// how long it took.
    pub fn count_request(&self, area: Area, failed: bool, bytes: u64, time: Duration) {
        self.metered(area, |used| {
            used.request(failed, time);
            used.out_bytes += bytes;
            // There is no other work in a request to the data service.
            if area == Area::Mql {
                used.compute_us += time.as_micros() as u64;
            }
        });
    }

    /// Counts bytes of an answer that goes on.
    pub fn count_sent(&self, area: Area, bytes: u64) {
        self.metered(area, |used| used.out_bytes += bytes);
    }

    /// Counts the work of a function.
    pub(crate) fn count_work(&self, area: Area, time_us: u64, memory_bytes: u64) {
        self.metered(area, |used| {
            used.compute_us += time_us;
            used.memory_byte_ms += memory_bytes.saturating_mul(time_us) / 1000;
        });
    }

    /// Counts a login.
    pub(crate) fn count_login(&self) {
        self.metered(Area::Auth, |used| used.logins += 1);
    }

    /// Counts users who came, or went.
    pub(crate) fn count_users(&self, change: i64) {
        self.metered(Area::Auth, |used| used.users += change);
    }
}

#[cfg(test)]
mod tests;
