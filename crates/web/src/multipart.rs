//! Bodies of several parts: `multipart/form-data` and `multipart/mixed` alike.

use axum::http::header;
use kit::Problem;
use multer::Multipart;

use crate::Request;

/// Most parts of a body; what is uploaded has two.
const PARTS_MAX: usize = 8;

/// A part of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name; empty for a part that is none.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The parts of a request's body, which is left empty.
///
/// # Errors
/// `BadRequest`.
pub async fn parts(request: &mut Request) -> Result<Vec<Part>, Problem> {
    let kind = request.header(header::CONTENT_TYPE.as_str());
    let boundary = kind.and_then(boundary).ok_or_else(|| {
        Problem::bad_request("the request body must be multipart/mixed or multipart/form-data")
    })?;
    let whole = bytes::Bytes::from(std::mem::take(&mut request.body));
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(whole)]);
    let mut multipart = Multipart::new(stream, boundary);
    let wrong = |error: multer::Error| {
        Problem::bad_request(format!("the request body cannot be read: {error}"))
    };
    let mut parts = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(wrong)? {
        if parts.len() == PARTS_MAX {
            return Err(Problem::bad_request(format!(
                "the request body has more than {PARTS_MAX} parts"
            )));
        }
        parts.push(Part {
            name: field.name().unwrap_or_default().to_owned(),
            file_name: field.file_name().unwrap_or_default().to_owned(),
            bytes: field.bytes().await.map_err(wrong)?.into(),
        });
    }
    Ok(parts)
}

/// The boundary of a content type with parts.
fn boundary(kind: &str) -> Option<String> {
    let mut fields = kind.split(';').map(str::trim);
    let kind = fields.next()?.to_ascii_lowercase();
    if !matches!(kind.as_str(), "multipart/mixed" | "multipart/form-data") {
        return None;
    }
    fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        let value = value.trim_matches('"');
        let fits = name.eq_ignore_ascii_case("boundary") && (1..=70).contains(&value.len());
        fits.then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::boundary;

    #[test]
    fn boundaries() {
        assert_eq!(
            boundary("multipart/mixed; boundary=a1").as_deref(),
            Some("a1")
        );
        assert_eq!(
            boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"").as_deref(),
            Some("a b")
        );
        for none in [
            "application/json",
            "multipart/mixed",
            "multipart/mixed; boundary=",
        ] {
            assert_eq!(boundary(none), None, "{none}");
        }
    }
}
