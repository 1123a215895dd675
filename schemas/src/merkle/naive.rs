//! RFC 6962 as it is written, recursive and slow, and the whole of `merkle` held against it.

use proptest::prelude::*;

use super::*;

/// `MTH(D[n])`.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => Hash::of_empty_tree(),
        1 => leaves[0],
        n => node_hash(&mth(&leaves[..half(n)]), &mth(&leaves[half(n)..])),
    }
}

/// `PATH(m, D[n])`.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    let n = leaves.len();
    if n == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(half(n));
    let (mut proof, sibling) =
        if m < left.len() { (path(m, left), mth(right)) } else { (path(m - left.len(), right), mth(left)) };
    proof.push(sibling);
    proof
}

/// `SUBPROOF(m, D[n], b)`.
fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    let n = leaves.len();
    if m == n {
        return if known { Vec::new() } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(half(n));
    let (mut proof, sibling) = if m <= left.len() {
        (subproof(m, left, known), mth(right))
    } else {
        (subproof(m - left.len(), right, false), mth(left))
    };
    proof.push(sibling);
    proof
}

/// The largest power of two below n.
fn half(n: usize) -> usize {
    n.next_power_of_two() / 2
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

/// All that was written while a tree grew in steps, as a store would have it.
struct Stored {
    frontier: Frontier,
    tiles: Tiles,
}

impl Stored {
    fn grown(leaves: &[Hash], steps: &[usize]) -> Self {
        let mut stored = Self { frontier: Frontier::default(), tiles: Tiles::default() };
        let mut rest = leaves;
        for step in steps.iter().chain([&leaves.len()]) {
            let (now, later) = rest.split_at((*step).min(rest.len()));
            for (tile, hashes) in stored.frontier.extend(now.iter().copied()).0 {
                assert_eq!(usize::from(tile.width), hashes.len());
                assert!(tile.level > 0 || tile.is_full(), "a leaf tile is written when it is full");
                stored.tiles.insert(tile.level, tile.index, &Hash::concat(&hashes)).unwrap();
            }
            rest = later;
        }
        stored
    }

    /// With the open leaf tile, which is made from events.
    fn whole(mut self) -> Tiles {
        let open = self.frontier.open().first().cloned().unwrap_or_default();
        if !open.is_empty() {
            self.tiles.insert(0, self.frontier.size() / WIDTH as u64, &Hash::concat(&open)).unwrap();
        }
        self.tiles
    }
}

fn hex(hash: &Hash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Known to many implementations: the eight leaves of Certificate Transparency's first test, roots of each size, and proofs.
#[test]
fn the_known_answers_of_certificate_transparency() {
    let data: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let all: Vec<Hash> = data.iter().map(|bytes| leaf_hash(bytes)).collect();
    let mut edge = Edge::default();
    assert_eq!(hex(&edge.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (leaf, root) in all.iter().zip(roots) {
        edge.push(*leaf);
        assert_eq!(hex(&edge.root()), root, "size {}", edge.size());
    }
    let tiles = Stored::grown(&all, &[]).whole();
    let proof = |hashes: Vec<Hash>| hashes.iter().map(hex).collect::<Vec<_>>();
    assert_eq!(
        proof(inclusion_proof(0, 8, &tiles).unwrap()),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        proof(inclusion_proof(5, 8, &tiles).unwrap()),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        proof(consistency_proof(6, 8, &tiles).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_small_tree_is_the_recursive_one() {
    for size in 0..=70_usize {
        let all = leaves(size);
        let root = mth(&all);
        let tiles = Stored::grown(&all, &[]).whole();
        assert_eq!(super::root(size as u64, &tiles), Ok(root));
        for m in 0..size {
            let proof = inclusion_proof(m as u64, size as u64, &tiles).unwrap();
            assert_eq!(proof, path(m, &all), "{m} of {size}");
            assert_eq!(verify_inclusion(all[m], m as u64, size as u64, &proof, root), Ok(()));
        }
        for m in 1..=size {
            let proof = consistency_proof(m as u64, size as u64, &tiles).unwrap();
            assert_eq!(proof, subproof(m, &all, true), "{m} of {size}");
            assert_eq!(verify_consistency(m as u64, size as u64, &proof, mth(&all[..m]), root), Ok(()));
        }
    }
}

/// Level 2 begins at 65,536 leaves: too many for a property of many cases, few enough for one.
#[test]
fn three_levels_of_tiles_hold_together() {
    let all = leaves(70_000);
    let stored = Stored::grown(&all, &[1_000; 80]);
    let again = Frontier::from_parts(stored.frontier.edge().clone(), stored.frontier.open().to_vec()).unwrap();
    assert_eq!(again, stored.frontier);
    let (root, tiles) = (mth(&all), stored.whole());
    assert_eq!(super::root(70_000, &tiles), Ok(root));
    for m in [0, 255, 256, 65_535, 65_536, 69_888, 69_999] {
        let proof = inclusion_proof(m, 70_000, &tiles).unwrap();
        assert_eq!(verify_inclusion(all[m as usize], m, 70_000, &proof, root), Ok(()), "{m}");
        let proof = consistency_proof(m + 1, 70_000, &tiles).unwrap();
        assert_eq!(verify_consistency(m + 1, 70_000, &proof, mth(&all[..=m as usize]), root), Ok(()), "{m}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// In whatever steps a tree has grown: the edge, the frontier and each proof from its tiles are those of RFC 6962.
    #[test]
    fn proofs_from_tiles_are_those_of_the_recursive_tree(
        size in 1_usize..1_200, at in any::<prop::sample::Index>(), since in any::<prop::sample::Index>(),
        steps in prop::collection::vec(1_usize..400, 0..8),
    ) {
        let all = leaves(size);
        let root = mth(&all);
        let stored = Stored::grown(&all, &steps);
        prop_assert_eq!(stored.frontier.edge().root(), root);
        let again = Frontier::from_parts(stored.frontier.edge().clone(), stored.frontier.open().to_vec());
        prop_assert_eq!(again.as_ref(), Ok(&stored.frontier));
        let tiles = stored.whole();

        let (m, n) = (at.index(size), size as u64);
        let proof = inclusion_proof(m as u64, n, &tiles).unwrap();
        prop_assert_eq!(&proof, &path(m, &all));
        let wanted = Tiles::wanted(&inclusion_ranges(m as u64, n));
        prop_assert!(wanted.iter().all(|(level, index)| Tile::in_tree(*level, *index, n).is_some()));

        let first = since.index(size) + 1;
        let proof = consistency_proof(first as u64, n, &tiles).unwrap();
        prop_assert_eq!(&proof, &subproof(first, &all, true));
        prop_assert_eq!(verify_consistency(first as u64, n, &proof, mth(&all[..first]), root), Ok(()));
    }

    /// Whatever is changed of a proof, it proves nothing any more.
    #[test]
    fn a_changed_proof_proves_nothing(
        size in 2_usize..600, at in any::<prop::sample::Index>(), part in any::<prop::sample::Index>(), bit in 0_u8..8,
        byte in 0_usize..32, other in any::<prop::sample::Index>(),
    ) {
        let all = leaves(size);
        let root = mth(&all);
        let tiles = Stored::grown(&all, &[]).whole();
        let (m, n) = (at.index(size), size as u64);
        let proof = inclusion_proof(m as u64, n, &tiles).unwrap();
        let mut changed = proof.clone();
        changed[part.index(proof.len())].0[byte] ^= 1 << bit;
        prop_assert_eq!(verify_inclusion(all[m], m as u64, n, &changed, root), Err(ProofError::Root));
        prop_assert!(verify_inclusion(all[m], m as u64, n, &proof[1..], root).is_err());
        prop_assert!(verify_inclusion(all[m], n, n, &proof, root).is_err());
        let longer: Vec<Hash> = proof.iter().copied().chain([root]).collect();
        prop_assert!(verify_inclusion(all[m], m as u64, n, &longer, root).is_err());
        let elsewhere = other.index(size);
        if elsewhere != m {
            prop_assert!(verify_inclusion(all[m], elsewhere as u64, n, &proof, root).is_err());
            prop_assert!(verify_inclusion(all[elsewhere], m as u64, n, &proof, root).is_err());
        }

        let first = m.max(1);
        let old = mth(&all[..first]);
        let proof = consistency_proof(first as u64, n, &tiles).unwrap();
        for index in 0..proof.len() {
            let mut changed = proof.clone();
            changed[index].0[byte] ^= 1 << bit;
            prop_assert!(verify_consistency(first as u64, n, &changed, old, root).is_err());
        }
        let mut forged = old;
        forged.0[byte] ^= 1 << bit;
        prop_assert!(verify_consistency(first as u64, n, &proof, forged, root).is_err());
        prop_assert!(verify_consistency(first as u64, n, &proof, old, forged).is_err());
        prop_assert!(verify_consistency(n, first as u64, &proof, old, root).is_err());
    }

    /// One byte of what a start reads is another: it is noticed.
    #[test]
    fn a_changed_frontier_is_refused(size in 1_usize..1_200, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let all = leaves(size);
        let frontier = Stored::grown(&all, &[]).frontier;
        let mut open = frontier.open().to_vec();
        let places: Vec<(usize, usize)> =
            open.iter().enumerate().flat_map(|(level, row)| (0..row.len()).map(move |n| (level, n))).collect();
        let (level, n) = places[at.index(places.len())];
        open[level][n].0[0] ^= 1 << bit;
        let refused = Frontier::from_parts(frontier.edge().clone(), open.clone());
        prop_assert_eq!(refused, Err(BadFrontier::Hash { level: level as u8 }));
        open[level].pop();
        prop_assert!(Frontier::from_parts(frontier.edge().clone(), open).is_err());
    }
}
