exports = () => ({
  id: context.user.id,
  type: context.user.type,
  data: context.user.data,
  custom: context.user.custom_data,
  system: context.runningAsSystem(),
  environment: context.environment.tag,
  color: context.environment.values.color,
  greeting: context.values.get("greeting"),
});
