//! Data that are sent while the device computes arrive complete and in order.

use candle_core::{DType, Device, Tensor};
use stackgan_kernels::gpu::Sender;

use super::device;

/// What was sent, and the tensors that it became.
type Sent = (Vec<u8>, Vec<f32>, Tensor, Tensor);

/// Sends more tensors than there are slots, of changing sizes and both types, each after a queued
/// product.
fn send(sender: &mut Sender, device: &Device) -> Vec<Sent> {
    let tall = Tensor::ones((4096, 128), DType::F32, device).unwrap();
    let wide = Tensor::ones((128, 4096), DType::F32, device).unwrap();
    let sendings = (0..10_usize).map(|sending| {
        drop(stackgan_kernels::product(&tall, &wide).unwrap());
        let count = [70_000, 3, 2_000_000][sending % 3] + sending;
        let bytes: Vec<u8> = (0..count).map(|i| (i * 31 + sending * 7) as u8).collect();
        let numbers: Vec<f32> = (0..count).map(|i| (i + sending) as f32).collect();
        let as_bytes = sender.send(&bytes, count).unwrap();
        let as_numbers = sender.send(&numbers, (1, count)).unwrap();
        (bytes, numbers, as_bytes, as_numbers)
    });
    sendings.collect()
}

fn assert_arrived(sent: &[Sent]) {
    for (bytes, numbers, as_bytes, as_numbers) in sent {
        assert_eq!(&as_bytes.to_vec1::<u8>().unwrap(), bytes);
        assert_eq!(as_numbers.dims(), [1, numbers.len()]);
        assert_eq!(&as_numbers.squeeze(0).unwrap().to_vec1::<f32>().unwrap(), numbers);
    }
}

/// What was sent last is read while the sender is still there, and when it is gone.
#[test]
fn what_is_sent_arrives_whole_and_in_order() {
    let Some(device) = device() else { return };
    let mut sender = Sender::new(&device, 4).unwrap();
    for _ in 0..3 {
        assert_arrived(&send(&mut sender, &device));
    }
    let error = sender.send(&[0_u8; 5], (2, 3)).unwrap_err().to_string();
    assert!(error.contains('5'), "{error}");
    let last = send(&mut sender, &device);
    drop(sender);
    assert_arrived(&last);
}
