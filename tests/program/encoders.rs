//! Text encoders through the program: published weights are imported, sentences are encoded,
//! sentence encoders are used to train and paint, and a model accepts only its own encoder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::Tensor;
use stackgan_core::archive::Archive;

use crate::common::{
    TELLING, TINY, WORLD, archive, done, failed, golden, json, one_step, set, stackgan, training,
    with, without, write_given,
};
use crate::lite0::lite0;
use crate::reed::{self, Kind};
use crate::tiny_bert;

/// Returns the captions of the fixture, and the weights and the embeddings of one variant.
fn fixture(variant: &str) -> (Vec<String>, BTreeMap<String, Tensor>, Tensor) {
    let archive = archive(&golden("char_cnn_rnn.safetensors"));
    let captions = serde_json::from_str(&archive.metadata["captions"]).unwrap();
    let embedding = archive.tensors[&format!("{variant}.embedding")].clone();
    (captions, archive.part(&format!("{variant}.w.")), embedding)
}

/// Returns the vectors of captions as `text encode` writes them.
fn encode(dir: &Path, encoder: &str, captions: &[String]) -> Tensor {
    fs::write(dir.join("captions.txt"), captions.join("\n")).unwrap();
    let args = [
        "text",
        "encode",
        "--encoder",
        encoder,
        "--captions",
        "captions.txt",
        "--output",
        "vectors",
        "-q",
    ];
    done(dir, &args);
    archive(&dir.join("vectors")).tensors["embeddings"].clone()
}

#[track_caller]
pub(crate) fn assert_equal(found: &Tensor, expected: &Tensor, tolerance: f32) {
    let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    let error = norm(&(found - expected).unwrap());
    assert!(error <= tolerance * norm(expected), "{error} of {}", norm(expected));
}

/// The tolerance is that of the same values in `text_golden.rs`: both sides compute in f32 with
/// different orders of summation.
#[test]
fn published_weights_come_in_and_encode_as_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (variant, kind) in [("gru18", Kind::Gru), ("rnn8", Kind::Rnn)] {
        let (captions, weights, expected) = fixture(variant);
        fs::write(dir.join("net.t7"), reed::checkpoint(&weights, kind)).unwrap();
        let own = format!("{variant}.safetensors");
        done(dir, &["text", "import", "net.t7", "--out", &own, "-q"]);
        assert_equal(&encode(dir, &own, &captions), &expected, 1e-5);
        let file = fs::read(dir.join(&own)).unwrap();
        let (code, error) = failed(dir, &["text", "import", "net.t7", "--out", &own]);
        assert!(code == 2 && error.contains("would replace a file"), "{error}");

        // The network on its own and the same weights as safetensors give the same file.
        fs::write(dir.join("alone.t7"), reed::alone(&weights, kind)).unwrap();
        let bytes = Archive { tensors: weights, ..Archive::default() }.to_bytes().unwrap();
        fs::write(dir.join("state.safetensors"), bytes).unwrap();
        for from in ["alone.t7", "state.safetensors"] {
            let again = format!("{variant}-{from}.safetensors");
            done(dir, &["text", "import", from, "--out", &again, "-q"]);
            assert!(fs::read(dir.join(again)).unwrap() == file, "{variant} {from}");
        }
    }
    let pth = golden("char_cnn_rnn_rnn8.pth");
    done(dir, &["text", "import", pth.to_str().unwrap(), "--out", "pth.safetensors", "-q"]);
    assert!(
        fs::read(dir.join("pth.safetensors")).unwrap()
            == fs::read(dir.join("rnn8.safetensors")).unwrap()
    );
    assert!(archive(&dir.join("pth.safetensors")).tensors.contains_key("text.conv1.weight"));
}

/// The fixture's captions contain capitals and an `é`. The way to read them determines the vector,
/// and is stored in the file.
#[test]
fn how_characters_are_read_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_, weights, _) = fixture("gru18");
    fs::write(dir.join("net.t7"), reed::checkpoint(&weights, Kind::Gru)).unwrap();
    let vector = |options: &[&str], caption: &str| {
        let import = ["text", "import", "net.t7", "--out", "e.safetensors", "-q"];
        done(dir, &[&import, options].concat());
        let vectors = encode(dir, "e.safetensors", &[caption.to_owned()]);
        fs::remove_file(dir.join("e.safetensors")).unwrap();
        vectors.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let default = vector(&[], "a RED café");
    assert_eq!(default, vector(&[], "a red café"));
    assert_ne!(default, vector(&["--case", "keep"], "a RED café"));
    let space = vector(&["--unknown", "space"], "a red café x");
    assert_eq!(space, vector(&[], "a red caf  x"));
    assert_ne!(space, vector(&[], "a red café x"));
    assert_eq!(vector(&["--unknown", "truncate"], "a red café x"), vector(&[], "a red caf"));
}

#[test]
fn other_files_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (_, weights, _) = fixture("gru18");
    let whole = reed::checkpoint(&weights, Kind::Gru);
    fs::write(dir.join("cut.t7"), &whole[..whole.len() / 2]).unwrap();
    let told = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|window| window == from).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    fs::write(dir.join("other.t7"), told(b"protos", b"params")).unwrap();
    fs::write(dir.join("renamed.t7"), told(b"enc_doc", b"enc_txt")).unwrap();
    fs::write(dir.join("weightless.t7"), told(b"weight", b"wEight")).unwrap();
    let generator = golden("stage1_netG_zip.pth");
    for (file, parts) in [
        ("cut.t7", ["cut.t7", "byte"]),
        ("other.t7", ["(protos)", "a table of networks"]),
        ("renamed.t7", ["protos.enc_doc", "nil"]),
        (
            "weightless.t7",
            ["protos.enc_doc.modules[2].modules[1] (nn.TemporalConvolution)", "field weight"],
        ),
        (generator.to_str().unwrap(), ["not the weights of a char-CNN-RNN", "`conv1.weight`"]),
    ] {
        let (code, said) = failed(dir, &["text", "import", file]);
        assert_eq!(code, 3, "{said}");
        assert!(parts.iter().all(|part| said.contains(part)) && said.contains("do: "), "{said}");
    }
    assert_eq!(failed(dir, &["text", "import", "none.t7"]).0, 4);
}

/// Writes a sentence encoder's folder.
pub(crate) fn bert(dir: &Path, name: &str, seed: u64) {
    let folder = dir.join(name);
    fs::create_dir_all(folder.join("1_Pooling")).unwrap();
    fs::write(folder.join("config.json"), tiny_bert::CONFIG).unwrap();
    fs::write(folder.join("tokenizer.json"), tiny_bert::TOKENIZER).unwrap();
    fs::write(folder.join("model.safetensors"), tiny_bert::weights(seed)).unwrap();
    fs::write(folder.join("modules.json"), tiny_bert::MODULES).unwrap();
    fs::write(folder.join("1_Pooling/config.json"), tiny_bert::POOLING).unwrap();
}

/// Returns the arguments to train on the shared birds with another encoder.
fn with_encoder(stage: &str, run: &Path, encoder: &str, more: &[&str]) -> Vec<String> {
    let args = without(training(stage, "2", run), "--encoder");
    with(&with(&args, &["--encoder", encoder]), more)
}

/// The model records the encoder and finds it again. Standardisation is part of the model, because
/// the encoder is not.
#[test]
fn a_sentence_encoder_trains_paints_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    bert(dir, "bert", 1);
    bert(dir, "other", 2);
    let (low, high) = (dir.join("low"), dir.join("high"));
    done(dir, &with_encoder("1", &low, "bert", &["--set", "data.embedding_standardise=true"]));
    let info = json(dir, &["model", "info", "low", "--json"]);
    let source = info["info"]["encoder_source"].as_str().unwrap();
    assert!(Path::new(source).is_absolute() && source.ends_with("bert"), "{source}");
    assert!(info["info"]["encoder"].is_null() && info["info"]["stage1"]["net"]["text_dim"] == 8);
    let model = archive(&low.join("model.safetensors"));
    assert_eq!(model.tensors["text.standardise.mean"].dims(), [8]);
    assert!(done(dir, &["model", "info", "low"]).contains("bert"), "the encoder is named");

    // The card of the model says which encoder a reader needs, without the folders of this machine.
    done(dir, &["model", "export", "low", "--hub", "card"]);
    let card = fs::read_to_string(dir.join("card/README.md")).unwrap();
    for part in
        ["sentence encoder `bert`", "is not in the file", "-m hub:OWNER/card --encoder bert -p"]
    {
        assert!(card.contains(part), "no {part} in {card}");
    }
    assert!(!card.contains("paint_embeddings") && !card.contains(dir.to_str().unwrap()), "{card}");
    let config = fs::read_to_string(dir.join("card/config.json")).unwrap();
    assert!(config.contains("\"text_encoder_source\": \"bert\""), "{config}");
    // Pictures for the card change nothing else, whichever way the encoder is found.
    for (to, more) in [("named", &["--encoder", "bert"][..]), ("known", &[])] {
        let export = ["model", "export", "low", "--hub", to, "-p", "a red bird", "-q"];
        done(dir, &[&export, more].concat());
        let read = |folder: &str, file: &str| fs::read(dir.join(folder).join(file)).unwrap();
        for file in ["model.safetensors", "config.json"] {
            assert!(read(to, file) == read("card", file), "{to} {file}");
        }
        assert!(read("named", "samples.png") == read(to, "samples.png"));
    }
    done(dir, &["model", "export", "card", "--onnx", "card.onnx", "-q"]);
    done(dir, &["model", "export", "low", "--onnx", "low.onnx", "-q"]);
    for file in ["card/model.safetensors", "card.onnx", "low.onnx"] {
        let bytes = fs::read(dir.join(file)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(dir.to_str().unwrap()), "{file}");
    }

    let paint = |more: &[&str]| {
        let args = ["generate", "-m", "low", "-p", "a red bird", "--out", "out", "-q"];
        let picture = done(dir, &[&args, more].concat());
        fs::read(dir.join(picture.trim())).unwrap()
    };
    let first = paint(&[]);
    assert_eq!(paint(&["--encoder", "bert"]), first);
    let (code, said) =
        failed(dir, &["generate", "-m", "low", "-p", "a bird", "--encoder", "other"]);
    assert_eq!(code, 3, "{said}");
    for part in [
        "trained with another text encoder",
        "encoder: other",
        "width 8, fingerprint",
        "do: give `--encoder",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    // Stage-II uses the encoder of its Stage-I automatically, and no other.
    let args = without(training("2", "2", &high), "--encoder");
    done(dir, &with(&args, &["--stage1", "low"]));
    done(dir, &["generate", "-m", "high", "-p", "a red bird", "--out", "of-high", "-q"]);
    let refused = with_encoder("2", &dir.join("no"), "other", &["--stage1", "low"]);
    let (code, said) = failed(dir, &refused);
    assert!(code == 2 && said.contains("trained with other embeddings"), "{code} {said}");
    // After it has been moved, its path can be given.
    fs::rename(dir.join("bert"), dir.join("moved")).unwrap();
    let birds = WORLD.birds();
    let again = ["train", "--stage", "2", "--stage1", "low", "--run", "again", "-q", "--data"];
    let again = [&again[..], &[birds.to_str().unwrap()]].concat();
    for args in [&["generate", "-m", "low", "-p", "a bird"][..], &again] {
        let (code, said) = failed(dir, args);
        assert!(code == 4 && said.contains("if it was moved, name its new place"), "{code} {said}");
    }
    assert_eq!(paint(&["--encoder", "moved"]), first);
}

/// Measures during training, with the embeddings of the run, and afterwards with those of the same
/// encoder from a file.
#[test]
fn a_model_of_a_sentence_encoder_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    bert(dir, "bert", 1);
    let run = dir.join("run");
    let measured = ["--eval-every", "2", "--eval-metrics", "variety", "--eval-num", "20"];
    let setting = ["--set", "data.embedding_standardise=true"];
    let more = [&measured[..], &setting, &TELLING].concat();
    done(dir, &with_encoder("1", &run, "bert", &more));
    let lines = fs::read_to_string(run.join("eval.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let value = &line["measures"][0]["value"];
    let birds = WORLD.birds().display().to_string();
    done(
        dir,
        &[
            "text",
            "encode",
            "--data",
            &birds,
            "--encoder",
            "bert",
            "--output",
            "e.safetensors",
            "-q",
        ],
    );
    let again =
        ["eval", "-m", "run", "--data", &birds, "--embeddings", "e.safetensors", "--num", "20"];
    let again =
        [&again[..], &["--metrics", "variety", "--bootstrap", "0", "--json", "-q"]].concat();
    assert_eq!(&json(dir, &again)["measures"][0]["value"], value);
    // By the encoder itself, where it was and where it is.
    let read = |more: &[&str]| {
        let args = ["eval", "-m", "run", "--data", &birds, "--num", "20", "--metrics", "variety"];
        json(dir, &[&args[..], &["--bootstrap", "0", "--json", "-q"], more].concat())
    };
    assert_eq!(&read(&[])["measures"][0]["value"], value);
    fs::rename(dir.join("bert"), dir.join("moved")).unwrap();
    assert_eq!(&read(&["--encoder", "moved"])["measures"][0]["value"], value);
    fs::rename(dir.join("moved"), dir.join("bert")).unwrap();
    // They are standardised in the same way as sentences.
    let painted = |more: &[&str]| -> (String, String) {
        let args = [&["generate", "-m", "run", "--json", "--out", "out", "-q"], more].concat();
        let facts = json(dir, &args);
        let text = |key: &str| facts[key].as_str().unwrap().to_owned();
        (text("caption"), text("pixels_sha256"))
    };
    let given = ["--embeddings", "e.safetensors", "--data", &birds, "--rows"];
    let first = painted(&[&given[..], &["0"]].concat());
    assert_eq!(painted(&["-p", &first.0]), first);
}

#[test]
fn a_model_takes_no_other_encoder_than_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let run = dir.join("run");
    done(dir, &training("1", "2", &run));
    let own = WORLD.encoder().display().to_string();
    done(dir, &["generate", "-m", "run", "-p", "a bird", "--encoder", &own, "--out", "out", "-q"]);
    bert(dir, "bert", 1);
    let (code, said) = failed(dir, &["generate", "-m", "run", "-p", "a bird", "--encoder", "bert"]);
    assert!(
        code == 3 && said.contains("leave `--encoder` out: the model has its own"),
        "{code} {said}"
    );
    let (code, said) =
        failed(dir, &["generate", "-m", "run", "-p", "a bird", "--encoder", "hub:no name"]);
    assert!(code == 2 && said.contains("hub:OWNER/NAME"), "{code} {said}");
    fs::create_dir(dir.join("empty")).unwrap();
    let (code, said) =
        failed(dir, &["generate", "-m", "run", "-p", "a bird", "--encoder", "empty"]);
    assert!(code == 4 && said.contains("config.json"), "{code} {said}");
}

/// Widths of `MiniLM`, BERT, the paper and skip-thoughts: each is imported and trained for a step.
#[test]
fn every_width_trains() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let birds = WORLD.birds().display().to_string();
    let list = done(dir, &["data", "captions", &birds, "-q"]);
    let rows = list.lines().count();
    for width in [384, 768, 1024, 2400] {
        let values: Vec<f32> =
            (0..rows * width).map(|k| (k * 37 % 101) as f32 / 50.0 - 1.0).collect();
        write_given(dir, width, &values, &list);
        let out = dir.join("prepared");
        let args = [
            "data",
            "import",
            &birds,
            "--out",
            out.to_str().unwrap(),
            "--embeddings",
            "given.npy",
            "-q",
        ];
        done(dir, &args);
        let run = dir.join(format!("run{width}"));
        let prepared = out.join("prepared-76.safetensors");
        let mut args = vec!["train", "--stage", "1", "-q", "--run", run.to_str().unwrap()];
        args.extend(["--data", prepared.to_str().unwrap(), "--set", "optim.steps=1"]);
        args.extend(set(TINY));
        done(dir, &args);
        let info = done(dir, &["model", "info", run.to_str().unwrap(), "--json"]);
        assert!(info.contains(&format!("\"text_dim\": {width}")), "{info}");
    }
}

/// The shared encoder has an image side, so that the toy preset can use the matching loss. A
/// sentence encoder has none.
#[test]
fn pictures_are_matched_by_an_encoder_that_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    bert(dir, "bert", 1);
    let first = |run: &str| -> serde_json::Value {
        let stats = fs::read_to_string(dir.join(run).join("stats.jsonl")).unwrap();
        serde_json::from_str(stats.lines().next().unwrap()).unwrap()
    };
    done(dir, &training("1", "2", &dir.join("seen")));
    assert!(first("seen")["matching"].as_f64().unwrap() > 0.0);
    let model = archive(&dir.join("seen/model.safetensors"));
    assert!(model.tensors.keys().all(|name| !name.starts_with("image.")));
    // A run folder names the encoder in its model.
    let captions = ["a red bird".to_owned()];
    let file = WORLD.encoder().display().to_string();
    assert_equal(&encode(dir, "seen", &captions), &encode(dir, &file, &captions), 0.0);

    let blind = |run: &str, more: &[&str]| {
        let mut args = with_encoder("1", &dir.join(run), "bert", more);
        args.retain(|arg| arg != "-q");
        stackgan(dir, &args).output().unwrap()
    };
    let output = blind("off", &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("loss.matching = 0: "), "{said}");
    assert!(first("off")["matching"].is_null());
    let output = blind("asked", &["--set", "loss.matching=1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["loss.matching, from: --set", "no image side", "--encoder FILE", "do: "] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // Stage-II reads sentences with the Stage-I model's encoder, which has no image side. With the
    // encoder's file, matching is possible.
    let high = |run: &str, encoder: bool| {
        let args = training("2", "2", &dir.join(run));
        let args = if encoder { args } else { without(args, "--encoder") };
        let args = with(&args, &["--set", "loss.matching=1", "--stage1", "seen"]);
        stackgan(dir, &args).output().unwrap()
    };
    assert_eq!(high("without", false).status.code(), Some(2));
    assert!(high("with", true).status.success());
    assert!(first("with")["matching"].as_f64().unwrap() > 0.0);
}

/// An encoder of features is matched through their network. A resumed run finds the network again.
/// Without it the run is refused.
#[test]
fn pictures_are_matched_through_a_network_of_features() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let weights = Archive { tensors: lite0(), ..Archive::default() };
    fs::write(dir.join("lite0.safetensors"), weights.to_bytes().unwrap()).unwrap();
    let birds = WORLD.birds().display().to_string();
    let features = ["--features", "lite0.safetensors", "--features-side", "64"];
    let lesson =
        ["text", "train", "-q", "--data", &birds, "--steps", "2", "--out", "text.safetensors"];
    done(dir, &[&lesson[..], &features].concat());
    // `eval` gives its judges features at the network's training size.
    let parts =
        ["--features", "lite0.safetensors", "--judge", "text.safetensors", "--metrics", "rp"];
    done(dir, &training("1", "1", &dir.join("plain")));
    let (code, text) =
        failed(dir, &[&["eval", "-m", "plain", "--data", &birds][..], &parts].concat());
    assert!(code == 2 && text.contains("at 64 pixels") && text.contains("at 224 pixels"), "{text}");

    let matched = |run: &Path, more: &[&str]| {
        let more =
            [&["--set", "loss.matching=1", "--set", "run.checkpoint_every=1"], more].concat();
        with_encoder("1", run, "text.safetensors", &more)
    };
    let (run, whole) = (dir.join("run"), dir.join("whole"));
    let args = matched(&run, &[]);
    let (code, text) = failed(dir, &args);
    assert!(code == 2 && text.contains("`--features` names no network") && !run.exists(), "{text}");

    for (encoder, why) in [(None, "loss.matching = 0"), (Some(WORLD.encoder()), "looks at pixels")]
    {
        let encoder = encoder.map_or("text.safetensors".into(), |file| file.display().to_string());
        let matching = format!("loss.matching={}", u8::from(why != "loss.matching = 0"));
        let more = ["--features", "lite0.safetensors", "--set", &matching];
        let mut args = with_encoder("1", &dir.join(why), &encoder, &more);
        args.retain(|arg| arg != "-q");
        let output = stackgan(dir, &args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("`--features` is not used: ") && said.contains(why), "{said}");
    }
    done(dir, &matched(&whole, &["--features", "lite0.safetensors"]));
    one_step(dir, &matched(&run, &["--features", "lite0.safetensors"]));
    done(dir, &["train", "--stage", "1", "-q", "--run", "run"]);
    let last = |run: &Path| fs::read(run.join("checkpoints/step-0000002.safetensors")).unwrap();
    assert!(last(&run) == last(&whole));
    let stats = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    assert!(stats.lines().all(|line| line.contains("\"matching\":")), "{stats}");
}

/// A second discriminator in both stages, through a network that the text encoder knows nothing of. A
/// run that goes on finds the network again.
#[test]
fn a_second_discriminator_sees_through_features() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let weights = Archive { tensors: lite0(), ..Archive::default() };
    fs::write(dir.join("lite0.safetensors"), weights.to_bytes().unwrap()).unwrap();
    let projected = |stage: &str, run: &str, more: &[&str]| {
        let set = ["--set", "loss.projected=1", "--set", "run.checkpoint_every=1"];
        with(&with(&training(stage, "2", &dir.join(run)), &set), more)
    };
    let (code, text) = failed(dir, &projected("1", "none", &[]));
    assert!(code == 2 && !dir.join("none").exists(), "{text}");
    for part in ["loss.projected, from: --set", "found no `--features`", "--features FILE"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let birds = WORLD.birds().display().to_string();
    let preset = ["--preset", "photo-projected", "--data", &birds];
    let (code, text) = failed(dir, &[&["train", "--stage", "1"][..], &preset].concat());
    assert!(code == 2 && text.contains("preset photo-projected-stage1"), "{text}");
    assert!(!text.contains("encoder"), "before an encoder is trained: {text}");
    let features = ["--features", "lite0.safetensors"];
    done(dir, &projected("1", "first", &features));
    done(dir, &projected("2", "whole", &[&features[..], &["--stage1", "first"]].concat()));
    one_step(dir, &projected("2", "parts", &[&features[..], &["--stage1", "first"]].concat()));
    // It goes on with an encoder that lies elsewhere now, and says what else is gone.
    let encoder = WORLD.encoder().display().to_string();
    let go_on = ["train", "--stage", "2", "-q", "--run", "parts", "--encoder", &encoder];
    fs::rename(dir.join("lite0.safetensors"), dir.join("away")).unwrap();
    let (code, text) = failed(dir, &go_on);
    assert!(code == 4 && text.contains("`--features PATH`"), "{text}");
    fs::rename(dir.join("away"), dir.join("lite0.safetensors")).unwrap();
    done(dir, &go_on);
    let last =
        |run: &str| fs::read(dir.join(run).join("checkpoints/step-0000002.safetensors")).unwrap();
    assert!(last("whole") == last("parts"));
    let stats = fs::read_to_string(dir.join("parts/stats.jsonl")).unwrap();
    assert!(stats.lines().all(|line| line.contains("\"projected_g\":")), "{stats}");
    // The network looks at pictures, wherever the vectors of their captions come from.
    let encode = ["text", "encode", "-q", "--encoder", &encoder, "--data", &birds];
    done(dir, &[&encode[..], &["--output", "v.safetensors"]].concat());
    let imported = without(projected("1", "imported", &features), "--encoder");
    done(dir, &with(&imported, &["--embeddings", "v.safetensors"]));
}
