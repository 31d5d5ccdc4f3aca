//! HTTP Digest authentication as a client (RFC 7616, and RFC 2617 before it).

use std::fmt::Write as _;

use egress::{HeaderMap, Request, header};
use sha2::Digest as _;
use url::Url;

use crate::administrators::digest::fields;

/// What a server asks for.
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether the hash is bound to the session.
    session: bool,
    qop: Qop,
    /// The algorithm as the server spelled it.
    spelled: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

#[derive(PartialEq)]
enum Qop {
    None,
    Auth,
    AuthInt,
}

impl Challenge {
    /// The first that can be answered.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .find_map(|line| Self::read(line.to_str().ok()?))
    }

    fn read(line: &str) -> Option<Self> {
        let mut fields = fields(line)?;
        let spelled = fields.remove("algorithm");
        let name = spelled.as_deref().unwrap_or("MD5").to_ascii_uppercase();
        let (name, session) = match name.strip_suffix("-SESS") {
            Some(name) => (name.to_owned(), true),
            None => (name, false),
        };
        let algorithm = match name.as_str() {
            "MD5" => Algorithm::Md5,
            "SHA-256" => Algorithm::Sha256,
            "SHA-512-256" => Algorithm::Sha512_256,
            _ => return None,
        };
        let qop = match fields.get("qop") {
            None => Qop::None,
            Some(offered) => {
                let offers = |name: &str| {
                    let mut all = offered.split(',');
                    all.any(|one| one.trim().eq_ignore_ascii_case(name))
                };
                if offers("auth") {
                    Qop::Auth
                } else if offers("auth-int") {
                    Qop::AuthInt
                } else {
                    return None;
                }
            }
        };
        Some(Self {
            realm: fields.remove("realm")?,
            nonce: fields.remove("nonce")?,
            opaque: fields.remove("opaque"),
            algorithm,
            session,
            qop,
            spelled,
        })
    }

    /// The header `Authorization` for a request.
    pub(super) fn answer(
        &self,
        request: &Request,
        url: &Url,
        user: &str,
        password: &str,
    ) -> String {
        let cnonce = bson::oid::ObjectId::new().to_hex();
        self.answer_with(request, url, user, password, &cnonce)
    }

    fn answer_with(
        &self,
        request: &Request,
        url: &Url,
        user: &str,
        password: &str,
        cnonce: &str,
    ) -> String {
        let hash = |text: &str| self.hash(text.as_bytes());
        let Self { realm, nonce, .. } = self;
        let mut secret = hash(&format!("{user}:{realm}:{password}"));
        if self.session {
            secret = hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let asked = match self.qop {
            Qop::AuthInt => {
                let body = self.hash(&request.body);
                hash(&format!("{}:{target}:{body}", request.method))
            }
            _ => hash(&format!("{}:{target}", request.method)),
        };
        let qop = match self.qop {
            Qop::None => None,
            Qop::Auth => Some("auth"),
            Qop::AuthInt => Some("auth-int"),
        };
        let response = match qop {
            None => hash(&format!("{secret}:{nonce}:{asked}")),
            Some(qop) => hash(&format!("{secret}:{nonce}:00000001:{cnonce}:{qop}:{asked}")),
        };
        let user = user.replace('\\', "\\\\").replace('"', "\\\"");
        let mut out = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", response=\"{response}\""
        );
        if let Some(spelled) = &self.spelled {
            let _ = write!(out, ", algorithm={spelled}");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(out, ", opaque=\"{opaque}\"");
        }
        if let Some(qop) = qop {
            let _ = write!(out, ", qop={qop}, nc=00000001, cnonce=\"{cnonce}\"");
        } else if self.session {
            let _ = write!(out, ", cnonce=\"{cnonce}\"");
        }
        out
    }

    fn hash(&self, bytes: &[u8]) -> String {
        match self.algorithm {
            Algorithm::Md5 => hex::encode(md5::Md5::digest(bytes)),
            Algorithm::Sha256 => hex::encode(sha2::Sha256::digest(bytes)),
            Algorithm::Sha512_256 => hex::encode(sha2::Sha512_256::digest(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use egress::Request;
    use url::Url;

    use super::Challenge;

    /// The examples of RFC 7616, 3.9.1, and of RFC 2617, 3.5.
    #[test]
    fn the_examples_of_the_standards() {
        let answer = |challenge: &str, password: &str, cnonce: &str| {
            let challenge = Challenge::read(challenge).unwrap();
            let url = Url::parse("http://www.example.org/dir/index.html").unwrap();
            let request = Request::get(url.as_str());
            challenge.answer_with(&request, &url, "Mufasa", password, cnonce)
        };
        const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        assert_eq!(
            answer(&challenge("MD5"), "Circle of Life", CNONCE),
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
             response=\"8ca523f5e9506fed4657c9700eebdbec\", algorithm=MD5, \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", qop=auth, nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\""
        );
        let sha = answer(&challenge("SHA-256"), "Circle of Life", CNONCE);
        let wanted = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(sha.contains(wanted), "{sha}");
        let old = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                   nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5c\"";
        let old = answer(old, "Circle Of Life", "0a4f113b");
        assert!(old.contains("6629fae49393a05397450978507c4ef1"), "{old}");
        for other in [
            "Basic realm=\"a\"",
            "Digest realm=\"a\"",
            &challenge("SHA-3"),
        ] {
            assert!(Challenge::read(other).is_none(), "{other}");
        }
    }
}
