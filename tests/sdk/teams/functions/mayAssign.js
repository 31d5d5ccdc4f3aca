exports = async function (assignee) {
  return assignee !== "nobody";
};
