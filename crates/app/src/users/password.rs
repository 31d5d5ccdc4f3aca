//! Passwords: Argon2id on a few blocking threads.

use argon2::{Algorithm, Argon2, Params, Version};
use argon2::{PasswordHash, PasswordHasher, PasswordVerifier};
use kit::Problem;
use tokio::sync::Semaphore;

/// Hashes that are computed at once: a storm of logins must not take every
/// core.
const AT_ONCE: usize = 2;

/// Hashes and checks passwords.
pub(crate) struct Hasher {
    argon: Argon2<'static>,
    places: Semaphore,
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
        let argon = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            params.unwrap_or_default(),
        );
        let decoy = argon
            .hash_password(b"decoy")
            .map(|hash| hash.to_string())
            .unwrap_or_default();
        Self {
            argon,
            places: Semaphore::new(AT_ONCE),
            decoy,
        }
    }

    /// The hash of a password, in PHC form.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Problem> {
        let (argon, password) = (self.argon.clone(), password.to_owned());
        self.run(move || {
            argon
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
        })
        .await?
        .map_err(Problem::internal)
    }

    /// Whether a password fits a hash; without one it takes as long and does
    /// not.
    pub(crate) async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, Problem> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let (argon, password) = (self.argon.clone(), password.to_owned());
        let fits = self
            .run(move || {
                PasswordHash::new(&hash)
                    .is_ok_and(|hash| argon.verify_password(password.as_bytes(), &hash).is_ok())
            })
            .await?;
        Ok(fits && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _place = self.places.acquire().await.map_err(Problem::internal)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(Problem::internal)
    }
}
