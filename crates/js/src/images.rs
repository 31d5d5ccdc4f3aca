//! Realms with modules loaded ahead, from the worker's side: what a function
//! requires is in its image, as long as loading it can be told from nothing.
//!
//! An image is made of the first one by loading modules, which must not have
//! asked for anything that differs from call to call, nor have changed what was
//! there. It is kept as its changes, so that workers take it over from each
//! other through the server.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use bson::{RawDocument, RawDocumentBuf, cstr, rawdoc};

use crate::realm::{EXPIRED, Realm};
use crate::wire::{binary, bytes};

/// Most bytes of an image, beside what the first one has.
pub(crate) const IMAGE_BYTES_MAX: usize = 24 << 20;

/// Images by their keys, without the first.
pub(crate) type Images = HashMap<Vec<u8>, Rc<[u8]>>;

/// Puts the realm into the image that a message names.
///
/// # Errors
/// When it names one that nobody brought.
pub(crate) fn take(realm: &mut Realm, message: &RawDocument) -> io::Result<()> {
    if message.get_bool("forget_images").unwrap_or(false) {
        realm.images.clear();
    }
    let Some(key) = bytes(message, "image") else {
        realm.use_image(None);
        return Ok(());
    };
    if let Some(changes) = bytes(message, "image_bytes") {
        realm.use_image(None);
        realm.arena.apply(changes)?;
        let image = realm.arena.content();
        realm.images.insert(key.to_vec(), image);
    }
    let image = realm.images.get(key).cloned();
    let image = image.ok_or_else(|| io::Error::other("an unknown image"))?;
    realm.use_image(Some(image));
    Ok(())
}

/// Makes an image of the modules that a message names: the message with it, or
/// with why there is none.
pub(crate) fn build(realm: &mut Realm, message: &RawDocument) -> io::Result<RawDocumentBuf> {
    realm.use_image(None);
    let ids = message.get_array("modules").into_iter().flatten().flatten();
    let ids = ids.filter_map(|id| Some(id.as_str()?.to_owned()));
    let built = crate::worker::load_ahead(realm, message, &ids.collect::<Vec<_>>());
    let built = built.and_then(|()| {
        let changes = realm.arena.changes(IMAGE_BYTES_MAX);
        changes.ok_or_else(|| "the modules are too large".to_owned())
    });
    let mut answer = rawdoc! { "k": "image" };
    match built {
        Ok(changes) if !EXPIRED.load(Ordering::Relaxed) => {
            answer.append(cstr!("state"), binary(&changes));
        }
        Ok(_) => answer.append(cstr!("refused"), "it took too long"),
        Err(why) => answer.append(cstr!("refused"), why),
    }
    Ok(answer)
}
