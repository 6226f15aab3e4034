/* Sessions: one TLS connection's state between ranges of a slab. What comes is read where it lies; what goes out is
 * written to the range that a call gives, and kept here while there is none. */
#include "tls.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int session_index = -1;
static BIO_METHOD *slab_bio;
static _Atomic int held;

/* Output that waits for a peer which sends and does not read: more is an attack. */
#define SPILL_MOST (256 * 1024)
/* What a record adds to its plaintext at most. */
#define RECORD_OVERHEAD 128
#define RECORD_MOST 16384

struct session *session_of(const SSL *ssl) { return SSL_get_ex_data(ssl, session_index); }

int sessions_held(void) { return atomic_load(&held); }

/* ---- between OpenSSL and the slab ---- */

static int bio_read(BIO *bio, char *to, int size) {
  struct session *session = BIO_get_data(bio);
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (session->in_left == 0) {
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  size_t taken = (size_t)size < session->in_left ? (size_t)size : session->in_left;
  memcpy(to, session->in, taken);
  session->in += taken;
  session->in_left -= taken;
  return (int)taken;
}

static bool spill(struct session *session, const char *from, size_t size) {
  if (session->spill_at == session->spill_end) session->spill_at = session->spill_end = 0;
  size_t wanted = session->spill_end + size;
  if (wanted - session->spill_at > SPILL_MOST) return false;
  if (wanted > session->spill_size) {
    size_t more = wanted < 4096 ? 4096 : wanted * 2;
    uint8_t *larger = realloc(session->spill, more);
    if (larger == NULL) return false;
    session->spill = larger;
    session->spill_size = more;
  }
  memcpy(session->spill + session->spill_end, from, size);
  session->spill_end = wanted;
  return true;
}

static int bio_write(BIO *bio, const char *from, int size) {
  struct session *session = BIO_get_data(bio);
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (size <= 0) return 0;
  /* In order: nothing overtakes what has spilled. */
  if ((size_t)size > session->out_left || session->spill_at != session->spill_end)
    return spill(session, from, (size_t)size) ? size : -1;
  memcpy(session->out + session->out_used, from, (size_t)size);
  session->out_used += (size_t)size;
  session->out_left -= (size_t)size;
  return size;
}

static long bio_control(BIO *bio, int command, long number, void *p) {
  (void)bio, (void)number, (void)p;
  return command == BIO_CTRL_FLUSH;
}

bool sessions_start(void) {
  static _Atomic int started;
  if (atomic_exchange(&started, 1) != 0) return slab_bio != NULL;
  session_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, NULL, NULL);
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x7f, "slab");
  if (session_index < 0 || method == NULL) return false;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
  slab_bio = method;
  return true;
}

/* ---- the client's hello ---- */

/* As the client wrote it into `sni`, and in lower case into `lower`, which has as much room. */
static void read_name(SSL *ssl, struct session *session, char *lower) {
  const unsigned char *data;
  size_t size;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size)) return;
  /* u16 list, u8 type, u16 length, name. RFC 6066 §3. OpenSSL checks the rest of it later. */
  if (size < 5 || data[2] != 0) return;
  size_t length = (size_t)data[3] << 8 | data[4];
  if (length == 0 || length > size - 5 || length >= sizeof session->sni) return;
  for (size_t i = 0; i < length; i++) {
    uint8_t byte = data[5 + i];
    if (byte <= ' ' || byte >= 0x7f) {
      session->sni[0] = lower[0] = 0;
      return;
    }
    session->sni[i] = (char)byte;
    lower[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
  }
  session->sni[length] = lower[length] = 0;
}

/* Which keys the client can check. Without the extension (before TLS 1.2) it is RSA. */
static void read_keys(SSL *ssl, bool *rsa, bool *ecdsa) {
  const unsigned char *data;
  size_t size;
  *rsa = *ecdsa = false;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_signature_algorithms, &data, &size) || size < 2) {
    *rsa = true;
    return;
  }
  for (size_t i = 2; i + 1 < size; i += 2) {
    unsigned scheme = (unsigned)data[i] << 8 | data[i + 1];
    unsigned high = scheme >> 8, low = scheme & 0xff;
    if (high == 8) { /* RSA-PSS, Ed25519, Ed448. RFC 8446 §4.2.3 */
      if (low == 7 || low == 8) *ecdsa = true;
      else *rsa = true;
    } else if (low == 1) *rsa = true;
    else if (low == 3) *ecdsa = true;
  }
  if (!*ecdsa) return;
  /* A cipher that goes with it must be there as well. */
  *ecdsa = false;
  size = SSL_client_hello_get0_ciphers(ssl, &data);
  for (size_t i = 0; i + 1 < size && !*ecdsa; i += 2) {
    /* Signals in the guise of ciphers go with everything, by OpenSSL. RFC 5746 §3.3, RFC 7507 §2 */
    unsigned id = (unsigned)data[i] << 8 | data[i + 1];
    if (id == 0x00ff || id == 0x5600) continue;
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, data + i);
    if (cipher == NULL) continue;
    int nid = SSL_CIPHER_get_auth_nid(cipher);
    *ecdsa = nid == NID_auth_any || nid == NID_auth_ecdsa;
  }
}

static size_t keep_part(struct hello *hello, size_t room, int part, const uint8_t *data, size_t size) {
  if (size > room) size = room;
  memcpy(hello->data + hello->size, data, size);
  hello->parts[part] = (unsigned)size;
  hello->size += (unsigned)size;
  return room - size;
}

static void capture(SSL *ssl, struct session *session, size_t room) {
  struct hello *hello = calloc(1, sizeof *hello + room);
  if (hello == NULL) return;
  hello->version = SSL_client_hello_get0_legacy_version(ssl);
  const unsigned char *data;
  size_t size = SSL_client_hello_get0_ciphers(ssl, &data);
  room = keep_part(hello, room, 0, data, size);
  int *extensions = NULL;
  if (SSL_client_hello_get1_extensions_present(ssl, &extensions, &size) && extensions != NULL) {
    uint8_t list[512];
    size_t used = 0;
    for (size_t i = 0; i < size && used + 2 <= sizeof list; i++) {
      list[used++] = (uint8_t)(extensions[i] >> 8);
      list[used++] = (uint8_t)extensions[i];
    }
    room = keep_part(hello, room, 1, list, used);
    CRYPTO_free(extensions, __FILE__, __LINE__);
  }
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_groups, &data, &size) && size > 2)
    room = keep_part(hello, room, 2, data + 2, size - 2);
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_ec_point_formats, &data, &size) && size > 1)
    keep_part(hello, room, 3, data + 1, size - 1);
  session->hello = hello;
}

/* Before anything else of the handshake: also before OpenSSL looks for a session to resume, so that the rules of the
 * chosen certificate decide whether it may. */
int session_hello(SSL *ssl, int *alert, void *arg) {
  (void)arg;
  struct session *session = session_of(ssl);
  if (session == NULL || session->names == NULL) return 1;
  char lower[sizeof session->sni];
  session->sni[0] = lower[0] = 0;
  read_name(ssl, session, lower);
  struct context *current = context_of(ssl);
  if (current->capture > 0 && session->hello == NULL) capture(ssl, session, current->capture);
  bool rsa, ecdsa;
  read_keys(ssl, &rsa, &ecdsa);
  struct context *chosen = names_choose(session->names, lower[0] == 0 ? NULL : lower, rsa, ecdsa);
  if (chosen == NULL) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return 0;
  }
  if (chosen == current) return 1;
  SSL_set_SSL_CTX(ssl, chosen->ssl);
  /* What SSL_set_SSL_CTX leaves as it was. */
  SSL_set_verify(ssl, chosen->verify, chosen->verify == 0 ? NULL : session_verify);
  SSL_set_session_id_context(ssl, chosen->session_context, chosen->session_context_size);
  OPENSSL_STACK *authorities = SSL_CTX_get_client_CA_list(chosen->ssl);
  SSL_set_client_CA_list(ssl, authorities == NULL ? NULL : SSL_dup_CA_list(authorities));
  SSL_ctrl(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION, chosen->min_version, NULL);
  SSL_ctrl(ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, chosen->max_version, NULL);
  return 1;
}

static bool has_bit(const uint8_t *bits, int number) {
  return number >= 0 && number < 256 && (bits[number >> 3] >> (number & 7) & 1);
}

int session_verify(int fine, X509_STORE_CTX *store) {
  if (fine) return fine;
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct session *session = ssl == NULL ? NULL : session_of(ssl);
  if (session == NULL) return 0;
  const struct context *context = context_of(ssl);
  int error = X509_STORE_CTX_get_error(store), depth = X509_STORE_CTX_get_error_depth(store);
  if (depth > 0) {
    if (session->ca_error == 0) {
      session->ca_error = error;
      session->ca_error_depth = depth;
    }
    return has_bit(context->ignore_ca, error);
  }
  if (session->certificate_error == 0) session->certificate_error = error;
  return has_bit(context->ignore_certificate, error);
}

/* ---- sessions with servers that may be resumed ----
 *
 * By any thread: kept as bytes, since two threads may not share one of OpenSSL's. */

struct resumable {
  struct resumable *next;
  uint8_t *data;
  int size, context;
  char sni[];
};

#define RESUMABLE_MOST 1024
#define SESSION_MOST 65536

static pthread_mutex_t resumable_lock = PTHREAD_MUTEX_INITIALIZER;
static struct resumable *resumable;

static struct resumable **resumable_of(int context, const char *sni) {
  struct resumable **at = &resumable;
  while (*at != NULL && ((*at)->context != context || strcmp((*at)->sni, sni) != 0)) at = &(*at)->next;
  return at;
}

static void forget(struct resumable **at) {
  struct resumable *gone = *at;
  *at = gone->next;
  explicit_bzero(gone->data, (size_t)gone->size);
  free(gone->data);
  free(gone);
}

/* The newest stand first; beyond the limit the last goes. */
int session_keep(SSL *ssl, SSL_SESSION *session) {
  struct session *owner = session_of(ssl);
  if (owner == NULL || !owner->stores) return 0;
  int size = i2d_SSL_SESSION(session, NULL);
  if (size <= 0 || size > SESSION_MOST) return 0;
  size_t name = strlen(owner->sni) + 1;
  struct resumable *fresh = malloc(sizeof *fresh + name);
  uint8_t *data = fresh == NULL ? NULL : malloc((size_t)size);
  if (data == NULL) {
    free(fresh);
    return 0;
  }
  unsigned char *end = data;
  fresh->size = i2d_SSL_SESSION(session, &end);
  fresh->data = data;
  fresh->context = context_of(ssl)->id;
  memcpy(fresh->sni, owner->sni, name);
  pthread_mutex_lock(&resumable_lock);
  struct resumable **old = resumable_of(fresh->context, fresh->sni);
  if (*old != NULL) forget(old);
  fresh->next = resumable;
  resumable = fresh;
  struct resumable **at = &resumable;
  for (int i = 0; *at != NULL && i < RESUMABLE_MOST; i++) at = &(*at)->next;
  if (*at != NULL) forget(at);
  pthread_mutex_unlock(&resumable_lock);
  return 0;
}

static void resume(SSL *ssl, int context, const char *sni) {
  uint8_t *data = NULL;
  long size = 0;
  pthread_mutex_lock(&resumable_lock);
  struct resumable *known = *resumable_of(context, sni);
  if (known != NULL && (data = malloc((size_t)known->size)) != NULL) {
    memcpy(data, known->data, (size_t)known->size);
    size = known->size;
  }
  pthread_mutex_unlock(&resumable_lock);
  if (data == NULL) return;
  const unsigned char *in = data;
  SSL_SESSION *session = d2i_SSL_SESSION(NULL, &in, size);
  if (session != NULL && SSL_SESSION_is_resumable(session)) SSL_set_session(ssl, session);
  if (session != NULL) SSL_SESSION_free(session);
  explicit_bzero(data, (size_t)size);
  free(data);
}

/* Of a context that is gone: its number comes never again. */
void sessions_forget(int context) {
  pthread_mutex_lock(&resumable_lock);
  for (struct resumable **at = &resumable; *at != NULL;) {
    if ((*at)->context == context) forget(at);
    else at = &(*at)->next;
  }
  pthread_mutex_unlock(&resumable_lock);
}

/* ---- life ---- */

static int enlist(struct thread *thread, struct session *session) {
  if (thread->free_count > 0) {
    int number = thread->free_numbers[--thread->free_count];
    thread->sessions[number] = session;
    return number;
  }
  if (thread->count == thread->size) {
    int size = thread->size == 0 ? 256 : thread->size * 2;
    struct session **more = realloc(thread->sessions, size * sizeof *more);
    if (more == NULL) return -1;
    thread->sessions = more;
    int *numbers = realloc(thread->free_numbers, size * sizeof *numbers);
    if (numbers == NULL) return -1;
    thread->free_numbers = numbers;
    thread->size = size;
  }
  thread->sessions[thread->count] = session;
  return thread->count++;
}

static void destroy(struct session *session) {
  if (session->ssl != NULL) SSL_free(session->ssl);
  if (session->names != NULL) names_free(session->names);
  free(session->spill);
  free(session->hello);
  free(session);
  atomic_fetch_sub(&held, 1);
}

/* Takes a reference to the context for as long as this call lasts only: the SSL has its own. */
static struct session *create(struct engine *engine, SSL_CTX *context) {
  struct session *session = calloc(1, sizeof *session);
  if (session == NULL) return NULL;
  atomic_fetch_add(&held, 1);
  session->engine = engine;
  BIO *bio = NULL;
  session->ssl = SSL_new(context);
  if (session->ssl != NULL) bio = BIO_new(slab_bio);
  if (bio == NULL) {
    ERR_clear_error();
    destroy(session);
    return NULL;
  }
  BIO_set_data(bio, session);
  BIO_set_init(bio, 1);
  SSL_set_bio(session->ssl, bio, bio);
  SSL_set_ex_data(session->ssl, session_index, session);
  return session;
}

static int adopt(struct thread *thread, struct session *session) {
  int number = enlist(thread, session);
  if (number < 0) destroy(session);
  return number;
}

int session_accept(struct thread *thread, struct engine *engine, int set) {
  struct names *names = set_names(set);
  struct context *first = names == NULL ? NULL : names_first(names);
  struct session *session = first == NULL ? NULL : create(engine, first->ssl);
  if (session == NULL) {
    if (names != NULL) names_free(names);
    return -1;
  }
  session->names = names;
  SSL_set_accept_state(session->ssl);
  return adopt(thread, session);
}

static void fail(struct session *session) {
  unsigned long error = ERR_peek_error();
  session->state |= STATE_FAILED;
  if (session->error == 0) session->error = error;
  ERR_clear_error();
}

static void shake(struct session *session) {
  int result = SSL_do_handshake(session->ssl);
  if (result == 1) {
    session->state |= STATE_SECURED;
    return;
  }
  if (SSL_get_error(session->ssl, result) != SSL_ERROR_WANT_READ) fail(session);
}

static int state_of(const struct session *session) {
  return session->state | (session->spill_at != session->spill_end ? STATE_HAS_OUTPUT : 0);
}

int session_connect(struct thread *thread, struct engine *engine, int id, const char *sni, const char *verify_host,
                    struct bytes alpn, bool reuse) {
  struct context *context = context_take(id);
  if (context == NULL) return -1;
  struct session *session = context->client ? create(engine, context->ssl) : NULL;
  SSL_CTX_free(context->ssl);
  if (session == NULL) return -1;
  SSL *ssl = session->ssl;
  session->client = true;
  session->stores = reuse;
  if (sni != NULL && strlen(sni) < sizeof session->sni) {
    strcpy(session->sni, sni);
    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, session->sni);
  }
  if (verify_host != NULL && verify_host[0] != 0) {
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!X509_VERIFY_PARAM_set1_ip_asc(rules, verify_host)) X509_VERIFY_PARAM_set1_host(rules, verify_host, 0);
  }
  if (alpn.size > 0) SSL_set_alpn_protos(ssl, alpn.data, (unsigned)alpn.size);
  if (reuse) resume(ssl, id, session->sni);
  SSL_set_connect_state(ssl);
  ERR_clear_error();
  int number = adopt(thread, session);
  if (number >= 0) shake(session);
  return number;
}

void session_free(struct thread *thread, int number) {
  struct session *session = thread->sessions[number];
  if (session == NULL) return;
  thread->sessions[number] = NULL;
  thread->free_numbers[thread->free_count++] = number;
  destroy(session);
  ERR_clear_error();
}

void thread_free(struct thread *thread) {
  for (int i = 0; i < thread->count; i++) {
    if (thread->sessions[i] != NULL) destroy(thread->sessions[i]);
  }
  for (int i = 0; i < thread->engines_count; i++) free(thread->engines[i]);
  free(thread->sessions);
  free(thread->free_numbers);
  free(thread);
}

/* ---- bytes ---- */

static bool is_range(const struct engine *engine, size_t start, size_t end) {
  return start <= end && end <= engine->slab_size;
}

int session_receive(struct session *session, size_t start, size_t end, size_t out, size_t out_end) {
  struct engine *engine = session->engine;
  engine->words[WORD_PLAIN] = 0;
  if (!is_range(engine, start, end) || !is_range(engine, out, out_end) || session->state & STATE_FAILED) {
    session->state |= STATE_FAILED;
    return state_of(session);
  }
  if (start != end) {
    session->in = engine->slab + start;
    session->in_left = end - start;
  }
  ERR_clear_error();
  if (!(session->state & STATE_SECURED)) shake(session);
  session->state &= ~STATE_MORE_PLAIN;
  if (!(session->state & STATE_SECURED) || session->state & (STATE_FAILED | STATE_ENDED)) {
    session->in_left = 0;
    return state_of(session);
  }
  size_t used = 0, room = out_end - out;
  for (;;) {
    if (used == room) {
      /* Also when only a piece of a record is left: the next call finds out. */
      if (session->in_left > 0 || SSL_has_pending(session->ssl)) session->state |= STATE_MORE_PLAIN;
      break;
    }
    int size = SSL_read(session->ssl, engine->slab + out + used, (int)(room - used));
    if (size > 0) {
      used += (size_t)size;
      /* Asking once more only to hear that there is nothing costs as much as a small record. */
      if (session->in_left == 0 && !SSL_has_pending(session->ssl)) break;
      continue;
    }
    int why = SSL_get_error(session->ssl, size);
    if (why == SSL_ERROR_ZERO_RETURN) {
      session->state |= STATE_ENDED;
      session->in_left = 0;
    } else if (why != SSL_ERROR_WANT_READ) {
      session->in_left = 0;
      fail(session);
    }
    break;
  }
  engine->words[WORD_PLAIN] = (int32_t)used;
  return state_of(session);
}

static size_t take_spilled(struct session *session, uint8_t *to, size_t room) {
  size_t waiting = session->spill_end - session->spill_at;
  size_t size = waiting < room ? waiting : room;
  if (size == 0) return 0;
  memcpy(to, session->spill + session->spill_at, size);
  session->spill_at += size;
  if (session->spill_at == session->spill_end) {
    /* An idle connection holds no memory. */
    free(session->spill);
    session->spill = NULL;
    session->spill_at = session->spill_end = session->spill_size = 0;
  }
  return size;
}

int session_drain(struct session *session, size_t out, size_t out_end) {
  if (!is_range(session->engine, out, out_end)) return 0;
  return (int)take_spilled(session, session->engine->slab + out, out_end - out);
}

/* The next piece of plaintext for one record: where it lies when that is one range, else gathered. */
struct pieces {
  const struct engine *engine;
  int at, count;
  size_t offset; /* within the first part */
};

static size_t left_of(const struct pieces *pieces, int part) {
  size_t size = (size_t)(pieces->engine->ends[part] - pieces->engine->starts[part]);
  return part == pieces->at ? size - pieces->offset : size;
}

static const uint8_t *next_record(struct engine *engine, const struct pieces *pieces, size_t room, size_t *size) {
  size_t first = left_of(pieces, pieces->at);
  const uint8_t *start = engine->slab + engine->starts[pieces->at] + pieces->offset;
  if (first >= room || pieces->at + 1 == pieces->count) {
    *size = first < room ? first : room;
    return start;
  }
  size_t used = 0;
  for (int part = pieces->at; part < pieces->count && used < room; part++) {
    size_t take = left_of(pieces, part);
    if (take > room - used) take = room - used;
    size_t from = (size_t)engine->starts[part] + (part == pieces->at ? pieces->offset : 0);
    memcpy(engine->gathered + used, engine->slab + from, take);
    used += take;
  }
  *size = used;
  return engine->gathered;
}

static void advance(struct pieces *pieces, size_t size) {
  while (size > 0) {
    size_t left = left_of(pieces, pieces->at);
    if (size < left) {
      pieces->offset += size;
      return;
    }
    size -= left;
    pieces->at++;
    pieces->offset = 0;
  }
}

int session_seal(struct session *session, int parts, size_t out, size_t out_end) {
  struct engine *engine = session->engine;
  engine->words[WORD_TAKEN] = 0;
  if (parts < 0 || parts > MAX_PARTS || !is_range(engine, out, out_end)) return -1;
  if (!(session->state & STATE_SECURED) || session->state & STATE_FAILED) return -1;
  for (int i = 0; i < parts; i++) {
    if (engine->starts[i] < 0 || !is_range(engine, (size_t)engine->starts[i], (size_t)engine->ends[i])) return -1;
  }
  size_t before = take_spilled(session, engine->slab + out, out_end - out);
  session->out = engine->slab + out + before;
  session->out_left = out_end - out - before;
  session->out_used = 0;
  struct pieces pieces = {engine, 0, parts, 0};
  size_t taken = 0;
  while (pieces.at < parts && session->out_left > RECORD_OVERHEAD + 512 && session->spill_at == session->spill_end) {
    size_t room = session->out_left - RECORD_OVERHEAD, size;
    if (room > RECORD_MOST) room = RECORD_MOST;
    const uint8_t *from = next_record(engine, &pieces, room, &size);
    if (size == 0) {
      pieces.at++;
      pieces.offset = 0;
      continue;
    }
    int written = SSL_write(session->ssl, from, (int)size);
    if (written <= 0) {
      fail(session);
      break;
    }
    taken += (size_t)written;
    advance(&pieces, (size_t)written);
  }
  int used = (int)(before + session->out_used);
  session->out_left = session->out_used = 0;
  engine->words[WORD_TAKEN] = (int32_t)taken;
  return session->state & STATE_FAILED && used == 0 ? -1 : used;
}

int session_shutdown(struct session *session) {
  if (!(session->state & STATE_SECURED) || session->state & STATE_FAILED) return 0;
  ERR_clear_error();
  SSL_shutdown(session->ssl);
  ERR_clear_error();
  return session->spill_at != session->spill_end;
}
