//! Power loss at every sync of a mixed load. Long: with
//! `BACKSTITCH_TEST_POWER_LOSS=10000`, that many images.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc};
use engine::{Collection, CommandError, Session, SharedEngine};
use engine_embedded::{Durability, Options, doctor_on};

use super::disk::{Random, TestDisk, image};
use super::model::{DATABASE, Effect, Model, apply, is_allowed, mark, replay, run, stored};
use super::{open, open_with, options};

/// Images in the normal suite.
const IMAGES: u64 = 400;
/// Images at each sync.
const IMAGES_PER_SYNC: u64 = 3;
/// Commands on one disk.
const COMMANDS: u64 = 50;

/// What acknowledged commands made, each state with the commands that were under
/// way in it. Only the last, but where acknowledged commands may be lost.
#[derive(Clone)]
struct Ledger(Vec<(Model, Vec<Vec<Effect>>)>);

impl Ledger {
    fn now(&mut self) -> &mut (Model, Vec<Vec<Effect>>) {
        self.0.last_mut().expect("a state")
    }

    fn allows(&self, found: &Model) -> bool {
        let mut states = self.0.iter();
        states.any(|(model, under_way)| is_allowed(found, model, under_way))
    }
}

struct Image {
    bytes: Vec<u8>,
    ledger: Ledger,
    /// Where the change log is told from.
    token: RawDocumentBuf,
    seed: u64,
}

/// A load on a disk, and the model that goes with it.
struct Load {
    engine: SharedEngine,
    ledger: Arc<Mutex<Ledger>>,
    random: Random,
    next: i64,
    /// Whether acknowledged commands may be lost.
    relaxed: bool,
}

impl Load {
    fn collection(&self, name: &str) -> Collection {
        Collection::new(&self.engine, DATABASE, name)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, under_way: Vec<Vec<Effect>>) {
        self.ledger().now().1 = under_way;
    }

    fn acknowledge(&self) {
        let mut ledger = self.ledger();
        let (mut model, under_way) = ledger.now().clone();
        for effects in under_way {
            apply(&mut model, &effects);
        }
        if !self.relaxed {
            ledger.0.clear();
        }
        ledger.0.push((model, Vec::new()));
    }

    fn document(&mut self) -> Document {
        self.next += 1;
        let size = self.random.below(2000) as usize;
        doc! { "_id": self.next, "k": self.next * 2, "n": 0, "l": [self.next], "s": "x".repeat(size) }
    }

    /// A document of a collection, changed as [`update`] does it.
    fn updated(&mut self, model: &Model, collection: &str) -> Option<(i64, Document)> {
        let documents = &model.get(collection)?.documents;
        let at = self.random.below(documents.len() as u64) as usize;
        let (id, document) = documents.iter().nth(at)?;
        let mut document = document.clone();
        let n = document.get_i32("n").expect("n");
        document.insert("n", n + 1);
        document
            .get_array_mut("l")
            .expect("l")
            .push((-1_i32).into());
        Some((*id, document))
    }

    async fn command(&mut self) -> Result<(), CommandError> {
        let model = self.ledger().now().0.clone();
        let choice = self.random.below(100);
        let (a, b) = (self.collection("a"), self.collection("b"));
        match choice {
            0..25 => {
                let document = self.document();
                self.begin(vec![vec![Effect::Set("a".to_owned(), document.clone())]]);
                a.insert_one(&raw(&document)).await?;
            }
            25..35 => {
                let documents: Vec<Document> = (0..3).map(|_| self.document()).collect();
                let effects = documents
                    .iter()
                    .map(|d| Effect::Set("b".to_owned(), d.clone()));
                self.begin(vec![effects.collect()]);
                let documents: Vec<RawDocumentBuf> = documents.iter().map(raw).collect();
                b.insert_many(&documents).await?;
            }
            35..50 => {
                if let Some((id, document)) = self.updated(&model, "a") {
                    self.begin(vec![vec![Effect::Set("a".to_owned(), document)]]);
                    update(&a, id).await?;
                }
            }
            50..58 => {
                if let Some((id, _)) = self.updated(&model, "a") {
                    self.begin(vec![vec![Effect::Remove("a".to_owned(), id)]]);
                    a.delete(doc! { "_id": id }, false).await?;
                }
            }
            58..75 => self.transaction(&model, &a, &b).await?,
            75..88 => self.together(&model, &a, &b).await?,
            88..94 => {
                let there = model["a"].indexes.contains("k");
                let effect = Effect::Index("a".to_owned(), "k".to_owned(), !there);
                self.begin(vec![vec![effect]]);
                let command = if there {
                    doc! { "dropIndexes": "a", "index": "k" }
                } else {
                    let index = doc! { "key": { "k": 1 }, "name": "k", "unique": true };
                    doc! { "createIndexes": "a", "indexes": [index] }
                };
                run(&self.engine, command).await?;
            }
            _ if model.contains_key("c") => {
                self.begin(vec![vec![Effect::Drop("c".to_owned())]]);
                run(&self.engine, doc! { "drop": "c" }).await?;
            }
            _ => {
                self.begin(vec![vec![Effect::Create("c".to_owned())]]);
                run(&self.engine, doc! { "create": "c" }).await?;
                self.acknowledge();
                let documents: Vec<Document> = (0..5).map(|_| self.document()).collect();
                let effects = documents
                    .iter()
                    .map(|d| Effect::Set("c".to_owned(), d.clone()));
                self.begin(vec![effects.collect()]);
                let documents: Vec<RawDocumentBuf> = documents.iter().map(raw).collect();
                self.collection("c").insert_many(&documents).await?;
            }
        }
        self.acknowledge();
        Ok(())
    }

    /// A transaction over two collections.
    async fn transaction(
        &mut self,
        model: &Model,
        a: &Collection,
        b: &Collection,
    ) -> Result<(), CommandError> {
        let (first, second) = (self.document(), self.document());
        let mut effects = vec![
            Effect::Set("a".to_owned(), first.clone()),
            Effect::Set("b".to_owned(), second.clone()),
        ];
        let updated = self.updated(model, "b");
        let removed = model["a"].documents.keys().next().copied();
        effects.extend(
            updated
                .iter()
                .map(|(_, d)| Effect::Set("b".to_owned(), d.clone())),
        );
        effects.extend(removed.iter().map(|id| Effect::Remove("a".to_owned(), *id)));
        self.begin(vec![effects]);
        let session = Session::start();
        let (a, b) = (a.within(&session), b.within(&session));
        a.insert_one(&raw(&first)).await?;
        b.insert_one(&raw(&second)).await?;
        if let Some((id, _)) = updated {
            update(&b, id).await?;
        }
        if let Some(id) = removed {
            a.delete(doc! { "_id": id }, false).await?;
        }
        session.commit(&self.engine).await
    }

    /// Three commands at once, which may share a sync.
    async fn together(
        &mut self,
        model: &Model,
        a: &Collection,
        b: &Collection,
    ) -> Result<(), CommandError> {
        let (first, second) = (raw(&self.document()), raw(&self.document()));
        let set = |name: &str, document: &RawDocumentBuf| {
            let document = Document::try_from(document).expect("decodes");
            vec![Effect::Set(name.to_owned(), document)]
        };
        let mut under_way = vec![set("a", &first), set("b", &second)];
        let updated = self.updated(model, "b");
        under_way.extend(
            updated
                .iter()
                .map(|(_, d)| vec![Effect::Set("b".to_owned(), d.clone())]),
        );
        self.begin(under_way);
        let third = async {
            match updated {
                Some((id, _)) => update(b, id).await,
                None => Ok(()),
            }
        };
        let (first, second) = (a.insert_one(&first), b.insert_one(&second));
        tokio::try_join!(first, second, third).map(drop)
    }
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("encodes")
}

async fn update(collection: &Collection, id: i64) -> Result<(), CommandError> {
    let change = doc! { "$inc": { "n": 1 }, "$push": { "l": -1 } };
    collection
        .update_one(doc! { "_id": id }, change)
        .await
        .map(drop)
}

/// Runs a load and takes images of its disk until nobody wants more.
async fn load(seed: u64, options: Options, images: SyncSender<Image>, wanted: Arc<AtomicBool>) {
    let disk = TestDisk::default();
    let relaxed = options.durability != Durability::Always;
    let engine = open_with(&disk, options).expect("opens");
    let token = mark(&engine).await;
    for name in ["a", "b"] {
        run(&engine, doc! { "create": name }).await.expect("create");
    }
    let index = doc! { "key": { "l": 1, "n": -1 }, "name": "l" };
    run(&engine, doc! { "createIndexes": "b", "indexes": [index] })
        .await
        .expect("an index");
    let begun = (stored(&engine).await, Vec::new());
    let ledger = Arc::new(Mutex::new(Ledger(vec![begun])));
    let mut load = Load {
        engine,
        ledger: ledger.clone(),
        random: Random(seed),
        next: 0,
        relaxed,
    };
    let mut random = Random(!seed);
    let mut lengths = Vec::new();
    disk.watch(move |durable, unsynced| {
        let mut ledger = ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // A commit takes two syncs: what was acknowledged three of them ago is
        // there for good.
        lengths.push(ledger.0.len());
        if relaxed && let Some(at) = lengths.len().checked_sub(4) {
            ledger.0.drain(..lengths[at] - 1);
        }
        for _ in 0..IMAGES_PER_SYNC {
            let image = Image {
                bytes: image(durable, unsynced, &mut random),
                ledger: ledger.clone(),
                token: token.clone(),
                seed: random.next(),
            };
            if images.send(image).is_err() {
                wanted.store(false, Ordering::Relaxed);
            }
        }
    });
    for _ in 0..COMMANDS {
        load.command().await.expect("it is answered");
    }
    disk.forget_watcher();
}

/// Opens what a power loss left, and once more what is left when power fails
/// while that is opened.
async fn check(image: &Image) {
    let disk = TestDisk::of(image.bytes.clone());
    let mut random = Random(image.seed);
    let mut again = None;
    if random.percent(25) {
        let (taken, from) = sync_channel(1);
        let which = random.below(6);
        let mut n = 0;
        let mut random = random.clone();
        disk.watch(move |durable, unsynced| {
            if n == which {
                let _ = taken.try_send(super::disk::image(durable, unsynced, &mut random));
            }
            n += 1;
        });
        drop(open(&disk).expect("opens"));
        disk.forget_watcher();
        again = from.try_recv().ok();
    }
    is_whole(&disk, &image.ledger, &image.token).await;
    if let Some(bytes) = again {
        is_whole(&TestDisk::of(bytes), &image.ledger, &image.token).await;
    }
}

async fn is_whole(disk: &TestDisk, ledger: &Ledger, token: &RawDocumentBuf) {
    let examined = doctor_on(disk.clone()).expect("opens");
    assert_eq!(examined.problems, [""; 0]);
    let engine = open(disk).expect("opens again");
    let found = stored(&engine).await;
    assert!(ledger.allows(&found), "found {found:?}\nof {:?}", ledger.0);
    let told = replay(&engine, token.clone()).await;
    for (name, content) in &found {
        let told = told.get(name).cloned().unwrap_or_default();
        assert!(told == content.documents, "{name}: the log tells {told:?}");
    }
    assert!(told.keys().all(|name| found.contains_key(name)));
    drop(engine);
    let examined = doctor_on(disk.clone()).expect("opens");
    assert_eq!(examined.problems, [""; 0]);
}

fn check_all(images: &Receiver<Image>, wanted: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for n in 0..wanted {
        let image = images.recv().expect("an image");
        let checked = std::panic::AssertUnwindSafe(|| runtime.block_on(check(&image)));
        if let Err(panic) = std::panic::catch_unwind(checked) {
            println!("image {n}, of seed {:#x}", image.seed);
            std::panic::resume_unwind(panic);
        }
    }
}

/// Checks so many images of loads that run meanwhile.
fn check_images(wanted: u64, options: Options) {
    let (sender, images) = sync_channel(8);
    let more = Arc::new(AtomicBool::new(true));
    let loads = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let mut seed = 0;
        while more.load(Ordering::Relaxed) {
            seed += 1;
            runtime.block_on(load(seed, options, sender.clone(), more.clone()));
        }
    });
    check_all(&images, wanted);
    drop(images);
    loads.join().expect("the loads were answered");
}

/// How many images are wanted.
fn wanted() -> u64 {
    let long = std::env::var("BACKSTITCH_TEST_POWER_LOSS").ok();
    long.and_then(|n| n.parse().ok()).unwrap_or(IMAGES)
}

#[test]
fn acknowledged_writes_survive_power_loss() {
    check_images(wanted(), options());
}

/// What was acknowledged before it was synced may go, but only the newest of it,
/// and what is left is the state of one moment.
#[test]
fn power_loss_takes_only_what_was_not_synced() {
    let options = Options {
        durability: Durability::Interval(Duration::from_millis(2)),
        ..options()
    };
    check_images(wanted() / 4, options);
}
