//! Safetensors files with equal bytes for equal contents.
//!
//! Files are read with the `safetensors` crate, which validates before it allocates. They are
//! written here because that crate keeps metadata in a hash map, so that two keys already give two
//! possible files.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value, json};
use stackgan_kernels::locked_values;

use crate::digest::Sum;
use crate::{Error, Result};

/// Largest header that is read: 1 MiB holds about ten thousand tensors.
const HEADER_LIMIT: u64 = 1 << 20;
/// Memory that any file may take beyond twice its size, in bytes.
const SLACK: usize = 16 << 20;

/// The metadata key of the JSON document in which a file of this program says what it is.
pub const KEY: &str = "stackgan";

/// The metadata key of the CRC-32C of the data, eight hexadecimal digits, and the digits in its
/// place while it is not known.
const CRC: &str = "crc32c";
const NO_CRC: &str = "00000000";

/// Number of values in a piece of a tensor.
const PIECE: usize = 1 << 20;

/// The tensors and metadata of one file, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// The tensors, all `f32`.
    pub tensors: BTreeMap<String, Tensor>,
    /// The metadata strings.
    pub metadata: BTreeMap<String, String>,
}

impl Archive {
    /// Returns the file: 8 bytes of header length, a JSON header padded to a multiple of 8, and the
    /// data in the order of the names. The metadata contain the CRC-32C of the data.
    ///
    /// # Errors
    /// A tensor that cannot be read back from its device; errors of [`Self::head`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut signed = self.clone();
        signed.metadata.insert(CRC.to_owned(), NO_CRC.to_owned());
        let mut file = signed.head()?;
        let data = file.len();
        let values: usize = self.tensors.values().map(Tensor::elem_count).sum();
        file.reserve_exact(4 * values);
        self.data(|piece| {
            file.extend_from_slice(piece);
            Ok::<(), Error>(())
        })?;
        let (head, data) = file.split_at_mut(data);
        // In a string of the header, quotation marks are escaped: this is the entry itself.
        let entry = format!("\"{CRC}\":\"{NO_CRC}\"").into_bytes();
        if let Some(at) = head.windows(entry.len()).position(|part| part == entry)
            && let Some(place) = head.get_mut(at + entry.len() - 1 - NO_CRC.len()..)
        {
            let sum = crc(data);
            place.iter_mut().zip(sum.bytes()).for_each(|(to, digit)| *to = digit);
        }
        Ok(file)
    }

    /// Returns the SHA-256 of the contents in hexadecimal: that of the file without the CRC.
    ///
    /// # Errors
    /// A tensor that cannot be read back from its device; errors of [`Self::head`].
    pub fn sha256(&self) -> Result<String> {
        let mut sum = Sum::of(&self.head()?);
        self.data(|piece| {
            sum.add(piece);
            Ok::<(), Error>(())
        })?;
        Ok(sum.finish())
    }

    /// Returns the part of the file before the data.
    ///
    /// # Errors
    /// A header that would not be read again: there are too many tensors for one file.
    pub fn head(&self) -> Result<Vec<u8>> {
        let mut header = Map::new();
        if !self.metadata.is_empty() {
            header.insert("__metadata__".to_owned(), json!(self.metadata));
        }
        let mut end = 0;
        for (name, tensor) in &self.tensors {
            let start = end;
            end += 4 * tensor.elem_count();
            let entry =
                json!({ "dtype": "F32", "shape": tensor.dims(), "data_offsets": [start, end] });
            header.insert(name.clone(), entry);
        }
        let mut text = Value::Object(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        if text.len() as u64 > HEADER_LIMIT {
            return Err(Error::Model {
                what: "this cannot be stored in one file".to_owned(),
                expected: "a header of at most 1 MiB, about ten thousand tensors".to_owned(),
                found: format!("{} bytes for {} tensors", text.len(), self.tensors.len()),
                remedy: "store it as fewer tensors, or with shorter metadata".to_owned(),
            });
        }
        let mut head = (text.len() as u64).to_le_bytes().to_vec();
        head.extend(text);
        Ok(head)
    }

    /// Passes the data to `each`, one piece of a tensor after another, so that a file can be
    /// written without holding all of it in memory.
    ///
    /// # Errors
    /// A tensor that cannot be read back from its device, and errors of `each`.
    pub fn data<E: From<Error>>(
        &self,
        mut each: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut bytes = Vec::new();
        for tensor in self.tensors.values() {
            let tensor = on_cpu(tensor)?;
            let (storage, layout) = tensor.storage_and_layout();
            let values = locked_values(&storage, layout).map_err(Error::from)?;
            for piece in values.chunks(PIECE) {
                bytes.resize(4 * piece.len(), 0);
                let (places, _) = bytes.as_chunks_mut::<4>();
                places.iter_mut().zip(piece).for_each(|(to, value)| *to = value.to_le_bytes());
                each(&bytes)?;
            }
        }
        Ok(())
    }

    /// Reads a whole file. Every tensor becomes `f32` on `device`.
    ///
    /// If the metadata contain the CRC-32C of the data, it is checked.
    ///
    /// # Errors
    /// [`Error::Model`] says what is damaged.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        Self::read(bytes, |view, dtype| {
            Tensor::from_raw_buffer(view.data(), dtype, view.shape(), device)?.to_dtype(DType::F32)
        })
    }

    /// Reads a whole file as variables, which [`crate::Params`] uses without copying them.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn variables(bytes: &[u8], device: &Device) -> Result<Self> {
        Self::read(bytes, |view, dtype| {
            let var = if dtype == DType::F32 {
                let (values, _) = view.data().as_chunks::<4>();
                let values = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
                Var::from_vec(values, view.shape(), device)?
            } else {
                let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), device)?;
                Var::from_tensor(&tensor.to_dtype(DType::F32)?)?
            };
            Ok(var.into_inner())
        })
    }

    fn read(
        bytes: &[u8],
        tensor: impl Fn(&TensorView<'_>, DType) -> candle_core::Result<Tensor> + Sync,
    ) -> Result<Self> {
        let length = bytes.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b));
        if length == 0 || length > HEADER_LIMIT {
            return Err(damaged(
                "a safetensors header of at most 1 MiB",
                &format!("{length} bytes"),
            ));
        }
        let (_, header) = SafeTensors::read_metadata(bytes)
            .map_err(|e| damaged("a whole file", &e.to_string()))?;
        let metadata = header.metadata().iter().flatten();
        let mut metadata: BTreeMap<String, String> =
            metadata.map(|(k, v)| (k.clone(), v.clone())).collect();
        let data = usize::try_from(length).ok().and_then(|length| bytes.get(8 + length..));
        if let (Some(said), Some(data)) = (metadata.remove(CRC), data) {
            let found = crc(data);
            if said != found {
                return Err(Error::Model {
                    what: "the numbers in the file are not those that were written".to_owned(),
                    expected: format!("data with the CRC-32C {}", said.escape_debug()),
                    found,
                    remedy: format!(
                        "copy the file again; if you changed it on purpose, remove `{CRC}` from its metadata"
                    ),
                });
            }
        }
        let file =
            SafeTensors::deserialize(bytes).map_err(|e| damaged("a whole file", &e.to_string()))?;
        // All values become f32. For a file of 16-bit values this takes twice the file's size; for
        // one of bytes it would take four times the size.
        let values = file.tensors().iter().map(|(_, t)| t.shape().iter().product::<usize>()).sum();
        if usize::saturating_mul(values, 4) > bytes.len().saturating_mul(2).saturating_add(SLACK) {
            let expected = format!("at most {} numbers", bytes.len() / 2 + SLACK / 4);
            return Err(damaged(&expected, &format!("{values} numbers of a byte each")));
        }
        let read = |(name, view): (String, TensorView<'_>)| {
            let dtype = match view.dtype() {
                safetensors::Dtype::F32 => DType::F32,
                safetensors::Dtype::F64 => DType::F64,
                safetensors::Dtype::F16 => DType::F16,
                safetensors::Dtype::BF16 => DType::BF16,
                safetensors::Dtype::I64 => DType::I64,
                safetensors::Dtype::U32 => DType::U32,
                safetensors::Dtype::U8 => DType::U8,
                other => return Err(damaged("numbers", &format!("`{name}` of type {other:?}"))),
            };
            // Strides are products of extents, also where there are no numbers.
            let extents = view.shape().iter().filter(|&&extent| extent > 0);
            if extents.copied().try_fold(1, usize::checked_mul).is_none() {
                return Err(damaged("numbers", &format!("`{name}` of shape {:?}", view.shape())));
            }
            Ok((name, tensor(&view, dtype)?))
        };
        let tensors = file.tensors().into_par_iter().map(read).collect::<Result<_>>()?;
        Ok(Self { tensors, metadata })
    }

    /// Adds tensors with `prefix` before their names.
    pub fn extend(&mut self, prefix: &str, tensors: BTreeMap<String, Tensor>) {
        self.tensors.extend(prefixed(prefix, tensors));
    }

    /// Returns the tensors whose names start with `prefix`, without the prefix.
    #[must_use]
    pub fn part(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        under(prefix, &self.tensors)
    }
}

/// Puts `prefix` before every name.
pub fn prefixed<T>(
    prefix: &str,
    named: impl IntoIterator<Item = (String, T)>,
) -> impl Iterator<Item = (String, T)> {
    named.into_iter().map(move |(name, value)| (format!("{prefix}{name}"), value))
}

/// Returns what has a name that starts with `prefix`, without the prefix.
#[must_use]
pub fn under<T: Clone>(prefix: &str, named: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    let strip =
        |(name, value): (&String, &T)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
    named.iter().filter_map(strip).collect()
}

/// Returns the CRC-32C (RFC 3720, section 12.1) in hexadecimal.
fn crc(data: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(data))
}

/// Returns the tensor on the CPU as contiguous `f32` values.
fn on_cpu(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.contiguous()?)
}

fn damaged(expected: &str, found: &str) -> Error {
    Error::Model {
        what: "not a readable safetensors file".to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: "check that the file is a model of this program and was copied whole".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Result<Archive> {
        let mut archive = Archive::default();
        for (name, values) in [("b.x", vec![1.0f32, -2.5]), ("a", vec![3.0])] {
            let tensor = Tensor::new(values, &Device::Cpu)?;
            archive.tensors.insert(name.to_owned(), tensor);
        }
        archive.metadata = [("format", "pt"), ("stackgan", "{\"a\":1}")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        Ok(archive)
    }

    #[test]
    fn what_is_written_is_read_and_equal_contents_are_equal_bytes() -> Result<()> {
        let bytes = archive()?.to_bytes()?;
        let read = Archive::from_bytes(&bytes, &Device::Cpu)?;
        assert_eq!(read.metadata, archive()?.metadata);
        assert_eq!(read.part("b.")["x"].to_vec1::<f32>()?, [1.0, -2.5]);
        assert_eq!(read.to_bytes()?, bytes);
        let mut bare = read.head()?;
        read.data(|piece| {
            bare.extend_from_slice(piece);
            Ok::<(), Error>(())
        })?;
        assert_eq!(read.sha256()?, crate::digest::sha256(&bare));
        assert!(bare.len() < bytes.len());
        assert_eq!(archive()?.to_bytes()?, bytes);
        Ok(())
    }

    /// As f32, bytes would take four times the size of the file.
    #[test]
    fn a_large_file_of_bytes_is_refused_and_a_small_one_is_read() {
        let of = |count: usize| {
            let header = format!(
                "{{\"x\":{{\"dtype\":\"U8\",\"shape\":[{count}],\"data_offsets\":[0,{count}]}}}}"
            );
            let mut file = (header.len() as u64).to_le_bytes().to_vec();
            file.extend(header.bytes());
            file.resize(file.len() + count, 7);
            Archive::from_bytes(&file, &Device::Cpu)
        };
        assert_eq!(of(3).unwrap().tensors["x"].to_vec1::<f32>().unwrap(), [7.0; 3]);
        let error = of(9 << 20).unwrap_err().to_string();
        assert!(error.contains("9437184 numbers of a byte each"), "{error}");
    }

    /// Without a number there are no strides that could be counted.
    #[test]
    fn extents_beside_an_extent_of_0_are_bounded() {
        let header =
            br#"{"x":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}"#;
        let file = [&(header.len() as u64).to_le_bytes(), &header[..]].concat();
        let error = Archive::from_bytes(&file, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("`x` of shape [0, "), "{error}");
    }

    /// Every bit of the numbers counts. A file of another program has no sum, and is read.
    #[test]
    fn a_changed_bit_of_the_data_is_noticed() -> Result<()> {
        let bytes = archive()?.to_bytes()?;
        let data = bytes.len() - 12;
        assert_eq!(crc(b"123456789"), "e3069283"); // the check value of the catalogue of CRCs
        for bit in 0..8 * 12 {
            let mut copy = bytes.clone();
            copy[data + bit / 8] ^= 1 << (bit % 8);
            let error = Archive::from_bytes(&copy, &Device::Cpu).unwrap_err().to_string();
            assert!(error.contains("CRC-32C"), "{bit}: {error}");
        }
        let mut other = archive()?.head()?;
        archive()?.data(|piece| {
            other.extend_from_slice(piece);
            Ok::<(), Error>(())
        })?;
        *other.last_mut().unwrap() ^= 1;
        Archive::from_bytes(&other, &Device::Cpu)?;
        Ok(())
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() -> Result<()> {
        let bytes = archive()?.to_bytes()?;
        for cut in 0..bytes.len() {
            assert!(Archive::from_bytes(&bytes[..cut], &Device::Cpu).is_err(), "{cut}");
        }
        let mut draws = crate::noise::Noise::new(3).draws(crate::noise::Stream::Test, 0, 0);
        for _ in 0..5_000 {
            let mut copy = bytes.clone();
            let at = draws.below(copy.len() as u64) as usize;
            copy[at] = draws.word() as u8;
            drop(Archive::from_bytes(&copy, &Device::Cpu));
        }
        Ok(())
    }
}
