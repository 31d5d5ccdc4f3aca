//! Signatures of requests to AWS, version 4.

use egress::{HeaderMap, HeaderName, HeaderValue};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// Who signs, for what, when.
pub(super) struct Signer<'a> {
    pub(super) key_id: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Milliseconds.
    pub(super) now_ms: i64,
}

/// What is signed of a request.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// With escapes, as it is sent.
    pub(super) path: &'a str,
    /// Names and values without escapes.
    pub(super) query: &'a [(String, String)],
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

impl Signer<'_> {
    /// `20130524T000000Z`.
    fn time(&self) -> String {
        let text = bson::DateTime::from_millis(self.now_ms)
            .try_to_rfc3339_string()
            .unwrap_or_default();
        let text = text.split(['.', 'Z']).next().unwrap_or_default();
        let text: String = text.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        format!("{text}Z")
    }

    fn scope(&self, time: &str) -> String {
        let day = time.get(..8).unwrap_or_default();
        format!("{day}/{}/{}/aws4_request", self.region, self.service)
    }

    /// Signs a request by its headers; those of the body are there already.
    pub(super) fn headers(&self, request: &Signed<'_>, headers: &mut HeaderMap, body: &[u8]) {
        let time = self.time();
        let hash = hex::encode(Sha256::digest(body));
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("x-amz-date", &time);
        if self.service == "s3" || self.service == "glacier" {
            put("x-amz-content-sha256", &hash);
        }
        let mut lines = vec![("host".to_owned(), request.host.to_owned())];
        for name in headers.keys() {
            let values: Vec<String> = headers
                .get_all(name)
                .iter()
                .map(|value| {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    value.split_whitespace().collect::<Vec<_>>().join(" ")
                })
                .collect();
            lines.push((name.as_str().to_owned(), values.join(",")));
        }
        lines.sort();
        let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let signature = self.signature(request, &time, &lines, &names, &hash);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.key_id,
            self.scope(&time)
        );
        if let Ok(mut value) = HeaderValue::from_str(&authorization) {
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static("authorization"), value);
        }
    }

    /// The query string of a URL that is good for some seconds.
    pub(super) fn presigned(&self, request: &Signed<'_>, seconds: i64) -> String {
        let time = self.time();
        let mut query = request.query.to_vec();
        for (name, value) in [
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            (
                "X-Amz-Credential",
                format!("{}/{}", self.key_id, self.scope(&time)),
            ),
            ("X-Amz-Date", time.clone()),
            ("X-Amz-Expires", seconds.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ] {
            query.push((name.to_owned(), value));
        }
        let lines = [("host".to_owned(), request.host.to_owned())];
        let signed = Signed {
            query: &query,
            ..*request
        };
        let signature = self.signature(&signed, &time, &lines, "host", "UNSIGNED-PAYLOAD");
        format!("{}&X-Amz-Signature={signature}", canonical_query(&query))
    }

    fn signature(
        &self,
        request: &Signed<'_>,
        time: &str,
        headers: &[(String, String)],
        names: &str,
        hash: &str,
    ) -> String {
        // S3 alone takes the path as it is sent.
        let path = if self.service == "s3" {
            request.path.to_owned()
        } else {
            escaped(request.path, true)
        };
        let query = canonical_query(request.query);
        let mut lines = String::new();
        for (name, value) in headers {
            lines.extend([name.as_str(), ":", value.as_str(), "\n"]);
        }
        let canonical = format!(
            "{}\n{path}\n{query}\n{lines}\n{names}\n{hash}",
            request.method
        );
        let hashed = hex::encode(Sha256::digest(canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{}\n{hashed}", self.scope(time));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        let day = time.get(..8).unwrap_or_default();
        for part in [day, self.region, self.service, "aws4_request"] {
            key = mac(&key, part);
        }
        hex::encode(mac(&key, &text))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        // A key of any length is one.
        Err(_) => Vec::new(),
    }
}

/// A query string, escaped and sorted as signatures have it.
pub(super) fn canonical_query(query: &[(String, String)]) -> String {
    let mut pairs: Vec<(String, String)> = query
        .iter()
        .map(|(name, value)| (escaped(name, false), escaped(value, false)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// Everything escaped that RFC 3986 does not reserve for nothing, slashes too
/// unless they stay.
pub(super) fn escaped(text: &str, slashes_stay: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if plain || slashes_stay && byte == b'/' {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use egress::HeaderMap;

    use super::{Signed, Signer};

    const SIGNER: Signer<'_> = Signer {
        key_id: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "s3",
        // 2013-05-24.
        now_ms: 1_369_353_600_000,
    };

    /// The examples of Amazon's documentation of signatures for S3.
    #[test]
    fn the_examples_of_the_documentation() {
        let request = Signed {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: &[],
        };
        let presigned = SIGNER.presigned(&request, 86400);
        assert_eq!(
            presigned,
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        let signature = |request: &Signed<'_>, extra: &[(&'static str, &str)], body: &[u8]| {
            let mut headers = HeaderMap::new();
            for (name, value) in extra {
                headers.insert(*name, value.parse().unwrap());
            }
            SIGNER.headers(request, &mut headers, body);
            let authorization = headers["authorization"].to_str().unwrap().to_owned();
            authorization.rsplit_once('=').unwrap().1.to_owned()
        };
        assert_eq!(
            signature(&request, &[("range", "bytes=0-9")], b""),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put = Signed {
            method: "PUT",
            path: "/test%24file.text",
            ..request
        };
        let extra = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        assert_eq!(
            signature(&put, &extra, b"Welcome to Amazon S3."),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        let query = [
            ("prefix".to_owned(), "J".to_owned()),
            ("max-keys".to_owned(), "2".to_owned()),
        ];
        let list = Signed {
            path: "/",
            query: &query,
            ..request
        };
        assert_eq!(
            signature(&list, &[], b""),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }
}
