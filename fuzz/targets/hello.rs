// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Whatever comes in by UDP: it is refused, or it is a hello that survives the way out and in again.

#![no_main]

use ferrolb_layer2::rule::{Rule, break_only};
use ferrolb_layer2::{Hello, KeyRing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let keys = KeyRing::default_for("fuzz");
    // No fuzzer guesses a tag: every hello counts as authentic.
    break_only(Some(Rule::Authenticity));
    if let Ok(hello) = Hello::decode(data, &keys) {
        break_only(None);
        let again = Hello::decode(&hello.encode(&keys), &keys);
        assert_eq!(again.as_ref(), Ok(&hello));
    }
});
