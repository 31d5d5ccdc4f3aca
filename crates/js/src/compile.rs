//! Source to bytecode, in an engine of its own that runs nothing.

use std::ffi::CString;

use bson::{RawDocumentBuf, cstr};
use rquickjs_sys as q;

use crate::convert::text_of;
use crate::wire::binary;

/// A compiled function file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// Identifies the code: a hash of its bytes.
    pub hash: [u8; 32],
    /// The engine's bytecode. It is trusted: never take it from outside.
    pub bytecode: Vec<u8>,
}

/// Why a source does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong.
    pub message: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column.
    pub column: u32,
}

/// Bytes that compiling one source may take.
const MEMORY_BYTES_MAX: usize = 256 << 20;
/// Stack that compiling may take.
const STACK_BYTES_MAX: usize = 1 << 20;
/// What stands before the source: lines of its own, so that every place in the
/// source is its own. `exports` is a parameter, so that a file may also declare
/// it.
const BEFORE: &str = "(function(context,require,console,exports){\n\n";
/// The number of the first of them. Zero would mean one to the engine.
const BEFORE_LINE: i32 = -1;
/// What stands after it.
const AFTER: &str = "\nreturn exports})";

/// Compiles a function file; `path` is what stack traces show.
///
/// # Errors
/// Where the source is wrong.
pub fn compile(path: &str, source: &str) -> Result<Compiled, CompileError> {
    let wrapped = format!("{BEFORE}{source}{AFTER}");
    let bytecode =
        bytecode_from(path, &wrapped, BEFORE_LINE).map_err(|error| within(path, source, error))?;
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(&bytecode).into();
    Ok(Compiled { hash, bytecode })
}

/// An error of the wrapped source, at its place in the source. Where that ends
/// too early or too late, the wrapper is where the engine notices.
fn within(path: &str, source: &str, error: CompileError) -> CompileError {
    let lines: Vec<&str> = source.lines().collect();
    // The engine's columns count bytes.
    let inside = |error: &CompileError| {
        let before = lines
            .get((error.line as usize).checked_sub(1)?)?
            .get(..error.column as usize - 1);
        before.map(|before| before.chars().count() as u32 + 1)
    };
    let is_past = |error: &CompileError| {
        let line = lines.get(error.line as usize - 1);
        line.is_none_or(|line| error.column as usize > line.len())
    };
    let mut found = error;
    if is_past(&found) {
        // Without a wrapper, a bracket that closes nothing is found where it is.
        match bytecode(path, source) {
            Err(alone) if !is_past(&alone) => found = alone,
            _ => {
                let last = lines.last().map_or(0, |line| line.chars().count());
                return CompileError {
                    message: "SyntaxError: unexpected end of the file".to_owned(),
                    line: lines.len().max(1) as u32,
                    column: last as u32 + 1,
                };
            }
        }
    }
    found.column = inside(&found).unwrap_or(found.column);
    found
}

/// Compiles a script.
pub(crate) fn bytecode(path: &str, source: &str) -> Result<Vec<u8>, CompileError> {
    bytecode_from(path, source, 1)
}

/// Compiles a script whose first line has a number other than one.
pub(crate) fn bytecode_from(
    path: &str,
    source: &str,
    first_line: i32,
) -> Result<Vec<u8>, CompileError> {
    compiled(path, source, first_line, q::JS_EVAL_TYPE_GLOBAL)
}

/// Compiles an ES module; what it imports is looked for when it is loaded.
pub(crate) fn module(path: &str, source: &str) -> Result<Vec<u8>, CompileError> {
    compiled(path, source, 1, q::JS_EVAL_TYPE_MODULE)
}

fn compiled(path: &str, source: &str, first_line: i32, kind: u32) -> Result<Vec<u8>, CompileError> {
    let broken = |message: &str| CompileError {
        message: message.to_owned(),
        line: 1,
        column: 1,
    };
    let path = CString::new(path).map_err(|_| broken("the path contains a null byte"))?;
    let text = CString::new(source).map_err(|_| broken("the source contains a null byte"))?;
    // SAFETY: a runtime of its own, used on this thread only and freed at the
    // end; strings are terminated and passed with their length.
    unsafe {
        let runtime = q::JS_NewRuntime();
        if runtime.is_null() {
            return Err(broken("out of memory"));
        }
        q::JS_SetMemoryLimit(runtime, MEMORY_BYTES_MAX as _);
        q::JS_SetMaxStackSize(runtime, STACK_BYTES_MAX as _);
        // The engine wants to see what a module imports; any module does.
        q::JS_SetModuleLoaderFunc(runtime, None, Some(nothing), std::ptr::null_mut());
        let context = q::JS_NewContext(runtime);
        let mut options = q::JSEvalOptions {
            version: q::JS_EVAL_OPTIONS_VERSION as _,
            eval_flags: (kind | q::JS_EVAL_FLAG_COMPILE_ONLY) as _,
            filename: path.as_ptr(),
            line_num: first_line,
        };
        let length = source.len() as _;
        let function = q::JS_Eval2(context, text.as_ptr(), length, &raw mut options);
        let result = if q::JS_IsException(function) {
            let exception = q::JS_GetException(context);
            let error = located(context, exception);
            q::JS_FreeValue(context, exception);
            Err(error)
        } else {
            let mut length = 0;
            let flags = (q::JS_WRITE_OBJ_BYTECODE | q::JS_WRITE_OBJ_STRIP_SOURCE) as i32;
            let bytes = q::JS_WriteObject(context, &raw mut length, function, flags);
            q::JS_FreeValue(context, function);
            if bytes.is_null() {
                Err(broken("the function is too large"))
            } else {
                let copied = std::slice::from_raw_parts(bytes, length as usize).to_vec();
                q::js_free(context, bytes.cast());
                Ok(copied)
            }
        };
        q::JS_FreeContext(context);
        q::JS_FreeRuntime(runtime);
        result
    }
}

/// A module without exports.
unsafe extern "C" fn nothing(
    context: *mut q::JSContext,
    name: *const std::ffi::c_char,
    _: *mut std::ffi::c_void,
) -> *mut q::JSModuleDef {
    unsafe extern "C" fn made(_: *mut q::JSContext, _: *mut q::JSModuleDef) -> std::ffi::c_int {
        0
    }
    // SAFETY: the engine passes its live context and a terminated name.
    unsafe { q::JS_NewCModule(context, name, Some(made)) }
}

/// The message of a syntax error, and the place that its stack names first.
unsafe fn located(context: *mut q::JSContext, exception: q::JSValue) -> CompileError {
    // SAFETY: the context and the value are live; properties are released.
    let property = |name: &std::ffi::CStr| unsafe {
        let value = q::JS_GetPropertyStr(context, exception, name.as_ptr());
        let text = text_of(context, value).unwrap_or_default();
        q::JS_FreeValue(context, value);
        text
    };
    let stack = property(c"stack");
    let place = stack.lines().find_map(|line| {
        let mut parts = line.trim_end_matches(')').rsplit(':');
        let column = parts.next()?.trim().parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        Some((line, column))
    });
    let (line, column) = place.unwrap_or((1, 1));
    CompileError {
        message: format!("{}: {}", property(c"name"), property(c"message")),
        line,
        column,
    }
}

/// Puts code into a message; only its hash when the worker has it.
pub(crate) fn append_code(message: &mut RawDocumentBuf, code: &Compiled, with_bytes: bool) {
    message.append(cstr!("hash"), binary(&code.hash));
    if with_bytes {
        message.append(cstr!("code"), binary(&code.bytecode));
    }
}
