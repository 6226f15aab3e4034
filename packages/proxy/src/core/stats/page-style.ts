/** The page's own style sheet. Class names are HAProxy's, which user style sheets and scrapers know. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --line: #999; --ink: #000; --paper: #fff; --bar: #2cc; --bar-ink: #000;
 --name: #a03; --name-ink: #ff6; --plain: #e8e8d8; --socket: #d8d8d8; --up: #bfb; --down: #f99; --rising: #fd4;
 --falling: #ffa; --quiet: #e0e0e0; --drain: #4bf; --maint: #c83; --spare-up: #bdf; --spare-falling: #b7e;
 --spare-rising: #e9f; --spare-drain: #c93; --tip: #ff9; }
@media (prefers-color-scheme: dark) { :root { --line: #777; --ink: #e6e6e6; --paper: #151719; --bar: #187f7f; --bar-ink: #eee;
 --name: #803; --plain: #2c3135; --socket: #262a2d; --up: #1a5c12; --down: #7a1414; --rising: #8a6a00; --falling: #66601a;
 --quiet: #2c2f31; --drain: #0a5a96; --maint: #8a5318; --spare-up: #27405c; --spare-falling: #512a78; --spare-rising: #6a2a78;
 --spare-drain: #80600a; --tip: #55531a; } }
body { font: 12px arial, helvetica, sans-serif; color: var(--ink); background: var(--paper); margin: 8px; }
h1 { font-size: 20px; margin: 0 0 6px; } h2 { font-size: 16px; margin: 0; } h3 { font-size: 14px; background: var(--plain); margin: 6px 0; padding: 1px 3px; }
h1 a { color: inherit; text-decoration: none; } th, td { font-size: 10px; } ul { margin-top: 4px; }
.hr { border: 0; border-top: 2px solid var(--line); }
table.tbl { border-collapse: collapse; } .tbl td, .tbl th { border: 1px solid var(--line); }
.tbl td { text-align: right; padding: 2px 3px; white-space: nowrap; } .tbl td.ac { text-align: center; }
.titre { background: var(--bar); color: var(--bar-ink); } .total { background: var(--bar); }
.tbl th.pxname { background: var(--name); color: var(--name-ink); padding: 2px 3px; white-space: nowrap; }
.tbl th.empty { border: 0; background: var(--paper); } .tbl th.desc { background: var(--paper); text-align: left; color: var(--ink); padding: 2px 3px; }
.frontend, .backend { background: var(--plain); } .socket { background: var(--socket); }
.active_up { background: var(--up); } .active_down, .backup_down { background: var(--down); }
.active_going_up { background: var(--rising); } .active_going_down { background: var(--falling); }
.active_no_check, .backup_no_check { background: var(--quiet); } .active_nolb, .active_draining, .backup_nolb { background: var(--drain); }
.backup_up { background: var(--spare-up); } .backup_going_up { background: var(--spare-rising); }
.backup_going_down { background: var(--spare-falling); } .backup_draining { background: var(--spare-drain); } .maintain { background: var(--maint); }
a.px { color: var(--name-ink); text-decoration: none; } a.lfsb { color: inherit; text-decoration: none; } .rls { letter-spacing: 0.2em; margin-right: 1px; }
table.lgd { border-collapse: collapse; } .lgd td { border: 1px solid var(--line); padding: 2px 6px; } .lgd td.noborder { border: 0; }
u { text-decoration: none; border-bottom: 1px dotted; position: relative; }
div.tips { display: none; position: absolute; z-index: 9; left: 0; top: 1.4em; padding: 3px 5px; background: var(--tip); border: 1px solid var(--line); border-radius: 3px; white-space: nowrap; text-align: left; }
u:hover div.tips { display: block; }
table.det { border-collapse: collapse; } .tbl .det th, .tbl .det td { border: 0; padding: 0 3px; font-size: 11px; } .det th { text-align: left; }
.bad { color: #d00; font-weight: bold; }
`;
