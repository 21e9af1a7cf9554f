// The login form. It goes by fetch, since a form's own POST carries no Origin under `no-referrer`.

import { sentence, t, translate } from "./words.js";

const form = document.getElementById("login");
const token = document.getElementById("token");
const trouble = document.getElementById("trouble");

function complain(text) {
  trouble.textContent = text;
  trouble.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: token.value }),
    });
    if (response.ok) location.replace("/");
    else complain(sentence((await response.json()).error));
  } catch {
    complain(t("noServer"));
  }
  token.select();
});

const theme = localStorage.getItem("magpie.theme");
if (theme) document.documentElement.dataset.theme = theme;
translate(document);
if (new URLSearchParams(location.search).has("k")) complain(t("linkUsed"));
history.replaceState(null, "", "/login");
token.focus();
