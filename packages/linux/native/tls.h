/* What the parts of the TLS door share. Contexts, sets and the session cache belong to the process and may be used by
 * any thread; an engine and its sessions belong to the thread that made them. */
#ifndef TLS_H
#define TLS_H
#include "tls-openssl.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- contexts: tls-context.c ---- */

struct bytes {
  const uint8_t *data; /* NULL: absent */
  size_t size;
};

/* As `NativeContextOptions`; strings are NULL when absent. They need to live during the call only. */
struct context_options {
  bool client;
  struct bytes pem, key, chain, ocsp, alpn, ca, ca_names, crl, ignore_ca, ignore_certificate, ticket_keys, session_context,
      dh_params;
  int min_version, max_version, verify, lifetime, max_record, capture;
  bool server_preference, tickets, cache;
  const char *ciphers, *ciphersuites, *curves, *sigalgs, *client_sigalgs;
};

enum key_kind { KEY_NONE, KEY_RSA, KEY_ECDSA, KEY_OTHER };

#define TICKET_KEYS_MOST 16

/* Lives as long as its SSL_CTX, whose ex_data it is. */
struct context {
  int id;
  SSL_CTX *ssl;
  bool client, tickets, cache;
  enum key_kind key;
  int verify, min_version, max_version;
  unsigned capture;
  uint8_t ignore_ca[32], ignore_certificate[32];
  uint8_t *alpn;
  size_t alpn_size;
  uint8_t *ocsp;
  size_t ocsp_size;
  uint8_t session_context[32];
  unsigned session_context_size;
  uint8_t *ticket_keys;
  unsigned ticket_key_size, ticket_keys_count;
};

struct fault {
  const char *operation;
  unsigned long code;
  char text[256];
};

/* Fills the indices of ex_data; once a process. False when OpenSSL has none left. */
bool contexts_start(void);
/* The number of the new context, or -1 with `fault` filled. */
int context_create(const struct context_options *options, struct fault *fault);
void context_release(int id);
/* With a reference that the caller gives back by SSL_CTX_free(context->ssl); NULL for a number that is none. */
struct context *context_take(int id);
struct context *context_of(const SSL *ssl);
int contexts_held(void);

/* ---- sets: tls-names.c ---- */

struct names;

int set_create(void);
void set_release(int id);
int sets_held(void);
/* The current certificates of a set, with a reference; NULL for a number that is none, or an empty set. */
struct names *set_names(int id);
void names_free(struct names *names);
/* The context that a session begins with. */
struct context *names_first(const struct names *names);
/* Chooses by the client's name (lower case, or NULL) and by what keys it takes. NULL: refuse (strict). */
struct context *names_choose(const struct names *names, const char *name, bool takes_rsa, bool takes_ecdsa);

struct names_line {
  int context;
  const char *const *names;
  size_t names_count;
  const char *const *excluded;
  size_t excluded_count;
};
/* 0, or -1 when a context does not exist (the set stays as it was) or memory is short. */
int set_fill(int id, const struct names_line *lines, size_t count, const int *defaults, size_t defaults_count, bool strict);

/* ---- session cache and tickets: tls-cache.c ---- */

void cache_configure(unsigned entries, unsigned lifetime);
bool cache_enabled(void);
void cache_counters(double out[4]);
bool ticket_secret_set(const uint8_t *secret);
/* Installs callbacks for sessions and tickets. */
bool cache_attach(struct context *context);

/* ---- sessions: tls-session.c ---- */

/* Bits that `receive` gives back: as in tls-engine.ts. */
enum {
  STATE_SECURED = 1,
  STATE_HAS_OUTPUT = 2,
  STATE_MORE_PLAIN = 4,
  STATE_ENDED = 8,
  STATE_FAILED = 16
};

enum { WORD_PLAIN, WORD_TAKEN };
#define MAX_PARTS 32
/* Of one thread: a program needs one, tests some. */
#define MAX_ENGINES 256

struct engine {
  uint8_t *slab;
  size_t slab_size;
  int32_t *words, *starts, *ends;
  uint8_t gathered[16384];
};

struct hello {
  unsigned version, size;
  /* ciphers, extensions, curves, formats: one after the other in `data` */
  unsigned parts[4];
  uint8_t data[];
};

struct session {
  SSL *ssl;
  struct engine *engine;
  struct names *names;
  const uint8_t *in;
  size_t in_left;
  uint8_t *out;
  size_t out_left, out_used;
  /* Output that no room was given for. */
  uint8_t *spill;
  size_t spill_at, spill_end, spill_size;
  int state;
  bool client, stores;
  unsigned long error;
  int ca_error, ca_error_depth, certificate_error;
  char sni[256];
  struct hello *hello;
};

/* What one thread has: its engines and sessions by number. */
struct thread {
  struct engine *engines[MAX_ENGINES];
  int engines_count;
  struct session **sessions;
  int *free_numbers;
  int count, size, free_count;
};

bool sessions_start(void);
int sessions_held(void);
int session_accept(struct thread *thread, struct engine *engine, int set);
int session_connect(struct thread *thread, struct engine *engine, int context, const char *sni, const char *verify_host,
                    struct bytes alpn, bool reuse);
int session_receive(struct session *session, size_t start, size_t end, size_t out, size_t out_end);
int session_seal(struct session *session, int parts, size_t out, size_t out_end);
int session_drain(struct session *session, size_t out, size_t out_end);
int session_shutdown(struct session *session);
void session_free(struct thread *thread, int number);
/* No session with this context's servers is resumed any more. */
void sessions_forget(int context);
void thread_free(struct thread *thread);
/* Of an SSL; NULL for one that is none of ours. */
struct session *session_of(const SSL *ssl);
SSL_verify_cb session_verify;
SSL_hello_cb session_hello;
/* Keeps a session with a server for the next connection: the callback of client contexts. */
SSL_new_session_cb session_keep;

/* ---- what a session tells: tls-facts.c ---- */

int fact_number(struct session *session, int what);
/* Writes at most `size` bytes, without an end: how many. */
size_t fact_text(struct session *session, int what, char *out, size_t size);
/* Memory to be freed; NULL when there is nothing. */
uint8_t *fact_bytes(struct session *session, int what, size_t *size);

#endif
