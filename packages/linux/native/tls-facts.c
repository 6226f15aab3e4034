/* What a session tells of itself, by number: as in tls-engine.ts. Asked for by rules and logs, not on the common
 * path. */
#include "tls.h"
#include <stdlib.h>
#include <string.h>

enum {
  NUMBER_VERSION,
  NUMBER_CIPHER_BITS,
  NUMBER_CIPHER_BITS_USED,
  NUMBER_VERIFY,
  NUMBER_CA_ERROR,
  NUMBER_CA_ERROR_DEPTH,
  NUMBER_CERTIFICATE_ERROR,
  NUMBER_RESUMED,
  NUMBER_ERROR,
  NUMBER_CONTEXT,
  NUMBER_HELLO_VERSION,
  NUMBER_CIPHER_ID
};
enum { TEXT_VERSION, TEXT_CIPHER, TEXT_SNI, TEXT_ALPN, TEXT_ERROR, TEXT_HELLO_CIPHERS };
enum {
  BYTES_SESSION_ID,
  BYTES_SESSION_KEY,
  BYTES_CLIENT_RANDOM,
  BYTES_SERVER_RANDOM,
  BYTES_PEER_CERTIFICATE,
  BYTES_OWN_CERTIFICATE,
  BYTES_PEER_CHAIN,
  BYTES_FINISHED,
  BYTES_PEER_FINISHED,
  BYTES_HELLO_CIPHERS,
  BYTES_HELLO_EXTENSIONS,
  BYTES_HELLO_CURVES,
  BYTES_HELLO_FORMATS
};

int fact_number(struct session *session, int what) {
  SSL *ssl = session->ssl;
  const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
  int algorithm = 0, used;
  switch (what) {
  case NUMBER_VERSION:
    return SSL_version(ssl);
  case NUMBER_CIPHER_BITS:
    if (cipher != NULL) SSL_CIPHER_get_bits(cipher, &algorithm);
    return algorithm;
  case NUMBER_CIPHER_BITS_USED:
    used = cipher == NULL ? 0 : SSL_CIPHER_get_bits(cipher, &algorithm);
    return used;
  case NUMBER_VERIFY:
    return (int)SSL_get_verify_result(ssl);
  case NUMBER_CA_ERROR:
    return session->ca_error;
  case NUMBER_CA_ERROR_DEPTH:
    return session->ca_error_depth;
  case NUMBER_CERTIFICATE_ERROR:
    return session->certificate_error;
  case NUMBER_RESUMED:
    return SSL_session_reused(ssl);
  case NUMBER_ERROR:
    return (int)(session->error & 0x7fffffff);
  case NUMBER_CONTEXT:
    return context_of(ssl)->id;
  case NUMBER_HELLO_VERSION:
    return session->hello == NULL ? 0 : (int)session->hello->version;
  case NUMBER_CIPHER_ID:
    return cipher == NULL ? 0 : SSL_CIPHER_get_protocol_id(cipher);
  default:
    return 0;
  }
}

static size_t put(char *out, size_t size, const char *text, size_t length) {
  if (length > size) length = size;
  memcpy(out, text, length);
  return length;
}

static size_t cipher_names(const struct session *session, char *out, size_t size) {
  const struct hello *hello = session->hello;
  size_t used = 0;
  for (unsigned i = 0; hello != NULL && i + 1 < hello->parts[0]; i += 2) {
    const SSL_CIPHER *cipher = SSL_CIPHER_find(session->ssl, hello->data + i);
    char unknown[] = "UNKNOWN(0000)";
    for (int k = 0; k < 4; k++) {
      unsigned nibble = (unsigned)hello->data[i + (unsigned)k / 2] >> (k % 2 == 0 ? 4 : 0) & 15;
      unknown[8 + k] = "0123456789abcdef"[nibble];
    }
    const char *name = cipher == NULL ? unknown : SSL_CIPHER_get_name(cipher);
    if (used > 0) used += put(out + used, size - used, ",", 1);
    used += put(out + used, size - used, name, strlen(name));
  }
  return used;
}

size_t fact_text(struct session *session, int what, char *out, size_t size) {
  const char *text = NULL;
  switch (what) {
  case TEXT_VERSION:
    text = SSL_get_version(session->ssl);
    break;
  case TEXT_CIPHER: {
    const SSL_CIPHER *cipher = SSL_get_current_cipher(session->ssl);
    text = cipher == NULL ? NULL : SSL_CIPHER_get_name(cipher);
    break;
  }
  case TEXT_SNI:
    text = session->sni;
    break;
  case TEXT_ALPN: {
    const unsigned char *protocol = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(session->ssl, &protocol, &length);
    return protocol == NULL ? 0 : put(out, size, (const char *)protocol, length);
  }
  case TEXT_ERROR:
    if (session->error == 0) return 0;
    ERR_error_string_n(session->error, out, size);
    return strlen(out);
  case TEXT_HELLO_CIPHERS:
    return cipher_names(session, out, size);
  }
  return text == NULL ? 0 : put(out, size, text, strlen(text));
}

static uint8_t *copy_of(const void *data, size_t length, size_t *size) {
  uint8_t *copy = length == 0 ? NULL : malloc(length);
  if (copy == NULL) return NULL;
  memcpy(copy, data, length);
  *size = length;
  return copy;
}

static uint8_t *der_of(const X509 *certificate, size_t *size) {
  int length = certificate == NULL ? 0 : i2d_X509(certificate, NULL);
  uint8_t *der = length <= 0 ? NULL : malloc((size_t)length);
  if (der == NULL) return NULL;
  unsigned char *at = der;
  *size = (size_t)i2d_X509(certificate, &at);
  return der;
}

static uint8_t *chain_of(const OPENSSL_STACK *chain, size_t *size) {
  uint8_t *all = NULL;
  size_t used = 0;
  for (int i = 0; chain != NULL && i < OPENSSL_sk_num(chain); i++) {
    size_t length = 0;
    uint8_t *der = der_of(OPENSSL_sk_value(chain, i), &length);
    uint8_t *larger = der == NULL ? NULL : realloc(all, used + length);
    if (larger == NULL) {
      free(der);
      break;
    }
    all = larger;
    memcpy(all + used, der, length);
    used += length;
    free(der);
  }
  *size = used;
  return all;
}

static uint8_t *hello_part(const struct session *session, int part, size_t *size) {
  const struct hello *hello = session->hello;
  if (hello == NULL) return NULL;
  unsigned at = 0;
  for (int i = 0; i < part; i++) at += hello->parts[i];
  return copy_of(hello->data + at, hello->parts[part], size);
}

uint8_t *fact_bytes(struct session *session, int what, size_t *size) {
  SSL *ssl = session->ssl;
  const SSL_SESSION *kept = SSL_get_session(ssl);
  unsigned char small[256];
  unsigned length = 0;
  switch (what) {
  case BYTES_SESSION_ID: {
    const unsigned char *id = kept == NULL ? NULL : SSL_SESSION_get_id(kept, &length);
    return copy_of(id, length, size);
  }
  case BYTES_SESSION_KEY:
    return kept == NULL ? NULL : copy_of(small, SSL_SESSION_get_master_key(kept, small, sizeof small), size);
  case BYTES_CLIENT_RANDOM:
    return copy_of(small, SSL_get_client_random(ssl, small, 32), size);
  case BYTES_SERVER_RANDOM:
    return copy_of(small, SSL_get_server_random(ssl, small, 32), size);
  case BYTES_PEER_CERTIFICATE:
    return der_of(SSL_get0_peer_certificate(ssl), size);
  case BYTES_OWN_CERTIFICATE:
    return der_of(SSL_get_certificate(ssl), size);
  case BYTES_PEER_CHAIN:
    return chain_of(SSL_get_peer_cert_chain(ssl), size);
  case BYTES_FINISHED:
    length = (unsigned)SSL_get_finished(ssl, small, sizeof small);
    return copy_of(small, length < sizeof small ? length : sizeof small, size);
  case BYTES_PEER_FINISHED:
    length = (unsigned)SSL_get_peer_finished(ssl, small, sizeof small);
    return copy_of(small, length < sizeof small ? length : sizeof small, size);
  case BYTES_HELLO_CIPHERS:
  case BYTES_HELLO_EXTENSIONS:
  case BYTES_HELLO_CURVES:
  case BYTES_HELLO_FORMATS:
    return hello_part(session, what - BYTES_HELLO_CIPHERS, size);
  default:
    return NULL;
  }
}
