//! Generators of the PyTorch release in and out, through the program: `model import | verify | diff | export`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;

use crate::common::{done, failed};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn archive(path: &Path) -> BTreeMap<String, Tensor> {
    Archive::from_bytes(&std::fs::read(path).unwrap(), &Device::Cpu).unwrap().tensors
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn import(dir: &Path, file: &str, out: &str) -> String {
    let file = golden(file);
    done(dir, &["model", "import", file.to_str().unwrap(), "--out", out])
}

/// Every tensor that comes out is, to the bit, the one that torch saved.
#[test]
fn weights_of_the_release_come_in_and_go_out_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    for (file, steps, count) in [
        ("stage1_netG_zip.pth", "plain_stage1_steps.safetensors", 28),
        ("stage1_netG_legacy.pth", "plain_stage1_steps.safetensors", 28),
        ("stage2_netG_legacy.pth", "plain_stage2_steps.safetensors", 87),
    ] {
        import(dir.path(), file, "model.safetensors");
        done(dir.path(), &["model", "verify", "model.safetensors"]);
        done(dir.path(), &["model", "export", "model.safetensors", "--out", "netG.safetensors"]);
        let ours = archive(&dir.path().join("netG.safetensors"));
        assert_eq!(ours.len(), count, "{file}");
        let expected = archive(&golden(steps));
        for (name, tensor) in &ours {
            let theirs = &expected[&format!("after2.g.{name}")];
            assert_eq!(tensor.dims(), theirs.dims(), "{file}: {name}");
            assert_eq!(values(tensor), values(theirs), "{file}: {name}");
        }
    }
}

#[test]
fn models_are_compared_and_damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    import(dir.path(), "stage1_netG_zip.pth", "zip.safetensors");
    import(dir.path(), "stage1_netG_legacy.pth", "legacy.safetensors");
    let same = done(dir.path(), &["model", "diff", "zip.safetensors", "legacy.safetensors"]);
    assert_eq!(same, "0 of 28 tensors differ\n");

    // One value is changed, in place: the last four bytes of a safetensors file are a value.
    let mut bytes = std::fs::read(dir.path().join("zip.safetensors")).unwrap();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(dir.path().join("damaged.safetensors"), bytes).unwrap();
    let (code, _) =
        failed(dir.path(), &["model", "diff", "zip.safetensors", "damaged.safetensors"]);
    assert_eq!(code, 5);
    assert_eq!(failed(dir.path(), &["model", "verify", "damaged.safetensors"]).0, 5);

    let cut = &std::fs::read(golden("stage2_netG_legacy.pth")).unwrap()[..100_000];
    std::fs::write(dir.path().join("cut.pth"), cut).unwrap();
    let (code, error) = failed(dir.path(), &["model", "import", "cut.pth"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("cut.pth") && error.contains("byte"), "{error}");
}
