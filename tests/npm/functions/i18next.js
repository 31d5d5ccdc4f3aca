exports = async () => {
  const i18next = require("i18next");
  const i = i18next.createInstance();
  await i.init({ lng: "de", fallbackLng: "en", resources: { de: { translation: { hi: "Hallo {{name}}", n_one: "{{count}} Ding", n_other: "{{count}} Dinge" } }, en: { translation: { only: "english" } } } });
  return [i.t("hi", { name: "Du" }), i.t("n", { count: 1 }), i.t("n", { count: 5 }), i.t("only"), i.t("missing")];
};
