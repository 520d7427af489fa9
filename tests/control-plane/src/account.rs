// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

//! Who speaks to the API server: users with a fixed token, known to it from a file.

/// Where FerroLB is installed.
pub const NAMESPACE: &str = "ferrolb-system";

/// A user as the API server sees one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    user: String,
    groups: Vec<String>,
}

impl Account {
    /// May do everything.
    pub fn admin() -> Self {
        Self::user("admin", &["system:masters"])
    }

    /// FerroLB's controller, with the rights of its ServiceAccount.
    pub fn controller() -> Self {
        Self::service_account(NAMESPACE, "ferrolb-controller")
    }

    /// FerroLB's speakers, with the rights of their ServiceAccount.
    pub fn speaker() -> Self {
        Self::service_account(NAMESPACE, "ferrolb-speaker")
    }

    /// A ServiceAccount; it need not exist as an object.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Self::user(&user, &["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")])
    }

    /// Somebody with the rights that RBAC gives to this user or to one of these groups.
    pub fn user(user: &str, groups: &[&str]) -> Self {
        Self { user: user.to_owned(), groups: groups.iter().map(|&group| group.to_owned()).collect() }
    }

    /// The user name that RBAC, policies and the audit log know it by.
    pub fn name(&self) -> &str {
        &self.user
    }

    /// Its bearer token. No secret: it opens a server that lives for a test and listens where only this machine reaches it.
    pub(crate) fn token(&self) -> String {
        format!("token-of-{}", self.file_name())
    }

    /// Its name in letters that every file system and header takes.
    pub(crate) fn file_name(&self) -> String {
        self.user.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
    }
}

/// The text of kube-apiserver's `--token-auth-file`: token, user, uid, groups.
pub(crate) fn token_file(accounts: &[Account]) -> String {
    let line = |account: &Account| {
        let (token, user, groups) = (account.token(), &account.user, account.groups.join(","));
        format!("{token},{user},uid-of-{user},\"{groups}\"\n")
    };
    accounts.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_in_the_groups_that_the_api_server_would_give_it() {
        assert_eq!(
            token_file(&[Account::controller()]),
            "token-of-system-serviceaccount-ferrolb-system-ferrolb-controller,\
             system:serviceaccount:ferrolb-system:ferrolb-controller,\
             uid-of-system:serviceaccount:ferrolb-system:ferrolb-controller,\
             \"system:serviceaccounts,system:serviceaccounts:ferrolb-system\"\n"
        );
    }
}
