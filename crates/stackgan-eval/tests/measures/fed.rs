//! The input of each network equals its reference's.

use stackgan_eval::features::Network;

use crate::formula::picture;
use crate::measures::golden;

/// Checks the resize and range of each protocol, to smaller and larger sides: those of pytorch-fid,
/// torch-fidelity for TensorFlow 1, `AttnGAN`'s successors, and Pillow. The references compute in
/// f32; a pixel that Pillow rounds differently would differ by 0.008.
#[test]
fn networks_are_fed_what_their_references_feed() {
    for side in [64, 256, 310] {
        let picture = picture(3, side);
        for network in Network::ALL {
            let expected = golden()[format!("fed_{side}")][network.name()].clone();
            let expected = expected.as_array().unwrap();
            let fed = network.feed(&picture).unwrap();
            let found: Vec<f32> = fed.into_iter().step_by(1499).collect();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let off = (f64::from(*found) - expected.as_f64().unwrap()).abs();
                assert!(off < 2e-5, "{} {side}: {found}, expected {expected}", network.name());
            }
        }
    }
}
