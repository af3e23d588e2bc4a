//! Generators of both releases are imported, and those of the PyTorch release exported, through the
//! program: `model import | info | verify | diff | export`.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::Value;
use stackgan_core::generator::{Mode, Stage1Statistics};
use stackgan_core::generator_noise::GeneratorNoise;
use stackgan_core::generators::{self, Low};
use stackgan_core::noise::Noise;
use stackgan_core::{Model, NetConfig, Params, Recipe};
use stackgan_data::crop::decode;

use crate::common::{WORLD, archive, done, failed, golden, stackgan, training};
use crate::errors::four_parts;

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn import(dir: &Path, file: &str, out: &str) -> String {
    let file = golden(file);
    done(dir, &["model", "import", file.to_str().unwrap(), "--out", out])
}

/// Every exported tensor equals the one that torch saved, to the bit.
#[test]
fn weights_of_the_release_come_in_and_go_out_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    for (file, steps, count) in [
        ("stage1_netG_zip.pth", "plain_stage1_steps.safetensors", 28),
        ("stage1_netG_legacy.pth", "plain_stage1_steps.safetensors", 28),
        ("stage2_netG_legacy.pth", "plain_stage2_steps.safetensors", 87),
    ] {
        let model = format!("{file}.safetensors");
        import(dir.path(), file, &model);
        done(dir.path(), &["model", "verify", &model]);
        done(dir.path(), &["model", "export", &model, "--out", "netG.safetensors"]);
        let ours = archive(&dir.path().join("netG.safetensors")).tensors;
        assert_eq!(ours.len(), count, "{file}");
        let expected = archive(&golden(steps)).tensors;
        for (name, tensor) in &ours {
            let theirs = &expected[&format!("after2.g.{name}")];
            assert_eq!(tensor.dims(), theirs.dims(), "{file}: {name}");
            assert_eq!(values(tensor), values(theirs), "{file}: {name}");
        }
    }
}

fn json(dir: &Path, args: &[&str]) -> (i32, Value) {
    let output = stackgan(dir, args).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let document = serde_json::from_str(&text);
    (output.status.code().unwrap(), document.unwrap_or_else(|e| panic!("{args:?}: {e}: {text}")))
}

/// The picture equals PyTorch's with the same weights, embedding and noise. Pictures of 256 pixels
/// are stored as every eighth pixel (`tests/golden/README.md`: pictures agree to 1e-4).
#[test]
fn imported_weights_paint_what_torch_painted() {
    let dir = tempfile::tempdir().unwrap();
    for (file, steps, every) in [
        ("stage1_netG_zip.pth", "plain_stage1_steps.safetensors", 1),
        ("stage2_netG_legacy.pth", "plain_stage2_steps.safetensors", 8),
    ] {
        let model = format!("{file}.safetensors");
        import(dir.path(), file, &model);
        let bytes = std::fs::read(dir.path().join(model)).unwrap();
        let model = Model::from_bytes(&bytes, &Device::Cpu).unwrap();
        assert_eq!(model.info().stage1.net.recipe, Recipe::Plain);
        let golden = archive(&golden(steps)).tensors;
        let noise = |names: &[&str]| {
            let found = names.iter().find_map(|name| golden.get(&format!("stepeval.{name}")));
            found.unwrap_or_else(|| panic!("{names:?} of {:?}", golden.keys())).clone()
        };
        let noise = GeneratorNoise {
            z: noise(&["z"]),
            eps1: noise(&["eps1", "eps"]),
            eps2: noise(&["eps2", "eps"]),
        };
        let generator = model.generator(model.last_stage()).unwrap();
        let painted = generator.paint(&golden["in.text"], &noise, Mode::Eval).unwrap().image;
        let side = painted.dims()[3];
        let kept: Vec<u32> = (0..side as u32).step_by(every).collect();
        let kept = Tensor::new(kept, &Device::Cpu).unwrap();
        let painted = painted.index_select(&kept, 2).unwrap().index_select(&kept, 3).unwrap();
        let theirs = &golden["eval.fake"];
        assert_eq!(painted.dims(), theirs.dims(), "{file}");
        let (ours, theirs) = (values(&painted), values(theirs));
        let pairs = ours.iter().zip(&theirs);
        let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let reach = theirs.iter().fold(0.0, |reach, x| x.abs().max(reach));
        assert!(largest < 1e-4 * reach, "{file}: {largest} where values reach {reach}");
    }
}

/// The pictures equal those of the TensorFlow release's graph, by TensorFlow 0.12 itself, with the
/// same weights, embedding and noise, from both formats of its checkpoints.
#[test]
fn imported_checkpoints_paint_what_tensorflow_painted() {
    let dir = tempfile::tempdir().unwrap();
    let golden = archive(&golden("tensorflow_release.safetensors")).tensors;
    for (file, stages) in [("tensorflow_release.ckpt", 2), ("tensorflow_stage1.ckpt", 1)] {
        let model = format!("{file}.safetensors");
        import(dir.path(), file, &model);
        done(dir.path(), &["model", "verify", &model]);
        let bytes = std::fs::read(dir.path().join(model)).unwrap();
        let model = Model::from_bytes(&bytes, &Device::Cpu).unwrap();
        let info = model.info();
        assert_eq!(info.stage1.net.recipe, Recipe::Residual);
        assert_eq!(info.stage2.iter().count() + 1, stages, "{file}");
        assert_eq!(info.stage1.epsilon(), stackgan_core::generator_noise::Epsilon::Truncated);
        let noise = GeneratorNoise {
            z: golden["z"].clone(),
            eps1: golden["eps1"].clone(),
            eps2: golden["eps2"].clone(),
        };
        let generator = model.generator(model.last_stage()).unwrap();
        let painted = generator.paint(&golden["text"], &noise, Mode::Eval).unwrap();
        let low = painted.low.as_ref().unwrap_or(&painted.image);
        assert_near(file, low, &golden["low"]);
        if stages == 2 {
            let kept = Tensor::arange_step(0u32, 256, 8, &Device::Cpu).unwrap();
            let high = painted.image.index_select(&kept, 2).unwrap();
            let high = high.index_select(&kept, 3).unwrap();
            assert_near(file, &high, &golden["high"]);
        }
    }
}

#[test]
fn files_beside_a_checkpoint_and_parts_of_one_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let whole = std::fs::read(golden("tensorflow_release.ckpt")).unwrap();
    std::fs::write(dir.join("cut.ckpt"), &whole[..100_000]).unwrap();
    std::fs::write(dir.join("x.ckpt.meta"), "\n\u{10}graph").unwrap();
    std::fs::write(dir.join("checkpoint"), "model_checkpoint_path: \"x.ckpt\"\n").unwrap();
    for name in ["cut.ckpt", "x.ckpt.meta", "checkpoint"] {
        let (code, error) = failed(dir, &["model", "import", name]);
        assert!(code == 3 && error.contains("not a whole one"), "{name}: {code} {error}");
        assert!(error.contains(name) && error.contains("  do: "), "{error}");
    }
    // PyTorch's files are called so by some programs.
    std::fs::copy(golden("stage1_netG_zip.pth"), dir.join("net.ckpt")).unwrap();
    done(dir, &["model", "import", "net.ckpt", "--out", "net.ckpt.safetensors"]);
    done(dir, &["model", "export", "net.ckpt.safetensors", "--out", "state.ckpt.safetensors"]);
    done(dir, &["model", "import", "state.ckpt.safetensors"]);
    // Nobody writes into this pipe: it is not waited for.
    #[cfg(unix)]
    for name in ["pipe.ckpt", "pipe.pth"] {
        let made = std::process::Command::new("mkfifo").arg(dir.join(name)).status();
        if made.is_ok_and(|status| status.success()) {
            assert_eq!(failed(dir, &["model", "import", name]).0, 3, "{name}");
        }
    }
    // The numbers that are read are not written over.
    let numbers = "tensorflow_stage1.ckpt.data-00000-of-00001";
    for file in ["tensorflow_stage1.ckpt.index", numbers] {
        std::fs::copy(golden(file), dir.join(file)).unwrap();
    }
    let over = ["model", "import", "tensorflow_stage1.ckpt", "--out", numbers];
    assert_eq!(failed(dir, &over).0, 2);
    let over = ["model", "import", numbers, "--out", "tensorflow_stage1.ckpt"];
    assert_eq!(failed(dir, &over).0, 2);
    assert!(std::fs::read(dir.join(numbers)).unwrap() == std::fs::read(golden(numbers)).unwrap());
}

/// A trained model is called so, too, and may lie where the import runs: in a run folder, in a demo.
#[test]
fn an_import_replaces_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("model.safetensors"), "trained for days").unwrap();
    for file in ["tensorflow_stage1.ckpt.index", "tensorflow_stage1.ckpt.data-00000-of-00001"] {
        std::fs::copy(golden(file), dir.join(file)).unwrap();
    }
    let state_dict = golden("stage1_netG_zip.pth").display().to_string();
    for file in [&*state_dict, "tensorflow_stage1.ckpt"] {
        for more in [&[][..], &["--out", "./model.safetensors"]] {
            let (code, said) = failed(dir, &[&["model", "import", file], more].concat());
            assert_eq!(code, 2, "{said}");
            four_parts(&said, "model.safetensors");
            assert!(said.contains("`--out FILE`"), "{said}");
        }
    }
    assert_eq!(std::fs::read(dir.join("model.safetensors")).unwrap(), b"trained for days");
}

/// Asserts that two pictures, which have contrast, are the same to 1e-4.
fn assert_near(file: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.dims(), theirs.dims(), "{file}");
    let (ours, theirs) = (values(ours), values(theirs));
    let reach = theirs.iter().fold(0.0, |reach: f32, x| reach.max(x.abs()));
    let furthest = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(reach > 0.1 && furthest < 1e-4 * reach, "{file}: {furthest} of {reach}");
}

/// Returns a `.t7` as Torch 7 would write it: a table of float tensors by name.
fn torch7(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let word = |n: usize| (n as u32).to_le_bytes();
    let long = |n: usize| (n as u64).to_le_bytes();
    let string = |text: &str| [&word(text.len())[..], text.as_bytes()].concat();
    let mut file = [word(3), word(1), word(tensors.len())].concat();
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        let object = |index: usize, class: &str| {
            [&[word(4), word(index)].concat(), &string("V 1")[..], &string(class)].concat()
        };
        file.extend([&word(2)[..], &string(name)].concat());
        file.extend(object(2 * i + 2, "torch.FloatTensor"));
        file.extend(word(tensor.dims().len()));
        file.extend(tensor.dims().iter().chain(&tensor.stride().to_vec()).flat_map(|&n| long(n)));
        file.extend(long(1));
        file.extend(object(2 * i + 3, "torch.FloatStorage"));
        file.extend(long(tensor.elem_count()));
        file.extend(values(tensor).iter().flat_map(|x| x.to_le_bytes()));
    }
    file
}

/// The same state dict gives the same model, byte for byte, from a Torch 7 table and from
/// safetensors.
#[test]
fn other_containers_of_a_state_dict_are_taken_by_their_contents() {
    let dir = tempfile::tempdir().unwrap();
    import(dir.path(), "stage2_netG_legacy.pth", "model.safetensors");
    done(dir.path(), &["model", "export", "model.safetensors", "--out", "netG.safetensors"]);
    let tensors = archive(&dir.path().join("netG.safetensors")).tensors;
    std::fs::write(dir.path().join("netG.t7"), torch7(&tensors)).unwrap();
    // The format is not determined by the name.
    std::fs::copy(dir.path().join("netG.safetensors"), dir.path().join("netG.pth")).unwrap();
    let whole = std::fs::read(dir.path().join("model.safetensors")).unwrap();
    for name in ["netG.t7", "netG.pth"] {
        let again = format!("again-{name}.safetensors");
        done(dir.path(), &["model", "import", name, "--out", &again]);
        assert!(std::fs::read(dir.path().join(again)).unwrap() == whole, "{name}");
    }

    let mut other = tensors.clone();
    other.remove("img.0.weight");
    std::fs::write(dir.path().join("less.t7"), torch7(&other)).unwrap();
    let refused = |name: &str| {
        let (code, error) = failed(dir.path(), &["model", "import", name, "--out", "no"]);
        assert_eq!(code, 3, "{error}");
        assert!(error.contains(name) && error.contains("  do: "), "{error}");
        assert!(!dir.path().join("no").exists());
        error
    };
    assert!(refused("less.t7").contains("no `img.0.weight`"));
    for (name, value) in [("nan.t7", f64::NAN), ("inf.t7", f64::INFINITY)] {
        let mut other = tensors.clone();
        let bad = other["img.0.weight"].affine(0.0, value).unwrap();
        other.insert("img.0.weight".to_owned(), bad);
        std::fs::write(dir.path().join(name), torch7(&other)).unwrap();
        assert!(refused(name).contains("an infinity in `img.0.weight`"));
    }
    let wrapped: BTreeMap<String, Tensor> =
        tensors.iter().map(|(name, t)| (format!("module.{name}"), t.clone())).collect();
    std::fs::write(dir.path().join("v2.t7"), torch7(&wrapped)).unwrap();
    assert!(refused("v2.t7").contains("`module."));
    // A network object, as GAN-INT-CLS and Reed's encoders were saved.
    let network =
        [&[4u32, 1].map(u32::to_le_bytes).concat()[..], b"\x03\0\0\0V 1\x0d\0\0\0nn.Sequential"];
    let network = [&network.concat()[..], &[3u32, 2, 0].map(u32::to_le_bytes).concat()].concat();
    std::fs::write(dir.path().join("net.t7"), network).unwrap();
    assert!(refused("net.t7").contains("nn.Sequential"));
    std::fs::write(
        dir.path().join("list.t7"),
        b"\x03\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0a\0\0\0\0",
    )
    .unwrap();
    assert!(refused("list.t7").contains("key a"));
    std::fs::write(dir.path().join("ascii.t7"), b"4\n1\n3\nV 1\n13\nnn.Sequential\n").unwrap();
    assert!(refused("ascii.t7").contains("ASCII"));
    std::fs::write(dir.path().join("picture.png"), b"\x89PNG\r\n").unwrap();
    assert!(refused("picture.png").contains("not a .pth file"));
}

/// Every tensor has the right name and shape, but all share one number: 50 MB in a file of 40 kB.
#[test]
fn tensors_over_each_other_are_refused_before_they_are_copied() {
    let dir = tempfile::tempdir().unwrap();
    let net = NetConfig {
        recipe: Recipe::Plain,
        gf: 60,
        df: 30,
        text_dim: 64,
        cond_dim: 4,
        residual_blocks: 8,
        ..NetConfig::default()
    };
    let fresh = |network| Params::fresh(Noise::new(1), network, &Device::Cpu);
    let (low, high) = (fresh("g1"), fresh("g2"));
    let (scope, statistics) = (low.frozen(), Stage1Statistics::Running);
    generators::stage2(&net, &Low { net: &net, scope: &scope, statistics }, &high.frozen())
        .unwrap();
    let low = low.all().into_iter().map(|(name, var)| (format!("STAGE1_G.{name}"), var));
    let storage = "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI1\nNtQ";
    let mut object = "(d".to_owned();
    for (name, var) in low.chain(high.all()) {
        let extents: String = var.dims().iter().map(|n| format!("I{n}\n")).collect();
        let strides = "I0\n".repeat(var.dims().len());
        object += &format!(
            "S'{name}'\nctorch._utils\n_rebuild_tensor\n({storage}I0\n({extents}t({strides}ttRs"
        );
    }
    let head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let numbers = [&b".(lp0\nS'0'\na."[..], &1u64.to_le_bytes(), &[0; 4]].concat();
    let file = [&head[..], object.as_bytes(), &numbers].concat();
    std::fs::write(dir.path().join("thin.pth"), file).unwrap();
    let (code, error) = failed(dir.path(), &["model", "import", "thin.pth"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("tensors share their numbers"), "{error}");
}

#[test]
fn a_folder_for_the_hub_says_what_the_model_is_and_paints() {
    let dir = tempfile::tempdir().unwrap();
    import(dir.path(), "stage2_netG_legacy.pth", "model.safetensors");
    done(dir.path(), &["model", "export", "model.safetensors", "--hub", "coco-stackgan"]);
    let hub = dir.path().join("coco-stackgan");
    let card = std::fs::read_to_string(hub.join("README.md")).unwrap();
    for part in [
        "---\nlibrary_name: stackgan\n",
        "license: other",
        "# coco-stackgan",
        "Recipe: `plain`",
        "Dataset: `coco`",
        "| Stage-I | 64x64 |",
        "| Stage-II | 256x256 |",
        "their training is not recorded",
        "The text encoder is not in the file",
        "## Licence",
        "load_state_dict",
        "STAGE2_G",
    ] {
        assert!(card.contains(part), "no {part:?} in {card}");
    }
    let lines = done(dir.path(), &["model", "info", "coco-stackgan"]);
    assert!(lines.contains("encoder    not inside, and not known which\n"), "{lines}");
    assert!(
        lines.contains("stage-II   256x256") && lines.contains("taken from elsewhere, on coco")
    );
    let (_, info) = json(dir.path(), &["model", "info", "coco-stackgan", "--json"]);
    assert!(card.contains(info["sha256"].as_str().unwrap()));
    let config: Value =
        serde_json::from_slice(&std::fs::read(hub.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["model_type"], "stackgan");
    assert_eq!((&config["image_size"], &config["recipe"]), (&256.into(), &"plain".into()));
    assert_eq!(config["stage2"], info["info"]["stage2"]["net"]);
    // The folder can be used as a model. An existing card is never overwritten.
    done(dir.path(), &["model", "verify", "coco-stackgan"]);
    done(dir.path(), &["model", "diff", "coco-stackgan", "model.safetensors"]);
    let again = ["model", "export", "model.safetensors", "--hub", "coco-stackgan"];
    assert_eq!(failed(dir.path(), &again).0, 2);
    let blank = ["model", "export", "model.safetensors", "--hub", "blank", "-p", " "];
    let (code, said) = failed(dir.path(), &blank);
    assert!(code == 2 && said.contains("a sentence is empty"), "{said}");
    let both = ["model", "export", "model.safetensors", "--hub", "x", "--out", "y"];
    assert_eq!(failed(dir.path(), &both).0, 2);

    // A trained model of the other recipe: the card describes the training, and the model paints
    // from sentences.
    let run = WORLD.root().join("hub-run");
    done(dir.path(), &training("1", "2", &run));
    let (name, said) = (run.to_str().unwrap(), ["-p", "a red *bird*", "-p", "a bird\nof blue"]);
    let export = ["model", "export", name, "--hub", "toy"];
    done(dir.path(), &[&export[..], &said].concat());
    let card = std::fs::read_to_string(dir.path().join("toy/README.md")).unwrap();
    let sheet = std::fs::read(dir.path().join("toy/samples.png")).unwrap();
    let sheet = decode(&sheet, Path::new("samples.png")).unwrap();
    let paint = ["generate", "-m", name, "-p", "a bird\nof blue", "--seed", "4", "-q"];
    let painted = done(dir.path(), &paint);
    let painted = std::fs::read(dir.path().join(painted.trim())).unwrap();
    let painted = decode(&painted, Path::new("picture")).unwrap();
    assert_eq!(sheet.dimensions(), (5 * 66 + 2, 2 * 66 + 2));
    let last = |x, y| *sheet.get_pixel(2 + 4 * 66 + x, 2 + 66 + y);
    assert!(painted.enumerate_pixels().all(|(x, y, pixel)| *pixel == last(x, y)));
    let many = [&export[..4], &["x"], &["-p", "a bird"].repeat(9)].concat();
    assert_eq!(failed(dir.path(), &many).0, 2);
    assert!(!hub.join("samples.png").exists() && !dir.path().join("x").exists());
    for part in [
        "(samples.png)\n\nThe sentences, from the top, with seeds 0 to 4:\n\n    a red *bird*\n    a bird of blue\n\n",
        "Recipe: `residual`",
        "2 steps of 2 pictures, seed",
        "stackgan generate -m hub:OWNER/toy -p \"a small bird",
    ] {
        assert!(card.contains(part), "no {part:?} in {card}");
    }
    assert!(!card.contains("PyTorch, with"));
    // The card proposes a sentence only where the dataset tells what is painted.
    let bytes = std::fs::read(run.join("model.safetensors")).unwrap();
    for (dataset, folder, sentence) in [
        ("oxford", "flowers", "-p \"a flower"),
        ("holiday", "mine", "like the captions that it was trained on"),
    ] {
        std::fs::write(dir.path().join("other.safetensors"), renamed(&bytes, dataset)).unwrap();
        done(dir.path(), &["model", "export", "other.safetensors", "--hub", folder]);
        let card = std::fs::read_to_string(dir.path().join(folder).join("README.md")).unwrap();
        assert!(card.contains(&format!("Dataset: `{dataset}`")), "{card}");
        assert!(card.contains(sentence) && !card.contains("a small bird"), "{card}");
        let proposed = ["SENTENCE", "large pink petals"].map(|said| card.matches(said).count());
        assert_eq!(proposed, if dataset == "oxford" { [0, 2] } else { [3, 0] }, "{card}");
    }
    // Of a checkpoint, the model is written, and neither the optimisers nor the discriminator.
    let checkpoint = run.join("checkpoints/step-0000002.safetensors");
    done(dir.path(), &["model", "export", checkpoint.to_str().unwrap(), "--hub", "at-two"]);
    done(dir.path(), &["model", "diff", "at-two", "toy"]);
    let (_, info) = json(dir.path(), &["model", "info", "at-two", "--json"]);
    let config: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("at-two/config.json")).unwrap())
            .unwrap();
    assert_eq!(config["weights_sha256"], info["sha256"]);
    done(dir.path(), &["generate", "-m", "toy", "-p", "a red bird", "--out", "painted", "-q"]);
    let (code, error) = failed(dir.path(), &["model", "export", "toy"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("residual"), "{error}");
}

/// A model file that says that its dataset has another name.
fn renamed(model: &[u8], dataset: &str) -> Vec<u8> {
    let header = usize::try_from(u64::from_le_bytes(model[..8].try_into().unwrap())).unwrap();
    let (head, numbers) = model[8..].split_at(header);
    let name = |name: &str| format!(r#"\"dataset\":\"{name}\""#);
    let head = String::from_utf8(head.to_vec()).unwrap();
    let changed = head.replace(&name("toy"), &name(dataset));
    assert_ne!(head, changed);
    [&(changed.len() as u64).to_le_bytes()[..], changed.as_bytes(), numbers].concat()
}

#[test]
fn models_are_compared_and_damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    import(dir.path(), "stage1_netG_zip.pth", "zip.safetensors");
    import(dir.path(), "stage1_netG_legacy.pth", "legacy.safetensors");
    let same = done(dir.path(), &["model", "diff", "zip.safetensors", "legacy.safetensors"]);
    assert_eq!(same, "0 of 28 tensors differ\n");
    let (code, document) =
        json(dir.path(), &["model", "diff", "zip.safetensors", "legacy.safetensors", "--json"]);
    assert_eq!((code, &document["equal"], &document["tensors"]), (0, &true.into(), &28.into()));
    let (code, document) = json(dir.path(), &["model", "verify", "zip.safetensors", "--json"]);
    assert_eq!((code, &document["whole"], &document["stages"]), (0, &true.into(), &1.into()));

    // A bit that changes by itself is noticed when the file is read.
    let mut bytes = std::fs::read(dir.path().join("zip.safetensors")).unwrap();
    let mut archive = archive(&dir.path().join("zip.safetensors"));
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(dir.path().join("flipped.safetensors"), bytes).unwrap();
    let (code, error) = failed(dir.path(), &["model", "verify", "flipped.safetensors"]);
    assert!(code == 3 && error.contains("not those that were written"), "{code} {error}");
    // A value that was written so is looked for.
    let (name, tensor) = archive.tensors.pop_last().unwrap();
    let mut values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    *values.last_mut().unwrap() = f32::NAN;
    let tensor = Tensor::from_vec(values, tensor.dims(), &Device::Cpu).unwrap();
    archive.tensors.insert(name, tensor);
    std::fs::write(dir.path().join("damaged.safetensors"), archive.to_bytes().unwrap()).unwrap();
    let (code, _) =
        failed(dir.path(), &["model", "diff", "zip.safetensors", "damaged.safetensors"]);
    assert_eq!(code, 5);
    assert_eq!(failed(dir.path(), &["model", "verify", "damaged.safetensors"]).0, 5);
    let (code, document) = json(dir.path(), &["model", "verify", "damaged.safetensors", "--json"]);
    assert_eq!((code, &document["whole"]), (5, &false.into()));
    assert!(document["problems"][0].as_str().unwrap().contains("not finite"), "{document}");
    let (code, document) =
        json(dir.path(), &["model", "diff", "zip.safetensors", "damaged.safetensors", "--json"]);
    assert_eq!((code, &document["equal"]), (5, &false.into()));
    let differing = document["differing"].as_array().unwrap();
    assert_eq!(differing.len(), 1);
    assert!(differing[0]["how"].as_str().unwrap().contains("1 of them not finite"), "{document}");
    assert_eq!(failed(dir.path(), &["model", "verify", "nothing.safetensors"]).0, 4);
    assert_eq!(failed(dir.path(), &["model", "info", "nothing.safetensors"]).0, 4);
    assert_eq!(failed(dir.path(), &["model", "import", "nothing.pth"]).0, 4);

    let cut = &std::fs::read(golden("stage2_netG_legacy.pth")).unwrap()[..100_000];
    std::fs::write(dir.path().join("cut.pth"), cut).unwrap();
    let (code, error) = failed(dir.path(), &["model", "import", "cut.pth"]);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("cut.pth") && error.contains("byte"), "{error}");
}
