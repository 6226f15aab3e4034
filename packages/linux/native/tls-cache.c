/* How clients resume: sessions that the process keeps for those without tickets, and the keys of tickets. One for all
 * threads; one lock, held for a copy of some hundred bytes in each handshake that needs it. */
#include "tls.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct kept {
  struct kept *next;            /* in its bucket */
  struct kept *newer, *older;   /* by age: all live equally long */
  int64_t until;
  unsigned id_size, size;
  uint8_t id[32];
  uint8_t data[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept **buckets, *newest, *oldest;
static unsigned buckets_count, most, kept_count, lifetime = 300;
static double lookups, misses, stores;
static uint8_t secret[80];
static bool has_secret;

static int64_t seconds(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
  return ts.tv_sec;
}

/* Ids are random: some bytes of one are hash enough. A client that forges one finds nothing. */
static struct kept **bucket_of(const uint8_t *id, unsigned size) {
  uint32_t hash = 2166136261u;
  for (unsigned i = 0; i < size; i++) hash = (hash ^ id[i]) * 16777619u;
  return &buckets[hash & (buckets_count - 1)];
}

static void drop(struct kept *kept) {
  struct kept **at = bucket_of(kept->id, kept->id_size);
  while (*at != kept) at = &(*at)->next;
  *at = kept->next;
  if (kept->newer != NULL) kept->newer->older = kept->older;
  else newest = kept->older;
  if (kept->older != NULL) kept->older->newer = kept->newer;
  else oldest = kept->newer;
  kept_count--;
  explicit_bzero(kept->data, kept->size);
  free(kept);
}

static struct kept *find(const uint8_t *id, unsigned size) {
  for (struct kept *at = *bucket_of(id, size); at != NULL; at = at->next) {
    if (at->id_size == size && memcmp(at->id, id, size) == 0) return at;
  }
  return NULL;
}

void cache_configure(unsigned entries, unsigned seconds_kept) {
  pthread_mutex_lock(&lock);
  while (oldest != NULL) drop(oldest);
  free(buckets);
  buckets = NULL;
  most = entries;
  lifetime = seconds_kept;
  buckets_count = 64;
  while (buckets_count < entries && buckets_count < 1u << 20) buckets_count *= 2;
  if (entries > 0) buckets = calloc(buckets_count, sizeof *buckets);
  if (buckets == NULL) most = 0;
  pthread_mutex_unlock(&lock);
}

bool cache_enabled(void) {
  pthread_mutex_lock(&lock);
  bool enabled = most > 0;
  pthread_mutex_unlock(&lock);
  return enabled;
}

void cache_counters(double out[4]) {
  pthread_mutex_lock(&lock);
  out[0] = lookups;
  out[1] = misses;
  out[2] = stores;
  out[3] = kept_count;
  pthread_mutex_unlock(&lock);
}

static void store(const uint8_t *id, unsigned id_size, struct kept *kept) {
  memcpy(kept->id, id, id_size);
  kept->id_size = id_size;
  pthread_mutex_lock(&lock);
  if (most == 0) {
    pthread_mutex_unlock(&lock);
    free(kept);
    return;
  }
  struct kept *same = find(id, id_size);
  if (same != NULL) drop(same);
  int64_t now = seconds();
  while (oldest != NULL && (kept_count >= most || oldest->until <= now)) drop(oldest);
  kept->until = now + lifetime;
  struct kept **bucket = bucket_of(id, id_size);
  kept->next = *bucket;
  *bucket = kept;
  kept->newer = NULL;
  kept->older = newest;
  if (newest != NULL) newest->newer = kept;
  else oldest = kept;
  newest = kept;
  kept_count++;
  stores++;
  pthread_mutex_unlock(&lock);
}

/* Sessions with a ticket keep themselves. */
static int session_new(SSL *ssl, SSL_SESSION *session) {
  unsigned id_size = 0;
  const unsigned char *id = SSL_SESSION_get_id(session, &id_size);
  if (id_size == 0 || id_size > 32) return 0;
  bool with_tickets = !(SSL_get_options(ssl) & SSL_OP_NO_TICKET);
  if (with_tickets && SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) return 0;
  int size = i2d_SSL_SESSION(session, NULL);
  if (size <= 0 || size > 65536) return 0;
  struct kept *kept = malloc(sizeof *kept + (size_t)size);
  if (kept == NULL) return 0;
  unsigned char *out = kept->data;
  kept->size = (unsigned)i2d_SSL_SESSION(session, &out);
  store(id, id_size, kept);
  return 0;
}

static SSL_SESSION *session_get(SSL *ssl, const unsigned char *id, int id_size, int *copy) {
  (void)ssl;
  *copy = 0;
  if (id_size <= 0 || id_size > 32) return NULL;
  uint8_t *data = NULL;
  long size = 0;
  pthread_mutex_lock(&lock);
  if (most > 0) {
    lookups++;
    struct kept *kept = find(id, (unsigned)id_size);
    if (kept != NULL && kept->until > seconds() && (data = malloc(kept->size)) != NULL) {
      memcpy(data, kept->data, kept->size);
      size = kept->size;
    } else misses++;
  }
  pthread_mutex_unlock(&lock);
  if (data == NULL) return NULL;
  const unsigned char *in = data;
  SSL_SESSION *session = d2i_SSL_SESSION(NULL, &in, size);
  explicit_bzero(data, (size_t)size);
  free(data);
  return session;
}

static void session_remove(SSL_CTX *ssl, SSL_SESSION *session) {
  (void)ssl;
  unsigned id_size = 0;
  const unsigned char *id = SSL_SESSION_get_id(session, &id_size);
  pthread_mutex_lock(&lock);
  struct kept *kept = most == 0 || id_size == 0 ? NULL : find(id, id_size);
  if (kept != NULL) drop(kept);
  pthread_mutex_unlock(&lock);
}

/* ---- tickets ---- */

bool ticket_secret_set(const uint8_t *bytes) {
  pthread_mutex_lock(&lock);
  bool first = !has_secret;
  if (first) memcpy(secret, bytes, sizeof secret);
  has_secret = true;
  pthread_mutex_unlock(&lock);
  return first;
}

static bool secret_ready(void) {
  pthread_mutex_lock(&lock);
  if (!has_secret) has_secret = RAND_bytes(secret, sizeof secret) == 1;
  bool ready = has_secret;
  pthread_mutex_unlock(&lock);
  return ready;
}

/* Keys of a file: 48 bytes are a name, an AES-128 key and a 16-byte key for the MAC; 80 bytes a name, a 32-byte key for
 * the MAC and an AES-256 key. The last but one makes tickets, so that the newest is known everywhere before it is used.
 * HAProxy configuration manual §5.1, tls-ticket-keys */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                      int making) {
  const struct context *context = context_of(ssl);
  unsigned size = context->ticket_key_size, number = context->ticket_keys_count;
  if (number == 0) return making ? -1 : 0;
  unsigned maker = number == 1 ? 0 : number - 2, at = maker;
  if (making) memcpy(name, context->ticket_keys + at * size, 16);
  else {
    for (at = 0; at < number; at++) {
      if (memcmp(name, context->ticket_keys + at * size, 16) == 0) break;
    }
    if (at == number) return 0;
  }
  const uint8_t *key = context->ticket_keys + at * size;
  bool large = size == 80;
  const uint8_t *aes = large ? key + 48 : key + 16, *hmac = large ? key + 16 : key + 32;
  const EVP_CIPHER *algorithm = large ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
  char digest[] = "SHA256";
  OSSL_PARAM parameters[3] = {
      {"key", OSSL_PARAM_OCTET_STRING, (void *)hmac, large ? 32 : 16, 0},
      {"digest", OSSL_PARAM_UTF8_STRING, digest, sizeof digest - 1, 0},
      {NULL, 0, NULL, 0, 0},
  };
  if (!EVP_MAC_CTX_set_params(mac, parameters)) return -1;
  if (making) {
    if (RAND_bytes(iv, 16) != 1 || !EVP_EncryptInit_ex(cipher, algorithm, NULL, aes, iv)) return -1;
    return 1;
  }
  if (!EVP_DecryptInit_ex(cipher, algorithm, NULL, aes, iv)) return -1;
  return at == maker ? 1 : 2;
}

bool cache_attach(struct context *context) {
  SSL_CTX *ssl = context->ssl;
  if (context->cache && cache_enabled()) {
    SSL_CTX_ctrl(ssl, SSL_CTRL_SET_SESS_CACHE_MODE,
                 SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR, NULL);
    SSL_CTX_sess_set_new_cb(ssl, session_new);
    SSL_CTX_sess_set_get_cb(ssl, session_get);
    SSL_CTX_sess_set_remove_cb(ssl, session_remove);
  } else SSL_CTX_ctrl(ssl, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
  if (context->ticket_keys_count > 0) return SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_key) == 1;
  if (!secret_ready()) return false;
  return SSL_CTX_ctrl(ssl, SSL_CTRL_SET_TLSEXT_TICKET_KEYS, sizeof secret, secret) == 1;
}
