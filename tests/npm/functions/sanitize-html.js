exports = async () => {
  const clean = require("sanitize-html");
  return clean('<p onclick="x()">hi <script>alert(1)</script><a href="javascript:x">l</a><a href="https://x.y" target=_blank>m</a></p>');
};
