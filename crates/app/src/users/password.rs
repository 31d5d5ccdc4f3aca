//! Passwords: Argon2id on a few threads of its own, which give way to all
//! others, in memory that is used again. Hashes that users brought along are
//! checked there too.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use kit::limit::PASSWORDS_WAITING_MAX;
use kit::{Kind, Problem};
use tokio::sync::oneshot;

use super::foreign;

/// How far the threads stand back: a tenth of the time of others, where both
/// want to run.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Hashes and checks passwords.
pub(crate) struct Hasher {
    params: Params,
    at_once: usize,
    /// Made with the first password.
    threads: OnceLock<Threads>,
    /// A hash to check against when there is no account, so that its absence
    /// does not show in the time.
    decoy: String,
}

/// The memory of a thread. Asked of the allocator each time, blocks of this size
/// leave holes that nothing fits in again.
type Memory = Vec<Block>;
type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// The way to the threads, which end with it.
type Threads = SyncSender<Job>;

impl Hasher {
    pub(crate) fn new(cheap: bool) -> Self {
        let params = if cheap {
            Params::new(Params::MIN_M_COST, 1, 1, None)
        } else {
            // 19 MiB and two passes: the recommended minimum of the field.
            Params::new(19 * 1024, 2, 1, None)
        };
        let params = params.unwrap_or_default();
        // A storm of logins must not take every core.
        let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2);
        let decoy = hash("decoy", &params, &mut Vec::new()).unwrap_or_default();
        Self {
            params,
            at_once: at_once.max(1),
            threads: OnceLock::new(),
            decoy,
        }
    }

    /// The hash of a password, in PHC form.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Problem> {
        let (params, password) = (self.params.clone(), password.to_owned());
        self.run(move |memory| hash(&password, &params, memory))
            .await?
            .map_err(Problem::internal)
    }

    /// Whether a password fits a hash; without one it takes as long and does
    /// not.
    pub(crate) async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, Problem> {
        // Who came without one has to reset it.
        let hash = hash.filter(|hash| !hash.is_empty());
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let password = password.to_owned();
        let fits = self
            .run(move |memory| {
                if hash.starts_with("$argon2") {
                    fits(&password, &hash, memory).unwrap_or(false)
                } else {
                    foreign::fits(&password, &hash).unwrap_or(false)
                }
            })
            .await?;
        Ok(fits && known)
    }

    /// Whether a hash is as this server makes them now.
    pub(crate) fn is_own(&self, hash: &str) -> bool {
        // All but salt and output.
        let costs = |hash: &str| hash.rsplitn(3, '$').nth(2).map(str::to_owned);
        costs(hash) == costs(&self.decoy)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // Nobody waits any more for what a caller who left wanted.
            if !answer.is_closed() {
                let _ = answer.send(work(memory));
            }
        });
        let threads = self.threads();
        threads.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Problem::new(
                Kind::Limited,
                "TooManyRequests",
                "too many logins are waiting",
            ),
            TrySendError::Disconnected(_) => Problem::internal("no thread checks passwords"),
        })?;
        answered.await.map_err(Problem::internal)
    }

    fn threads(&self) -> &Threads {
        let blocks = self.params.block_count();
        self.threads.get_or_init(|| threads(self.at_once, blocks))
    }
}

/// Threads that keep as many blocks of memory each.
fn threads(number: usize, blocks: usize) -> Threads {
    let (jobs, taken) = sync_channel(PASSWORDS_WAITING_MAX);
    let taken = Arc::new(Mutex::new(taken));
    for _ in 0..number {
        let taken = taken.clone();
        let spawned = std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || work(&taken, blocks));
        if let Err(error) = spawned {
            tracing::error!(%error, "a thread for passwords did not start");
        }
    }
    jobs
}

/// Does what is asked for, until nobody can ask any more.
fn work(jobs: &Mutex<Receiver<Job>>, blocks: usize) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::warn!(%error, "passwords are checked with the priority of everything else");
    }
    let mut memory = Memory::new();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let done = std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
        if done.is_err() {
            // Who waits is told that there is no answer; the thread goes on.
            memory = Memory::new();
        }
        // A hash of another server may have taken more.
        memory.truncate(blocks);
        memory.shrink_to_fit();
    }
}

type Outcome<T> = argon2::password_hash::Result<T>;

fn hash(password: &str, params: &Params, memory: &mut Memory) -> Outcome<String> {
    let salt: [u8; 16] = state::random_bytes();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(Salt::new(&salt)?),
        hash: Some(output(&argon, password, &salt, memory)?),
    };
    Ok(hash.to_string())
}

/// Whether a password fits a hash, by the algorithm and costs that the hash
/// names. Outputs are compared in constant time.
fn fits(password: &str, hash: &str, memory: &mut Memory) -> Outcome<bool> {
    let hash = PasswordHash::new(hash)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from)?;
    let argon = Argon2::new(algorithm, version, Params::try_from(&hash)?);
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Ok(false);
    };
    Ok(output(&argon, password, salt, memory)? == *expected)
}

fn output(argon: &Argon2<'_>, password: &str, salt: &[u8], memory: &mut Memory) -> Outcome<Output> {
    let params = argon.params();
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::new());
    }
    let mut out = [0; Output::MAX_LENGTH];
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let out = out
        .get_mut(..length)
        .ok_or(argon2::password_hash::Error::OutputSize)?;
    argon.hash_password_into_with_memory(password.as_bytes(), salt, out, memory.as_mut_slice())?;
    Ok(Output::new(out)?)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{Block, Hasher, Memory, PASSWORDS_WAITING_MAX, PasswordHash};

    /// Keeps the threads of a hasher busy until what it returns is dropped.
    fn busy(hasher: &Hasher) -> std::sync::mpsc::Sender<()> {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Arc::new(Mutex::new(gone));
        let (begun, has_begun) = std::sync::mpsc::channel();
        for _ in 0..hasher.at_once {
            let (gone, begun) = (gone.clone(), begun.clone());
            let job = Box::new(move |_: &mut Memory| {
                begun.send(()).unwrap();
                // All of them go on when the other end is gone.
                let _ = gone.lock().unwrap().recv();
            });
            hasher.threads().send(job).unwrap();
            has_begun.recv().unwrap();
        }
        go
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_refused() {
        let hasher = Hasher::new(true);
        let go = busy(&hasher);
        let mut waiting: Vec<_> = (0..PASSWORDS_WAITING_MAX)
            .map(|_| Box::pin(hasher.hash("x")))
            .collect();
        for hash in &mut waiting {
            assert!(poll(hash.as_mut()).is_pending());
        }
        let refused = hasher.hash("x").await.unwrap_err();
        assert_eq!(refused.code, "TooManyRequests");
        drop(go);
        for hash in waiting {
            assert!(hash.await.is_ok());
        }
        assert!(hasher.hash("x").await.is_ok());
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[tokio::test]
    async fn nothing_is_computed_for_a_caller_who_left() {
        let hasher = Hasher::new(true);
        let go = busy(&hasher);
        let done = Arc::new(Mutex::new(Vec::new()));
        let note = |who: &'static str| {
            let done = done.clone();
            hasher.run(move |_| done.lock().unwrap().push(who))
        };
        let (mut left, mut stays) = (Box::pin(note("left")), Box::pin(note("stays")));
        assert!(poll(left.as_mut()).is_pending());
        assert!(poll(stays.as_mut()).is_pending());
        drop(left);
        drop(go);
        stays.await.unwrap();
        assert_eq!(*done.lock().unwrap(), ["stays"]);
    }

    #[tokio::test]
    async fn a_thread_goes_on_after_a_panic() {
        let hasher = Hasher::new(true);
        for _ in 0..=hasher.at_once {
            assert!(hasher.run(|_| panic!("of the test")).await.is_err());
        }
        assert!(hasher.hash("x").await.is_ok());
    }

    #[test]
    fn hashes_are_those_of_the_library() {
        use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
        let hasher = Hasher::new(true);
        let mut memory = Vec::new();
        for password in ["correct", "", "é😀"] {
            let own = super::hash(password, &hasher.params, &mut memory).unwrap();
            let parsed = PasswordHash::new(&own).unwrap();
            let argon = Argon2::default();
            assert!(argon.verify_password(password.as_bytes(), &parsed).is_ok());
            assert!(argon.verify_password(b"wrong", &parsed).is_err());
            // One of other costs, in memory that was used before.
            let other = argon
                .hash_password(password.as_bytes())
                .unwrap()
                .to_string();
            assert!(super::fits(password, &other, &mut memory).unwrap());
            assert!(!super::fits("wrong", &other, &mut memory).unwrap());
        }
    }

    #[tokio::test]
    async fn a_password_fits_its_hash_only() {
        let hasher = Hasher::new(true);
        let hash = hasher.hash("correct").await.unwrap();
        assert!(hasher.verify("correct", Some(&hash)).await.unwrap());
        assert!(!hasher.verify("wrong", Some(&hash)).await.unwrap());
        assert!(!hasher.verify("decoy", None).await.unwrap());
        assert!(!hasher.verify("x", Some("damaged")).await.unwrap());
    }

    /// What a check of a wrong password works through: how many blocks of
    /// memory, and how many of them it wrote.
    async fn written(known: Option<&str>) -> (usize, usize) {
        let mut hasher = Hasher::new(false);
        hasher.at_once = 1;
        assert!(!hasher.verify("wrong", known).await.unwrap());
        let of_memory = hasher.run(|memory| {
            let empty = Block::default();
            let written = memory
                .iter()
                .filter(|block| block.as_ref() != empty.as_ref());
            (memory.len(), written.count())
        });
        of_memory.await.unwrap()
    }

    /// The same work is done, so that it takes the same time.
    #[tokio::test]
    async fn an_account_that_does_not_exist_takes_as_long() {
        let hasher = Hasher::new(false);
        let hash = hasher.hash("correct").await.unwrap();
        let [known, decoy] = [&hash, &hasher.decoy].map(|hash| PasswordHash::new(hash).unwrap());
        assert_eq!(
            (known.algorithm, known.version, &known.params),
            (decoy.algorithm, decoy.version, &decoy.params)
        );
        let lengths = |hash: &PasswordHash| {
            let (salt, output) = (hash.salt.as_ref().unwrap(), hash.hash.as_ref().unwrap());
            (salt.len(), output.len())
        };
        assert_eq!(lengths(&known), lengths(&decoy));
        let done = written(Some(&hash)).await;
        assert_eq!(done, (19 * 1024, 19 * 1024));
        assert_eq!(done, written(None).await);
    }
}
