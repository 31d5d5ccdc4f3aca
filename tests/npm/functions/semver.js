exports = async () => {
  const semver = require("semver"), gt = require("semver/functions/gt");
  return [semver.satisfies("1.2.3", "^1.0.0 || >=3"), gt("1.2.3", "1.2.3-beta"), semver.inc("1.2.3", "minor"), semver.sort(["2.0.0", "1.0.0"]), semver.coerce("v3.1").version, semver.valid("x")];
};
