/** Where the meaning of keywords comes from, spelt the same way everywhere. */
export const GLOBAL = "keepalived.conf(5), Global definitions";
export const INSTANCE = "keepalived.conf(5), vrrp_instance";
export const GROUP = "keepalived.conf(5), vrrp_sync_group";
export const SCRIPT = "keepalived.conf(5), vrrp_script";
export const PROCESS = "keepalived.conf(5), vrrp_track_process";
export const FILE = "keepalived.conf(5), track_file";
export const BFD = "keepalived.conf(5), bfd_instance; RFC 5880";
export const TOP = "keepalived.conf(5), GLOBAL CONFIGURATION";
export const NEW = "observed: keepalived 2.4.3";
export const OURS = "vrrpd";
