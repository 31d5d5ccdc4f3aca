//! Hashes of passwords that other software made: which are taken, and whether a
//! password fits one. The first good login puts one of ours in their place.
//!
//! What a hash costs to check is said by the hash. Those that cost more than a
//! login may are refused where they come in, as whoever made the file must not
//! be able to keep the server busy.

use argon2::password_hash::phc::Output;
use argon2::{Params, PasswordHash};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use pbkdf2::sha2::{Sha256, Sha512};

/// The most memory of a check, in KiB.
const MEMORY_KIB_MAX: u64 = 128 * 1024;
/// The most work of a check with Argon2: KiB times passes.
const ARGON2_WORK_MAX: u64 = 4 * MEMORY_KIB_MAX;
/// The most lanes of Argon2.
const ARGON2_LANES_MAX: u32 = 16;
/// The most work of a check with scrypt: blocks of 128 bytes.
const SCRYPT_WORK_MAX: u64 = 1 << 21;
/// The costs of bcrypt that are taken.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// The most rounds of PBKDF2.
const PBKDF2_ROUNDS_MAX: u32 = 2_000_000;
/// The longest text of a hash.
const HASH_CHARS_MAX: usize = 512;

const UNKNOWN: &str = "the password hash is none of argon2, bcrypt, scrypt and pbkdf2";
const BROKEN: &str = "the password hash is not well formed";
const COSTLY: &str = "the password hash takes more work or memory to check than is allowed";

/// A hash as it is kept: in PHC form, or bcrypt's own.
pub(super) fn taken(hash: &str) -> Result<String, &'static str> {
    if hash.len() > HASH_CHARS_MAX {
        return Err(BROKEN);
    }
    if let Some(rest) = bcrypt_rest(hash) {
        let cost = rest.get(..2).and_then(|cost| cost.parse::<u32>().ok());
        let rest = rest.get(2..).and_then(|rest| rest.strip_prefix('$'));
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
        let whole = rest.is_some_and(|rest| rest.len() == 53 && rest.chars().all(letter));
        return match cost {
            Some(cost) if whole && BCRYPT_COSTS.contains(&cost) => Ok(hash.to_owned()),
            Some(cost) if whole && cost <= 31 => Err(COSTLY),
            _ => Err(BROKEN),
        };
    }
    let hash = in_phc_form(hash).ok_or(BROKEN)?;
    let parsed = PasswordHash::new(&hash).map_err(|_| UNKNOWN)?;
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err(BROKEN);
    }
    let number = |name: &str| parsed.params.get_decimal(name);
    let affordable = match parsed.algorithm.as_str() {
        "argon2id" | "argon2i" | "argon2d" => {
            let params = Params::try_from(&parsed).map_err(|_| BROKEN)?;
            let (memory, passes) = (u64::from(params.m_cost()), u64::from(params.t_cost()));
            memory <= MEMORY_KIB_MAX
                && memory.saturating_mul(passes) <= ARGON2_WORK_MAX
                && params.p_cost() <= ARGON2_LANES_MAX
        }
        "scrypt" => {
            let log_n = number("ln").ok_or(BROKEN)?;
            let (r, p) = (number("r").ok_or(BROKEN)?, number("p").ok_or(BROKEN)?);
            if r == 0 || p == 0 || log_n == 0 {
                return Err(BROKEN);
            }
            let n = 1u64.checked_shl(log_n).unwrap_or(u64::MAX);
            let blocks = n.saturating_mul(r.into());
            blocks / 8 <= MEMORY_KIB_MAX && blocks.saturating_mul(p.into()) <= SCRYPT_WORK_MAX
        }
        "pbkdf2-sha256" | "pbkdf2-sha512" => {
            let rounds = number("i").ok_or(BROKEN)?;
            if rounds == 0 {
                return Err(BROKEN);
            }
            rounds <= PBKDF2_ROUNDS_MAX
        }
        _ => return Err(UNKNOWN),
    };
    if affordable { Ok(hash) } else { Err(COSTLY) }
}

/// Whether a password fits a hash that was [taken]; Argon2's are checked where
/// ours are.
pub(super) fn fits(password: &str, hash: &str) -> Option<bool> {
    if bcrypt_rest(hash).is_some() {
        return bcrypt::verify(password, hash).ok();
    }
    let parsed = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (parsed.salt.as_ref()?, parsed.hash.as_ref()?);
    let number = |name: &str| parsed.params.get_decimal(name);
    let mut out = [0; Output::MAX_LENGTH];
    let out = out.get_mut(..expected.as_bytes().len())?;
    match parsed.algorithm.as_str() {
        "scrypt" => {
            let log_n = u8::try_from(number("ln")?).ok()?;
            let params = scrypt::Params::new(log_n, number("r")?, number("p")?).ok()?;
            scrypt::scrypt(password.as_bytes(), salt, &params, out).ok()?;
        }
        "pbkdf2-sha256" => {
            pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, number("i")?, out);
        }
        "pbkdf2-sha512" => {
            pbkdf2::pbkdf2_hmac::<Sha512>(password.as_bytes(), salt, number("i")?, out);
        }
        _ => return None,
    }
    // In constant time.
    Some(Output::new(out).ok()? == *expected)
}

fn bcrypt_rest(hash: &str) -> Option<&str> {
    ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|prefix| hash.strip_prefix(prefix))
}

/// The forms of PBKDF2 that Python's libraries write, in PHC form; others as
/// they are.
fn in_phc_form(hash: &str) -> Option<String> {
    let parts: Vec<&str> = hash.split('$').collect();
    match parts.as_slice() {
        // passlib: a base64 of its own, and the rounds bare.
        [
            "",
            kind @ ("pbkdf2-sha256" | "pbkdf2-sha512"),
            rounds,
            salt,
            hash,
        ] if rounds.bytes().all(|byte| byte.is_ascii_digit()) => {
            let base64 = |text: &str| text.replace('.', "+");
            Some(format!(
                "${kind}$i={rounds}${}${}",
                base64(salt),
                base64(hash)
            ))
        }
        // Django: the salt bare, and base64 with padding.
        [
            kind @ ("pbkdf2_sha256" | "pbkdf2_sha512"),
            rounds,
            salt,
            hash,
        ] => {
            let kind = kind.replace('_', "-");
            let (salt, hash) = (STANDARD_NO_PAD.encode(salt), hash.trim_end_matches('='));
            Some(format!("${kind}$i={rounds}${salt}${hash}"))
        }
        ["", ..] => Some(hash.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phc(kind: &str, params: &str, salt: &[u8], out: &[u8]) -> String {
        let base64 = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
        format!("${kind}${params}${}${}", base64(salt), base64(out))
    }

    #[test]
    fn hashes_of_other_software_are_checked() {
        let mut out = [0; 32];
        let params = scrypt::Params::new(4, 8, 1).unwrap();
        scrypt::scrypt(b"secret", b"saltsalt", &params, &mut out).unwrap();
        let by_scrypt = phc("scrypt", "ln=4,r=8,p=1", b"saltsalt", &out);
        pbkdf2::pbkdf2_hmac::<Sha256>(b"secret", b"saltsalt", 1000, &mut out);
        let by_pbkdf2 = phc("pbkdf2-sha256", "i=1000,l=32", b"saltsalt", &out);
        let by_passlib = phc("pbkdf2-sha256", "1000", b"saltsalt", &out).replace('+', ".");
        let by_django = format!(
            "pbkdf2_sha256$1000$saltsalt${}=",
            STANDARD_NO_PAD.encode(out)
        );
        let mut out = [0; 64];
        pbkdf2::pbkdf2_hmac::<Sha512>(b"secret", b"saltsalt", 1000, &mut out);
        let by_sha512 = phc("pbkdf2-sha512", "i=1000", b"saltsalt", &out);
        let by_bcrypt = bcrypt::hash("secret", 4).unwrap();
        for hash in [
            by_scrypt, by_pbkdf2, by_passlib, by_django, by_sha512, by_bcrypt,
        ] {
            let hash = taken(&hash).unwrap_or_else(|why| panic!("{hash}: {why}"));
            assert_eq!(fits("secret", &hash), Some(true), "{hash}");
            assert_eq!(fits("secret ", &hash), Some(false), "{hash}");
            assert_eq!(fits("", &hash), Some(false), "{hash}");
        }
    }

    /// From the publications of the algorithms, and of other libraries.
    #[test]
    fn well_known_hashes_fit() {
        for (password, hash) in [
            (
                "U*U",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            ),
            (
                "password",
                "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ",
            ),
        ] {
            let hash = taken(hash).unwrap();
            assert_eq!(fits(password, &hash), Some(true), "{hash}");
        }
    }

    #[test]
    fn what_costs_too_much_is_not_taken() {
        let (salt, out) = ([1; 16], [2; 32]);
        let bcrypt = |cost: &str| format!("$2b${cost}${}", "a".repeat(53));
        for (hash, why) in [
            (phc("argon2id", "m=131073,t=1,p=1", &salt, &out), COSTLY),
            (phc("argon2id", "m=131072,t=5,p=1", &salt, &out), COSTLY),
            (
                phc("argon2id", "m=65536,t=4294967295,p=1", &salt, &out),
                COSTLY,
            ),
            (phc("argon2id", "m=4096,t=1,p=17", &salt, &out), COSTLY),
            (phc("scrypt", "ln=18,r=8,p=1", &salt, &out), COSTLY),
            (phc("scrypt", "ln=63,r=8,p=1", &salt, &out), COSTLY),
            (phc("scrypt", "ln=64,r=8,p=1", &salt, &out), COSTLY),
            (phc("scrypt", "ln=10,r=8,p=4294967295", &salt, &out), COSTLY),
            (phc("scrypt", "ln=0,r=8,p=1", &salt, &out), BROKEN),
            (phc("scrypt", "ln=10,r=0,p=1", &salt, &out), BROKEN),
            (phc("scrypt", "r=8,p=1", &salt, &out), BROKEN),
            (phc("pbkdf2-sha256", "i=2000001", &salt, &out), COSTLY),
            (phc("pbkdf2-sha256", "i=0", &salt, &out), BROKEN),
            (phc("pbkdf2-sha1", "i=1000", &salt, &out), UNKNOWN),
            (phc("md5", "i=1", &salt, &out), UNKNOWN),
            ("$argon2id$v=19$m=4096,t=1,p=1".to_owned(), BROKEN),
            (bcrypt("15"), COSTLY),
            (bcrypt("31"), COSTLY),
            (bcrypt("03"), COSTLY),
            (bcrypt("xx"), BROKEN),
            (bcrypt("10")[..59].to_owned(), BROKEN),
            ("$2b$1é$".to_owned(), BROKEN),
            ("5f4dcc3b5aa765d61d8327deb882cf99".to_owned(), BROKEN),
            (String::new(), UNKNOWN),
            ("$".repeat(600), BROKEN),
            ("$$$$".to_owned(), UNKNOWN),
        ] {
            assert_eq!(taken(&hash), Err(why), "{hash}");
        }
    }
}
