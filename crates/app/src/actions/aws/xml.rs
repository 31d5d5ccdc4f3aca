//! As much of XML as answers of AWS have: elements, attributes, text.

/// Levels of elements.
const DEPTH_MAX: usize = 100;

/// An element.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Element {
    /// Without its prefix.
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element of that name, itself or below it.
    pub(super) fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

/// The root element; `None` where it is no such XML. Declarations of types and
/// entities are not read.
pub(super) fn parse(text: &str) -> Option<Element> {
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut open: Vec<Element> = Vec::new();
    loop {
        let at = rest.find('<')?;
        if let Some(element) = open.last_mut() {
            unescape(&rest[..at], &mut element.text)?;
        } else if !rest[..at].trim().is_empty() {
            return None;
        }
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("<?") {
            rest = after.split_once("?>")?.1;
        } else if let Some(after) = rest.strip_prefix("<!--") {
            rest = after.split_once("-->")?.1;
        } else if let Some(after) = rest.strip_prefix("<![CDATA[") {
            let (content, after) = after.split_once("]]>")?;
            open.last_mut()?.text.push_str(content);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("</") {
            let (name, after) = after.split_once('>')?;
            let element = open.pop()?;
            if local(name.trim()) != element.name {
                return None;
            }
            rest = after;
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Some(element),
            }
        } else {
            let (element, is_empty, after) = tag(&rest[1..])?;
            rest = after;
            if !is_empty {
                if open.len() == DEPTH_MAX {
                    return None;
                }
                open.push(element);
            } else if let Some(parent) = open.last_mut() {
                parent.children.push(element);
            } else {
                return Some(element);
            }
        }
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// An opening tag after its `<`: the element, whether it is empty, what follows.
fn tag(text: &str) -> Option<(Element, bool, &str)> {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))?;
    let (name, mut rest) = text.split_at(end);
    if name.is_empty() || name.starts_with('!') {
        return None;
    }
    let mut element = Element {
        name: local(name).to_owned(),
        ..Element::default()
    };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            return Some((element, true, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Some((element, false, after));
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        let mut plain = String::new();
        unescape(value, &mut plain)?;
        element.attributes.push((name.trim().to_owned(), plain));
        rest = after;
    }
}

fn unescape(text: &str, out: &mut String) -> Option<()> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, after) = after.split_once(';')?;
        let char = match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        };
        out.push(char);
        rest = after;
    }
    out.push_str(rest);
    Some(())
}

/// Text as it stands in an attribute.
pub(super) fn escape_attribute(text: &str) -> String {
    escape(text).replace('"', "&quot;")
}

/// Text as it stands in an element.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\r' => out.push_str("&#x0D;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_answers_have() {
        let text = "<?xml version=\"1.0\"?>\n<!-- note --><a:Root xmlns=\"u\" b='x &amp; y'>\n<One>1 &lt; 2 &#x41;&#66;</One><Two/><Two c=\"d\" /><Three><![CDATA[<raw>]]></Three></a:Root>";
        let root = parse(text).unwrap();
        assert_eq!(root.name, "Root");
        assert_eq!(root.attributes[1], ("b".to_owned(), "x & y".to_owned()));
        assert_eq!(root.child("One").unwrap().text, "1 < 2 AB");
        assert_eq!(root.children.len(), 4);
        assert_eq!(root.find("Three").unwrap().text, "<raw>");
    }

    #[test]
    fn what_is_none() {
        let deep = "<a>".repeat(200);
        for text in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a",
            "<a b></a>",
            "<a>&nothing;</a>",
            "<a>&#xD800;</a>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "x<a/>",
            "<a b=\"1></a>",
            deep.as_str(),
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
