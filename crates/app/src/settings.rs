//! What is set of an app beside its configuration: it acts at once, in no draft,
//! and is in no export (admin-api.md §2.12, #89–#101, and §2.15, #129 and #130).

use std::net::IpAddr;

use kit::{Kind, Network, Problem, limit};
use state::{ANYWHERE, AccessListEntry, DeployConfig, PrivateEndpoint};

use crate::reach::holds;
use crate::{App, new_id};

/// Whether an entry of an access list has an address in it.
pub fn includes(entry: &AccessListEntry, address: IpAddr) -> bool {
    holds(&entry.address, address)
}

/// An entry's first address, and its network with the length of the prefix.
pub fn range(entry: &AccessListEntry) -> (String, String) {
    let network = entry.address.parse::<Network>().map(Network::trimmed);
    network.map_or_else(
        |_| (entry.address.clone(), entry.address.clone()),
        |network| (network.address().to_string(), network.to_string()),
    )
}

/// What is given of a private endpoint.
#[derive(Debug, Clone)]
pub struct NewPrivateEndpoint {
    /// Where it is.
    pub region: String,
    /// What the cloud calls it.
    pub endpoint_id: String,
    /// `sync` or `general`.
    pub kind: String,
    /// What it is for.
    pub comment: String,
}

impl App {
    /// Adds addresses that clients may have.
    ///
    /// # Errors
    /// `BadRequest` for what is no address, and for one that is there already.
    pub async fn allow_address(
        &self,
        address: &str,
        comment: &str,
    ) -> Result<AccessListEntry, Problem> {
        let entry = AccessListEntry {
            id: new_id(),
            address: network(address)?,
            comment: short(comment)?,
        };
        self.change_settings(|settings| {
            let list = &mut settings.access_list;
            if list.len() >= limit::ACCESS_LIST_ENTRIES_MAX {
                return Err(Problem::bad_request(format!(
                    "an access list has at most {} entries",
                    limit::ACCESS_LIST_ENTRIES_MAX
                )));
            }
            free(list, &entry)?;
            list.push(entry.clone());
            Ok(entry.clone())
        })
        .await
    }

    /// Changes an entry of the access list.
    ///
    /// # Errors
    /// As for [`App::allow_address`]; 404 without an entry of that id.
    pub async fn change_address(
        &self,
        id: &str,
        address: &str,
        comment: Option<&str>,
    ) -> Result<AccessListEntry, Problem> {
        let address = network(address)?;
        let comment = comment.map(short).transpose()?;
        self.change_settings(|settings| {
            let list = &mut settings.access_list;
            let known = list.iter().find(|entry| entry.id == id);
            let mut entry = known.ok_or_else(|| ip_not_found(id))?.clone();
            entry.address.clone_from(&address);
            if let Some(comment) = &comment {
                entry.comment.clone_from(comment);
            }
            free(list, &entry)?;
            for known in list.iter_mut().filter(|known| known.id == id) {
                known.clone_from(&entry);
            }
            Ok(entry)
        })
        .await
    }

    /// Removes an entry of the access list.
    ///
    /// # Errors
    /// 404 without an entry of that id.
    pub async fn forbid_address(&self, id: &str) -> Result<(), Problem> {
        self.change_settings(|settings| {
            let before = settings.access_list.len();
            settings.access_list.retain(|entry| entry.id != id);
            if settings.access_list.len() == before {
                return Err(ip_not_found(id));
            }
            Ok(())
        })
        .await
    }

    /// Sets how long refresh tokens live that are given from now on, in seconds.
    ///
    /// # Errors
    /// `BadRequest` outside of half an hour and five years.
    pub async fn set_refresh_token_expiration(&self, seconds: i64) -> Result<(), Problem> {
        let range = limit::REFRESH_TOKEN_S_MIN..=limit::REFRESH_TOKEN_S_MAX;
        if !range.contains(&seconds) {
            return Err(Problem::bad_request(format!(
                "refresh tokens live for {} to {} seconds",
                limit::REFRESH_TOKEN_S_MIN,
                limit::REFRESH_TOKEN_S_MAX
            )));
        }
        self.change_settings(|settings| {
            settings.refresh_token_s = Some(seconds);
            Ok(())
        })
        .await
    }

    /// How long a new refresh token lives, in seconds.
    pub fn refresh_token_expiration(&self) -> i64 {
        let set = self.record().settings.refresh_token_s;
        set.unwrap_or(limit::REFRESH_TOKEN_S)
    }

    /// Sets after how many days without a sign of an anonymous user it is
    /// removed; 0 for never.
    ///
    /// # Errors
    /// `BadRequest` for less than 0 and more than ten years.
    pub async fn set_anonymous_user_days(&self, days: i64) -> Result<(), Problem> {
        if !(0..=limit::ANONYMOUS_USER_DAYS_MAX).contains(&days) {
            return Err(Problem::bad_request(format!(
                "anonymous users are kept for 0 (for good) to {} days",
                limit::ANONYMOUS_USER_DAYS_MAX
            )));
        }
        self.change_settings(|settings| {
            settings.anonymous_days = Some(days);
            Ok(())
        })
        .await
    }

    /// After how many days without a sign of an anonymous user it is removed; 0
    /// for never.
    pub fn anonymous_user_days(&self) -> i64 {
        let set = self.record().settings.anonymous_days;
        set.unwrap_or(limit::ANONYMOUS_USER_DAYS)
    }

    /// Adds a private endpoint, or replaces the one of an id.
    ///
    /// # Errors
    /// `BadRequest` for what is none; 404 without one of that id.
    pub async fn set_private_endpoint(
        &self,
        id: Option<&str>,
        new: &NewPrivateEndpoint,
    ) -> Result<PrivateEndpoint, Problem> {
        if !["sync", "general"].contains(&new.kind.as_str()) {
            return Err(Problem::bad_request(
                "'endpoint_type' must be 'sync' or 'general'",
            ));
        }
        let endpoint = PrivateEndpoint {
            id: id.map_or_else(new_id, str::to_owned),
            cloud_provider_region: new.region.clone(),
            cloud_provider_endpoint_id: new.endpoint_id.clone(),
            endpoint_type: new.kind.clone(),
            comment: short(&new.comment)?,
        };
        self.change_settings(|settings| {
            let list = &mut settings.private_endpoints;
            let taken = |known: &PrivateEndpoint| {
                known.cloud_provider_endpoint_id == endpoint.cloud_provider_endpoint_id
                    && known.id != endpoint.id
            };
            if list.iter().any(taken) {
                return Err(Problem::bad_request(
                    "a private endpoint of that id already exists",
                ));
            }
            if id.is_none() {
                if list.len() >= limit::PRIVATE_ENDPOINTS_MAX {
                    return Err(Problem::bad_request(format!(
                        "an app has at most {} private endpoints",
                        limit::PRIVATE_ENDPOINTS_MAX
                    )));
                }
                list.push(endpoint.clone());
                return Ok(endpoint.clone());
            }
            let known = list.iter_mut().find(|known| known.id == endpoint.id);
            let known = known.ok_or_else(|| endpoint_not_found(&endpoint.id))?;
            if known.endpoint_type != endpoint.endpoint_type {
                return Err(Problem::bad_request(
                    "the type of a private endpoint cannot be changed",
                ));
            }
            known.clone_from(&endpoint);
            Ok(endpoint.clone())
        })
        .await
    }

    /// The private endpoint of an id.
    ///
    /// # Errors
    /// 404 without one.
    pub fn private_endpoint(&self, id: &str) -> Result<PrivateEndpoint, Problem> {
        let record = self.record();
        let mut known = record.settings.private_endpoints.iter();
        let found = known.find(|endpoint| endpoint.id == id);
        found.cloned().ok_or_else(|| endpoint_not_found(id))
    }

    /// Removes a private endpoint.
    ///
    /// # Errors
    /// 404 without one of that id.
    pub async fn remove_private_endpoint(&self, id: &str) -> Result<(), Problem> {
        self.change_settings(|settings| {
            let before = settings.private_endpoints.len();
            settings.private_endpoints.retain(|known| known.id != id);
            if settings.private_endpoints.len() == before {
                return Err(endpoint_not_found(id));
            }
            Ok(())
        })
        .await
    }

    /// Sets whether clients may come from elsewhere than a private endpoint.
    pub async fn allow_non_vpc(&self, allowed: bool) -> Result<(), Problem> {
        self.change_settings(|settings| {
            settings.allow_non_vpc = allowed;
            Ok(())
        })
        .await
    }

    /// Changes how deployments are made.
    ///
    /// # Errors
    /// What `change` refuses.
    pub async fn configure_deployment(
        &self,
        change: impl Fn(&mut DeployConfig) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let now = self.core.clock.now_ms();
        self.change_settings(|settings| {
            change(&mut settings.deploy)?;
            settings.deploy.modified = now;
            Ok(())
        })
        .await
    }
}

/// An address or network as it is kept. `0.0.0.0` alone means every address.
fn network(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text == "0.0.0.0" {
        return Ok(ANYWHERE.to_owned());
    }
    match text.parse::<Network>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Problem::bad_request(error)),
    }
}

fn short(comment: &str) -> Result<String, Problem> {
    if comment.chars().count() > limit::COMMENT_CHARS_MAX {
        return Err(Problem::bad_request(format!(
            "a comment has at most {} characters",
            limit::COMMENT_CHARS_MAX
        )));
    }
    Ok(comment.to_owned())
}

/// Refuses an address that another entry has.
fn free(list: &[AccessListEntry], entry: &AccessListEntry) -> Result<(), Problem> {
    let taken = |known: &AccessListEntry| known.address == entry.address && known.id != entry.id;
    if list.iter().any(taken) {
        return Err(Problem::bad_request(format!(
            "'{}' is on the access list already",
            entry.address
        )));
    }
    Ok(())
}

/// In the words that the official CLI compares.
fn ip_not_found(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "AllowedIPNotFound",
        format!("allowed IP not found: 'ObjectID(\"{id}\")'"),
    )
}

fn endpoint_not_found(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "PrivateEndpointNotFound",
        format!("private endpoint not found: '{id}'"),
    )
}
