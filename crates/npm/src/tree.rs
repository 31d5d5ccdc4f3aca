//! Where in `node_modules` each package goes: as high as nothing speaks
//! against, so that one copy serves many, and else below whoever needs it. The
//! rules are npm's, so that the same `package.json` comes to the same tree.

mod place;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use nodejs_semver::Version;

use crate::Failed;
use crate::package::{Kind, Need, Package};
use crate::registry::{Client, Known};
use crate::spec::Spec;

/// Packages by folder.
pub(crate) type Placements = BTreeMap<String, Rc<Package>>;

/// A node's place in the list of nodes.
type Id = usize;
const ROOT: Id = 0;

/// How often packages are put somewhere, for each that there may be.
const PLACINGS_PER_PACKAGE_MAX: usize = 4;

struct Node {
    /// The folder's name.
    name: String,
    package: Rc<Package>,
    parent: Option<Id>,
    children: BTreeMap<String, Id>,
    depth: usize,
    gone: bool,
    /// What it needs and does not get.
    lacks: BTreeMap<String, Failed>,
}

struct Tree<'a> {
    client: &'a Client<'a>,
    known: Known,
    packages: HashMap<(String, String), Rc<Package>>,
    nodes: Vec<Node>,
    /// Who needs something of a name.
    dependents: HashMap<String, Vec<Id>>,
    /// Whose needs are looked at next: the highest first, then by folder.
    queue: BTreeSet<(usize, Vec<u8>, Id)>,
    seen: HashSet<Id>,
    live: usize,
}

/// Finds out which packages there have to be, and where.
///
/// # Errors
/// What cannot be had or does not go together.
pub(crate) fn build(
    client: &Client<'_>,
    wanted: &BTreeMap<String, String>,
) -> Result<Placements, Failed> {
    let mut needs = BTreeMap::new();
    for (name, text) in wanted {
        let spec = Spec::parse(name, text)?;
        let kind = Kind::Plain;
        needs.insert(
            name.clone(),
            Need {
                kind,
                spec: Ok(spec),
            },
        );
    }
    let root = Package {
        name: String::new(),
        version: Version::from((0_u64, 0_u64, 0_u64)),
        needs,
        brings: Vec::new(),
        fits_here: true,
        tarball: String::new(),
        integrity: String::new(),
    };
    let mut tree = Tree {
        client,
        known: Known::default(),
        packages: HashMap::new(),
        nodes: Vec::new(),
        dependents: HashMap::new(),
        queue: BTreeSet::new(),
        seen: HashSet::new(),
        live: 0,
    };
    tree.add("", &Rc::new(root), None)?;
    while let Some((_, _, id)) = tree.queue.pop_first() {
        if tree.nodes[id].gone || !tree.seen.insert(id) {
            continue;
        }
        client.job.left()?;
        tree.learn(id);
        for name in tree.unmet(id) {
            tree.meet(id, &name)?;
        }
    }
    tree.placements()
}

impl Tree<'_> {
    /// Adds a node, in place of the one that is there.
    fn add(&mut self, name: &str, package: &Rc<Package>, parent: Option<Id>) -> Result<Id, Failed> {
        let id = self.nodes.len();
        let limits = &self.client.job.limits;
        self.live += 1;
        // Nodes that are gone keep their places.
        if self.live > limits.packages + 1 || id > limits.packages * PLACINGS_PER_PACKAGE_MAX {
            return Err(Failed::new(format!(
                "there are more than {} packages",
                limits.packages
            )));
        }
        for name in package.needs.keys() {
            self.dependents.entry(name.clone()).or_default().push(id);
        }
        let depth = parent.map_or(0, |parent| self.nodes[parent].depth + 1);
        self.nodes.push(Node {
            name: name.to_owned(),
            package: package.clone(),
            parent,
            children: BTreeMap::new(),
            depth,
            gone: false,
            lacks: BTreeMap::new(),
        });
        if let Some(parent) = parent {
            let old = self.nodes[parent].children.insert(name.to_owned(), id);
            if let Some(old) = old {
                let children = std::mem::take(&mut self.nodes[old].children);
                for &child in children.values() {
                    self.nodes[child].parent = Some(id);
                }
                self.nodes[id].children = children;
                self.nodes[old].gone = true;
                self.live -= 1;
            }
        }
        self.look_at(id);
        Ok(id)
    }

    /// Looks at a node's needs, once more if need be.
    fn look_at(&mut self, id: Id) {
        self.seen.remove(&id);
        let key = self.folder(id).bytes().map(order).collect();
        self.queue.insert((self.nodes[id].depth, key, id));
    }

    fn folder(&self, id: Id) -> String {
        let names: Vec<&str> = self
            .upwards(id)
            .filter(|&id| id != ROOT)
            .map(|id| self.nodes[id].name.as_str())
            .collect();
        let folders = names
            .iter()
            .rev()
            .map(|name| format!("node_modules/{name}"));
        folders.collect::<Vec<_>>().join("/")
    }

    /// A node, its parent, and so on.
    fn upwards(&self, id: Id) -> impl Iterator<Item = Id> {
        std::iter::successors(Some(id), |&id| self.nodes[id].parent)
    }

    fn is_below(&self, id: Id, above: Id) -> bool {
        self.upwards(id).any(|one| one == above)
    }

    /// What a name means in a folder's package.
    fn resolve(&self, from: Id, name: &str) -> Option<Id> {
        self.upwards(from)
            .find_map(|id| self.nodes[id].children.get(name).copied())
    }

    /// What a node's need means; that of a peer is not below the node itself.
    fn met_by(&self, id: Id, name: &str, need: &Need) -> Option<Id> {
        let from = match self.nodes[id].parent {
            Some(parent) if need.is_peer() => parent,
            _ => id,
        };
        self.resolve(from, name)
    }

    fn is_met(&self, id: Id, name: &str) -> bool {
        let node = &self.nodes[id];
        let Some(need) = node.package.needs.get(name) else {
            return true;
        };
        match self.met_by(id, name, need) {
            Some(by) => need.fits(&self.nodes[by].package),
            None => need.kind == Kind::OptionalPeer,
        }
    }

    /// The names that a node has to get something for.
    fn unmet(&self, id: Id) -> Vec<String> {
        let node = &self.nodes[id];
        let unmet = node.package.needs.keys().filter(|name| {
            !node.lacks.contains_key(*name)
                && !node.package.brings.contains(name)
                && !self.is_met(id, name)
        });
        let mut names: Vec<String> = unmet.cloned().collect();
        names.sort_by_cached_key(|name| name.bytes().map(order).collect::<Vec<_>>());
        names
    }

    /// The names at the registry of what a node needs.
    fn wished(&self, id: Id) -> impl Iterator<Item = String> {
        self.unmet(id).into_iter().filter_map(move |name| {
            let need = self.nodes[id].package.needs.get(&name)?;
            Some(need.spec.as_ref().ok()?.package.clone())
        })
    }

    /// Asks for the packages that a node needs, and in the same go for those
    /// that others will.
    fn learn(&mut self, id: Id) {
        if self.wished(id).all(|name| self.known.has(&name)) {
            return;
        }
        let waiting = self.queue.iter().map(|(_, _, id)| *id);
        let waiting = waiting.chain([id]).filter(|&id| !self.nodes[id].gone);
        let names: Vec<String> = waiting.flat_map(|id| self.wished(id)).collect();
        self.known.learn(self.client, names.into_iter());
    }

    /// The package that a dependency gets.
    fn pick(&mut self, need: &Need) -> Result<Rc<Package>, Failed> {
        let spec = need.spec.as_ref().map_err(Clone::clone)?;
        let described = self.known.get(self.client, &spec.package);
        let described = described.as_ref().as_ref().map_err(Clone::clone)?;
        let version = described
            .pick(&spec.wanted)
            .map_err(|_| Failed::new(format!("{} has no version {spec}", spec.package)))?;
        let key = (spec.package.clone(), version.to_string());
        if let Some(known) = self.packages.get(&key) {
            return Ok(known.clone());
        }
        let package = Rc::new(described.package(&version)?);
        self.packages.insert(key, package.clone());
        Ok(package)
    }

    /// Gets a node something that it needs.
    fn meet(&mut self, id: Id, name: &str) -> Result<(), Failed> {
        // Something that was put somewhere meanwhile may do.
        if self.nodes[id].gone || self.is_met(id, name) {
            return Ok(());
        }
        let package = self.nodes[id].package.clone();
        let Some(need) = package.needs.get(name) else {
            return Ok(());
        };
        let met = self
            .pick(need)
            .and_then(|picked| Ok((self.peers(id, name, &picked)?, picked)));
        match met {
            Ok((peers, picked)) => self.put(id, name, need, &picked, &peers),
            Err(why) => self.give_up(id, name, why),
        }
    }

    /// Notes that a node does not get what it needs.
    fn give_up(&mut self, id: Id, name: &str, why: Failed) -> Result<(), Failed> {
        self.client.job.left()?;
        self.nodes[id].lacks.insert(name.to_owned(), why);
        match self.broken().remove(&ROOT) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    fn live(&self) -> impl Iterator<Item = Id> {
        (0..self.nodes.len()).filter(|&id| !self.nodes[id].gone)
    }

    /// Nodes that cannot be used: not for this machine, or without something
    /// that they cannot be without.
    fn broken(&self) -> HashMap<Id, Failed> {
        let mut broken = HashMap::new();
        for id in self.live() {
            let node = &self.nodes[id];
            let lack = node.lacks.iter().find(|(name, _)| {
                let need = node.package.needs.get(*name);
                need.is_some_and(|need| matches!(need.kind, Kind::Plain | Kind::Peer))
            });
            if let Some((_, why)) = lack {
                broken.insert(id, why.clone());
            } else if !node.package.fits_here {
                let package = &node.package;
                let why = format!(
                    "{}@{} is not for this operating system or processor",
                    package.name, package.version
                );
                broken.insert(id, Failed::new(why));
            }
        }
        loop {
            let before = broken.len();
            for id in self.live() {
                if broken.contains_key(&id) {
                    continue;
                }
                let needs = self.nodes[id].package.needs.iter();
                let why = needs
                    .filter(|(_, need)| matches!(need.kind, Kind::Plain | Kind::Peer))
                    .filter_map(|(name, need)| self.met_by(id, name, need))
                    .find_map(|by| broken.get(&by).cloned());
                if let Some(why) = why {
                    broken.insert(id, why);
                }
            }
            if broken.len() == before {
                return broken;
            }
        }
    }

    /// The nodes that are needed, without going through some.
    fn reached(&self, without: &HashMap<Id, Failed>) -> HashSet<Id> {
        let mut reached = HashSet::from([ROOT]);
        let mut next = vec![ROOT];
        while let Some(id) = next.pop() {
            let node = &self.nodes[id];
            let needs = node.package.needs.iter();
            for (name, need) in needs.filter(|(name, _)| !node.lacks.contains_key(*name)) {
                let by = self.met_by(id, name, need);
                if let Some(by) = by.filter(|by| !without.contains_key(by))
                    && reached.insert(by)
                {
                    next.push(by);
                }
            }
        }
        reached
    }

    /// Removes a node with what is below it.
    fn remove(&mut self, id: Id) {
        if let Some(parent) = self.nodes[id].parent {
            let name = self.nodes[id].name.clone();
            self.nodes[parent].children.remove(&name);
        }
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            self.nodes[id].gone = true;
            self.live -= 1;
            next.extend(std::mem::take(&mut self.nodes[id].children).into_values());
        }
    }

    /// Removes what nobody needs any more.
    fn sweep(&mut self) {
        let reached = self.reached(&HashMap::new());
        let over: Vec<Id> = self.live().filter(|id| !reached.contains(id)).collect();
        for id in over {
            if !self.nodes[id].gone {
                self.remove(id);
            }
        }
    }

    fn placements(&self) -> Result<Placements, Failed> {
        let mut broken = self.broken();
        if let Some(why) = broken.remove(&ROOT) {
            return Err(why);
        }
        let reached = self.reached(&broken);
        let needed = reached.into_iter().filter(|&id| id != ROOT);
        Ok(needed
            .map(|id| (self.folder(id), self.nodes[id].package.clone()))
            .collect())
    }
}

/// The order of letters that npm goes by: punctuation before digits before
/// letters.
fn order(byte: u8) -> u8 {
    match byte {
        b'_' => 1,
        b'-' => 2,
        b'.' => 3,
        b'@' => 4,
        b'/' => 5,
        b'~' => 6,
        other => other.to_ascii_lowercase(),
    }
}
