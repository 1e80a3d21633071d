/** The admin pages, in the order of `/help`. */
import { certsPage } from "./certs.ts";
import { clustersPage } from "./clusters.ts";
import { configDumpPage } from "./config-dump.ts";
import { type AdminPage, text } from "./handler.ts";
import { lifecyclePages, readyPage, serverInfoPage } from "./lifecycle.ts";
import { listenersPage } from "./listeners.ts";
import { loggingPage } from "./logging.ts";
import { prometheusPage, statsPage } from "./stats.ts";

/** `now`: wall-clock milliseconds. */
export function adminPages(now: () => number): readonly AdminPage[] {
  const pages: AdminPage[] = [
    certsPage(now),
    clustersPage,
    configDumpPage,
    listenersPage,
    loggingPage,
    readyPage,
    serverInfoPage,
    statsPage,
    prometheusPage,
    ...lifecyclePages,
  ];
  const help: AdminPage = {
    path: "/help",
    help: "print out list of admin commands",
    handle: () => text(helpText(pages)),
  };
  const home: AdminPage = {
    path: "/",
    help: "admin home page",
    handle: () => ({ ...htmlHead, body: homePage(pages) }),
  };
  pages.push(help, home);
  pages.sort((a, b) => (a.path < b.path ? -1 : 1));
  return pages;
}

export function helpText(pages: readonly AdminPage[]): string {
  let lines = "admin commands are:\n";
  for (const page of pages) {
    lines += `  ${page.path}${page.mutates ? " (POST)" : ""}: ${page.help}\n`;
    for (const [name, meaning] of Object.entries(page.parameters ?? {})) lines += `      ${name}: ${meaning}\n`;
  }
  return lines;
}

const htmlHead = { status: 200, contentType: "text/html; charset=UTF-8" };

function homePage(pages: readonly AdminPage[]): string {
  const row = (page: AdminPage): string => {
    const name = page.mutates
      ? `<form method="post" action="${page.path}"><button>${page.path}</button></form>`
      : `<a href="${page.path}">${page.path}</a>`;
    return `<tr><td>${name}</td><td>${page.help}</td></tr>\n`;
  };
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Outrigger admin</title></head>
<body><h1>Outrigger admin</h1>
<table>
${pages.map(row).join("")}</table></body></html>
`;
}
