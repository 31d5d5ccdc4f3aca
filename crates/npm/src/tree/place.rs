//! Puts a package somewhere, with the peers that have to go along.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::{Id, ROOT, Tree};
use crate::Failed;
use crate::package::{Kind, Need, Package};

/// Most packages that go together; looking at them goes as deep.
const PEERS_MAX: usize = 200;

/// A package and its peers, by folder name.
pub(super) type Peers = BTreeMap<String, Rc<Package>>;

/// Whether a package may go to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// Nothing is there.
    Go,
    /// What is there may go.
    Replace,
    /// What is there does.
    Keep,
    /// No.
    Not,
}

/// A package on the way to its place.
struct Moving<'a> {
    /// Whose need it is, or that of the package whose peer it is.
    entry: Id,
    name: &'a str,
    need: &'a Need,
    package: &'a Rc<Package>,
    /// Whether it comes along with another.
    along: bool,
    /// The deepest place that it may have.
    deepest: Id,
}

impl Tree<'_> {
    /// The peers that a package has to have beside it, and theirs. What the node
    /// that needs it says of a peer goes before.
    pub(super) fn peers(
        &mut self,
        from: Id,
        name: &str,
        package: &Rc<Package>,
    ) -> Result<Peers, Failed> {
        let mut peers = Peers::from([(name.to_owned(), package.clone())]);
        // What only an optional peer needs stops nothing.
        let mut next = VecDeque::from([(package.clone(), true)]);
        let of = self.nodes[from].package.clone();
        while let Some((package, required)) = next.pop_front() {
            self.client.job.left()?;
            if peers.len() > PEERS_MAX {
                return Err(Failed::new(format!(
                    "{name} needs more than {PEERS_MAX} packages beside it"
                )));
            }
            for (peer, need) in package.needs.iter().filter(|(_, need)| need.is_peer()) {
                if peers.get(peer).is_some_and(|there| need.fits(there)) {
                    continue;
                }
                let then_required = required && need.kind == Kind::Peer;
                let own = of.needs.get(peer).filter(|own| !own.is_peer());
                let others: Vec<Rc<Package>> = peers.values().cloned().collect();
                let good = |picked: &Package| {
                    let mut says = others.iter().filter_map(|other| other.needs.get(peer));
                    own.is_none_or(|own| own.fits(picked))
                        && says.all(|say| !say.is_peer() || say.fits(picked))
                };
                let (mut picked, mut lost) = (Vec::new(), None);
                for wish in own.into_iter().chain([need]) {
                    match self.pick(wish) {
                        Ok(one) => picked.push(one),
                        Err(why) => lost = Some(why),
                    }
                }
                // The package itself stays what it is.
                let best = picked.iter().find(|one| peer != name && good(one));
                if let Some(best) = best {
                    peers.insert(peer.clone(), best.clone());
                    next.push_back((best.clone(), then_required));
                    continue;
                }
                match lost {
                    Some(why) if then_required => return Err(why),
                    Some(_) => {}
                    None if from == ROOT && required => {
                        let wanted = need.spec.as_ref().map_err(Clone::clone)?;
                        return Err(Failed::new(format!(
                            "{}@{} needs {peer} {wanted} beside it, which does not go with the \
                             other packages",
                            package.name, package.version
                        )));
                    }
                    // It does with what there is, or with what its user has.
                    None => {
                        if let Some(first) = picked.first()
                            && !peers.contains_key(peer)
                        {
                            peers.insert(peer.clone(), first.clone());
                            next.push_back((first.clone(), then_required));
                        }
                    }
                }
            }
        }
        Ok(peers)
    }

    /// Puts a package as high as may be above who needs it, and its peers.
    pub(super) fn put(
        &mut self,
        from: Id,
        name: &str,
        need: &Need,
        package: &Rc<Package>,
        peers: &Peers,
    ) -> Result<(), Failed> {
        let deepest = self.deepest(from, name);
        let moving = Moving {
            entry: from,
            name,
            need,
            package,
            along: false,
            deepest,
        };
        self.place(&moving, deepest, peers)
    }

    /// A peer of a package that is put somewhere, which goes along.
    fn along<'p>(
        &self,
        moving: &Moving<'_>,
        name: &'p str,
        need: &'p Need,
        package: &'p Rc<Package>,
    ) -> Moving<'p> {
        Moving {
            entry: moving.entry,
            name,
            need,
            package,
            along: true,
            deepest: self.deepest(moving.deepest, name),
        }
    }

    /// The deepest place for a name: not in a package that wants it beside it.
    fn deepest(&self, from: Id, name: &str) -> Id {
        let inside = |id: &Id| {
            let need = self.nodes[*id].package.needs.get(name);
            *id == ROOT || !need.is_some_and(Need::is_peer)
        };
        self.upwards(from).find(inside).unwrap_or(ROOT)
    }

    fn place(&mut self, moving: &Moving<'_>, start: Id, peers: &Peers) -> Result<(), Failed> {
        let (mut found, mut alone) = (None, None);
        for target in self.upwards(start) {
            let need = self.nodes[target].package.needs.get(moving.name);
            if target != ROOT && need.is_some_and(Need::is_peer) {
                continue;
            }
            let mut seen = BTreeSet::new();
            let (itself, all) = self.may_go(moving, target, peers, &mut seen);
            if itself != May::Not {
                alone = Some((target, itself));
            }
            if all == May::Not {
                break;
            }
            found = Some((target, all));
        }
        if found.is_none() && self.is_asked_for(moving) {
            let package = &moving.package;
            return Err(Failed::new(format!(
                "{}@{} does not go with the other packages: they need others beside them",
                package.name, package.version
            )));
        }
        // Below what the app asked for, peers that do not go together are the
        // packages' affair.
        let Some((target, may)) = found.or(alone).filter(|(_, may)| *may != May::Keep) else {
            return Ok(());
        };
        let replaced = may == May::Replace;
        let placed = self.add(moving.name, moving.package, Some(target))?;
        let pruned = self.dedupe(target, placed);
        if replaced || pruned {
            self.sweep();
        }
        self.look_again(placed);
        let package = moving.package.clone();
        for (name, need) in &package.needs {
            if !need.is_peer() || self.nodes[placed].gone || self.is_met(placed, name) {
                continue;
            }
            let Some(peer) = peers.get(name).filter(|peer| need.fits(peer)) else {
                continue;
            };
            let along = self.along(moving, name, need, peer);
            self.place(&along, self.deepest(start, name), peers)?;
        }
        Ok(())
    }

    /// Whether a package is what the app asked for, or beside what it asked for.
    fn is_asked_for(&self, moving: &Moving<'_>) -> bool {
        let entry = moving.entry;
        let direct = self.nodes[ROOT].children.get(&self.nodes[entry].name) == Some(&entry);
        let named = self.nodes[ROOT]
            .package
            .needs
            .contains_key(&self.nodes[entry].name);
        entry == ROOT || !moving.along && moving.need.is_peer() && direct && named
    }

    /// Whether a package may go to a place: by itself, and with its peers, of
    /// which each is looked at once.
    fn may_go(
        &self,
        moving: &Moving<'_>,
        target: Id,
        peers: &Peers,
        seen: &mut BTreeSet<String>,
    ) -> (May, May) {
        const NOT: (May, May) = (May::Not, May::Not);
        let package = moving.package;
        let own = self.nodes[target].package.needs.get(moving.name);
        if target != ROOT && own.is_some_and(Need::is_peer) {
            return NOT;
        }
        let same_need = !moving.along && target == moving.entry;
        let there = self.nodes[target].children.get(moving.name).copied();
        let Some(there) = there else {
            let other_need = !same_need && own.is_some_and(|own| !own.fits(package));
            if other_need || target != moving.entry && self.hides(moving.name, package, target) {
                return NOT;
            }
            let along = self.may_peers(moving, target, peers, seen);
            return (May::Go, if along { May::Go } else { May::Not });
        };
        let current = &self.nodes[there].package;
        let fits = moving.need.fits(current);
        let same = current.name == package.name && current.version == package.version;
        // A peer that its user has otherwise is not what decides.
        if same && (fits || !moving.need.fits(package)) {
            return (May::Keep, May::Keep);
        }
        // What is newer goes before what is there, what is older only if that
        // does not do.
        let newer = package.version >= current.version;
        let deduping = moving.along || moving.need.is_peer();
        let replaceable = self.can_replace(there, package);
        if fits && !(newer && replaceable) {
            return (May::Keep, May::Keep);
        }
        // A package that needs it goes before others that have it in there.
        let forced = target == moving.deepest && same_need && !moving.need.is_peer();
        let replaces = replaceable && (newer || deduping);
        if !replaces && !forced {
            return NOT;
        }
        if self.may_peers(moving, target, peers, seen) {
            (May::Replace, May::Replace)
        } else if fits {
            (May::Keep, May::Keep)
        } else if forced {
            (May::Replace, May::Not)
        } else {
            NOT
        }
    }

    /// Whether the peers of a package may go along to a place.
    fn may_peers(
        &self,
        moving: &Moving<'_>,
        target: Id,
        peers: &Peers,
        seen: &mut BTreeSet<String>,
    ) -> bool {
        seen.insert(moving.name.to_owned());
        moving.package.needs.iter().all(|(name, need)| {
            if !need.is_peer() || seen.contains(name) {
                return true;
            }
            let Some(peer) = peers.get(name) else {
                return true;
            };
            let along = self.along(moving, name, need, peer);
            let target = self.deepest(target, name);
            self.may_go(&along, target, peers, seen).1 != May::Not
        })
    }

    /// Whether a package at a place would hide another from who needs that.
    fn hides(&self, name: &str, package: &Package, target: Id) -> bool {
        let Some(hidden) = self.resolve(target, name) else {
            return false;
        };
        self.needs_of(name).any(|(id, need)| {
            self.is_below(id, target)
                && self.met_by(id, name, need) == Some(hidden)
                && need.fits(&self.nodes[hidden].package)
                && !need.fits(package)
        })
    }

    /// The needs of a name.
    fn needs_of(&self, name: &str) -> impl Iterator<Item = (Id, &Need)> {
        let ids = self.dependents.get(name).into_iter().flatten().copied();
        let live = ids.filter(|&id| !self.nodes[id].gone);
        live.filter_map(move |id| Some((id, self.nodes[id].package.needs.get(name)?)))
    }

    /// Whether all who use a node would do with a package in its place.
    fn can_replace(&self, there: Id, package: &Package) -> bool {
        let name = &self.nodes[there].name;
        self.nodes[there].package.name == package.name
            && self
                .needs_of(name)
                .filter(|&(id, need)| {
                    self.met_by(id, name, need) == Some(there) && !self.is_below(id, there)
                })
                .all(|(_, need)| need.fits(package))
    }

    /// Removes the copies below a place that a new package can stand for;
    /// whether there were any.
    fn dedupe(&mut self, target: Id, placed: Id) -> bool {
        let name = self.nodes[placed].name.clone();
        let named: Vec<Id> = self
            .live()
            .filter(|&id| {
                let node = &self.nodes[id];
                id != placed && node.name == name && self.is_below(id, target)
            })
            .collect();
        let mut pruned = false;
        for id in named {
            let kids: Vec<Id> = self.nodes[id].children.values().copied().collect();
            for id in std::iter::once(id).chain(kids) {
                if !self.nodes[id].gone && self.can_go(id) {
                    self.remove(id);
                    pruned = true;
                }
            }
        }
        pruned
    }

    /// Whether a node may go, since nobody needs it, or one above it will do.
    fn can_go(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        let Some(above) = node.parent.and_then(|parent| self.nodes[parent].parent) else {
            return false;
        };
        let used = self
            .needs_of(&node.name)
            .any(|(user, need)| self.met_by(user, &node.name, need) == Some(id));
        if !used {
            return true;
        }
        let Some(other) = self.resolve(above, &node.name) else {
            return false;
        };
        let other = &self.nodes[other].package;
        let same = other.name == node.package.name && other.version == node.package.version;
        same || self.can_replace(id, other) && other.version >= node.package.version
    }

    /// Looks again at who finds something else than before.
    fn look_again(&mut self, placed: Id) {
        let name = self.nodes[placed].name.clone();
        let again: Vec<Id> = self
            .needs_of(&name)
            .filter(|&(id, need)| {
                self.met_by(id, &name, need) == Some(placed)
                    && !need.fits(&self.nodes[placed].package)
            })
            .map(|(id, _)| id)
            .collect();
        for id in again {
            self.look_at(id);
        }
    }
}
