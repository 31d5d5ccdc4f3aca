//! The realm: runtime, context and prelude in the arena, and what the process
//! keeps outside of it for the call that runs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::{Bson, RawDocumentBuf};
use rquickjs_sys as q;
use rquickjs_sys::{JSContext, JSRuntime, JSValue};

use crate::LogLine;
use crate::arena::{self, Arena};
use crate::convert::{CLASSES, Shapes, to_js};
use crate::images::Images;
use crate::zygote::standard;

/// Set by the timer signal when a call's time is up.
pub(crate) static EXPIRED: AtomicBool = AtomicBool::new(false);

/// One function over all of its files.
const PRELUDE: &str = concat!(
    include_str!("prelude/bson.js"),
    include_str!("prelude/errors.js"),
    include_str!("prelude/globals.js"),
    include_str!("prelude/console.js"),
    include_str!("prelude/timers.js"),
    include_str!("prelude/mongodb.js"),
    include_str!("prelude/services.js"),
    include_str!("prelude/context.js"),
    include_str!("prelude/modules.js"),
    include_str!("prelude/intl.js"),
    include_str!("prelude/end.js"),
);

/// One realm in one arena.
pub(crate) struct Realm {
    pub(crate) arena: Arena,
    pub(crate) runtime: *mut JSRuntime,
    pub(crate) context: *mut JSContext,
    pub(crate) shapes: Shapes,
    pub(crate) load: JSValue,
    pub(crate) waits: JSValue,
    pub(crate) settle: JSValue,
    pub(crate) preload: JSValue,
    /// Calls a function of `node/_loader.js`.
    pub(crate) loader: JSValue,
    pub(crate) run: Run,
    /// Images with modules, by their keys.
    pub(crate) images: Images,
    pub(crate) server: Pipes,
    pub(crate) input: Vec<u8>,
    /// Bytecode by hash, kept between calls.
    pub(crate) codes: HashMap<Vec<u8>, Vec<u8>>,
    /// Packages, kept between calls.
    pub(crate) modules: crate::loader::Known,
}

/// The way to the server and back: the standard files, which stay open.
pub(crate) struct Pipes {
    pub(crate) input: ManuallyDrop<File>,
    pub(crate) output: ManuallyDrop<File>,
}

/// What belongs to the call that runs.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) logs: VecDeque<LogLine>,
    pub(crate) pending: HashMap<i32, [JSValue; 2]>,
    /// Those of them that the call does not wait for once its function is done.
    pub(crate) weak: HashSet<i32>,
    pub(crate) replies: VecDeque<RawDocumentBuf>,
    pub(crate) timers: Vec<Timer>,
    /// Promises that were rejected and nobody handled, with their reasons.
    pub(crate) unhandled: Vec<(JSValue, JSValue)>,
    /// What the first timer to throw threw.
    pub(crate) uncaught: Option<JSValue>,
    /// Replies of `context.values.get` by name.
    pub(crate) values: HashMap<String, RawDocumentBuf>,
    /// Code and inner frame of each function that a frame has executed.
    pub(crate) entered: HashMap<(i32, String), (Vec<u8>, i32)>,
    /// What each frame's `context` holds.
    pub(crate) contexts: Vec<(i32, RawDocumentBuf)>,
    /// Runs ticks, when there are any.
    pub(crate) tick: Option<JSValue>,
    /// What follows the call through promises and timers.
    pub(crate) follows: Option<JSValue>,
    pub(crate) operations: u32,
    /// Modules that were loaded, in the order in which that began.
    pub(crate) loaded: Vec<String>,
    /// Whether something was asked for that differs from call to call.
    pub(crate) asked: bool,
    /// Questions about modules.
    pub(crate) modules: u32,
    pub(crate) next: i32,
    /// What the function returned, once it has.
    pub(crate) result: Option<JSValue>,
    /// When the call began, in nanoseconds of the machine's clock.
    pub(crate) start: u64,
    /// The connection broke: nothing can go on.
    pub(crate) broken: bool,
}

/// A timer that waits.
pub(crate) struct Timer {
    pub(crate) id: i32,
    /// Nanoseconds of the machine's clock.
    pub(crate) due: u64,
    /// Nanoseconds; none for one that rings once.
    pub(crate) every: Option<u64>,
    /// Whether the call waits for it.
    pub(crate) keeps: bool,
    pub(crate) callback: JSValue,
}

impl Realm {
    /// Builds the realm and saves its image.
    ///
    /// # Errors
    /// When memory cannot be mapped or the prelude does not run.
    pub(crate) fn new() -> std::io::Result<Box<Self>> {
        let mut arena = Arena::new()?;
        let broken =
            |what: &str| std::io::Error::other(format!("the realm cannot be made: {what}"));
        // SAFETY: the runtime lives in the arena, which lives as long; it is
        // used on this thread only. Values kept here are owned by the realm and
        // saved with its image.
        unsafe {
            let runtime = q::JS_NewRuntime2(&raw const arena::FUNCTIONS, arena.opaque());
            if runtime.is_null() {
                return Err(broken("runtime"));
            }
            q::JS_SetMaxStackSize(runtime, kit::limit::CALL_STACK_BYTES_MAX as _);
            q::JS_SetInterruptHandler(runtime, Some(interrupt), ptr::null_mut());
            q::JS_SetHostPromiseRejectionTracker(
                runtime,
                Some(crate::natives::rejection),
                ptr::null_mut(),
            );
            crate::loader::install(runtime);
            // Collection is left to reference counts and to the reset.
            q::JS_SetGCThreshold(runtime, (8 << 20) as _);
            let context = q::JS_NewContext(runtime);
            if context.is_null() {
                return Err(broken("context"));
            }
            let code = crate::compile::bytecode("prelude", PRELUDE)
                .map_err(|error| broken(&format!("{error} at {}:{}", error.line, error.column)))?;
            let factory = evaluate(context, &code);
            let natives = crate::natives::make(context);
            let mut arguments = [natives];
            let made = q::JS_Call(context, factory, q::JS_UNDEFINED, 1, arguments.as_mut_ptr());
            if q::JS_IsException(made) {
                let exception = q::JS_GetException(context);
                let text = crate::convert::text_of(context, exception).unwrap_or_default();
                return Err(broken(&text));
            }
            let get = |name: &std::ffi::CStr| q::JS_GetPropertyStr(context, made, name.as_ptr());
            let list = get(c"prototypes");
            let mut prototypes = [q::JS_UNDEFINED; CLASSES.len()];
            for (index, prototype) in prototypes.iter_mut().enumerate() {
                *prototype = q::JS_GetPropertyUint32(context, list, index as u32);
            }
            let atom =
                |name: &str| q::JS_NewAtomLen(context, name.as_ptr().cast(), name.len() as _);
            let shapes = Shapes {
                prototypes,
                min_key: get(c"MinKey"),
                max_key: get(c"MaxKey"),
                value_atom: atom("_v"),
                extra_atom: atom("_x"),
            };
            let realm = Self {
                runtime,
                context,
                shapes,
                load: get(c"load"),
                waits: get(c"waits"),
                settle: get(c"settle"),
                preload: get(c"preload"),
                loader: get(c"loader"),
                run: Run::default(),
                images: Images::new(),
                server: Pipes {
                    input: standard(0),
                    output: standard(1),
                },
                input: Vec::new(),
                codes: HashMap::new(),
                modules: crate::loader::Known::default(),
                arena: {
                    arena.save();
                    arena
                },
            };
            Ok(Box::new(realm))
        }
    }

    /// Goes back to the realm that nobody used.
    pub(crate) fn reset(&mut self) {
        self.run = Run::default();
        self.modules.tidy();
        self.arena.reset();
        EXPIRED.store(false, Ordering::Relaxed);
        // SAFETY: the runtime is the restored one, on the thread that made it.
        unsafe { q::JS_UpdateStackTop(self.runtime) };
    }

    /// Goes to the realm of an image, or to the first one.
    pub(crate) fn use_image(&mut self, image: Option<Rc<[u8]>>) {
        self.arena.use_image(image);
        // SAFETY: as for `reset`.
        unsafe { q::JS_UpdateStackTop(self.runtime) };
    }

    /// Loads modules by their ids: `node:NAME`, or a file's path in the packages.
    /// `checked` for whether they change what they share with functions.
    ///
    /// # Errors
    /// What one of them throws or changes.
    pub(crate) fn preload(&mut self, ids: &[String], checked: bool) -> Result<(), String> {
        let list: Vec<Bson> = ids.iter().map(|id| id.as_str().into()).collect();
        let list = self.value(&Bson::Array(list));
        // SAFETY: the context is live, on the thread that made it; values are
        // released.
        unsafe {
            let context = self.context;
            let undefined = q::JS_UNDEFINED;
            let mut arguments = [list, if checked { q::JS_TRUE } else { q::JS_FALSE }];
            let done = q::JS_Call(context, self.preload, undefined, 2, arguments.as_mut_ptr());
            q::JS_FreeValue(context, list);
            if q::JS_IsException(done) {
                let exception = q::JS_GetException(context);
                return Err(crate::convert::text_of(context, exception).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// A BSON value in the realm.
    pub(crate) fn value(&self, value: &Bson) -> JSValue {
        let raw = bson::RawBson::try_from(value.clone()).unwrap_or(bson::RawBson::Null);
        // SAFETY: the context is live and the shapes are its own.
        unsafe { to_js(self.context, &self.shapes, raw.as_raw_bson_ref()) }
    }

    /// Runs compiled code and answers its value: for a function file, its
    /// factory.
    pub(crate) fn evaluate(&self, code: &[u8]) -> JSValue {
        // SAFETY: the code was compiled by this build and came from the server.
        unsafe { evaluate(self.context, code) }
    }
}

/// # Safety
/// `code` is bytecode of this engine build, `context` is live.
unsafe fn evaluate(context: *mut JSContext, code: &[u8]) -> JSValue {
    // SAFETY: as the caller promises; `JS_EvalFunction` takes the function over.
    unsafe {
        let flags = q::JS_READ_OBJ_BYTECODE as i32;
        let function = q::JS_ReadObject(context, code.as_ptr(), code.len() as _, flags);
        if q::JS_IsException(function) {
            return function;
        }
        q::JS_EvalFunction(context, function)
    }
}

unsafe extern "C" fn interrupt(_: *mut JSRuntime, _: *mut std::ffi::c_void) -> std::ffi::c_int {
    i32::from(EXPIRED.load(Ordering::Relaxed))
}
