// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! The passwords of BGP sessions, and where they are.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;

/// The type of Secrets that hold passwords.
pub const PASSWORD_TYPE: &str = "kubernetes.io/basic-auth";
/// The key of a password in such a Secret.
pub const PASSWORD_KEY: &str = "password";
/// The longest key of a TCP MD5 signature that Linux takes (`TCP_MD5SIG_MAXKEYLEN`).
const LONGEST: usize = 80;

/// A password. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// As it stands.
    pub fn new(octets: impl Into<Box<[u8]>>) -> Self {
        Self(octets.into())
    }

    /// The password in `secret`.
    ///
    /// # Errors
    /// Why it holds none that can be used, as what follows after the Secret's name in a sentence.
    pub fn read(secret: &Secret) -> Result<Self, String> {
        let type_ = secret.type_.as_deref().unwrap_or_default();
        if type_ != PASSWORD_TYPE {
            return Err(format!("is of type \"{type_}\", not {PASSWORD_TYPE}"));
        }
        let plain = secret.string_data.as_ref().and_then(|data| Some(data.get(PASSWORD_KEY)?.as_bytes()));
        let data = || secret.data.as_ref().and_then(|data| Some(data.get(PASSWORD_KEY)?.0.as_slice()));
        match plain.or_else(data).unwrap_or_default() {
            [] => Err(format!("has no key {PASSWORD_KEY}")),
            octets if octets.len() > LONGEST => {
                Err(format!("has a password of {} octets; the kernel takes {LONGEST}", octets.len()))
            }
            octets => Ok(Self::new(octets)),
        }
    }

    /// The octets, for the kernel.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Where the password of a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// In the Secret of this name, in the namespace that FerroLB is installed in.
    Secret(String),
    /// In the Secret of this name, in MetalLB's namespace.
    MetalLBSecret(String),
    /// In an object of MetalLB's.
    Plain(Password),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    fn secret(type_: &str, data: &[(&str, &str)]) -> Secret {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        Secret { type_: Some(type_.to_owned()), data: Some(data.collect()), ..Secret::default() }
    }

    #[test]
    fn conf_031_a_password_is_in_a_secret_of_its_type_under_its_key() {
        let read = |secret: &Secret| Password::read(secret).map(|password| password.octets().to_vec());
        assert_eq!(read(&secret(PASSWORD_TYPE, &[("password", "ab c")])), Ok(b"ab c".to_vec()));
        let written = BTreeMap::from([("password".to_owned(), "plain".to_owned())]);
        let written = Secret { string_data: Some(written), ..secret(PASSWORD_TYPE, &[]) };
        assert_eq!(read(&written), Ok(b"plain".to_vec()), "as manifests write it");
        let long = "x".repeat(81);
        for (wrong, why) in [
            (secret("Opaque", &[("password", "a")]), "is of type \"Opaque\""),
            (secret(PASSWORD_TYPE, &[("username", "a")]), "has no key password"),
            (secret(PASSWORD_TYPE, &[("password", "")]), "has no key password"),
            (secret(PASSWORD_TYPE, &[("password", &long)]), "81 octets"),
        ] {
            let said = read(&wrong).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_password_does_not_show_itself() {
        assert_eq!(format!("{:?}", PasswordSource::Plain(Password::new(*b"hush"))), "Plain(Password)");
    }
}
