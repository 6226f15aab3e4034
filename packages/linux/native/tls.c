/* The door between JS and TLS: arguments in, numbers out. No logic of TLS is here. */
#include "tls.h"
#include <node_api.h>
#include <stdlib.h>
#include <string.h>

static napi_value number(napi_env env, double value) {
  napi_value v = NULL;
  napi_create_double(env, value, &v);
  return v;
}

static napi_value small(napi_env env, int32_t value) {
  napi_value v = NULL;
  napi_create_int32(env, value, &v);
  return v;
}

static napi_value text_of(napi_env env, const char *text, size_t size) {
  napi_value v = NULL;
  napi_create_string_latin1(env, text, size, &v);
  return v;
}

static int32_t int_of(napi_env env, napi_value v) {
  int32_t x = 0;
  napi_get_value_int32(env, v, &x);
  return x;
}

static bool bool_of(napi_env env, napi_value v) {
  bool x = false;
  napi_get_value_bool(env, v, &x);
  return x;
}

/* Points into the array's memory: good for as long as the call. */
static struct bytes bytes_of(napi_env env, napi_value v) {
  struct bytes bytes = {NULL, 0};
  bool is = false;
  napi_is_typedarray(env, v, &is);
  if (!is) return bytes;
  napi_typedarray_type type;
  void *data = NULL;
  size_t length = 0;
  napi_get_typedarray_info(env, v, &type, &length, &data, NULL, NULL);
  /* An empty array is something else than none. */
  bytes.data = data != NULL ? data : (const uint8_t *)"";
  bytes.size = type == napi_int32_array ? length * 4 : length;
  return bytes;
}

/* To be freed; NULL for undefined. */
static char *string_of(napi_env env, napi_value v) {
  size_t size = 0;
  if (napi_get_value_string_utf8(env, v, NULL, 0, &size) != napi_ok) return NULL;
  char *text = malloc(size + 1);
  if (text != NULL) napi_get_value_string_utf8(env, v, text, size + 1, &size);
  return text;
}

static napi_value get(napi_env env, napi_value object, const char *name) {
  napi_value v = NULL;
  napi_get_named_property(env, object, name, &v);
  return v;
}

static struct thread *thread_of(napi_env env) {
  void *p = NULL;
  napi_get_instance_data(env, &p);
  return p;
}

#define ARGUMENTS(n)                                                                                                   \
  size_t argc = n;                                                                                                     \
  napi_value a[n] = {NULL};                                                                                            \
  napi_get_cb_info(env, info, &argc, a, NULL, NULL)

static struct session *session_at(napi_env env, napi_value v) {
  struct thread *thread = thread_of(env);
  int at = int_of(env, v);
  return thread != NULL && at >= 0 && at < thread->count ? thread->sessions[at] : NULL;
}

static struct engine *engine_at(napi_env env, napi_value v) {
  struct thread *thread = thread_of(env);
  int at = int_of(env, v);
  return thread != NULL && at >= 0 && at < thread->engines_count ? thread->engines[at] : NULL;
}

/* ---- the library ---- */

static napi_value missing(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value list = NULL;
  uint32_t found = 0;
  napi_create_array(env, &list);
#define F(type, function, arguments)                                                                                   \
  if (function == NULL) napi_set_element(env, list, found++, text_of(env, #function, NAPI_AUTO_LENGTH));
  OPENSSL_FUNCTIONS(F)
#undef F
  return list;
}

static napi_value version(napi_env env, napi_callback_info info) {
  (void)info;
  return text_of(env, OpenSSL_version(0), NAPI_AUTO_LENGTH);
}

/* ---- contexts and sets ---- */

static napi_value create_context(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  struct thread *thread = thread_of(env);
  struct fault fault = {"start", 0, "OpenSSL has no room for our data"};
  int id = -1;
  if (thread != NULL && contexts_start() && sessions_start()) {
    napi_value o = a[0];
    struct context_options options = {
        .client = bool_of(env, get(env, o, "client")),
        .pem = bytes_of(env, get(env, o, "pem")),
        .key = bytes_of(env, get(env, o, "key")),
        .chain = bytes_of(env, get(env, o, "chain")),
        .ocsp = bytes_of(env, get(env, o, "ocsp")),
        .alpn = bytes_of(env, get(env, o, "alpn")),
        .ca = bytes_of(env, get(env, o, "ca")),
        .ca_names = bytes_of(env, get(env, o, "caNames")),
        .crl = bytes_of(env, get(env, o, "crl")),
        .ignore_ca = bytes_of(env, get(env, o, "ignoreCa")),
        .ignore_certificate = bytes_of(env, get(env, o, "ignoreCertificate")),
        .ticket_keys = bytes_of(env, get(env, o, "ticketKeys")),
        .session_context = bytes_of(env, get(env, o, "sessionContext")),
        .dh_params = bytes_of(env, get(env, o, "dhParams")),
        .min_version = int_of(env, get(env, o, "minVersion")),
        .max_version = int_of(env, get(env, o, "maxVersion")),
        .verify = int_of(env, get(env, o, "verify")),
        .lifetime = int_of(env, get(env, o, "lifetime")),
        .max_record = int_of(env, get(env, o, "maxRecord")),
        .capture = int_of(env, get(env, o, "captureHello")),
        .server_preference = bool_of(env, get(env, o, "serverPreference")),
        .tickets = bool_of(env, get(env, o, "tickets")),
        .cache = bool_of(env, get(env, o, "cache")),
    };
    char *texts[] = {string_of(env, get(env, o, "ciphers")), string_of(env, get(env, o, "ciphersuites")),
                     string_of(env, get(env, o, "curves")), string_of(env, get(env, o, "sigalgs")),
                     string_of(env, get(env, o, "clientSigalgs"))};
    options.ciphers = texts[0];
    options.ciphersuites = texts[1];
    options.curves = texts[2];
    options.sigalgs = texts[3];
    options.client_sigalgs = texts[4];
    id = context_create(&options, &fault);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
  }
  if (id >= 0) return small(env, id);
  napi_value refusal = NULL;
  napi_create_array_with_length(env, 3, &refusal);
  napi_set_element(env, refusal, 0, text_of(env, fault.operation, NAPI_AUTO_LENGTH));
  napi_set_element(env, refusal, 1, number(env, (double)fault.code));
  napi_set_element(env, refusal, 2, text_of(env, fault.text, NAPI_AUTO_LENGTH));
  return refusal;
}

static napi_value release_context(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  context_release(int_of(env, a[0]));
  return NULL;
}

static napi_value create_set(napi_env env, napi_callback_info info) {
  (void)info;
  return small(env, set_create());
}

static napi_value release_set(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  set_release(int_of(env, a[0]));
  return NULL;
}

static char **strings_of(napi_env env, napi_value list, size_t *count) {
  uint32_t length = 0;
  napi_get_array_length(env, list, &length);
  char **strings = calloc(length + 1u, sizeof *strings);
  *count = 0;
  for (uint32_t i = 0; strings != NULL && i < length; i++) {
    napi_value v = NULL;
    napi_get_element(env, list, i, &v);
    char *text = string_of(env, v);
    if (text != NULL) strings[(*count)++] = text;
  }
  return strings;
}

static void free_strings(const char *const *strings, size_t count) {
  for (size_t i = 0; strings != NULL && i < count; i++) free((void *)strings[i]);
  free((void *)strings);
}

static napi_value fill_set(napi_env env, napi_callback_info info) {
  ARGUMENTS(6);
  struct bytes contexts = bytes_of(env, a[1]), defaults = bytes_of(env, a[4]);
  size_t count = contexts.size / 4;
  struct names_line *lines = calloc(count + 1, sizeof *lines);
  if (lines == NULL) return small(env, -1);
  bool fine = true;
  for (size_t i = 0; i < count; i++) {
    napi_value names = NULL, excluded = NULL;
    napi_get_element(env, a[2], (uint32_t)i, &names);
    napi_get_element(env, a[3], (uint32_t)i, &excluded);
    lines[i].context = ((const int32_t *)contexts.data)[i];
    lines[i].names = (const char *const *)strings_of(env, names, &lines[i].names_count);
    lines[i].excluded = (const char *const *)strings_of(env, excluded, &lines[i].excluded_count);
    if (lines[i].names == NULL || lines[i].excluded == NULL) fine = false;
  }
  int result = -1;
  if (fine)
    result = set_fill(int_of(env, a[0]), lines, count, (const int *)defaults.data, defaults.size / 4, bool_of(env, a[5]));
  for (size_t i = 0; i < count; i++) {
    free_strings(lines[i].names, lines[i].names_count);
    free_strings(lines[i].excluded, lines[i].excluded_count);
  }
  free(lines);
  return small(env, result);
}

static napi_value set_session_cache(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  cache_configure((unsigned)int_of(env, a[0]), (unsigned)int_of(env, a[1]));
  return NULL;
}

static napi_value set_ticket_secret(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  struct bytes secret = bytes_of(env, a[0]);
  napi_value v = NULL;
  napi_get_boolean(env, secret.size == 80 && ticket_secret_set(secret.data), &v);
  return v;
}

static napi_value cache_counters_out(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  void *out = NULL;
  size_t length = 0;
  napi_get_typedarray_info(env, a[0], NULL, &length, &out, NULL, NULL);
  if (length >= 4) cache_counters(out);
  return NULL;
}

static napi_value held_out(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  void *p = NULL;
  size_t length = 0;
  napi_get_typedarray_info(env, a[0], NULL, &length, &p, NULL, NULL);
  int32_t *out = p;
  if (length >= 3) {
    out[0] = contexts_held();
    out[1] = sets_held();
    out[2] = sessions_held();
  }
  return NULL;
}

/* ---- sessions ---- */

/* The slab and the arrays are never moved, and JS keeps them for as long as the engine. */
static napi_value attach(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  struct thread *thread = thread_of(env);
  if (thread == NULL || thread->engines_count == MAX_ENGINES) return small(env, -1);
  struct engine *engine = calloc(1, sizeof *engine);
  if (engine == NULL || !contexts_start() || !sessions_start()) {
    free(engine);
    return small(env, -1);
  }
  void *slab = NULL;
  napi_get_arraybuffer_info(env, a[0], &slab, &engine->slab_size);
  engine->slab = slab;
  engine->words = (int32_t *)bytes_of(env, a[1]).data;
  engine->starts = (int32_t *)bytes_of(env, a[2]).data;
  engine->ends = (int32_t *)bytes_of(env, a[3]).data;
  thread->engines[thread->engines_count] = engine;
  return small(env, thread->engines_count++);
}

static napi_value accept_session(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  struct engine *engine = engine_at(env, a[0]);
  return small(env, engine == NULL ? -1 : session_accept(thread_of(env), engine, int_of(env, a[1])));
}

static napi_value connect_session(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  struct engine *engine = engine_at(env, a[0]);
  if (engine == NULL) return small(env, -1);
  char *sni = string_of(env, get(env, a[2], "sni")), *host = string_of(env, get(env, a[2], "verifyHost"));
  struct bytes alpn = bytes_of(env, get(env, a[2], "alpn"));
  bool reuse = bool_of(env, get(env, a[2], "reuse"));
  int result = session_connect(thread_of(env), engine, int_of(env, a[1]), sni, host, alpn, reuse);
  free(sni);
  free(host);
  return small(env, result);
}

static napi_value receive(napi_env env, napi_callback_info info) {
  ARGUMENTS(5);
  struct session *session = session_at(env, a[0]);
  if (session == NULL) return small(env, STATE_FAILED);
  uint32_t range[4] = {0};
  for (int i = 0; i < 4; i++) napi_get_value_uint32(env, a[1 + i], &range[i]);
  return small(env, session_receive(session, range[0], range[1], range[2], range[3]));
}

static napi_value seal(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  struct session *session = session_at(env, a[0]);
  if (session == NULL) return small(env, -1);
  uint32_t range[2] = {0};
  for (int i = 0; i < 2; i++) napi_get_value_uint32(env, a[2 + i], &range[i]);
  return small(env, session_seal(session, int_of(env, a[1]), range[0], range[1]));
}

static napi_value drain(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  struct session *session = session_at(env, a[0]);
  if (session == NULL) return small(env, 0);
  uint32_t range[2] = {0};
  for (int i = 0; i < 2; i++) napi_get_value_uint32(env, a[1 + i], &range[i]);
  return small(env, session_drain(session, range[0], range[1]));
}

static napi_value shut_down(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  struct session *session = session_at(env, a[0]);
  return small(env, session == NULL ? 0 : session_shutdown(session));
}

static napi_value free_session(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  if (session_at(env, a[0]) != NULL) session_free(thread_of(env), int_of(env, a[0]));
  return NULL;
}

static napi_value number_fact(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  struct session *session = session_at(env, a[0]);
  return small(env, session == NULL ? 0 : fact_number(session, int_of(env, a[1])));
}

static napi_value text_fact(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  struct session *session = session_at(env, a[0]);
  char text[8192];
  size_t size = session == NULL ? 0 : fact_text(session, int_of(env, a[1]), text, sizeof text);
  return text_of(env, text, size);
}

static napi_value bytes_fact(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  struct session *session = session_at(env, a[0]);
  size_t size = 0;
  uint8_t *found = session == NULL ? NULL : fact_bytes(session, int_of(env, a[1]), &size);
  if (found == NULL) return NULL;
  napi_value buffer = NULL, array = NULL;
  void *data = NULL;
  if (napi_create_arraybuffer(env, size, &data, &buffer) == napi_ok) {
    memcpy(data, found, size);
    napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &array);
  }
  explicit_bzero(found, size);
  free(found);
  return array;
}

static void thread_gone(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  thread_free(data);
}

NAPI_MODULE_INIT() {
  struct thread *thread = calloc(1, sizeof *thread);
  if (thread != NULL && napi_set_instance_data(env, thread, thread_gone, NULL) != napi_ok) {
    free(thread);
    return NULL;
  }
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"missing", missing},
      {"version", version},
      {"createContext", create_context},
      {"releaseContext", release_context},
      {"createSet", create_set},
      {"fillSet", fill_set},
      {"releaseSet", release_set},
      {"setSessionCache", set_session_cache},
      {"setTicketSecret", set_ticket_secret},
      {"cacheCounters", cache_counters_out},
      {"held", held_out},
      {"attach", attach},
      {"accept", accept_session},
      {"connect", connect_session},
      {"receive", receive},
      {"seal", seal},
      {"drain", drain},
      {"shutdown", shut_down},
      {"free", free_session},
      {"number", number_fact},
      {"text", text_fact},
      {"bytes", bytes_fact},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value v = NULL;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &v);
    napi_set_named_property(env, exports, functions[i].name, v);
  }
  return exports;
}
