//! A file of certificate authorities in PEM form, as `CODEX_CA_CERTIFICATE` or `SSL_CERT_FILE` names it.
//!
//! OpenSSL writes certificates with its own remarks under the label `TRUSTED CERTIFICATE`; the certificate in front of
//! the remarks counts. Keys and revocation lists in the file are passed over.

use std::{fs::File, io::Read, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{PemObject, SectionKind},
    },
};

/// Largest file that is read; the platform's own bundles are a quarter of a megabyte.
const LARGEST: u64 = 8 * 1024 * 1024;

/// Reads the file. The error says what is wrong with it.
pub(crate) fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let said = |error: std::io::Error| error.to_string();
    // Anything else may keep us waiting for ever.
    if !std::fs::metadata(file).map_err(said)?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(said)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST / (1024 * 1024)));
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = String::from_utf8_lossy(bytes);
    let plain = text
        .replace("-----BEGIN TRUSTED CERTIFICATE-----", "-----BEGIN CERTIFICATE-----")
        .replace("-----END TRUSTED CERTIFICATE-----", "-----END CERTIFICATE-----");
    let mut store = RootCertStore::empty();
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(plain.as_bytes()) {
        let number = found.len() + 1;
        let Ok((kind, bytes)) = section else {
            return Err(format!("certificate {number} is broken: it is no PEM"));
        };
        if kind != SectionKind::Certificate {
            continue;
        }
        let certificate = CertificateDer::from(first_element(bytes));
        store.add(certificate.clone()).map_err(|_| format!("certificate {number} is broken: it is no X.509"))?;
        found.push(certificate);
    }
    if found.is_empty() {
        return Err("it holds no certificate in PEM form".to_owned());
    }
    Ok(found)
}

/// The first DER element, without OpenSSL's remarks behind it. What is no element stays as it is, to be refused.
fn first_element(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = match bytes.get(1..) {
        Some([short, ..]) if *short < 0x80 => 2 + usize::from(*short),
        Some([0x81, a, ..]) => 3 + usize::from(*a),
        Some([0x82, a, b, ..]) => 4 + (usize::from(*a) << 8 | usize::from(*b)),
        _ => bytes.len(),
    };
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use codex_auth_testkit::Authority;

    use super::*;

    const CRL: &str = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";

    #[track_caller]
    fn check(text: &str, expect: Result<usize, &str>) {
        let parsed = parse(text.as_bytes()).map(|found| found.len());
        assert_eq!(parsed.as_ref().map_err(String::as_str), expect.as_ref().map_err(|why| *why));
    }

    #[test]
    fn a_bundle_of_authorities_keys_and_revocation_lists() {
        let (one, two) = (Authority::new("one").pem(), Authority::new("two").pem());
        check(&one, Ok(1));
        check(&format!("# the company's\n{one}\r\n{CRL}{two}trailing words\n"), Ok(2));
    }

    #[test]
    fn openssls_label_is_a_certificate_with_remarks_behind_it() {
        let authority = Authority::new("one");
        let mut der = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("a certificate").to_vec();
        let plain = der.clone();
        // What `openssl x509 -addtrust serverAuth` appends: a sequence of its own.
        der.extend([0x30, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]);
        let found = parse(codex_auth_testkit::pem("TRUSTED CERTIFICATE", &der).as_bytes()).expect("one");
        assert_eq!(found, [CertificateDer::from(plain)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let one = Authority::new("one").pem();
        check("", Err("it holds no certificate in PEM form"));
        check(CRL, Err("it holds no certificate in PEM form"));
        let cut = &one[..one.len() / 2];
        check(&format!("{one}{cut}"), Err("certificate 2 is broken: it is no PEM"));
        check(&codex_auth_testkit::pem("CERTIFICATE", b"words"), Err("certificate 1 is broken: it is no X.509"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_empty_bundle() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()), Err("it is no file".to_owned()));
        assert!(read(&dir.path().join("missing.pem")).is_err_and(|why| why.contains("No such file")));
    }
}
