/** What a stick table can store. HAProxy configuration manual §4.2, stick-table. */
export const STICK_DATA: ReadonlyMap<string, { readonly rate: boolean; readonly array: boolean }> =
  new Map(
    [
      ["server_id", false],
      ["server_key", false],
      ["gpt", false, true],
      ["gpt0", false],
      ["gpc", false, true],
      ["gpc_rate", true, true],
      ["gpc0", false],
      ["gpc0_rate", true],
      ["gpc1", false],
      ["gpc1_rate", true],
      ["conn_cnt", false],
      ["conn_cur", false],
      ["conn_rate", true],
      ["sess_cnt", false],
      ["sess_rate", true],
      ["http_req_cnt", false],
      ["http_req_rate", true],
      ["http_err_cnt", false],
      ["http_err_rate", true],
      ["http_fail_cnt", false],
      ["http_fail_rate", true],
      ["bytes_in_cnt", false],
      ["bytes_in_rate", true],
      ["bytes_out_cnt", false],
      ["bytes_out_rate", true],
      ["glitch_cnt", false],
      ["glitch_rate", true],
    ].map(([name, rate, array]) => [
      name as string,
      { rate: rate === true, array: array === true },
    ]),
  );

/** Longest key of a string or binary table. */
export const MAX_STICK_STRING = 65_535;
