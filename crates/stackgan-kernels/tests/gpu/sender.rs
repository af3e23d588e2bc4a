//! Data that are sent while the device computes arrive complete and in order.

use candle_core::{DType, Tensor};
use stackgan_kernels::gpu::Sender;

use super::device;

/// Sends many more tensors than there are slots, of changing sizes and both types, each after a
/// queued product.
#[test]
fn what_is_sent_arrives_whole_and_in_order() {
    let Some(device) = device() else { return };
    let mut sender = Sender::new(&device).unwrap();
    let busy = Tensor::ones((4096, 128), DType::F32, &device).unwrap();
    let across = Tensor::ones((128, 4096), DType::F32, &device).unwrap();
    let mut arrived = Vec::new();
    for sending in 0..20_usize {
        drop(stackgan_kernels::product(&busy, &across).unwrap());
        let count = [70_000, 3, 2_000_000][sending % 3] + sending;
        let bytes: Vec<u8> = (0..count).map(|i| (i * 31 + sending * 7) as u8).collect();
        let numbers: Vec<f32> = (0..count).map(|i| (i + sending) as f32).collect();
        let sent =
            (sender.send(&bytes, count).unwrap(), sender.send(&numbers, (1, count)).unwrap());
        arrived.push((bytes, numbers, sent));
    }
    for (bytes, numbers, (as_bytes, as_numbers)) in arrived {
        assert_eq!(as_bytes.to_vec1::<u8>().unwrap(), bytes);
        assert_eq!(as_numbers.dims(), [1, numbers.len()]);
        assert_eq!(as_numbers.squeeze(0).unwrap().to_vec1::<f32>().unwrap(), numbers);
    }
    let error = sender.send(&[0_u8; 5], (2, 3)).unwrap_err().to_string();
    assert!(error.contains('5'), "{error}");
}
