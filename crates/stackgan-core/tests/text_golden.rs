//! The char-CNN-RNN compared with an independent implementation in PyTorch: embeddings, the
//! symmetric joint embedding loss and all its gradients. Fixture: `tests/golden/README.md`.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor};
use stackgan_core::Params;
use stackgan_core::text::alphabet::{AlphabetOptions, indices};
use stackgan_core::text::losses::symmetric_joint_embedding;
use stackgan_core::text::{CharCnnRnn, CharCnnRnnConfig, Recurrence};

const FIXTURE: &[u8] = include_bytes!("../../../tests/golden/char_cnn_rnn.safetensors");

struct Golden {
    tensors: BTreeMap<String, Tensor>,
    captions: Vec<String>,
}

impl Golden {
    fn new() -> Result<Self> {
        let tensors =
            candle_core::safetensors::load_buffer(FIXTURE, &Device::Cpu)?.into_iter().collect();
        let (_, header) = safetensors::SafeTensors::read_metadata(FIXTURE)?;
        let captions = header.metadata().as_ref().map_or("", |metadata| &metadata["captions"]);
        let captions = serde_json::from_str(captions).map_err(candle_core::Error::wrap)?;
        Ok(Self { tensors, captions })
    }

    /// Returns configuration and weights of one variant.
    fn variant(&self, prefix: &str, recurrence: Recurrence) -> Result<(CharCnnRnnConfig, Params)> {
        let prefix = format!("{prefix}.w.");
        let own = self
            .tensors
            .iter()
            .filter_map(|(n, t)| Some((n.strip_prefix(&prefix)?.to_owned(), t.clone())));
        let own: BTreeMap<String, Tensor> = own.collect();
        let (dim, units) = own["emb_proj.weight"].dims2()?;
        let (conv1, conv2) = (own["conv1.weight"].dim(0)?, own["conv2.weight"].dim(0)?);
        let alphabet = AlphabetOptions::default();
        let cfg = CharCnnRnnConfig { conv1, conv2, units, dim, recurrence, alphabet };
        Ok((cfg, Params::given(own, &Device::Cpu)?))
    }
}

fn norm(t: &Tensor) -> Result<f32> {
    Ok(t.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt())
}

#[test]
fn captions_become_the_same_one_hot_rows() -> Result<()> {
    let golden = Golden::new()?;
    let hot = golden.tensors["one_hot"].to_vec3::<f32>()?; // (captions, 70, 201)
    for (caption, hot) in golden.captions.iter().zip(&hot) {
        for (t, &index) in indices(caption, AlphabetOptions::default()).iter().enumerate() {
            let found: Vec<usize> = (0..70).filter(|&c| hot[c][t] != 0.0).map(|c| c + 1).collect();
            let expected: Vec<usize> =
                Some(usize::from(index)).filter(|&i| i > 0).into_iter().collect();
            assert_eq!(expected, found, "place {t} of `{caption}`");
        }
    }
    Ok(())
}

/// Both sides compute in f32 with different orders of summation. Some gradients are sums that
/// cancel to rounding errors (`rnn.h2h.bias` of `rnn8` is 1e-7), so each one may also differ by a
/// millionth of the norm of all gradients.
#[test]
fn embeddings_loss_and_gradients_equal_the_fixture() -> Result<()> {
    let golden = Golden::new()?;
    let captions: Vec<_> =
        golden.captions.iter().map(|c| indices(c, AlphabetOptions::default())).collect();
    for (prefix, recurrence) in [("gru18", Recurrence::Gru), ("rnn8", Recurrence::Rnn)] {
        let value = |name: &str| &golden.tensors[&format!("{prefix}.{name}")];
        let (cfg, params) = golden.variant(prefix, recurrence)?;
        let network = CharCnnRnn::new(&cfg, &params.trained())?;
        params.check_all_used()?;

        let embedding = network.forward(&captions)?;
        let expected = value("embedding");
        assert!(norm(&(&embedding - expected)?)? < 1e-5 * norm(expected)?, "{prefix}");

        let loss = symmetric_joint_embedding(value("image"), &embedding)?;
        let expected = value("sje").to_vec1::<f32>()?[0];
        assert!(
            (loss.to_scalar::<f32>()? - expected).abs() < 1e-5 * expected,
            "{prefix}: {loss} {expected}"
        );

        let grads = loss.backward()?;
        let expected_grad = |name: &str| value(&format!("grad.{name}"));
        let mut all = 0.0;
        for (name, _) in params.trainable() {
            all += norm(expected_grad(&name))?.powi(2);
        }
        for (name, var) in params.trainable() {
            let (grad, expected) = (grads.get(&var).unwrap(), expected_grad(&name));
            let (error, size) = (norm(&(grad - expected)?)?, norm(expected)?);
            assert!(error < 1e-3 * size + 1e-6 * all.sqrt(), "{prefix} {name}: {error} of {size}");
        }
    }
    Ok(())
}
