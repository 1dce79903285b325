//! Logins of made-up homes, and settings that a test may change.

use std::{collections::HashMap, sync::Mutex};

use codex_auth_core::{
    Fallback, Login, LoginState, OfficialLogins, RotationSettings, SettingsSource, StoreError, Strategy, testing::held,
};

/// Homes by path.
#[derive(Debug, Default)]
pub(crate) struct Homes(Mutex<HashMap<String, Login>>);

impl Homes {
    /// Lets account `n` be signed in at this home, with these tokens instead of its own where given.
    pub(crate) fn sign_in(&self, home: &str, n: usize, tokens: Option<(&str, &str)>) {
        let held = held(n);
        let mut credential = held.credential;
        if let Some((access, refresh)) = tokens {
            credential.access = Some(codex_auth_core::AccessToken::new(access));
            credential.refresh = codex_auth_core::RefreshToken::new(refresh);
        }
        let login = Login { owner: held.account.owner, credential, issuer: None };
        self.0.lock().unwrap().insert(home.to_owned(), login);
    }
}

impl OfficialLogins for Homes {
    fn login(&self, codex_home: &str) -> Result<LoginState, StoreError> {
        let login = self.0.lock().unwrap().get(codex_home).cloned();
        Ok(login.map_or(LoginState::Absent, |login| LoginState::Usable(Box::new(login))))
    }
}

/// The rotation's settings.
#[derive(Debug)]
pub(crate) struct Settings(pub(crate) Mutex<Strategy>, pub(crate) Fallback);

impl SettingsSource for Settings {
    fn stamp(&self) -> u64 {
        *self.0.lock().unwrap() as u64
    }

    fn rotation(&self) -> Result<RotationSettings, StoreError> {
        Ok(RotationSettings {
            strategy: *self.0.lock().unwrap(),
            fallback: self.1.clone(),
            ..RotationSettings::default()
        })
    }
}
