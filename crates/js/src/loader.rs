//! npm packages from the worker's side: what it knows of installations, and the
//! engine's way to ES modules.
//!
//! What is kept between calls says nothing of them: which file a name means in
//! an installation that never changes, and bytecode by the hash of its source.
//! Modules themselves are made anew in each call.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use kit::limit;
use rquickjs_sys as q;
use rquickjs_sys::{JSContext, JSModuleDef, JSRuntime, JSValue};

use crate::convert::{PLAIN, string, text_of};
use crate::natives::{Message, Native, argument, realm, throw, wait};
use crate::wire::bytes;

/// The functions that `node/_loader.js` calls.
pub(crate) const NATIVES: &[(&CStr, Native)] = &[
    (c"resolve", resolve),
    (c"module", module),
    (c"namespace", namespace),
    (c"file", file),
];

/// What a worker knows of installations.
#[derive(Default)]
pub(crate) struct Known {
    sets: HashMap<String, Set>,
    codes: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

/// One installation.
#[derive(Default)]
struct Set {
    /// By folder, name, and whether it is imported.
    names: HashMap<(String, String, bool), Result<String, Refusal>>,
    files: HashMap<String, File>,
}

#[derive(Clone)]
struct Refusal {
    code: String,
    message: String,
}

#[derive(Clone)]
struct File {
    format: String,
    hash: Vec<u8>,
    broken: String,
}

impl Known {
    /// Makes room, between calls.
    pub(crate) fn tidy(&mut self) {
        if self.bytes > limit::WORKER_MODULES_BYTES_MAX {
            *self = Self::default();
        }
    }

    /// Takes over what the server tells of an installation.
    fn learn(&mut self, set: &str, told: &RawDocument) {
        let known = self.sets.entry(set.to_owned()).or_default();
        let text = |document: &RawDocument, name: &str| {
            document.get_str(name).unwrap_or_default().to_owned()
        };
        for named in documents(told, "names") {
            let import = named.get_bool("import").unwrap_or(false);
            let key = (text(named, "folder"), text(named, "name"), import);
            let path = text(named, "path");
            self.bytes += key.0.len() + key.1.len() + path.len() + 100;
            known.names.insert(key, Ok(path));
        }
        for told in documents(told, "files") {
            let file = File {
                format: text(told, "format"),
                hash: bytes(told, "hash").unwrap_or_default().to_vec(),
                broken: text(told, "broken"),
            };
            if let Some(code) = bytes(told, "code") {
                self.bytes += code.len();
                self.codes.insert(file.hash.clone(), code.to_vec());
            }
            let path = text(told, "path");
            self.bytes += path.len() + 150;
            known.files.insert(path, file);
        }
    }
}

fn documents<'d>(
    told: &'d RawDocument,
    name: &str,
) -> impl Iterator<Item = &'d RawDocument> + use<'d> {
    let list = told.get_array(name).into_iter().flatten().flatten();
    list.filter_map(RawBsonRef::as_document)
}

/// Lets the engine load ES modules.
///
/// # Safety
/// `runtime` is live, on the realm's thread.
pub(crate) unsafe fn install(runtime: *mut JSRuntime) {
    // SAFETY: as the caller promises.
    unsafe { q::JS_SetModuleLoaderFunc(runtime, Some(normalize), Some(load), ptr::null_mut()) }
}

/// The installation of the call that runs.
fn set() -> Option<String> {
    let contexts = &realm().run.contexts;
    let top = contexts.iter().find(|(frame, _)| *frame == 0);
    let set = top.and_then(|(_, context)| context.get_str("packages").ok());
    set.map(str::to_owned)
}

/// Asks the server, which is no operation of the function's own; how often, is
/// bounded.
unsafe fn ask(
    ctx: *mut JSContext,
    operation: &str,
    asked: &RawDocument,
) -> Result<RawDocumentBuf, JSValue> {
    // SAFETY: `ctx` is live.
    unsafe {
        let run = &mut realm().run;
        run.modules += 1;
        if run.modules > limit::CALL_MODULES_MAX {
            let most = limit::CALL_MODULES_MAX;
            let text = format!("a function may load {most} modules at most");
            return Err(throw(ctx, "RangeError", &text, ""));
        }
        run.next += 1;
        let message = Message::host(run.next, 0, operation, asked);
        let reply = wait(ctx, &message)?;
        match reply.get_document("value") {
            Ok(value) => Ok(value.to_owned()),
            Err(_) => Err(throw(ctx, "Error", "the server did not answer", "")),
        }
    }
}

/// The path that a name means in a file of a folder.
unsafe fn resolved(
    ctx: *mut JSContext,
    folder: &str,
    name: &str,
    import: bool,
) -> Result<String, JSValue> {
    // SAFETY: `ctx` is live.
    unsafe {
        let missing = |refusal: &Refusal| throw(ctx, "Error", &refusal.message, &refusal.code);
        let Some(set) = set() else {
            let (code, what) = if import {
                ("ERR_MODULE_NOT_FOUND", "package")
            } else {
                ("MODULE_NOT_FOUND", "module")
            };
            return Err(missing(&Refusal {
                code: code.to_owned(),
                message: format!("Cannot find {what} '{name}'"),
            }));
        };
        let key = (folder.to_owned(), name.to_owned(), import);
        let first = match realm().modules.sets.get(&set) {
            Some(known) => match known.names.get(&key) {
                Some(Ok(path)) => return Ok(path.clone()),
                Some(Err(refusal)) => return Err(missing(refusal)),
                None => false,
            },
            None => true,
        };
        let asked = rawdoc! { "folder": folder, "name": name, "import": import, "first": first };
        let told = ask(ctx, "modules.resolve", &asked)?;
        let modules = &mut realm().modules;
        modules.learn(&set, &told);
        let answer = match told.get_document("error") {
            Ok(error) => Err(Refusal {
                code: error.get_str("code").unwrap_or_default().to_owned(),
                message: error.get_str("message").unwrap_or_default().to_owned(),
            }),
            Err(_) => Ok(told.get_str("path").unwrap_or_default().to_owned()),
        };
        modules.bytes += folder.len() + name.len() + 200;
        if let Some(known) = modules.sets.get_mut(&set) {
            known.names.insert(key, answer.clone());
        }
        answer.map_err(|refusal| missing(&refusal))
    }
}

/// A file's format and code; none for one without any.
unsafe fn loadable(ctx: *mut JSContext, path: &str) -> Result<(String, &'static [u8]), JSValue> {
    // SAFETY: `ctx` is live; code is dropped between calls only.
    unsafe {
        let missing = || {
            let text = format!("Cannot find module '{path}'");
            throw(ctx, "Error", &text, "MODULE_NOT_FOUND")
        };
        let set = set().ok_or_else(missing)?;
        let find = || {
            let modules = &realm().modules;
            let file = modules.sets.get(&set)?.files.get(path)?;
            Some((file.clone(), modules.codes.get(&file.hash)))
        };
        let mut found = find();
        let lacks = |found: &Option<(File, Option<&'static Vec<u8>>)>| match found {
            None => true,
            Some((file, code)) => code.is_none() && !matches!(&*file.format, "broken" | "addon"),
        };
        if lacks(&found) {
            let mut paths = RawArrayBuf::new();
            paths.push(path);
            let told = ask(ctx, "modules.code", &rawdoc! { "paths": paths })?;
            realm().modules.learn(&set, &told);
            found = find();
        }
        let Some((file, code)) = found else {
            return Err(missing());
        };
        match (&*file.format, code) {
            ("broken", _) => {
                let (name, message) = match file.broken.strip_prefix("SyntaxError: ") {
                    Some(message) => ("SyntaxError", message),
                    None => ("RangeError", &*file.broken),
                };
                Err(throw(ctx, name, message, ""))
            }
            (_, Some(code)) => Ok((file.format, code)),
            ("addon", None) => Ok((file.format, &[])),
            _ => Err(missing()),
        }
    }
}

/// `resolve(folder, name, import)`: a path.
unsafe extern "C" fn resolve(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as the engine promises for every native: `ctx` is live and `a`
    // holds `n` values.
    unsafe {
        let (Some(folder), Some(name)) = (
            text_of(ctx, argument(n, a, 0)),
            text_of(ctx, argument(n, a, 1)),
        ) else {
            return q::JS_EXCEPTION;
        };
        let import = q::JS_ToBool(ctx, argument(n, a, 2)) == 1;
        match resolved(ctx, &folder, &name, import) {
            Ok(path) => string(ctx, &path),
            Err(exception) => exception,
        }
    }
}

/// `module(path)`: `[format, what it is]`: a factory of CommonJS, a value of
/// JSON; nothing yet of an ES module.
unsafe extern "C" fn module(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `resolve`.
    unsafe {
        let Some(path) = text_of(ctx, argument(n, a, 0)) else {
            return q::JS_EXCEPTION;
        };
        let (format, code) = match loadable(ctx, &path) {
            Ok(found) => found,
            Err(exception) => return exception,
        };
        realm().run.loaded.push(path.clone());
        let value = match &*format {
            "commonjs" => realm().evaluate(code),
            "json" => {
                let (Ok(path), Ok(text)) = (CString::new(path), CString::new(code)) else {
                    return throw(ctx, "SyntaxError", "the JSON contains a null byte", "");
                };
                q::JS_ParseJSON(ctx, text.as_ptr(), code.len() as _, path.as_ptr())
            }
            _ => q::JS_UNDEFINED,
        };
        if q::JS_IsException(value) {
            return value;
        }
        let pair = q::JS_NewArray(ctx);
        if q::JS_IsException(pair) {
            return pair;
        }
        q::JS_DefinePropertyValueUint32(ctx, pair, 0, string(ctx, &format), PLAIN);
        q::JS_DefinePropertyValueUint32(ctx, pair, 1, value, PLAIN);
        pair
    }
}

/// `namespace(path)`: an ES module, for `require`; one that awaits at its top
/// level cannot be had so.
unsafe extern "C" fn namespace(
    ctx: *mut JSContext,
    _: JSValue,
    n: c_int,
    a: *mut JSValue,
) -> JSValue {
    // SAFETY: as for `resolve`; values that the engine makes are released.
    unsafe {
        let Some(path) = text_of(ctx, argument(n, a, 0)) else {
            return q::JS_EXCEPTION;
        };
        let quoted = serde_json::Value::from(path.as_str()).to_string();
        let source = format!("export * as loaded from {quoted}");
        let (Ok(name), Ok(text)) = (
            CString::new(format!("{path}?require")),
            CString::new(source.as_str()),
        ) else {
            return throw(ctx, "TypeError", "the path contains a null byte", "");
        };
        let flags = (q::JS_EVAL_TYPE_MODULE | q::JS_EVAL_FLAG_COMPILE_ONLY) as c_int;
        let length = source.len() as _;
        let wrapper = q::JS_Eval(ctx, text.as_ptr(), length, name.as_ptr(), flags);
        if q::JS_IsException(wrapper) {
            return wrapper;
        }
        let definition = q::JS_VALUE_GET_PTR(wrapper).cast::<JSModuleDef>();
        let promise = q::JS_EvalFunction(ctx, wrapper);
        if q::JS_IsException(promise) {
            return promise;
        }
        let state = q::JS_PromiseState(ctx, promise);
        let result = if state == q::JSPromiseStateEnum_JS_PROMISE_FULFILLED {
            let namespace = q::JS_GetModuleNamespace(ctx, definition);
            let loaded = q::JS_GetPropertyStr(ctx, namespace, c"loaded".as_ptr());
            q::JS_FreeValue(ctx, namespace);
            loaded
        } else if state == q::JSPromiseStateEnum_JS_PROMISE_REJECTED {
            // It is thrown, and so handled.
            let tracker = ptr::null_mut();
            crate::natives::rejection(ctx, promise, q::JS_UNDEFINED, true, tracker);
            q::JS_Throw(ctx, q::JS_PromiseResult(ctx, promise))
        } else {
            let text = format!(
                "require() cannot be used on an ES module with top-level await: {path}; use import()"
            );
            throw(ctx, "Error", &text, "ERR_REQUIRE_ASYNC_MODULE")
        };
        q::JS_FreeValue(ctx, promise);
        result
    }
}

/// `file(path, read)`: what lies at a path of the packages:
/// `{kind: "none" | "file" | "folder", size, names, bytes}`.
unsafe extern "C" fn file(ctx: *mut JSContext, _: JSValue, n: c_int, a: *mut JSValue) -> JSValue {
    // SAFETY: as for `resolve`.
    unsafe {
        let Some(path) = text_of(ctx, argument(n, a, 0)) else {
            return q::JS_EXCEPTION;
        };
        let read = q::JS_ToBool(ctx, argument(n, a, 1)) == 1;
        let told = match set() {
            None => rawdoc! { "kind": "none" },
            Some(_) => match ask(ctx, "modules.file", &rawdoc! { "path": path, "read": read }) {
                Ok(told) => told,
                Err(exception) => return exception,
            },
        };
        crate::convert::to_js(ctx, &realm().shapes, RawBsonRef::Document(&told))
    }
}

/// The engine's question which module a name means.
unsafe extern "C" fn normalize(
    ctx: *mut JSContext,
    base: *const c_char,
    name: *const c_char,
    _: *mut c_void,
) -> *mut c_char {
    // SAFETY: the engine passes terminated names.
    unsafe {
        let base = CStr::from_ptr(base).to_string_lossy();
        let name = CStr::from_ptr(name).to_string_lossy();
        let path = if let Some(builtin) = crate::builtins::public(&name) {
            Ok(format!("node:{builtin}"))
        } else if name.starts_with("node:") {
            let text = format!("No such built-in module: {name}");
            Err(throw(ctx, "Error", &text, "ERR_UNKNOWN_BUILTIN_MODULE"))
        } else {
            // Files of functions lie above all packages.
            let folder = match base.strip_prefix('/') {
                Some(_) => crate::packages::parent(&base),
                None => "/",
            };
            resolved(ctx, folder, &name, true)
        };
        let Ok(path) = path else {
            return ptr::null_mut();
        };
        // Its own words lead to modules of Node, too.
        let path = match crate::builtins::public(&path) {
            Some(builtin) => format!("node:{builtin}"),
            None => path,
        };
        q::js_strndup(ctx, path.as_ptr().cast(), path.len() as _)
    }
}

/// The engine's question for a module.
unsafe extern "C" fn load(
    ctx: *mut JSContext,
    name: *const c_char,
    _: *mut c_void,
) -> *mut JSModuleDef {
    // SAFETY: the engine passes a terminated name; what is made belongs to it.
    unsafe {
        let path = CStr::from_ptr(name).to_string_lossy().into_owned();
        let code = if path.starts_with("node:") {
            None
        } else {
            match loadable(ctx, &path) {
                Ok((format, code)) => (format == "module").then_some(code),
                Err(_) => return ptr::null_mut(),
            }
        };
        let Some(code) = code else {
            return synthetic(ctx, name, &path);
        };
        let flags = q::JS_READ_OBJ_BYTECODE as c_int;
        let module = q::JS_ReadObject(ctx, code.as_ptr(), code.len() as _, flags);
        if q::JS_IsException(module) {
            return ptr::null_mut();
        }
        let definition = q::JS_VALUE_GET_PTR(module).cast::<JSModuleDef>();
        q::JS_FreeValue(ctx, module);
        let meta = q::JS_GetImportMeta(ctx, definition);
        let described = loader(ctx, "meta", &path, Some(meta));
        q::JS_FreeValue(ctx, meta);
        if q::JS_IsException(described) {
            return ptr::null_mut();
        }
        q::JS_FreeValue(ctx, described);
        definition
    }
}

/// An ES module with the exports of what is none.
unsafe fn synthetic(ctx: *mut JSContext, name: *const c_char, path: &str) -> *mut JSModuleDef {
    // SAFETY: as for `load`.
    unsafe {
        // [name, value, …]
        let exports = loader(ctx, "imported", path, None);
        if q::JS_IsException(exports) {
            return ptr::null_mut();
        }
        let definition = q::JS_NewCModule(ctx, name, Some(fill));
        if definition.is_null() {
            return definition;
        }
        for (name, value) in pairs(ctx, exports) {
            q::JS_FreeValue(ctx, value);
            if q::JS_AddModuleExport(ctx, definition, name.as_ptr()) < 0 {
                return ptr::null_mut();
            }
        }
        q::JS_SetModulePrivateValue(ctx, definition, exports);
        definition
    }
}

/// Sets the exports of such a module, when it is evaluated.
unsafe extern "C" fn fill(ctx: *mut JSContext, definition: *mut JSModuleDef) -> c_int {
    // SAFETY: as for `load`; values are handed over.
    unsafe {
        let exports = q::JS_GetModulePrivateValue(ctx, definition);
        for (name, value) in pairs(ctx, exports) {
            if q::JS_SetModuleExport(ctx, definition, name.as_ptr(), value) < 0 {
                return -1;
            }
        }
        q::JS_FreeValue(ctx, exports);
        0
    }
}

/// Names and values that follow each other in an array.
unsafe fn pairs(ctx: *mut JSContext, array: JSValue) -> Vec<(CString, JSValue)> {
    // SAFETY: `array` is one of the loader's own.
    unsafe {
        let mut length = 0;
        q::JS_GetLength(ctx, array, &raw mut length);
        let mut pairs = Vec::new();
        for index in (0..length - 1).step_by(2) {
            let name = q::JS_GetPropertyInt64(ctx, array, index);
            let text = text_of(ctx, name).and_then(|text| CString::new(text).ok());
            q::JS_FreeValue(ctx, name);
            if let Some(text) = text {
                pairs.push((text, q::JS_GetPropertyInt64(ctx, array, index + 1)));
            }
        }
        pairs
    }
}

/// Calls a function of `node/_loader.js`.
unsafe fn loader(ctx: *mut JSContext, what: &str, path: &str, with: Option<JSValue>) -> JSValue {
    // SAFETY: as for `load`.
    unsafe {
        let what = string(ctx, what);
        let path = string(ctx, path);
        let mut arguments = [what, path, with.unwrap_or(q::JS_UNDEFINED)];
        let (function, this) = (realm().loader, q::JS_UNDEFINED);
        let result = q::JS_Call(ctx, function, this, 3, arguments.as_mut_ptr());
        q::JS_FreeValue(ctx, what);
        q::JS_FreeValue(ctx, path);
        result
    }
}
