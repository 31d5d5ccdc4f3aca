//! The service's regions (admin-api.md §4.1, #6): an app says where it is, and
//! clients ask; it is served where this server is.

use axum::http::Method;
use kit::Problem;
use serde_json::{Value, json};
use web::{Answer, Scope};

use crate::{Row, row};

pub(crate) const ROWS: &[Row] = &[row(
    "adminListAppRegions",
    Method::GET,
    "/provider_regions",
    Scope::Administrator,
    |_, _| Box::pin(async { Ok(Answer::ok(&REGIONS.iter().map(show).collect())) }),
)];

/// A region of a cloud.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    /// Its id, such as `aws-us-east-1`.
    pub(crate) id: &'static str,
    /// The older name of the place.
    pub(crate) location: &'static str,
    /// Whether the service offered global deployment there.
    global: bool,
    name: &'static str,
    /// Its country's code.
    country: &'static str,
}

const fn at(
    id: &'static str,
    location: &'static str,
    global: bool,
    name: &'static str,
    country: &'static str,
) -> Region {
    Region {
        id,
        location,
        global,
        name,
        country,
    }
}

/// Of the regions of one location, the first is meant where only that is said.
const REGIONS: [Region; 20] = [
    at("aws-us-east-1", "US-VA", true, "Virginia", "US"),
    at("aws-us-west-2", "US-OR", true, "Oregon", "US"),
    at("aws-eu-west-1", "IE", true, "Ireland", "IE"),
    at("aws-ap-southeast-2", "AU", true, "Sydney", "AU"),
    at("aws-us-east-2", "US-VA", false, "Ohio", "US"),
    at("aws-eu-central-1", "DE-FF", false, "Frankfurt", "DE"),
    at("aws-eu-west-2", "IE", false, "London", "GB"),
    at("aws-ap-southeast-1", "SG", false, "Singapore", "SG"),
    at("aws-ap-south-1", "IN-MB", false, "Mumbai", "IN"),
    at("aws-sa-east-1", "BR-SP", false, "Sao Paulo", "BR"),
    at("azure-eastus2", "US-VA", false, "Virginia", "US"),
    at("azure-westus", "US-VA", false, "California", "US"),
    at("azure-westeurope", "DE-FF", false, "Netherlands", "NL"),
    at("azure-eastasia", "IN-MB", false, "Hong Kong", "HK"),
    at("azure-southeastasia", "SG", false, "Singapore", "SG"),
    at("gcp-us-central1", "US-VA", false, "Iowa", "US"),
    at("gcp-us-east4", "US-VA", false, "Virginia", "US"),
    at("gcp-us-west1", "US-OR", false, "Oregon", "US"),
    at("gcp-europe-west1", "DE-FF", false, "Belgium", "BE"),
    at("gcp-asia-south1", "IN-MB", false, "Mumbai", "IN"),
];

/// The region of this id and location; what is empty may be any.
///
/// # Errors
/// `BadRequest`.
pub(crate) fn region(id: &str, location: &str) -> Result<Region, Problem> {
    let known = REGIONS.into_iter().find(|region| {
        (id.is_empty() || region.id == id) && (location.is_empty() || region.location == location)
    });
    known.ok_or_else(|| {
        Problem::bad_request(format!("unknown region '{id}' or location '{location}'"))
    })
}

fn show(region: &Region) -> Value {
    let cloud = region.id.split('-').next().unwrap_or_default();
    let models: &[&str] = if region.global {
        &["GLOBAL", "LOCAL"]
    } else {
        &["LOCAL"]
    };
    json!({
        "id": region.id, "name": region.name, "cloud_provider": cloud,
        "country": region.country, "deployment_models": models,
    })
}
