exports = async () => {
  const uuid = require("uuid");
  return [uuid.validate(uuid.v4()), uuid.version(uuid.v1()), uuid.v5("hello.example.com", uuid.v5.DNS), uuid.v3("hello.example.com", uuid.v3.DNS), uuid.version(uuid.v7()), uuid.v4() === uuid.v4()];
};
