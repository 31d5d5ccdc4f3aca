//! BSON to JavaScript values and back, with exact types.
//!
//! Int32 is the engine's integer, Double its float; Long, Decimal128, Binary
//! and the rest are objects of the prelude's classes, which carry `_bsontype`
//! and their content in `_v`.

use std::borrow::Cow;
use std::ffi::c_int;
use std::slice;

use bson::RawDocumentBuf;
use bson::raw::{RawArray, RawBsonRef, RawDocument};
use bson::spec::BinarySubtype;
use rquickjs_sys as q;
use rquickjs_sys::{JSAtom, JSContext, JSValue};

/// Classes of the prelude, in the order in which it registers their
/// prototypes.
pub(crate) const CLASSES: [&str; 12] = [
    "ObjectId",
    "Long",
    "Double",
    "Int32",
    "Decimal128",
    "Binary",
    "Timestamp",
    "BSONRegExp",
    "Code",
    "BSONSymbol",
    "DBPointer",
    "Key",
];

/// What conversions need of a realm; all of it lies in the arena's image.
pub(crate) struct Shapes {
    pub(crate) prototypes: [JSValue; CLASSES.len()],
    pub(crate) min_key: JSValue,
    pub(crate) max_key: JSValue,
    pub(crate) value_atom: JSAtom,
    pub(crate) extra_atom: JSAtom,
}

/// Why a value cannot cross.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unconvertible {
    /// The engine threw while it was read, or ran out of memory.
    Thrown,
    /// It is nested too deeply, or contains itself.
    TooDeep,
    /// It is larger than a document may be.
    TooLarge,
}

impl std::fmt::Display for Unconvertible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Thrown => "the value has no BSON form",
            Self::TooDeep => "the value contains itself or is nested too deeply",
            Self::TooLarge => "the value is too large",
        })
    }
}

/// BSON to a value that the caller owns; the exception value when memory runs
/// out.
///
/// # Safety
/// `ctx` is the live context that `shapes` belongs to.
pub(crate) unsafe fn to_js(ctx: *mut JSContext, shapes: &Shapes, value: RawBsonRef<'_>) -> JSValue {
    use RawBsonRef as R;
    // SAFETY: throughout, `ctx` is live, strings are passed with their length,
    // and each made value is handed to its owner or returned.
    unsafe {
        let class = |index: usize, content: JSValue| object(ctx, shapes, index, content, None);
        match value {
            R::Null => q::JS_NULL,
            R::Undefined => q::JS_UNDEFINED,
            R::Boolean(b) => {
                if b {
                    q::JS_TRUE
                } else {
                    q::JS_FALSE
                }
            }
            R::Int32(n) => int(n),
            R::Double(n) => float(n),
            R::String(text) => string(ctx, text),
            R::DateTime(date) => q::JS_NewDate(ctx, date.timestamp_millis() as f64),
            R::Document(document) => document_to_js(ctx, shapes, document),
            R::Array(array) => array_to_js(ctx, shapes, array),
            R::ObjectId(id) => {
                let hex = hex(&id.bytes());
                class(0, string(ctx, &hex))
            }
            R::Int64(n) => class(1, string(ctx, &n.to_string())),
            R::Decimal128(n) => class(4, string(ctx, &n.to_string())),
            R::Binary(binary) => {
                let bytes =
                    q::JS_NewUint8ArrayCopy(ctx, binary.bytes.as_ptr(), binary.bytes.len() as _);
                let subtype = i32::from(u8::from(binary.subtype));
                object(ctx, shapes, 5, bytes, Some(int(subtype)))
            }
            R::Timestamp(stamp) => object(
                ctx,
                shapes,
                6,
                float(f64::from(stamp.time)),
                Some(float(f64::from(stamp.increment))),
            ),
            R::RegularExpression(regex) => object(
                ctx,
                shapes,
                7,
                string(ctx, regex.pattern.as_str()),
                Some(string(ctx, regex.options.as_str())),
            ),
            R::JavaScriptCode(code) => class(8, string(ctx, code)),
            R::JavaScriptCodeWithScope(code) => object(
                ctx,
                shapes,
                8,
                string(ctx, code.code),
                Some(document_to_js(ctx, shapes, code.scope)),
            ),
            R::Symbol(text) => class(9, string(ctx, text)),
            R::DbPointer(_) => {
                let (namespace, id) = db_pointer(value).unwrap_or_default();
                let id = to_js(ctx, shapes, R::ObjectId(id));
                object(ctx, shapes, 10, string(ctx, &namespace), Some(id))
            }
            R::MinKey => q::JS_DupValue(ctx, shapes.min_key),
            R::MaxKey => q::JS_DupValue(ctx, shapes.max_key),
        }
    }
}

// What was made before memory ran out is not released: it goes with the reset.

unsafe fn array_to_js(ctx: *mut JSContext, shapes: &Shapes, array: &RawArray) -> JSValue {
    // SAFETY: as for `to_js`.
    unsafe {
        let list = q::JS_NewArray(ctx);
        if q::JS_IsException(list) {
            return list;
        }
        for (index, element) in array.into_iter().flatten().enumerate() {
            let element = to_js(ctx, shapes, element);
            // Defined, not set: the function may have put setters on
            // `Array.prototype`.
            if q::JS_IsException(element)
                || q::JS_DefinePropertyValueUint32(ctx, list, index as u32, element, PLAIN) < 0
            {
                return q::JS_EXCEPTION;
            }
        }
        list
    }
}

unsafe fn document_to_js(ctx: *mut JSContext, shapes: &Shapes, document: &RawDocument) -> JSValue {
    // SAFETY: as for `to_js`.
    unsafe {
        let object = q::JS_NewObject(ctx);
        if q::JS_IsException(object) {
            return object;
        }
        for (name, value) in document.iter().flatten() {
            let name = name.as_str();
            let value = to_js(ctx, shapes, value);
            if q::JS_IsException(value) {
                return value;
            }
            let atom = q::JS_NewAtomLen(ctx, name.as_ptr().cast(), name.len() as _);
            if atom == q::JS_ATOM_NULL {
                return q::JS_EXCEPTION;
            }
            // Defined, not set: `__proto__` is a field like any other.
            let defined = q::JS_DefinePropertyValue(ctx, object, atom, value, PLAIN);
            q::JS_FreeAtom(ctx, atom);
            if defined < 0 {
                return q::JS_EXCEPTION;
            }
        }
        object
    }
}

const UINT8_ARRAY: c_int = q::JSTypedArrayEnum_JS_TYPED_ARRAY_UINT8 as c_int;
/// Configurable, writable, enumerable.
pub(crate) const PLAIN: c_int = 7;

unsafe fn object(
    ctx: *mut JSContext,
    shapes: &Shapes,
    class: usize,
    content: JSValue,
    extra: Option<JSValue>,
) -> JSValue {
    // SAFETY: as for `to_js`; the prototypes live as long as the realm.
    unsafe {
        let object = q::JS_NewObjectProto(ctx, shapes.prototypes[class]);
        let parts = [
            (shapes.value_atom, Some(content)),
            (shapes.extra_atom, extra),
        ];
        for (atom, part) in parts {
            let Some(part) = part else { continue };
            if q::JS_IsException(object)
                || q::JS_IsException(part)
                || q::JS_DefinePropertyValue(ctx, object, atom, part, PLAIN) < 0
            {
                return q::JS_EXCEPTION;
            }
        }
        object
    }
}

pub(crate) fn int(n: i32) -> JSValue {
    q::JS_MKVAL(q::JS_TAG_INT, n)
}

/// A float stays one, also when it has no fraction.
pub(crate) fn float(n: f64) -> JSValue {
    q::__JS_NewFloat64(n)
}

pub(crate) unsafe fn string(ctx: *mut JSContext, text: &str) -> JSValue {
    // SAFETY: the text is passed with its length.
    unsafe { q::JS_NewStringLen(ctx, text.as_ptr().cast(), text.len() as _) }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

fn db_pointer(value: RawBsonRef<'_>) -> Option<(String, bson::oid::ObjectId)> {
    // The library shows the parts only as Extended JSON.
    let json = bson::Bson::try_from(value).ok()?.into_canonical_extjson();
    let parts = json.get("$dbPointer")?;
    let id = parts.get("$id")?.get("$oid")?.as_str()?;
    Some((
        parts.get("$ref")?.as_str()?.to_owned(),
        bson::oid::ObjectId::parse_str(id).ok()?,
    ))
}

/// A value to the document `{v: value}`; a dropped value (a function, a
/// symbol) leaves it empty.
///
/// # Safety
/// `ctx` is the live context that `shapes` belongs to.
pub(crate) unsafe fn from_js(
    ctx: *mut JSContext,
    shapes: &Shapes,
    value: JSValue,
    keep_undefined: bool,
) -> Result<RawDocumentBuf, Unconvertible> {
    let mut writer = Writer {
        ctx,
        shapes,
        out: vec![0; 4],
        keep_undefined,
    };
    // SAFETY: as the caller promises.
    unsafe { writer.element(b"v", value, 0)? };
    writer.out.push(0);
    if writer.out.len() > BYTES_MAX {
        return Err(Unconvertible::TooLarge);
    }
    let length = writer.out.len() as i32;
    writer.out[..4].copy_from_slice(&length.to_le_bytes());
    RawDocumentBuf::from_bytes(writer.out).map_err(|_| Unconvertible::Thrown)
}

/// The largest value that crosses: messages have room for more beside it.
const BYTES_MAX: usize = crate::wire::MESSAGE_BYTES_MAX / 2;

struct Writer<'a> {
    ctx: *mut JSContext,
    shapes: &'a Shapes,
    out: Vec<u8>,
    keep_undefined: bool,
}

type Written = Result<(), Unconvertible>;

impl Writer<'_> {
    fn head(&mut self, kind: u8, name: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(name);
        self.out.push(0);
    }

    fn text(&mut self, text: &[u8]) {
        self.out
            .extend_from_slice(&(text.len() as i32 + 1).to_le_bytes());
        self.out.extend_from_slice(text);
        self.out.push(0);
    }

    unsafe fn element(&mut self, name: &[u8], value: JSValue, depth: usize) -> Written {
        if depth > kit::limit::NESTING_DEPTH_MAX {
            return Err(Unconvertible::TooDeep);
        }
        if self.out.len() > BYTES_MAX {
            return Err(Unconvertible::TooLarge);
        }
        // SAFETY: throughout this type, `ctx` is live and `value` a value of
        // its realm; values that the engine returns are released.
        unsafe {
            match q::JS_VALUE_GET_NORM_TAG(value) {
                q::JS_TAG_INT => {
                    self.head(0x10, name);
                    self.out
                        .extend_from_slice(&q::JS_VALUE_GET_INT(value).to_le_bytes());
                }
                q::JS_TAG_FLOAT64 => {
                    self.head(0x01, name);
                    self.out
                        .extend_from_slice(&q::JS_VALUE_GET_FLOAT64(value).to_le_bytes());
                }
                q::JS_TAG_BOOL => {
                    self.head(0x08, name);
                    self.out.push(u8::from(q::JS_VALUE_GET_BOOL(value)));
                }
                q::JS_TAG_NULL => self.head(0x0a, name),
                q::JS_TAG_UNDEFINED if self.keep_undefined => self.head(0x06, name),
                q::JS_TAG_STRING | q::JS_TAG_STRING_ROPE => {
                    self.head(0x02, name);
                    self.string(value)?;
                }
                q::JS_TAG_BIG_INT | q::JS_TAG_SHORT_BIG_INT => {
                    let mut n = 0;
                    if q::JS_ToBigInt64(self.ctx, &raw mut n, value) != 0 {
                        return Err(Unconvertible::Thrown);
                    }
                    self.head(0x12, name);
                    self.out.extend_from_slice(&n.to_le_bytes());
                }
                q::JS_TAG_OBJECT => return self.object(name, value, depth),
                _ => {}
            }
        }
        Ok(())
    }

    unsafe fn string(&mut self, value: JSValue) -> Written {
        let mut length = 0;
        // SAFETY: the engine's string is released after it was copied.
        unsafe {
            let text = q::JS_ToCStringLen(self.ctx, &raw mut length, value);
            if text.is_null() {
                return Err(Unconvertible::Thrown);
            }
            if length > BYTES_MAX {
                q::JS_FreeCString(self.ctx, text);
                return Err(Unconvertible::TooLarge);
            }
            let bytes = slice::from_raw_parts(text.cast::<u8>(), length);
            self.text(utf8(bytes).as_bytes());
            q::JS_FreeCString(self.ctx, text);
        }
        Ok(())
    }

    unsafe fn object(&mut self, name: &[u8], value: JSValue, depth: usize) -> Written {
        // SAFETY: as for `element`.
        unsafe {
            if q::JS_IsFunction(self.ctx, value) {
                return Ok(());
            }
            if q::JS_IsArray(value) {
                self.head(0x04, name);
                return self.nested(|writer| writer.elements(value, depth));
            }
            if q::JS_IsDate(value) {
                let mut ms = 0.0;
                if q::JS_ToFloat64(self.ctx, &raw mut ms, value) != 0 {
                    return Err(Unconvertible::Thrown);
                }
                if ms.is_nan() {
                    // An invalid date is null, as in JSON.
                    self.head(0x0a, name);
                } else {
                    self.head(0x09, name);
                    self.out.extend_from_slice(&(ms as i64).to_le_bytes());
                }
                return Ok(());
            }
            if q::JS_IsRegExp(value) {
                let pattern = self.get_text(value, c"source")?;
                let flags = self.get_text(value, c"flags")?;
                let mut options: Vec<char> =
                    flags.chars().filter(|c| "imsx".contains(*c)).collect();
                options.sort_unstable();
                let options: String = options.into_iter().collect();
                self.regex(name, &pattern, &options);
                return Ok(());
            }
            if q::JS_GetTypedArrayType(value) == UINT8_ARRAY {
                let mut length = 0;
                let bytes = q::JS_GetUint8Array(self.ctx, &raw mut length, value);
                if bytes.is_null() {
                    return Err(Unconvertible::Thrown);
                }
                self.head(0x05, name);
                if length as usize > BYTES_MAX {
                    return Err(Unconvertible::TooLarge);
                }
                let bytes = slice::from_raw_parts(bytes, length as usize);
                self.binary(0, bytes);
                return Ok(());
            }
            if let Some(class) = self.class_of(value) {
                return self.class(name, class, value, depth);
            }
            self.head(0x03, name);
            self.nested(|writer| writer.fields(value, depth))
        }
    }

    /// The class of the prelude that a value belongs to. Asked of its prototype:
    /// a property such as `_bsontype` may come from anyone's document.
    unsafe fn class_of(&self, value: JSValue) -> Option<&'static str> {
        // SAFETY: as for `element`; a prototype that is an object is compared
        // by its address and released.
        unsafe {
            if q::JS_IsProxy(value) {
                return None;
            }
            let prototype = q::JS_GetPrototype(self.ctx, value);
            if !q::JS_IsObject(prototype) {
                return None;
            }
            let address = q::JS_VALUE_GET_PTR(prototype);
            q::JS_FreeValue(self.ctx, prototype);
            let mut classes = CLASSES.iter().zip(&self.shapes.prototypes);
            let found = classes.find(|(_, known)| q::JS_VALUE_GET_PTR(**known) == address);
            found.map(|(class, _)| *class)
        }
    }

    /// Writes a length, what `body` writes, and the end.
    fn nested(&mut self, body: impl FnOnce(&mut Self) -> Written) -> Written {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        body(self)?;
        self.out.push(0);
        let length = (self.out.len() - start) as i32;
        self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    unsafe fn elements(&mut self, value: JSValue, depth: usize) -> Written {
        let mut length = 0;
        // SAFETY: as for `element`.
        unsafe {
            if q::JS_GetLength(self.ctx, value, &raw mut length) != 0 {
                return Err(Unconvertible::Thrown);
            }
            for index in 0..length {
                let element = q::JS_GetPropertyInt64(self.ctx, value, index);
                if q::JS_IsException(element) {
                    return Err(Unconvertible::Thrown);
                }
                let name = index.to_string();
                let before = self.out.len();
                let written = self.element(name.as_bytes(), element, depth + 1);
                q::JS_FreeValue(self.ctx, element);
                written?;
                if self.out.len() == before {
                    // Holes and dropped values keep their place.
                    self.head(0x0a, name.as_bytes());
                }
            }
        }
        Ok(())
    }

    unsafe fn fields(&mut self, value: JSValue, depth: usize) -> Written {
        let mut table = std::ptr::null_mut();
        let mut count = 0;
        let flags = (q::JS_GPN_STRING_MASK | q::JS_GPN_ENUM_ONLY) as c_int;
        // SAFETY: as for `element`; the table is released at the end.
        unsafe {
            if q::JS_GetOwnPropertyNames(self.ctx, &raw mut table, &raw mut count, value, flags)
                != 0
            {
                return Err(Unconvertible::Thrown);
            }
            let mut written = Ok(());
            for entry in slice::from_raw_parts(table, count as usize) {
                written = self.field(value, entry.atom, depth);
                if written.is_err() {
                    break;
                }
            }
            q::JS_FreePropertyEnum(self.ctx, table, count);
            written
        }
    }

    unsafe fn field(&mut self, value: JSValue, atom: JSAtom, depth: usize) -> Written {
        // SAFETY: as for `element`.
        unsafe {
            let mut length = 0;
            let text = q::JS_AtomToCStringLen(self.ctx, &raw mut length, atom);
            if text.is_null() {
                return Err(Unconvertible::Thrown);
            }
            let name = slice::from_raw_parts(text.cast::<u8>(), length as usize).to_vec();
            q::JS_FreeCString(self.ctx, text);
            if name.contains(&0) {
                return Err(Unconvertible::Thrown);
            }
            let name = utf8(&name);
            let field = q::JS_GetProperty(self.ctx, value, atom);
            if q::JS_IsException(field) {
                return Err(Unconvertible::Thrown);
            }
            let written = self.element(name.as_bytes(), field, depth + 1);
            q::JS_FreeValue(self.ctx, field);
            written
        }
    }

    unsafe fn class(&mut self, name: &[u8], class: &str, value: JSValue, depth: usize) -> Written {
        // SAFETY: as for `element`.
        unsafe {
            let content = q::JS_GetProperty(self.ctx, value, self.shapes.value_atom);
            let extra = q::JS_GetProperty(self.ctx, value, self.shapes.extra_atom);
            if q::JS_IsException(content) || q::JS_IsException(extra) {
                return Err(Unconvertible::Thrown);
            }
            let written = self.content(name, class, content, extra, depth);
            q::JS_FreeValue(self.ctx, content);
            q::JS_FreeValue(self.ctx, extra);
            written
        }
    }

    unsafe fn content(
        &mut self,
        name: &[u8],
        class: &str,
        content: JSValue,
        extra: JSValue,
        depth: usize,
    ) -> Written {
        // SAFETY: as for `element`.
        unsafe {
            match class {
                "ObjectId" => {
                    let hex = self.owned_text(content)?;
                    let id =
                        bson::oid::ObjectId::parse_str(&hex).map_err(|_| Unconvertible::Thrown)?;
                    self.head(0x07, name);
                    self.out.extend_from_slice(&id.bytes());
                }
                "Long" => {
                    let n: i64 = self
                        .owned_text(content)?
                        .parse()
                        .map_err(|_| Unconvertible::Thrown)?;
                    self.head(0x12, name);
                    self.out.extend_from_slice(&n.to_le_bytes());
                }
                "Double" => {
                    let n = self.number(content)?;
                    self.head(0x01, name);
                    self.out.extend_from_slice(&n.to_le_bytes());
                }
                "Int32" => {
                    let n = self.number(content)?;
                    self.head(0x10, name);
                    self.out.extend_from_slice(&(n as i32).to_le_bytes());
                }
                "Decimal128" => {
                    let n: bson::Decimal128 = self
                        .owned_text(content)?
                        .parse()
                        .map_err(|_| Unconvertible::Thrown)?;
                    self.head(0x13, name);
                    self.out.extend_from_slice(&n.bytes());
                }
                "Binary" => {
                    let mut length = 0;
                    let bytes = q::JS_GetUint8Array(self.ctx, &raw mut length, content);
                    if bytes.is_null() {
                        return Err(Unconvertible::Thrown);
                    }
                    let bytes = slice::from_raw_parts(bytes, length as usize).to_vec();
                    let subtype = self.number(extra)? as u8;
                    self.head(0x05, name);
                    self.binary(subtype, &bytes);
                }
                "Timestamp" => {
                    let (time, increment) =
                        (self.number(content)? as u32, self.number(extra)? as u32);
                    self.head(0x11, name);
                    self.out.extend_from_slice(&increment.to_le_bytes());
                    self.out.extend_from_slice(&time.to_le_bytes());
                }
                "BSONRegExp" => {
                    let (pattern, options) = (self.owned_text(content)?, self.owned_text(extra)?);
                    self.regex(name, &pattern, &options);
                }
                "Code" if q::JS_IsObject(extra) => {
                    let code = self.owned_text(content)?;
                    self.head(0x0f, name);
                    let start = self.out.len();
                    self.out.extend_from_slice(&[0; 4]);
                    self.text(code.as_bytes());
                    self.nested(|writer| writer.fields(extra, depth))?;
                    let length = (self.out.len() - start) as i32;
                    self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
                }
                "Code" => {
                    let code = self.owned_text(content)?;
                    self.head(0x0d, name);
                    self.text(code.as_bytes());
                }
                "BSONSymbol" => {
                    let text = self.owned_text(content)?;
                    self.head(0x0e, name);
                    self.text(text.as_bytes());
                }
                "DBPointer" => {
                    let namespace = self.owned_text(content)?;
                    let id = q::JS_GetProperty(self.ctx, extra, self.shapes.value_atom);
                    let hex = self.owned_text(id);
                    q::JS_FreeValue(self.ctx, id);
                    let id =
                        bson::oid::ObjectId::parse_str(hex?).map_err(|_| Unconvertible::Thrown)?;
                    self.head(0x0c, name);
                    self.text(namespace.as_bytes());
                    self.out.extend_from_slice(&id.bytes());
                }
                _ => {
                    let low = self.owned_text(content)? == "min";
                    self.head(if low { 0xff } else { 0x7f }, name);
                }
            }
        }
        Ok(())
    }

    fn binary(&mut self, subtype: u8, bytes: &[u8]) {
        let old = BinarySubtype::from(subtype) == BinarySubtype::BinaryOld;
        let inner = if old { 4 } else { 0 };
        self.out
            .extend_from_slice(&((bytes.len() + inner) as i32).to_le_bytes());
        self.out.push(subtype);
        if old {
            self.out
                .extend_from_slice(&(bytes.len() as i32).to_le_bytes());
        }
        self.out.extend_from_slice(bytes);
    }

    fn regex(&mut self, name: &[u8], pattern: &str, options: &str) {
        self.head(0x0b, name);
        self.out.extend(pattern.bytes().filter(|b| *b != 0));
        self.out.push(0);
        self.out.extend(options.bytes().filter(|b| *b != 0));
        self.out.push(0);
    }

    unsafe fn number(&mut self, value: JSValue) -> Result<f64, Unconvertible> {
        let mut n = 0.0;
        // SAFETY: as for `element`.
        if unsafe { q::JS_ToFloat64(self.ctx, &raw mut n, value) } == 0 {
            Ok(n)
        } else {
            Err(Unconvertible::Thrown)
        }
    }

    unsafe fn get_text(
        &mut self,
        value: JSValue,
        name: &std::ffi::CStr,
    ) -> Result<String, Unconvertible> {
        // SAFETY: as for `element`.
        unsafe {
            let property = q::JS_GetPropertyStr(self.ctx, value, name.as_ptr());
            let text = self.owned_text(property);
            q::JS_FreeValue(self.ctx, property);
            text
        }
    }

    unsafe fn owned_text(&mut self, value: JSValue) -> Result<String, Unconvertible> {
        // SAFETY: as for `element`.
        unsafe { text_of(self.ctx, value) }.ok_or(Unconvertible::Thrown)
    }
}

/// The text of any value, by the language's own conversion.
///
/// # Safety
/// `ctx` is live and `value` one of its values.
pub(crate) unsafe fn text_of(ctx: *mut JSContext, value: JSValue) -> Option<String> {
    // SAFETY: as the caller promises.
    unsafe { start_of(ctx, value, usize::MAX) }
}

/// The first `bytes_max` bytes of it, up to a whole character.
///
/// # Safety
/// As for [`text_of`].
pub(crate) unsafe fn start_of(
    ctx: *mut JSContext,
    value: JSValue,
    bytes_max: usize,
) -> Option<String> {
    let mut length = 0;
    // SAFETY: the engine's string is released after it was copied.
    unsafe {
        let text = q::JS_ToCStringLen(ctx, &raw mut length, value);
        if text.is_null() {
            return None;
        }
        let mut bytes = slice::from_raw_parts(text.cast::<u8>(), length);
        if bytes.len() > bytes_max {
            let is_start = |byte: &u8| byte & 0xc0 != 0x80;
            let end = bytes[..=bytes_max].iter().rposition(is_start);
            bytes = &bytes[..end.unwrap_or(0)];
        }
        let owned = utf8(bytes).into_owned();
        q::JS_FreeCString(ctx, text);
        Some(owned)
    }
}

/// Text as the engine gives it out, where a lone surrogate is three bytes that
/// are not UTF-8: each becomes one replacement character.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut repaired = bytes.to_vec();
    for index in 0..repaired.len().saturating_sub(2) {
        if repaired[index] == 0xed && repaired[index + 1] >= 0xa0 {
            repaired[index..index + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    String::from_utf8_lossy(&repaired).into_owned().into()
}
