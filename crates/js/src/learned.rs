//! What the pool has learned of functions: which modules they load, and the
//! images with these that workers made.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::Digest as _;

use crate::Call;

/// Bytes of a module's name; longer ones are not loaded ahead.
pub(crate) const NAME_BYTES_MAX: usize = 1024;
/// Bytes of images and of modules' names that are kept.
const BYTES_MAX: usize = 256 << 20;
/// Bytes that a worker keeps of one image: freed ones are among them, which its
/// changes say nothing of.
const KEPT_BYTES_MAX: usize = 96 << 20;
/// Functions that are kept.
const FUNCTIONS_MAX: usize = 10_000;
/// Modules of one image.
const MODULES_MAX: usize = 2000;
/// How often an image is made anew because a call loaded more.
const TRIES_MAX: u32 = 3;

/// A function in an installation of packages.
pub(crate) type Key = [u8; 32];

/// A realm with modules, as what it has beside the first one.
pub(crate) struct Image {
    /// Of the image itself: a function may get another.
    pub(crate) key: Key,
    pub(crate) changes: Vec<u8>,
    /// Bytes that a worker keeps of it.
    pub(crate) kept: usize,
    /// The process that workers with its addresses are forked from.
    pub(crate) generation: u64,
}

/// By function.
#[derive(Default)]
pub(crate) struct Learned(Mutex<State>);

#[derive(Default)]
struct State {
    functions: HashMap<Key, Function>,
    bytes: usize,
    /// Counts uses, so that the oldest can be told.
    clock: u64,
    building: bool,
}

#[derive(Default)]
struct Function {
    modules: Vec<String>,
    image: Option<Arc<Image>>,
    tries: u32,
    used: u64,
}

/// The image of a call's function: what code it is, and where its packages are.
pub(crate) fn key(call: &Call) -> Key {
    let mut hash = sha2::Sha256::new();
    hash.update(call.code.hash);
    hash.update(call.context.get_str("packages").unwrap_or_default());
    hash.finalize().into()
}

impl Learned {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many functions have an image.
    pub(crate) fn images(&self) -> usize {
        let state = self.state();
        let images = state.functions.values().filter_map(|of| of.image.as_ref());
        images.count()
    }

    /// Whether an image is being made.
    pub(crate) fn building(&self) -> bool {
        self.state().building
    }

    /// The image for a function's call in a worker.
    pub(crate) fn image(&self, key: &Key, generation: u64) -> Option<Arc<Image>> {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let function = state.functions.get_mut(key)?;
        function.used = now;
        let image = function.image.as_ref()?;
        (image.generation == generation).then(|| image.clone())
    }

    /// Notes what a call loaded beside its image. The modules to make an image
    /// of, when that is worth it: the caller makes it, and calls
    /// [`Learned::built`].
    pub(crate) fn loaded(&self, key: &Key, modules: Vec<String>) -> Option<Vec<String>> {
        let mut state = self.state();
        if state.building || modules.is_empty() {
            return None;
        }
        if state.functions.len() >= FUNCTIONS_MAX {
            state.forget_oldest();
        }
        state.clock += 1;
        let now = state.clock;
        let function = state.functions.entry(*key).or_default();
        function.used = now;
        if function.tries >= TRIES_MAX {
            return None;
        }
        function.tries += 1;
        let before = function.bytes();
        let mut known: HashSet<String> = function.modules.iter().cloned().collect();
        for module in modules {
            if function.modules.len() >= MODULES_MAX {
                break;
            }
            if known.insert(module.clone()) {
                function.modules.push(module);
            }
        }
        let modules = function.modules.clone();
        let after = function.bytes();
        state.building = true;
        state.grew(before, after);
        Some(modules)
    }

    /// Forgets a function, as if it had never been called.
    pub(crate) fn forget(&self, key: &Key) {
        self.state().forget(key);
    }

    /// Keeps an image that was made; `None` when it could not be, which is not
    /// tried again.
    pub(crate) fn built(&self, key: &Key, image: Option<Image>) {
        let mut state = self.state();
        state.building = false;
        let Some(function) = state.functions.get_mut(key) else {
            return;
        };
        let before = function.bytes();
        if image.is_none() {
            function.tries = TRIES_MAX;
        }
        function.image = image.map(Arc::new);
        let after = function.bytes();
        state.grew(before, after);
    }
}

impl Function {
    /// What is kept of it.
    fn bytes(&self) -> usize {
        let names = self.modules.iter();
        let names: usize = names.map(|name| size_of::<String>() + name.len()).sum();
        names + self.image.as_ref().map_or(0, |image| image.changes.len())
    }
}

impl State {
    /// Counts a function anew, and makes room for it.
    fn grew(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes + after - before;
        while self.bytes > BYTES_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .functions
            .iter()
            .min_by_key(|(_, function)| function.used);
        let Some(key) = oldest.map(|(key, _)| *key) else {
            return;
        };
        self.forget(&key);
    }

    fn forget(&mut self, key: &Key) {
        if let Some(function) = self.functions.remove(key) {
            self.bytes -= function.bytes();
        }
    }
}

impl Image {
    /// An image as a worker made it; none when each worker would keep too much
    /// of it.
    pub(crate) fn new(changes: Vec<u8>, generation: u64) -> Option<Self> {
        let kept = crate::arena::length(&changes)?;
        (kept <= KEPT_BYTES_MAX).then(|| Self {
            key: sha2::Sha256::digest(&changes).into(),
            changes,
            kept,
            generation,
        })
    }
}
