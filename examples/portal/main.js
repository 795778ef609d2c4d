"use strict";

// The portal's pages: every route is served index.html, and this decides what it shows.
const PAGES = {
  "/": ["Welcome", "Campaigns, orders and products of your site in one place."],
  "/products": ["Products", "What you can order from us, with prices and terms."],
  "/orders": ["Orders", "What you have ordered, and where each order is."],
  "/protected-page": ["Your account", "Only who has signed in can see this page."],
};

// The longest route that a path begins with; what is not known is told as such, on a page of the application.
const pageOf = (path) => {
  const clean = path.length > 1 ? path.replace(/\/+$/, "") : path;
  if (PAGES[clean]) return PAGES[clean];
  const parent = Object.keys(PAGES).filter((route) => route !== "/" && clean.startsWith(`${route}/`))[0];
  return parent ? PAGES[parent] : ["Page not found", "The portal has no such page."];
};

const show = () => {
  const [title, text] = pageOf(window.location.pathname);
  const app = document.getElementById("app");
  const heading = document.createElement("h1");
  const paragraph = document.createElement("p");
  heading.textContent = title;
  paragraph.textContent = text;
  app.replaceChildren(heading, paragraph);
  document.title = `${title} | BBWS customer portal`;
};

show();
