use super::hash::{Hash, node_hash};

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no such leaf in a tree of that size, or no such pair of sizes.
    #[error("the sizes make no sense")]
    Sizes,
    /// Not as many hashes as the sizes ask for.
    #[error("the proof has too few or too many hashes")]
    Length,
    /// The proof leads to another root.
    #[error("the proof does not lead to the root")]
    Root,
}

/// Checks that a leaf is in the tree of this root and size: RFC 9162, 2.1.3.2. `index` counts from 0.
///
/// # Errors
/// Says what does not fit.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Sizes);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match last {
        0 if hash == root => Ok(()),
        0 => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Checks that the tree of `first` leaves and `first_root` is the beginning of the tree of `second` leaves and
/// `second_root`: RFC 9162, 2.1.4.2.
///
/// # Errors
/// Says what does not fit.
pub fn verify_consistency(
    first: u64,
    second: u64,
    proof: &[Hash],
    first_root: Hash,
    second_root: Hash,
) -> Result<(), ProofError> {
    if first > second {
        return Err(ProofError::Sizes);
    }
    if first == 0 || first == second {
        let known = if first == 0 { Hash::of_empty_tree() } else { second_root };
        return match (proof.is_empty(), first_root == known) {
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Root),
            (false, _) => Err(ProofError::Length),
        };
    }
    // A first tree that is a full subtree begins the proof itself.
    let itself = first.is_power_of_two().then_some(&first_root);
    let mut hashes = itself.into_iter().chain(proof);
    let (mut node, mut last) = (first - 1, second - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let seed = *hashes.next().ok_or(ProofError::Length)?;
    let (mut old, mut new) = (seed, seed);
    for sibling in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match last {
        0 if (old, new) == (first_root, second_root) => Ok(()),
        0 => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}
