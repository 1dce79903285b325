//! Where the browser goes when all went well (plugin 5.5): the address of our own last page, with what it needs to know,
//! and from there to the vendor's page for an organisation that is not set up yet.

use http::Uri;
use url::form_urlencoded;

use codex_auth_core::{AccessToken, IdToken, TokenPayload as _};

use crate::{endpoints::Endpoints, jwt::payload};

/// Path of the last page.
pub(super) const SUCCESS_PATH: &str = "/success";
/// The vendor's platform, beside its own issuer and beside any other.
const PLATFORMS: [&str; 2] = ["https://platform.openai.com", "https://platform.api.openai.org"];
const AUTH: &str = "/https:~1~1api.openai.com~1auth/";

/// The address of the last page after a sign-in with these tokens.
pub fn success_address(port: u16, endpoints: &Endpoints, id: Option<&IdToken>, access: Option<&AccessToken>) -> String {
    let id = id.and_then(|token| payload(token.expose()));
    let access = access.and_then(|token| payload(token.expose()));
    let text = |claim: &str| id.as_ref().and_then(|id| id.text(&format!("{AUTH}{claim}"))).unwrap_or_default();
    let flag = |claim: &str| id.as_ref().is_some_and(|id| id.flag(&format!("{AUTH}{claim}")));
    let plan = access.and_then(|access| access.text(&format!("{AUTH}chatgpt_plan_type"))).unwrap_or_default();
    let needs_setup = !flag("completed_platform_onboarding") && flag("is_org_owner");
    let platform = PLATFORMS[usize::from(!endpoints.is_default())];
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("needs_setup", if needs_setup { "true" } else { "false" })
        .append_pair("org_id", &text("organization_id"))
        .append_pair("project_id", &text("project_id"))
        .append_pair("plan_type", &plan)
        .append_pair("platform_url", platform)
        .finish();
    format!("http://localhost:{port}{SUCCESS_PATH}?{query}")
}

/// Where a person sets up the organisation, when the last page's address says that it is needed. Only the vendor's own
/// platform is ever named, whatever stands in the address.
pub(super) fn setup_address(uri: &Uri) -> Option<String> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let find = |wanted: &str| form_urlencoded::parse(query).find(|(key, _)| key == wanted).map(|(_, value)| value);
    let platform = find("platform_url")?;
    let platform = PLATFORMS.into_iter().find(|known| **known == platform)?;
    if find("needs_setup")? != "true" {
        return None;
    }
    let text = |key: &str| find(key).unwrap_or_default().into_owned();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("p", &text("plan_type"))
        .append_pair("with_org", &text("org_id"))
        .append_pair("project_id", &text("project_id"))
        .finish();
    Some(format!("{platform}/org-setup?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expect: Option<&str>) {
        let uri: Uri = format!("/success?{query}").parse().expect("an address");
        assert_eq!(setup_address(&uri).as_deref(), expect);
    }

    #[test]
    fn only_the_vendors_platform_is_ever_named() {
        let platform = "platform_url=https%3A%2F%2Fplatform.openai.com";
        check(
            &format!("needs_setup=true&org_id=o%22&project_id=p&plan_type=plus&{platform}"),
            Some("https://platform.openai.com/org-setup?p=plus&with_org=o%22&project_id=p"),
        );
        check(&format!("needs_setup=false&{platform}"), None);
        check(platform, None);
        check("needs_setup=true&platform_url=https%3A%2F%2Fplatform.openai.com.example.test", None);
        check("needs_setup=true&platform_url=javascript%3Aalert(1)", None);
    }

    #[test]
    fn another_issuer_has_another_platform() {
        let own = Endpoints::parse("http://127.0.0.1:5000").expect("an issuer");
        let address = success_address(9, &own, Some(&IdToken::new("opaque")), None);
        assert_eq!(
            address,
            "http://localhost:9/success?needs_setup=false&org_id=&project_id=&plan_type=\
             &platform_url=https%3A%2F%2Fplatform.api.openai.org"
        );
    }
}
