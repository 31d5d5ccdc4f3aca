//! Classes in the languages of the SDKs.

use std::fmt::Write as _;

use super::{Class, Language, Property, Shape, Type};

/// Lines that have to stand before the classes.
pub(super) fn imports(language: Language, classes: &[Class]) -> Vec<String> {
    let lines: Vec<String> = match language {
        Language::Swift => vec!["import Foundation".into(), "import RealmSwift".into()],
        Language::ObjectiveC => vec!["#import <Realm/Realm.h>".into()],
        Language::JavaScript => Vec::new(),
        Language::TypeScript => vec!["import Realm from \"realm\";".into()],
        Language::CSharp => [
            "using System;",
            "using System.Collections.Generic;",
            "using MongoDB.Bson;",
            "using Realms;",
        ]
        .map(String::from)
        .to_vec(),
        Language::Java => java_imports(classes),
        Language::Kotlin => kotlin_imports(classes),
    };
    lines
}

/// The classes, each after an empty line.
pub(super) fn code(language: Language, classes: &[Class]) -> String {
    let write = match language {
        Language::Swift => swift,
        Language::ObjectiveC => objective_c,
        Language::Kotlin => kotlin,
        Language::Java => java,
        Language::CSharp => c_sharp,
        Language::JavaScript => java_script,
        Language::TypeScript => type_script,
    };
    let written: Vec<String> = classes.iter().map(write).collect();
    written.join("\n")
}

fn all(classes: &[Class]) -> impl Iterator<Item = &Property> {
    classes.iter().flat_map(|class| &class.properties)
}

impl Property {
    /// Whether it holds nothing at times: a single object, mixed, or what is not
    /// required.
    fn may_be_nothing(&self) -> bool {
        self.shape == Shape::One
            && self.of != Type::Mixed
            && (!self.required || matches!(self.of, Type::Object(_)))
    }
}

fn swift(class: &Class) -> String {
    let base = if class.embedded {
        "EmbeddedObject"
    } else {
        "Object"
    };
    let mut out = format!("class {}: {base} {{\n", class.name);
    for property in &class.properties {
        let of = match &property.of {
            Type::Bool => "Bool",
            Type::Int => "Int",
            Type::Float => "Float",
            Type::Double => "Double",
            Type::Text => "String",
            Type::Data => "Data",
            Type::Date => "Date",
            Type::Decimal => "Decimal128",
            Type::ObjectId => "ObjectId",
            Type::Uuid => "UUID",
            Type::Mixed => "AnyRealmValue",
            Type::Object(name) => name,
        };
        let optional = if property.may_be_nothing() { "?" } else { "" };
        let value = match property.shape {
            Shape::One => format!("{of}{optional}"),
            Shape::List => format!("List<{of}>"),
            Shape::Set => format!("MutableSet<{of}>"),
            // Objects of a dictionary may be nothing.
            Shape::Dictionary if matches!(property.of, Type::Object(_)) => {
                format!("Map<String, {of}?>")
            }
            Shape::Dictionary => format!("Map<String, {of}>"),
        };
        let key = if property.primary {
            "(primaryKey: true)"
        } else {
            ""
        };
        let _ = writeln!(out, "    @Persisted{key} var {}: {value}", property.name);
    }
    out.push_str("}\n");
    out
}

fn objective_c(class: &Class) -> String {
    let base = if class.embedded {
        "RLMEmbeddedObject"
    } else {
        "RLMObject"
    };
    let mut out = format!("@interface {} : {base}\n", class.name);
    for property in &class.properties {
        // The class, and the protocol that an element of a collection has.
        let (of, protocol) = match &property.of {
            Type::Bool => ("NSNumber", "RLMBool"),
            Type::Int => ("NSNumber", "RLMInt"),
            Type::Float => ("NSNumber", "RLMFloat"),
            Type::Double => ("NSNumber", "RLMDouble"),
            Type::Text => ("NSString", "RLMString"),
            Type::Data => ("NSData", "RLMData"),
            Type::Date => ("NSDate", "RLMDate"),
            Type::Decimal => ("RLMDecimal128", "RLMDecimal128"),
            Type::ObjectId => ("RLMObjectId", "RLMObjectId"),
            Type::Uuid => ("NSUUID", "RLMUUID"),
            Type::Mixed => ("id<RLMValue>", "RLMValue"),
            Type::Object(name) => (name.as_str(), name.as_str()),
        };
        let element = if property.of == Type::Mixed {
            of.to_owned()
        } else {
            format!("{of} *")
        };
        let value = match property.shape {
            Shape::One if property.of == Type::Mixed => format!("{of} "),
            Shape::One if of == "NSNumber" => format!("{of}<{protocol}> *"),
            Shape::One => format!("{of} *"),
            Shape::List => format!("RLMArray<{element}><{protocol}> *"),
            Shape::Set => format!("RLMSet<{element}><{protocol}> *"),
            Shape::Dictionary => {
                format!("RLMDictionary<NSString *, {element}><RLMString, {protocol}> *")
            }
        };
        let _ = writeln!(out, "@property {value}{};", property.name);
    }
    out.push_str("@end\n\n");
    let _ = write!(out, "RLM_COLLECTION_TYPE({})\n\n", class.name);
    let _ = writeln!(out, "@implementation {}", class.name);
    if let Some(key) = class.properties.iter().find(|property| property.primary) {
        let _ = write!(
            out,
            "+ (NSString *)primaryKey {{\n    return @\"{}\";\n}}\n",
            key.name
        );
    }
    let required: Vec<String> = class
        .properties
        .iter()
        .filter(|property| {
            let scalar = !matches!(property.of, Type::Object(_) | Type::Mixed);
            property.shape == Shape::One && scalar && property.required
        })
        .map(|property| format!("@\"{}\"", property.name))
        .collect();
    if !required.is_empty() {
        let _ = write!(
            out,
            "+ (NSArray<NSString *> *)requiredProperties {{\n    return @[{}];\n}}\n",
            required.join(", ")
        );
    }
    out.push_str("@end\n");
    out
}

/// A type of the Kotlin SDK: its name, what a new one holds, where it is from.
fn kotlin_type(of: &Type) -> (&str, &'static str, &'static str) {
    match of {
        Type::Bool => ("Boolean", "false", ""),
        Type::Int => ("Long", "0L", ""),
        Type::Float => ("Float", "0.0F", ""),
        Type::Double => ("Double", "0.0", ""),
        Type::Text => ("String", "\"\"", ""),
        Type::Data => ("ByteArray", "byteArrayOf()", ""),
        Type::Date => (
            "RealmInstant",
            "RealmInstant.MIN",
            "io.realm.kotlin.types.RealmInstant",
        ),
        Type::Decimal => (
            "Decimal128",
            "Decimal128(\"0\")",
            "org.mongodb.kbson.Decimal128",
        ),
        Type::ObjectId => ("ObjectId", "ObjectId()", "org.mongodb.kbson.ObjectId"),
        Type::Uuid => (
            "RealmUUID",
            "RealmUUID.random()",
            "io.realm.kotlin.types.RealmUUID",
        ),
        Type::Mixed => ("RealmAny?", "null", "io.realm.kotlin.types.RealmAny"),
        Type::Object(name) => (name, "null", ""),
    }
}

/// The collection of a shape: its name, and what makes an empty one.
fn kotlin_collection(shape: Shape) -> Option<(&'static str, &'static str)> {
    match shape {
        Shape::One => None,
        Shape::List => Some(("RealmList", "realmListOf")),
        Shape::Set => Some(("RealmSet", "realmSetOf")),
        Shape::Dictionary => Some(("RealmDictionary", "realmDictionaryOf")),
    }
}

fn kotlin_imports(classes: &[Class]) -> Vec<String> {
    let mut names = vec!["io.realm.kotlin.types.annotations.PrimaryKey".to_owned()];
    for class in classes {
        names.push(if class.embedded {
            "io.realm.kotlin.types.EmbeddedRealmObject".to_owned()
        } else {
            "io.realm.kotlin.types.RealmObject".to_owned()
        });
    }
    for property in all(classes) {
        names.push(kotlin_type(&property.of).2.to_owned());
        if let Some((collection, empty)) = kotlin_collection(property.shape) {
            names.push(format!("io.realm.kotlin.types.{collection}"));
            names.push(format!("io.realm.kotlin.ext.{empty}"));
        }
    }
    import_lines(names, "")
}

/// Sorted lines, each once.
fn import_lines(mut names: Vec<String>, end: &str) -> Vec<String> {
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| format!("import {name}{end}"))
        .collect()
}

fn kotlin(class: &Class) -> String {
    let base = if class.embedded {
        "EmbeddedRealmObject"
    } else {
        "RealmObject"
    };
    let mut out = format!("class {} : {base} {{\n", class.name);
    for property in &class.properties {
        if property.primary {
            out.push_str("    @PrimaryKey\n");
        }
        let (of, empty, _) = kotlin_type(&property.of);
        let (value, first) = match kotlin_collection(property.shape) {
            Some((collection, make)) => {
                // Objects of a dictionary may be nothing.
                let linked = matches!(property.of, Type::Object(_));
                let optional = if linked && property.shape == Shape::Dictionary {
                    "?"
                } else {
                    ""
                };
                (format!("{collection}<{of}{optional}>"), format!("{make}()"))
            }
            None if property.may_be_nothing() => (format!("{of}?"), "null".to_owned()),
            None => (of.to_owned(), empty.to_owned()),
        };
        let _ = writeln!(out, "    var {}: {value} = {first}", property.name);
    }
    out.push_str("}\n");
    out
}

/// A type of the Java SDK, and where it is from.
fn java_type(of: &Type) -> (&str, &'static str) {
    match of {
        Type::Bool => ("Boolean", ""),
        Type::Int => ("Long", ""),
        Type::Float => ("Float", ""),
        Type::Double => ("Double", ""),
        Type::Text => ("String", ""),
        Type::Data => ("byte[]", ""),
        Type::Date => ("Date", "java.util.Date"),
        Type::Decimal => ("Decimal128", "org.bson.types.Decimal128"),
        Type::ObjectId => ("ObjectId", "org.bson.types.ObjectId"),
        Type::Uuid => ("UUID", "java.util.UUID"),
        Type::Mixed => ("RealmAny", "io.realm.RealmAny"),
        Type::Object(name) => (name, ""),
    }
}

fn java_collection(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::One => None,
        Shape::List => Some("RealmList"),
        Shape::Set => Some("RealmSet"),
        Shape::Dictionary => Some("RealmDictionary"),
    }
}

/// Whether Java has to be told that a property holds something.
fn java_requires(property: &Property) -> bool {
    let object = matches!(property.of, Type::Object(_) | Type::Mixed);
    property.required && property.shape == Shape::One && !object
}

fn java_imports(classes: &[Class]) -> Vec<String> {
    let mut names = vec![
        "io.realm.RealmObject".to_owned(),
        "io.realm.annotations.PrimaryKey".to_owned(),
    ];
    if classes.iter().any(|class| class.embedded) {
        names.push("io.realm.annotations.RealmClass".to_owned());
    }
    for property in all(classes) {
        names.push(java_type(&property.of).1.to_owned());
        if java_requires(property) {
            names.push("io.realm.annotations.Required".to_owned());
        }
        if let Some(collection) = java_collection(property.shape) {
            names.push(format!("io.realm.{collection}"));
        }
    }
    import_lines(names, ";")
}

fn java(class: &Class) -> String {
    let mut out = String::new();
    if class.embedded {
        out.push_str("@RealmClass(embedded = true)\n");
    }
    let _ = writeln!(out, "public class {} extends RealmObject {{", class.name);
    let value = |property: &Property| {
        let of = java_type(&property.of).0;
        match java_collection(property.shape) {
            Some(collection) => format!("{collection}<{of}>"),
            None => of.to_owned(),
        }
    };
    for property in &class.properties {
        if property.primary {
            out.push_str("    @PrimaryKey\n");
        }
        if java_requires(property) {
            out.push_str("    @Required\n");
        }
        let _ = writeln!(out, "    private {} {};", value(property), property.name);
    }
    for property in &class.properties {
        let (of, name) = (value(property), &property.name);
        let method = pascal(name);
        let _ = write!(
            out,
            "\n    public {of} get{method}() {{\n        return {name};\n    }}\n\n    \
             public void set{method}({of} {name}) {{\n        this.{name} = {name};\n    }}\n"
        );
    }
    out.push_str("}\n");
    out
}

/// `first_name` as `FirstName`.
fn pascal(name: &str) -> String {
    let parts = name.split('_').filter(|part| !part.is_empty());
    let joined: String = parts
        .map(|part| {
            let mut chars = part.chars();
            let first = chars.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(chars).collect::<String>()
        })
        .collect();
    if joined.is_empty() {
        name.to_owned()
    } else {
        joined
    }
}

fn c_sharp(class: &Class) -> String {
    let base = if class.embedded {
        "IEmbeddedObject"
    } else {
        "IRealmObject"
    };
    let mut out = format!("public partial class {} : {base}\n{{\n", class.name);
    let mut used: Vec<String> = Vec::new();
    for (at, property) in class.properties.iter().enumerate() {
        let (of, is_value) = match &property.of {
            Type::Bool => ("bool", true),
            Type::Int => ("long", true),
            Type::Float => ("float", true),
            Type::Double => ("double", true),
            Type::Text => ("string", false),
            Type::Data => ("byte[]", false),
            Type::Date => ("DateTimeOffset", true),
            Type::Decimal => ("Decimal128", true),
            Type::ObjectId => ("ObjectId", true),
            Type::Uuid => ("Guid", true),
            Type::Mixed => ("RealmValue", false),
            Type::Object(name) => (name.as_str(), false),
        };
        // Two names may come to one, and a member may not be called as its class.
        let mut name = pascal(&property.name);
        if used.contains(&name) || name == class.name {
            name.push('_');
        }
        if at > 0 {
            out.push('\n');
        }
        if name != property.name {
            let _ = writeln!(out, "    [MapTo(\"{}\")]", property.name);
        }
        if property.primary {
            out.push_str("    [PrimaryKey]\n");
        }
        let linked = matches!(property.of, Type::Object(_) | Type::Mixed);
        if property.required && !is_value && !linked && property.shape == Shape::One {
            out.push_str("    [Required]\n");
        }
        let member = match property.shape {
            Shape::One if is_value && !property.required => format!("{of}? {name} {{ get; set; }}"),
            Shape::One => format!("{of} {name} {{ get; set; }}"),
            Shape::List => format!("IList<{of}> {name} {{ get; }}"),
            Shape::Set => format!("ISet<{of}> {name} {{ get; }}"),
            Shape::Dictionary => format!("IDictionary<string, {of}> {name} {{ get; }}"),
        };
        let _ = writeln!(out, "    public {member}");
        used.push(name);
    }
    out.push_str("}\n");
    out
}

/// A property's type as schemas of JavaScript have it.
fn java_script_type(property: &Property) -> String {
    let of = match &property.of {
        Type::Bool => "bool",
        Type::Int => "int",
        Type::Float => "float",
        Type::Double => "double",
        Type::Text => "string",
        Type::Data => "data",
        Type::Date => "date",
        Type::Decimal => "decimal128",
        Type::ObjectId => "objectId",
        Type::Uuid => "uuid",
        Type::Mixed => "mixed",
        Type::Object(name) => name,
    };
    match property.shape {
        // Objects may always be nothing, and need not say so.
        Shape::One if property.may_be_nothing() && !matches!(property.of, Type::Object(_)) => {
            format!("{of}?")
        }
        Shape::One => of.to_owned(),
        Shape::List => format!("{of}[]"),
        Shape::Set => format!("{of}<>"),
        Shape::Dictionary => format!("{of}{{}}"),
    }
}

fn java_script(class: &Class) -> String {
    let mut out = format!(
        "export const {}Schema = {{\n  name: '{}',\n",
        class.name, class.name
    );
    if class.embedded {
        out.push_str("  embedded: true,\n");
    }
    out.push_str("  properties: {\n");
    for property in &class.properties {
        let _ = writeln!(
            out,
            "    {}: '{}',",
            property.name,
            java_script_type(property)
        );
    }
    out.push_str("  },\n");
    if let Some(key) = class.properties.iter().find(|property| property.primary) {
        let _ = writeln!(out, "  primaryKey: '{}',", key.name);
    }
    out.push_str("};\n");
    out
}

fn type_script(class: &Class) -> String {
    let mut out = format!("export type {} = {{\n", class.name);
    for property in &class.properties {
        let of = match &property.of {
            Type::Bool => "boolean",
            Type::Int | Type::Float | Type::Double => "number",
            Type::Text => "string",
            Type::Data => "ArrayBuffer",
            Type::Date => "Date",
            Type::Decimal => "Realm.BSON.Decimal128",
            Type::ObjectId => "Realm.BSON.ObjectId",
            Type::Uuid => "Realm.BSON.UUID",
            Type::Mixed => "Realm.Mixed",
            Type::Object(name) => name,
        };
        let value = match property.shape {
            Shape::One => of.to_owned(),
            Shape::List => format!("Realm.List<{of}>"),
            Shape::Set => format!("Realm.Set<{of}>"),
            Shape::Dictionary => format!("Realm.Dictionary<{of}>"),
        };
        let optional = if property.may_be_nothing() { "?" } else { "" };
        let _ = writeln!(out, "  {}{optional}: {value};", property.name);
    }
    out.push_str("};\n\n");
    out.push_str(&java_script(class));
    out
}
