//! Every limit, with its unit in its name (client-api.md §11,
//! functions-runtime.md §6). Settings may change those that a struct of
//! settings names; these are the defaults.

/// Largest request body: arguments, headers and payload.
pub const BODY_BYTES_MAX: usize = 18 * 1024 * 1024;
/// Deepest nesting of documents, arrays and JSON that any door accepts.
pub const NESTING_DEPTH_MAX: usize = 100;
/// Most levels of a command and of what pipelines make, itself the first.
pub const BSON_DEPTH_MAX: usize = 201;
/// Most levels of a stored document, itself the first.
pub const STORED_DEPTH_MAX: usize = 181;
/// Most parts of a dotted path.
pub const PATH_PARTS_MAX: usize = 200;
/// Most stages of one pipeline.
pub const PIPELINE_STAGES_MAX: usize = 1000;
/// Most bytes that one stage of a pipeline holds.
pub const PIPELINE_STAGE_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Largest BSON document.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest command, with the documents that it brings.
pub const COMMAND_BYTES_MAX: usize = 48_000_000;
/// Most statements of one command that writes.
pub const WRITES_PER_COMMAND_MAX: usize = 100_000;
/// Most documents that one query of a user returns.
pub const QUERY_DOCUMENTS_MAX: usize = 50_000;

/// Longest run of a top-level function call with everything it awaits.
pub const CALL_MS_MAX: u64 = 300_000;
/// Memory of one top-level function call.
pub const CALL_MEMORY_BYTES_MAX: usize = 350 * 1024 * 1024;
/// JavaScript stack of one call.
pub const CALL_STACK_BYTES_MAX: usize = 1024 * 1024;
/// Host operations that one top-level call may start.
pub const CALL_HOST_OPERATIONS_MAX: u32 = 1000;
/// Largest answer that an action of a service such as `http` takes.
pub const SERVICE_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Calls of one app at once, those that wait included (functions-runtime.md §6).
pub const CALLS_OF_APP_MAX: usize = 10_000;
/// Calls that wait for one another: functions that rules call, while a function
/// reads data. Each waits in a worker of its own.
pub const CALL_NESTING_DEPTH_MAX: u32 = 8;
/// Values in a text that a function parses as Extended JSON at once.
pub const CALL_PARSED_VALUES_MAX: usize = 2_000_000;
/// Values in what a function returns: the server holds each in a hundred bytes.
pub const CALL_RESULT_VALUES_MAX: usize = 1_000_000;
/// Sockets that one call may have open, and requests that wait for their answers.
pub const CALL_SOCKETS_MAX: usize = 25;
/// Answers that one call may leave unread.
pub const CALL_ANSWERS_MAX: usize = 100;
/// The largest answer that a function reads of another machine.
pub const CALL_ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Connections that functions of one server may have open.
pub const SOCKETS_MAX: usize = 2000;
/// Log lines kept of one call; the last ones win.
pub const CALL_LOG_LINES_MAX: usize = 25;
/// Bytes kept of one log line.
pub const CALL_LOG_LINE_BYTES_MAX: usize = 512;

/// Bytes kept of one log entry's details, about.
pub const LOG_ENTRY_BYTES_MAX: usize = 64 * 1024;

/// Longest name of a secret.
pub const SECRET_NAME_CHARS_MAX: usize = 64;
/// Longest value of a secret.
pub const SECRET_CHARS_MAX: usize = 500;
/// Longest name of a project.
pub const PROJECT_NAME_CHARS_MAX: usize = 64;

/// Largest hosted file.
pub const HOSTED_FILE_BYTES_MAX: usize = 25 * 1024 * 1024;
/// Hosted files of one app.
pub const HOSTED_FILES_MAX: u64 = 20_000;
/// What the hosted files of one app come to.
pub const HOSTED_BYTES_MAX: i64 = 1024 * 1024 * 1024;
/// Longest path of a hosted file.
pub const HOSTED_PATH_BYTES_MAX: usize = 1024;
/// Longest value of a hosted file's attribute.
pub const HOSTED_ATTRIBUTE_BYTES_MAX: usize = 1024;
/// Largest archive of functions' dependencies.
pub const DEPENDENCIES_BYTES_MAX: usize = 15 * 1024 * 1024;
/// What such an archive unpacks to.
pub const DEPENDENCIES_UNPACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Entries of such an archive.
pub const DEPENDENCIES_ENTRIES_MAX: usize = 50_000;
/// Largest file of a package that a function loads.
pub const MODULE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Compiled files of packages that a server keeps, of all apps together.
pub const MODULE_CODES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Archives of packages that a server keeps at hand, of all apps together.
pub const PACKAGES_KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Compiled files of packages that a worker keeps between calls.
pub const WORKER_MODULES_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Compiled files that a worker is sent before it asks for each.
pub const MODULES_SENT_AHEAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Questions about modules that one call may have.
pub const CALL_MODULES_MAX: u32 = 20_000;
/// Packages that one app depends on.
pub const DEPENDENCIES_PACKAGES_MAX: usize = 1000;
/// Longest installation of packages by name, waiting for others included.
pub const INSTALL_S_MAX: u64 = 300;
/// Installations of packages by name that one server does at once.
pub const INSTALLS_AT_ONCE_MAX: usize = 2;
/// Packages that an installation by name brings, those of packages included.
pub const INSTALL_PACKAGES_MAX: usize = 2000;
/// What a registry may send to describe one package.
pub const INSTALL_DESCRIPTION_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What it may send to describe those of one installation.
pub const INSTALL_DESCRIPTIONS_BYTES_MAX: u64 = 384 * 1024 * 1024;
/// Largest packed package that is fetched.
pub const INSTALL_TARBALL_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What the packed packages of one installation come to.
pub const INSTALL_TARBALLS_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// What a request holds beside the file that it uploads.
pub const UPLOAD_ENVELOPE_BYTES_MAX: usize = 1024 * 1024;

/// Lifetime of an access token.
pub const ACCESS_TOKEN_S: i64 = 1800;
/// Lifetime of a refresh token, unless the app sets another.
pub const REFRESH_TOKEN_S: i64 = 60 * 24 * 3600;
/// Shortest lifetime of a refresh token that an app may set.
pub const REFRESH_TOKEN_S_MIN: i64 = 1800;
/// Longest lifetime of a refresh token that an app may set: five years.
pub const REFRESH_TOKEN_S_MAX: i64 = 5 * 365 * 24 * 3600;
/// Push notifications that an app keeps.
pub const PUSH_MESSAGES_MAX: u64 = 1000;
/// Longest label of a push notification.
pub const PUSH_LABEL_CHARS_MAX: usize = 256;
/// Longest text of a push notification: what fits in what providers carry.
pub const PUSH_MESSAGE_CHARS_MAX: usize = 4000;
/// Longest topic of a push notification.
pub const PUSH_TOPIC_CHARS_MAX: usize = 900;
/// Documents from which one schema is inferred.
pub const SAMPLED_DOCUMENTS_MAX: u64 = 50_000;
/// Documents that are checked against a schema at once.
pub const VALIDATED_DOCUMENTS_MAX: u64 = 50_000;
/// Data sources that are linked at once.
pub const LINKED_SOURCES_MAX: usize = 25;
/// Data sources of an app.
pub const APP_SOURCES_MAX: usize = 100;
/// Entries of an app's access list.
pub const ACCESS_LIST_ENTRIES_MAX: usize = 200;
/// Private endpoints of an app.
pub const PRIVATE_ENDPOINTS_MAX: usize = 100;
/// Longest comment in a setting.
pub const COMMENT_CHARS_MAX: usize = 256;
/// Lifetime of an anonymous user's refresh token.
pub const ANONYMOUS_REFRESH_TOKEN_S: i64 = 1_576_800_000;
/// Shortest password.
pub const PASSWORD_CHARS_MIN: usize = 6;
/// Longest password.
pub const PASSWORD_CHARS_MAX: usize = 128;
/// Longest name of an email/password account.
pub const EMAIL_CHARS_MAX: usize = 128;
/// Days without a sign of an anonymous user until it is removed, unless the app
/// says otherwise.
pub const ANONYMOUS_USER_DAYS: i64 = 90;
/// The most of them that an app may say.
pub const ANONYMOUS_USER_DAYS_MAX: i64 = 3650;
/// Keys that signed users' tokens before and are still good.
pub const FORMER_SIGNING_KEYS_MAX: usize = 32;
/// Users that are imported by one request.
pub const IMPORTED_USERS_MAX: usize = 1000;
/// Identities of one user.
pub const USER_IDENTITIES_MAX: usize = 100;
/// Sessions of one user; the oldest ends for one more.
pub const USER_SESSIONS_MAX: u64 = 5000;
/// Lifetime of a token that confirms an address or resets a password.
pub const USERPASS_TOKEN_S: i64 = 1800;
/// Mails of one app to one mailbox in an hour.
pub const MAILS_TO_MAILBOX_PER_HOUR_MAX: u32 = 5;
/// Mails that one address asks a server for in an hour.
pub const MAILS_BY_ADDRESS_PER_HOUR_MAX: u32 = 100;
/// Mails that a server hands over at once; others wait.
pub const MAILS_AT_ONCE_MAX: usize = 8;
/// Longest time for a mail to be handed over, waiting for others included.
pub const MAIL_S_MAX: u64 = 20;
/// Longest address that a mail goes to.
pub const MAIL_ADDRESS_BYTES_MAX: usize = 254;
/// Longest link in a mail.
pub const MAIL_LINK_BYTES_MAX: usize = 4096;
/// Largest template of a mail.
pub const MAIL_TEMPLATE_BYTES_MAX: usize = 256 * 1024;
/// Devices that are remembered of one user, the latest.
pub const USER_DEVICES_MAX: u64 = 100;
/// Longest text that a device says of itself; more is cut off.
pub const DEVICE_TEXT_CHARS_MAX: usize = 256;
/// Largest body of a request that logs in, registers or manages a session; a
/// JWT of a million characters fits.
pub const AUTH_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Time in which a login by way of a provider's page has to come back.
pub const FLOW_S: i64 = 600;
/// Longest state that an app gives such a login.
pub const FLOW_STATE_BYTES_MAX: usize = 256;
/// Longest URL that such a login may lead back to.
pub const FLOW_REDIRECT_BYTES_MAX: usize = 1024;
/// Longest description of the device that one begins with, as it is sent.
pub const FLOW_DEVICE_BYTES_MAX: usize = 2048;
/// Longest value of what a provider sends back: state, code, name.
pub const FLOW_RETURNED_BYTES_MAX: usize = 8192;
/// Logins of one browser by way of providers' pages that have not come back.
pub const FLOWS_AT_ONCE_MAX: usize = 4;
/// Codes that one server redeems with providers at once; one more is refused.
pub const CODES_AT_ONCE_MAX: usize = 64;
/// Longest token that somebody else signed.
pub const JWT_CHARS_MAX: usize = 1_000_000;
/// Longest field that is taken from one.
pub const JWT_FIELD_CHARS_MAX: usize = 4096;
/// Wrong passwords for one account from one address in a minute.
pub const LOGIN_FAILURES_PER_MINUTE_MAX: u32 = 10;
/// Failed logins, tokens and names from one address in a minute, over all
/// accounts.
pub const ADDRESS_FAILURES_PER_MINUTE_MAX: u32 = 100;
/// Logins from one address that are being decided, those that failed in the last
/// minute counted too.
pub const ADDRESS_LOGINS_AT_ONCE_MAX: u32 = 500;
/// Logins to one account from one address that are being decided, together
/// with those that failed in this minute.
pub const LOGINS_AT_ONCE_MAX: u32 = 50;
/// Key pairs of a project.
pub const PROJECT_KEYS_MAX: u64 = 500;
/// Administrators with passwords.
pub const ADMINISTRATORS_MAX: u64 = 1000;
/// Projects that one administrator has roles in.
pub const ADMINISTRATOR_ROLES_MAX: usize = 100;
/// Days for which changes by administrators are kept.
pub const AUDIT_DAYS_MAX: i64 = 365;
/// Changes by administrators that are kept, the latest.
pub const AUDIT_ENTRIES_MAX: u64 = 1_000_000;
/// Longest path in such a record; more is cut off.
pub const AUDIT_RESOURCE_CHARS_MAX: usize = 512;
/// Passwords that wait to be hashed; one more is refused.
pub const PASSWORDS_WAITING_MAX: usize = 256;
/// Change streams that one user holds open.
pub const USER_STREAMS_MAX: usize = 100;
/// Change streams that the users of one app hold open.
pub const APP_STREAMS_MAX: usize = 10_000;
/// Longest name of an API key.
pub const API_KEY_NAME_CHARS_MAX: usize = 128;
/// API keys of one user.
pub const USER_API_KEYS_MAX: usize = 20;
/// Server API keys of one app.
pub const SERVER_API_KEYS_MAX: usize = 100;
