//! Passwords: Argon2id on a few blocking threads, in memory that is used again.
//! Hashes that users brought along are checked there too.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use kit::limit::PASSWORDS_WAITING_MAX;
use kit::{Kind, Problem};
use tokio::sync::Semaphore;

use super::foreign;

/// Hashes and checks passwords.
pub(crate) struct Hasher {
    params: Params,
    places: Arc<Semaphore>,
    /// Those that wait and those that run.
    queue: Semaphore,
    /// The memory of each place that does not run. Asked of the allocator each
    /// time, blocks of this size leave holes that nothing fits in again.
    spare: Arc<Mutex<Vec<Vec<Block>>>>,
    /// A hash to check against when there is no account, so that its absence
    /// does not show in the time.
    decoy: String,
}

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
        let at_once = at_once.max(1);
        let decoy = hash("decoy", &params, &mut Vec::new()).unwrap_or_default();
        Self {
            params,
            places: Arc::new(Semaphore::new(at_once)),
            queue: Semaphore::new(at_once + PASSWORDS_WAITING_MAX),
            spare: Arc::default(),
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
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _waiting = self.queue.try_acquire().map_err(|_| {
            Problem::new(
                Kind::Limited,
                "TooManyRequests",
                "too many logins are waiting",
            )
        })?;
        let (places, spare) = (self.places.clone(), self.spare.clone());
        let own = self.params.block_count();
        let place = places.acquire_owned().await.map_err(Problem::internal)?;
        // The work goes on when its caller has left, and keeps its place.
        tokio::task::spawn_blocking(move || {
            let all = || spare.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = all().pop().unwrap_or_default();
            let result = work(&mut memory);
            // A hash of another server may have taken more.
            memory.truncate(own);
            memory.shrink_to_fit();
            all().push(memory);
            drop(place);
            result
        })
        .await
        .map_err(Problem::internal)
    }
}

type Outcome<T> = argon2::password_hash::Result<T>;

fn hash(password: &str, params: &Params, memory: &mut Vec<Block>) -> Outcome<String> {
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
fn fits(password: &str, hash: &str, memory: &mut Vec<Block>) -> Outcome<bool> {
    let hash = PasswordHash::new(hash)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from)?;
    let argon = Argon2::new(algorithm, version, Params::try_from(&hash)?);
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Ok(false);
    };
    Ok(output(&argon, password, salt, memory)? == *expected)
}

fn output(
    argon: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    memory: &mut Vec<Block>,
) -> Outcome<Output> {
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
    use super::{Block, Hasher, PASSWORDS_WAITING_MAX, PasswordHash};

    #[tokio::test]
    async fn one_more_than_may_wait_is_refused() {
        let hasher = Hasher::new(true);
        let places = hasher.places.clone();
        let at_once = places.available_permits() as u32;
        let all = places.acquire_many(at_once).await.unwrap();
        let most = PASSWORDS_WAITING_MAX + at_once as usize;
        let mut waiting: Vec<_> = (0..most).map(|_| Box::pin(hasher.hash("x"))).collect();
        for hash in &mut waiting {
            assert!(poll(hash.as_mut()).is_pending());
        }
        let refused = hasher.hash("x").await.unwrap_err();
        assert_eq!(refused.code, "TooManyRequests");
        drop(all);
        for hash in waiting {
            assert!(hash.await.is_ok());
        }
        assert!(hasher.hash("x").await.is_ok());
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[tokio::test]
    async fn a_caller_who_leaves_does_not_free_the_place() {
        let hasher = Hasher::new(true);
        let at_once = hasher.places.available_permits();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let mut work = Box::pin(hasher.run(move |_| {
            begun.send(()).unwrap();
            let _ = gone.recv();
        }));
        assert!(poll(work.as_mut()).is_pending());
        has_begun.recv().unwrap();
        drop(work);
        assert_eq!(hasher.places.available_permits(), at_once - 1);
        drop(go);
        let all = hasher.places.acquire_many(at_once as u32).await;
        assert!(all.is_ok());
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
    async fn work(known: Option<&str>) -> Vec<(usize, usize)> {
        let hasher = Hasher::new(false);
        assert!(!hasher.verify("wrong", known).await.unwrap());
        let spare = hasher.spare.lock().unwrap();
        let written = |blocks: &Vec<Block>| {
            let empty = Block::default();
            let written = blocks
                .iter()
                .filter(|block| block.as_ref() != empty.as_ref());
            (blocks.len(), written.count())
        };
        spare.iter().map(written).collect()
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
        let done = work(Some(&hash)).await;
        assert_eq!(done, [(19 * 1024, 19 * 1024)]);
        assert_eq!(done, work(None).await);
    }
}
