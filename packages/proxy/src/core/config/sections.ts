import type { SectionKind } from "./section.ts";
import { mailersSection, peersSection, resolversSection } from "./section-network.ts";
import {
  cacheSection,
  crtStoreSection,
  httpErrorsSection,
  ringSection,
  wholeSections,
} from "./section-other.ts";
import { userlistSection } from "./section-userlist.ts";

/** Every section but global and the proxies. */
export const sectionKinds: readonly SectionKind[] = [
  userlistSection,
  peersSection,
  resolversSection,
  mailersSection,
  cacheSection,
  ringSection,
  httpErrorsSection,
  crtStoreSection,
  ...wholeSections,
];
