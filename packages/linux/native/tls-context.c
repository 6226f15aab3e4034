/* Contexts: one certificate and its rules towards clients, or the rules towards a server. Made by any thread, used by
 * all; nothing of one changes after it was made. */
#include "tls.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct context **contexts;
static int count, room;
static _Atomic int held;
static int context_index = -1;

static void context_gone(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argl, void *argp) {
  (void)parent, (void)data, (void)index, (void)argl, (void)argp;
  struct context *context = p;
  if (context == NULL) return;
  size_t secret = (size_t)context->ticket_key_size * context->ticket_keys_count;
  if (context->ticket_keys != NULL) explicit_bzero(context->ticket_keys, secret);
  free(context->ticket_keys);
  free(context->alpn);
  free(context->ocsp);
  free(context);
  atomic_fetch_sub(&held, 1);
}

bool contexts_start(void) {
  pthread_mutex_lock(&lock);
  if (context_index < 0)
    context_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, context_gone);
  pthread_mutex_unlock(&lock);
  return context_index >= 0;
}

int contexts_held(void) { return atomic_load(&held); }

struct context *context_of(const SSL *ssl) { return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index); }

struct context *context_take(int id) {
  struct context *context = NULL;
  pthread_mutex_lock(&lock);
  if (id >= 0 && id < count) context = contexts[id];
  if (context != NULL) SSL_CTX_up_ref(context->ssl);
  pthread_mutex_unlock(&lock);
  return context;
}

void context_release(int id) {
  struct context *context = NULL;
  pthread_mutex_lock(&lock);
  if (id >= 0 && id < count) {
    context = contexts[id];
    contexts[id] = NULL;
  }
  pthread_mutex_unlock(&lock);
  if (context == NULL) return;
  sessions_forget(id);
  SSL_CTX_free(context->ssl);
}

/* A number that no other context has or had: who still says an old one must not meet a new context. */
static int enlist(struct context *context) {
  pthread_mutex_lock(&lock);
  if (count == room) {
    int wanted = room == 0 ? 64 : room * 2;
    struct context **more = realloc(contexts, wanted * sizeof *more);
    if (more == NULL) {
      pthread_mutex_unlock(&lock);
      return -1;
    }
    contexts = more;
    room = wanted;
  }
  context->id = count++;
  contexts[context->id] = context;
  pthread_mutex_unlock(&lock);
  return context->id;
}

static int refuse(struct fault *fault, const char *operation) {
  fault->operation = operation;
  fault->code = ERR_peek_last_error();
  const char *reason = fault->code == 0 ? NULL : ERR_reason_error_string(fault->code);
  if (reason == NULL) reason = fault->code != 0 ? "unknown reason" : "refused";
  snprintf(fault->text, sizeof fault->text, "%s", reason);
  ERR_clear_error();
  return -1;
}

/* Keys with a passphrase are refused rather than asked for at a terminal. */
static int no_passphrase(char *buffer, int size, int rw, void *data) {
  (void)buffer, (void)size, (void)rw, (void)data;
  return 0;
}

static BIO *reader(struct bytes bytes) { return BIO_new_mem_buf(bytes.data, (int)bytes.size); }

static bool is_end(void) { return ERR_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; }

/* The first certificate is the own one where `own` says so, the others are its chain: how many. -1 for one that cannot
 * be read. */
static int read_chain(SSL_CTX *ssl, struct bytes pem, bool own) {
  BIO *bio = reader(pem);
  if (bio == NULL) return -1;
  int found = 0;
  for (;;) {
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    if (certificate == NULL) break;
    int fine = own && found == 0 ? SSL_CTX_use_certificate(ssl, certificate)
                                 : (int)SSL_CTX_ctrl(ssl, SSL_CTRL_CHAIN_CERT, 1, certificate);
    X509_free(certificate);
    if (!fine) {
      BIO_free(bio);
      return -1;
    }
    found++;
  }
  BIO_free(bio);
  if (!is_end()) return -1;
  ERR_clear_error();
  return found;
}

static enum key_kind kind_of(const EVP_PKEY *key) {
  switch (EVP_PKEY_get_base_id(key)) {
  case EVP_PKEY_RSA:
  case EVP_PKEY_RSA_PSS:
    return KEY_RSA;
  case EVP_PKEY_EC:
  case EVP_PKEY_ED25519:
  case EVP_PKEY_ED448:
    return KEY_ECDSA;
  default:
    return KEY_OTHER;
  }
}

static bool read_key(struct context *context, struct bytes pem) {
  BIO *bio = reader(pem);
  if (bio == NULL) return false;
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
  BIO_free(bio);
  if (key == NULL) return false;
  context->key = kind_of(key);
  int fine = SSL_CTX_use_PrivateKey(context->ssl, key);
  EVP_PKEY_free(key);
  return fine && SSL_CTX_check_private_key(context->ssl);
}

static int read_authorities(SSL_CTX *ssl, struct bytes pem, bool trust) {
  BIO *bio = reader(pem);
  if (bio == NULL) return -1;
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  int found = 0;
  for (X509 *one; (one = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL; found++) {
    int fine = trust ? X509_STORE_add_cert(store, one) : SSL_CTX_add_client_CA(ssl, one);
    X509_free(one);
    if (!fine) {
      BIO_free(bio);
      return -1;
    }
  }
  BIO_free(bio);
  if (!is_end()) return -1;
  ERR_clear_error();
  return found;
}

static int read_revocations(SSL_CTX *ssl, struct bytes pem) {
  BIO *bio = reader(pem);
  if (bio == NULL) return -1;
  X509_STORE *store = SSL_CTX_get_cert_store(ssl);
  int found = 0;
  for (X509_CRL *one; (one = PEM_read_bio_X509_CRL(bio, NULL, no_passphrase, NULL)) != NULL; found++) {
    int fine = X509_STORE_add_crl(store, one);
    X509_CRL_free(one);
    if (!fine) {
      BIO_free(bio);
      return -1;
    }
  }
  BIO_free(bio);
  if (!is_end()) return -1;
  ERR_clear_error();
  if (found > 0) X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return found;
}

static bool read_dh(SSL_CTX *ssl, struct bytes pem) {
  /* Without parameters there are no DHE ciphers. "auto" leaves them to OpenSSL, by the key's size. */
  if (pem.data == NULL) return true;
  if (pem.size == 4 && memcmp(pem.data, "auto", 4) == 0) return SSL_CTX_ctrl(ssl, SSL_CTRL_SET_DH_AUTO, 1, NULL) != 0;
  BIO *bio = reader(pem);
  if (bio == NULL) return false;
  EVP_PKEY *parameters = PEM_read_bio_Parameters(bio, NULL);
  BIO_free(bio);
  if (parameters == NULL) return false;
  if (SSL_CTX_set0_tmp_dh_pkey(ssl, parameters)) return true;
  EVP_PKEY_free(parameters);
  return false;
}

/* Our order first; a client with none of ours goes on without. Observed: haproxy 2.6.12. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                           unsigned in_size, void *arg) {
  (void)arg;
  struct context *context = context_of(ssl);
  for (size_t own = 0; own < context->alpn_size; own += context->alpn[own] + 1u) {
    for (unsigned theirs = 0; theirs < in_size; theirs += in[theirs] + 1u) {
      if (in[theirs] != context->alpn[own] || theirs + 1u + in[theirs] > in_size) continue;
      if (memcmp(in + theirs + 1, context->alpn + own + 1, in[theirs]) != 0) continue;
      *out = in + theirs + 1;
      *out_size = in[theirs];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

/* The choice was made at the hello; this only says that the name was heard. */
static int confirm_name(SSL *ssl, int *alert, void *arg) {
  (void)alert, (void)arg;
  return SSL_get_servername(ssl, 0) != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int staple(SSL *ssl, void *arg) {
  (void)arg;
  struct context *context = context_of(ssl);
  if (context->ocsp == NULL) return SSL_TLSEXT_ERR_NOACK;
  uint8_t *copy = CRYPTO_malloc(context->ocsp_size, __FILE__, __LINE__);
  if (copy == NULL) return SSL_TLSEXT_ERR_NOACK;
  memcpy(copy, context->ocsp, context->ocsp_size);
  SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, (long)context->ocsp_size, copy);
  return SSL_TLSEXT_ERR_OK;
}

static bool copied(uint8_t **to, size_t *size, struct bytes from) {
  if (from.data == NULL || from.size == 0) return true;
  *to = malloc(from.size);
  if (*to == NULL) return false;
  memcpy(*to, from.data, from.size);
  *size = from.size;
  return true;
}

static bool set_list(SSL_CTX *ssl, int control, const char *list) {
  return list == NULL || SSL_CTX_ctrl(ssl, control, 0, (void *)list) != 0;
}

static const char *set_rules(struct context *context, const struct context_options *options) {
  SSL_CTX *ssl = context->ssl;
  SSL_CTX_ctrl(ssl, SSL_CTRL_MODE,
               SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, NULL);
  uint64_t rules = SSL_OP_ALL | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                   SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF;
  if (options->server_preference) rules |= SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
  if (!options->tickets) rules |= SSL_OP_NO_TICKET;
  SSL_CTX_set_options(ssl, rules);
  int least = options->min_version == 0 ? TLS1_2_VERSION : options->min_version;
  if (options->max_version != 0 && options->max_version < least) least = options->max_version;
  context->min_version = least;
  context->max_version = options->max_version;
  if (!SSL_CTX_ctrl(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION, least, NULL)) return "set the least version";
  if (!SSL_CTX_ctrl(ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, options->max_version, NULL)) return "set the highest version";
  if (options->ciphers != NULL && !SSL_CTX_set_cipher_list(ssl, options->ciphers)) return "set the ciphers";
  if (options->ciphersuites != NULL && !SSL_CTX_set_ciphersuites(ssl, options->ciphersuites))
    return "set the ciphersuites";
  if (!set_list(ssl, SSL_CTRL_SET_GROUPS_LIST, options->curves)) return "set the curves";
  if (!set_list(ssl, SSL_CTRL_SET_SIGALGS_LIST, options->sigalgs)) return "set the signature algorithms";
  if (!set_list(ssl, SSL_CTRL_SET_CLIENT_SIGALGS_LIST, options->client_sigalgs))
    return "set the clients' signature algorithms";
  if (options->max_record >= 512 && !SSL_CTX_ctrl(ssl, SSL_CTRL_SET_MAX_SEND_FRAGMENT, options->max_record, NULL))
    return "set the record's length";
  return NULL;
}

static const char *set_trust(struct context *context, const struct context_options *options) {
  SSL_CTX *ssl = context->ssl;
  if (options->ca.data != NULL && read_authorities(ssl, options->ca, true) < 1) return "read the authorities";
  if (options->crl.data != NULL && read_revocations(ssl, options->crl) < 1) return "read the revocation list";
  if (options->ca_names.size > 0 && options->verify != 0 && read_authorities(ssl, options->ca_names, false) < 1)
    return "read the authorities' names";
  SSL_CTX_set_verify(ssl, options->verify, options->verify == 0 ? NULL : session_verify);
  if (options->ignore_ca.size == 32) memcpy(context->ignore_ca, options->ignore_ca.data, 32);
  if (options->ignore_certificate.size == 32) memcpy(context->ignore_certificate, options->ignore_certificate.data, 32);
  return NULL;
}

static const char *set_server(struct context *context, const struct context_options *options) {
  SSL_CTX *ssl = context->ssl;
  if (!read_dh(ssl, options->dh_params)) return "read the Diffie-Hellman parameters";
  if (!copied(&context->ocsp, &context->ocsp_size, options->ocsp)) return "copy";
  if (context->alpn != NULL) SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
  SSL_CTX_callback_ctrl(ssl, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, (void (*)(void))confirm_name);
  if (context->ocsp != NULL) SSL_CTX_callback_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, (void (*)(void))staple);
  SSL_CTX_set_client_hello_cb(ssl, session_hello, NULL);
  size_t size = options->session_context.size;
  if (size > 32) size = 32;
  if (size > 0) memcpy(context->session_context, options->session_context.data, size);
  context->session_context_size = (unsigned)size;
  SSL_CTX_set_session_id_context(ssl, context->session_context, (unsigned)size);
  SSL_CTX_set_timeout(ssl, options->lifetime);
  struct bytes keys = options->ticket_keys;
  if (keys.size > 0) {
    context->ticket_key_size = keys.size % 80 == 0 ? 80 : 48;
    context->ticket_keys_count = (unsigned)(keys.size / context->ticket_key_size);
    size_t all = 0;
    if (keys.size % context->ticket_key_size != 0 || context->ticket_keys_count > TICKET_KEYS_MOST)
      return "read the ticket keys";
    if (!copied(&context->ticket_keys, &all, keys)) return "copy";
  }
  /* Without tickets TLS 1.3 names sessions of the cache in their place: of no use where there is none. */
  if (!options->tickets && !(options->cache && cache_enabled())) SSL_CTX_set_num_tickets(ssl, 0);
  if (!cache_attach(context)) return "set the ticket keys";
  return NULL;
}

static const char *set_client(struct context *context) {
  SSL_CTX *ssl = context->ssl;
  if (context->alpn != NULL && SSL_CTX_set_alpn_protos(ssl, context->alpn, (unsigned)context->alpn_size) != 0)
    return "set the protocols";
  SSL_CTX_ctrl(ssl, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL, NULL);
  SSL_CTX_sess_set_new_cb(ssl, session_keep);
  return NULL;
}

static const char *fill(struct context *context, const struct context_options *options) {
  const char *failed = set_rules(context, options);
  if (failed != NULL) return failed;
  if (options->pem.data != NULL) {
    if (read_chain(context->ssl, options->pem, true) < 1) return "read the certificate";
    if (!read_key(context, options->key.data != NULL ? options->key : options->pem)) return "read the key";
    if (options->chain.data != NULL && read_chain(context->ssl, options->chain, false) < 0) return "read the chain";
  }
  failed = set_trust(context, options);
  if (failed != NULL) return failed;
  if (!copied(&context->alpn, &context->alpn_size, options->alpn)) return "copy";
  return options->client ? set_client(context) : set_server(context, options);
}

int context_create(const struct context_options *options, struct fault *fault) {
  ERR_clear_error();
  struct context *context = calloc(1, sizeof *context);
  if (context == NULL) return refuse(fault, "allocate");
  context->ssl = SSL_CTX_new(options->client ? TLS_client_method() : TLS_server_method());
  if (context->ssl == NULL) {
    free(context);
    return refuse(fault, "make a context");
  }
  if (!SSL_CTX_set_ex_data(context->ssl, context_index, context)) {
    SSL_CTX_free(context->ssl);
    free(context);
    return refuse(fault, "make a context");
  }
  atomic_fetch_add(&held, 1);
  context->client = options->client;
  context->verify = options->verify;
  context->tickets = options->tickets;
  context->cache = options->cache;
  context->capture = options->capture < 0 ? 0 : (unsigned)options->capture;
  const char *failed = fill(context, options);
  if (failed == NULL && enlist(context) < 0) failed = "allocate";
  if (failed == NULL) return context->id;
  refuse(fault, failed);
  SSL_CTX_free(context->ssl);
  return -1;
}
