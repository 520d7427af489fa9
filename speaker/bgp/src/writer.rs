// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Writes what is counted by a field before it.

/// Appends what `content` writes, with its length in an octet before it. What is written must be at most 255 octets: longer ones
/// would be lies, so the callers bound what they write.
pub(crate) fn counted8(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    content(out);
    let length = out.len() - at - 1;
    debug_assert!(length <= u8::MAX.into(), "{length} octets");
    if let Some(field) = out.get_mut(at) {
        *field = u8::try_from(length).unwrap_or(u8::MAX);
    }
}

/// As [`counted8`], with a length of two octets: at most 65,535.
pub(crate) fn counted16(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 2]);
    content(out);
    let length = out.len() - at - 2;
    set_u16(out, at, length);
}

/// Overwrites two octets that were written before with a length.
pub(crate) fn set_u16(out: &mut [u8], at: usize, length: usize) {
    debug_assert!(length <= u16::MAX.into(), "{length} octets");
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    }
}
