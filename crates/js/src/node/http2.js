// HTTP/2 for clients; there are no servers.

const { Buffer } = require("buffer");
const errors = require("_errors");
const { fill } = require("_inert");
const { connect, sensitiveHeaders } = require("_http2_client");

const HEADERS = "STATUS METHOD AUTHORITY SCHEME PATH PROTOCOL ACCEPT_ENCODING ACCEPT_LANGUAGE ACCEPT_RANGES ACCEPT ACCESS_CONTROL_ALLOW_CREDENTIALS ACCESS_CONTROL_ALLOW_HEADERS ACCESS_CONTROL_ALLOW_METHODS ACCESS_CONTROL_ALLOW_ORIGIN ACCESS_CONTROL_EXPOSE_HEADERS ACCESS_CONTROL_REQUEST_HEADERS ACCESS_CONTROL_REQUEST_METHOD AGE AUTHORIZATION CACHE_CONTROL CONNECTION CONTENT_DISPOSITION CONTENT_ENCODING CONTENT_LENGTH CONTENT_TYPE COOKIE DATE ETAG FORWARDED HOST IF_MODIFIED_SINCE IF_NONE_MATCH IF_RANGE LAST_MODIFIED LINK LOCATION RANGE REFERER SERVER SET_COOKIE STRICT_TRANSPORT_SECURITY TRANSFER_ENCODING TE UPGRADE_INSECURE_REQUESTS UPGRADE USER_AGENT VARY X_CONTENT_TYPE_OPTIONS X_FRAME_OPTIONS KEEP_ALIVE PROXY_CONNECTION X_XSS_PROTECTION ALT_SVC CONTENT_SECURITY_POLICY EARLY_DATA EXPECT_CT ORIGIN PURPOSE TIMING_ALLOW_ORIGIN X_FORWARDED_FOR PRIORITY ACCEPT_CHARSET ACCESS_CONTROL_MAX_AGE ALLOW CONTENT_LANGUAGE CONTENT_LOCATION CONTENT_MD5 CONTENT_RANGE DNT EXPECT EXPIRES FROM IF_MATCH IF_UNMODIFIED_SINCE MAX_FORWARDS PREFER PROXY_AUTHENTICATE PROXY_AUTHORIZATION REFRESH RETRY_AFTER TRAILER TK VIA WARNING WWW_AUTHENTICATE HTTP2_SETTINGS";
const METHODS = "ACL BASELINE_CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PRI PROPFIND PROPPATCH PUT REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION_CONTROL";
// A name that follows the one before by one needs no number.
const STATUSES = "CONTINUE:100 SWITCHING_PROTOCOLS PROCESSING EARLY_HINTS OK:200 CREATED ACCEPTED NON_AUTHORITATIVE_INFORMATION NO_CONTENT RESET_CONTENT PARTIAL_CONTENT MULTI_STATUS ALREADY_REPORTED IM_USED:226 MULTIPLE_CHOICES:300 MOVED_PERMANENTLY FOUND SEE_OTHER NOT_MODIFIED USE_PROXY TEMPORARY_REDIRECT:307 PERMANENT_REDIRECT BAD_REQUEST:400 UNAUTHORIZED PAYMENT_REQUIRED FORBIDDEN NOT_FOUND METHOD_NOT_ALLOWED NOT_ACCEPTABLE PROXY_AUTHENTICATION_REQUIRED REQUEST_TIMEOUT CONFLICT GONE LENGTH_REQUIRED PRECONDITION_FAILED PAYLOAD_TOO_LARGE URI_TOO_LONG UNSUPPORTED_MEDIA_TYPE RANGE_NOT_SATISFIABLE EXPECTATION_FAILED TEAPOT MISDIRECTED_REQUEST:421 UNPROCESSABLE_ENTITY LOCKED FAILED_DEPENDENCY TOO_EARLY UPGRADE_REQUIRED PRECONDITION_REQUIRED:428 TOO_MANY_REQUESTS REQUEST_HEADER_FIELDS_TOO_LARGE:431 UNAVAILABLE_FOR_LEGAL_REASONS:451 INTERNAL_SERVER_ERROR:500 NOT_IMPLEMENTED BAD_GATEWAY SERVICE_UNAVAILABLE GATEWAY_TIMEOUT HTTP_VERSION_NOT_SUPPORTED VARIANT_ALSO_NEGOTIATES INSUFFICIENT_STORAGE LOOP_DETECTED BANDWIDTH_LIMIT_EXCEEDED NOT_EXTENDED NETWORK_AUTHENTICATION_REQUIRED";
const PSEUDO = new Set(["STATUS", "METHOD", "AUTHORITY", "SCHEME", "PATH", "PROTOCOL"]);

const constants = {
  NGHTTP2_ERR_FRAME_SIZE_ERROR: -522, NGHTTP2_SESSION_SERVER: 0, NGHTTP2_SESSION_CLIENT: 1, NGHTTP2_STREAM_STATE_IDLE: 1,
  NGHTTP2_STREAM_STATE_OPEN: 2, NGHTTP2_STREAM_STATE_RESERVED_LOCAL: 3, NGHTTP2_STREAM_STATE_RESERVED_REMOTE: 4,
  NGHTTP2_STREAM_STATE_HALF_CLOSED_LOCAL: 5, NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE: 6, NGHTTP2_STREAM_STATE_CLOSED: 7,
  NGHTTP2_FLAG_NONE: 0, NGHTTP2_FLAG_END_STREAM: 1, NGHTTP2_FLAG_END_HEADERS: 4, NGHTTP2_FLAG_ACK: 1, NGHTTP2_FLAG_PADDED: 8,
  NGHTTP2_FLAG_PRIORITY: 32, DEFAULT_SETTINGS_HEADER_TABLE_SIZE: 4096, DEFAULT_SETTINGS_ENABLE_PUSH: 1,
  DEFAULT_SETTINGS_MAX_CONCURRENT_STREAMS: 4294967295, DEFAULT_SETTINGS_INITIAL_WINDOW_SIZE: 65535,
  DEFAULT_SETTINGS_MAX_FRAME_SIZE: 16384, DEFAULT_SETTINGS_MAX_HEADER_LIST_SIZE: 65535,
  DEFAULT_SETTINGS_ENABLE_CONNECT_PROTOCOL: 0, MAX_MAX_FRAME_SIZE: 16777215, MIN_MAX_FRAME_SIZE: 16384,
  MAX_INITIAL_WINDOW_SIZE: 2147483647, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE: 1, NGHTTP2_SETTINGS_ENABLE_PUSH: 2,
  NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS: 3, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE: 4, NGHTTP2_SETTINGS_MAX_FRAME_SIZE: 5,
  NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE: 6, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL: 8, PADDING_STRATEGY_NONE: 0,
  PADDING_STRATEGY_ALIGNED: 1, PADDING_STRATEGY_MAX: 2, PADDING_STRATEGY_CALLBACK: 1, NGHTTP2_NO_ERROR: 0,
  NGHTTP2_PROTOCOL_ERROR: 1, NGHTTP2_INTERNAL_ERROR: 2, NGHTTP2_FLOW_CONTROL_ERROR: 3, NGHTTP2_SETTINGS_TIMEOUT: 4,
  NGHTTP2_STREAM_CLOSED: 5, NGHTTP2_FRAME_SIZE_ERROR: 6, NGHTTP2_REFUSED_STREAM: 7, NGHTTP2_CANCEL: 8,
  NGHTTP2_COMPRESSION_ERROR: 9, NGHTTP2_CONNECT_ERROR: 10, NGHTTP2_ENHANCE_YOUR_CALM: 11, NGHTTP2_INADEQUATE_SECURITY: 12,
  NGHTTP2_HTTP_1_1_REQUIRED: 13, NGHTTP2_DEFAULT_WEIGHT: 16,
};
for (const name of HEADERS.split(" ")) {
  constants[`HTTP2_HEADER_${name}`] = (PSEUDO.has(name) ? ":" : "") + name.toLowerCase().replaceAll("_", "-");
}
for (const name of METHODS.split(" ")) constants[`HTTP2_METHOD_${name}`] = name.replaceAll("_", "-");
let last = 0;
for (const part of STATUSES.split(" ")) {
  const [name, number] = part.split(":");
  last = number === undefined ? last + 1 : Number(number);
  constants[`HTTP_STATUS_${name}`] = last;
}

// Name, number and the values that are allowed.
const SETTINGS = [
  ["headerTableSize", 1, 0, 2 ** 32 - 1], ["enablePush", 2], ["maxConcurrentStreams", 3, 0, 2 ** 32 - 1],
  ["initialWindowSize", 4, 0, 2 ** 32 - 1], ["maxFrameSize", 5, 16384, 2 ** 24 - 1], ["maxHeaderListSize", 6, 0, 2 ** 32 - 1],
  ["enableConnectProtocol", 8],
];
function checked(settings) {
  for (const [name, , least, most] of [...SETTINGS, ["maxHeaderSize", 6, 0, 2 ** 32 - 1]]) {
    const value = settings[name];
    const good = least === undefined ? typeof value === "boolean" : typeof value === "number" && value >= least && value <= most;
    if (value !== undefined && !good) {
      throw errors.coded(least === undefined ? TypeError : RangeError, "ERR_HTTP2_INVALID_SETTING_VALUE",
        `Invalid value for setting "${name}": ${value}`);
    }
  }
}

function getPackedSettings(settings = {}) {
  errors.validateObject(settings, "settings");
  checked(settings);
  const parts = [];
  for (const [name, id] of SETTINGS) {
    const value = name === "maxHeaderListSize" ? settings.maxHeaderSize ?? settings[name] : settings[name];
    if (value === undefined) continue;
    const part = Buffer.alloc(6);
    part.writeUInt16BE(id, 0);
    part.writeUInt32BE(Number(value), 2);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function getUnpackedSettings(packed, options = {}) {
  if (!ArrayBuffer.isView(packed) || packed instanceof DataView) throw errors.invalidType("buf", ["Buffer", "TypedArray"], packed);
  if (packed.byteLength % 6 !== 0) {
    throw errors.coded(RangeError, "ERR_HTTP2_INVALID_PACKED_SETTINGS_LENGTH", "Packed settings length must be a multiple of six");
  }
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  const settings = {};
  for (let at = 0; at < bytes.length; at += 6) {
    const id = bytes.readUInt16BE(at), value = bytes.readUInt32BE(at + 2);
    const known = SETTINGS.find(([, number]) => number === id);
    if (known === undefined) (settings.customSettings ??= {})[id] = value;
    else if (known[2] === undefined) settings[known[0]] = value !== 0;
    else {
      if (id === 6) settings.maxHeaderSize = value;
      settings[known[0]] = value;
    }
  }
  if (options.validate) checked(settings);
  return settings;
}

Object.assign(exports, {
  connect, constants: Object.freeze(constants), sensitiveHeaders, getPackedSettings, getUnpackedSettings,
  getDefaultSettings: () => ({
    headerTableSize: 4096, enablePush: true, initialWindowSize: 65535, maxFrameSize: 16384, maxConcurrentStreams: 4294967295,
    maxHeaderSize: 65535, maxHeaderListSize: 65535, enableConnectProtocol: false,
  }),
});
fill(exports, "http2", ["createServer", "createSecureServer", "performServerHandshake", "Http2ServerRequest", "Http2ServerResponse"]);
