//! Writes TensorFlow's tables and messages, by the descriptions of their formats, for files that
//! TensorFlow itself does not write.

/// A number of seven bits a byte.
pub(crate) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field with a number.
pub(crate) fn count(field: u64, number: u64) -> Vec<u8> {
    [varint(field << 3), varint(number)].concat()
}

/// A field with bytes.
pub(crate) fn bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// The contents of a block with these keys and values.
pub(crate) fn block(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (key, value) in entries {
        for length in [0, key.len(), value.len()] {
            block.extend(varint(length as u64));
        }
        block.extend_from_slice(key.as_bytes());
        block.extend_from_slice(value);
    }
    [&block[..], &0u32.to_le_bytes(), &1u32.to_le_bytes()].concat()
}

/// A table of blocks with these contents, each with its sum.
pub(crate) fn table(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    let places: Vec<_> = blocks.iter().map(|block| ("z", append(&mut file, block))).collect();
    end(file, &block(&places))
}

/// A file with the index of a table, with these contents, behind its blocks.
pub(crate) fn end(mut file: Vec<u8>, index: &[u8]) -> Vec<u8> {
    let other = append(&mut file, &block(&[]));
    let index = append(&mut file, index);
    let mut footer = [other, index].concat();
    footer.resize(40, 0);
    footer.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    file.extend(footer);
    file.shrink_to_fit(); // what reads it may be measured with it
    file
}

/// Appends a block and returns its place.
fn append(file: &mut Vec<u8>, block: &[u8]) -> Vec<u8> {
    let place = [varint(file.len() as u64), varint(block.len() as u64)].concat();
    let summed = [block, &[0]].concat();
    let sum = masked(&summed);
    file.extend(summed);
    file.extend(sum.to_le_bytes());
    place
}

/// The sum of bytes, as it is stored.
pub(crate) fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A shape.
pub(crate) fn shape(extents: &[u64]) -> Vec<u8> {
    extents.iter().flat_map(|&extent| bytes(2, &count(1, extent))).collect()
}

/// A variable of the older format: name, extents, the message of a slice, that of the numbers.
pub(crate) type Sliced<'a> = (&'a str, &'a [u64], Vec<u8>, Vec<u8>);

/// The contents of a block of the older format: what the variables are, then their slices.
pub(crate) fn slices(variables: &[Sliced<'_>]) -> Vec<u8> {
    let about = variables.iter().flat_map(|(name, extents, slice, _)| {
        let about = [bytes(1, name.as_bytes()), bytes(2, &shape(extents)), count(3, 1)];
        bytes(1, &[about.concat(), bytes(4, slice)].concat())
    });
    let mut entries = vec![("", bytes(1, &about.collect::<Vec<u8>>()))];
    entries.extend(variables.iter().map(|(name, _, slice, data)| {
        let parts = [bytes(1, name.as_bytes()), bytes(2, slice), bytes(3, data)];
        (*name, bytes(2, &parts.concat()))
    }));
    block(&entries)
}

/// The contents of an index of the newer format. `variables`: name, extents, offset, sum.
pub(crate) fn index(variables: &[(&str, &[u64], u64, u32)]) -> Vec<u8> {
    let mut entries = vec![("", count(1, 1))];
    entries.extend(variables.iter().map(|(name, extents, offset, sum)| {
        let size = 4 * extents.iter().product::<u64>();
        let sum = [&[6 << 3 | 5][..], &sum.to_le_bytes()].concat();
        let parts = [count(1, 1), bytes(2, &shape(extents)), count(4, *offset), count(5, size)];
        (*name, [parts.concat(), sum].concat())
    }));
    block(&entries)
}

/// Numbers as a tensor's message packs them.
pub(crate) fn packed(numbers: &[f32]) -> Vec<u8> {
    bytes(5, &numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
}
