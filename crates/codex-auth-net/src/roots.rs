//! Whom to believe: the platform's authorities, and those of the bundle added to them.
//!
//! Where the platform is asked through `rustls-native-certs` (Linux and its kin), a set `SSL_CERT_FILE` stands *in place*
//! of the platform's authorities. We promise that it is added to them, and that `CODEX_CA_CERTIFICATE` puts it aside; so
//! with that variable set, the platform's file is read here.

use std::path::Path;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// Where systems keep their authorities in one file.
const PLATFORM_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom a client believes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// The platform, asked by the client itself, and these.
    PlatformAnd(Vec<CertificateDer<'static>>),
    /// These alone; the platform's are among them.
    These(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// The platform's authorities and `extra`.
    pub(crate) fn with(extra: Vec<CertificateDer<'static>>, is_ssl_cert_file_set: bool) -> Self {
        let is_put_aside = cfg!(all(unix, not(target_vendor = "apple"))) && is_ssl_cert_file_set;
        if !is_put_aside {
            return Self::PlatformAnd(extra);
        }
        let mut all = extra;
        all.extend(platform_file().into_iter().flat_map(|file| usable(Path::new(file))));
        Self::These(all)
    }
}

fn platform_file() -> Option<&'static str> {
    PLATFORM_FILES.into_iter().find(|file| Path::new(file).is_file())
}

/// A platform's file may hold an old certificate that nobody can read any more; the others serve.
fn usable(file: &Path) -> Vec<CertificateDer<'static>> {
    let mut store = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(file).into_iter().flatten().flatten();
    read.filter(|certificate| store.add(certificate.clone()).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use codex_auth_testkit::Authority;

    use super::*;

    fn company() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(Authority::new("company").pem().as_bytes()).expect("a certificate")
    }

    #[test]
    fn a_bundle_is_added_to_what_the_platform_believes() {
        let company = company();
        assert_eq!(Roots::with(vec![company.clone()], false), Roots::PlatformAnd(vec![company]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn ssl_cert_file_does_not_replace_the_platform() {
        let Roots::These(all) = Roots::with(vec![company()], true) else { panic!("the platform is not asked again") };
        let platform = platform_file().map_or(0, |file| usable(Path::new(file)).len());
        assert_eq!(all.len(), 1 + platform);
        assert_eq!(platform > 0, platform_file().is_some());
    }
}
