//! A map of a bounded size, which forgets what was not asked for lately.

use std::{collections::HashMap, hash::Hash};

/// What was asked for lately, in two generations of at most so many entries each.
#[derive(Debug)]
pub struct Recent<K, V> {
    generation: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Recent<K, V> {
    /// An empty map of at most twice so many entries.
    pub fn new(generation: usize) -> Self {
        Self { generation, young: HashMap::new(), old: HashMap::new() }
    }

    /// The value of a key. It is kept for longer by that.
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.get(key)?.clone();
        self.insert(key.clone(), value.clone());
        Some(value)
    }

    /// Adds an entry, or gives it another value.
    pub fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Forgets an entry.
    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let mut recent = Recent::new(100);
        for key in 0..500 {
            recent.insert(key, ());
            assert!(recent.get(&0).is_some(), "{key}");
        }
        assert!(recent.get(&1).is_none());
        assert!(recent.young.len() + recent.old.len() <= 200);
    }

    #[test]
    fn an_entry_that_was_removed_does_not_come_back() {
        let mut recent = Recent::new(1);
        for key in [1, 2] {
            recent.insert(key, "old");
        }
        recent.insert(1, "new");
        assert_eq!(recent.get(&1), Some("new"));
        recent.remove(&1);
        assert_eq!(recent.get(&1), None);
    }
}
