/* The part of OpenSSL 3 that we call. The node executable exports it (or the libssl that it is linked with does);
 * nothing is shipped or linked. All symbols are weak: what a node lacks is found when the module is loaded, and told. */
#ifndef TLS_OPENSSL_H
#define TLS_OPENSSL_H
#include <stddef.h>
#include <stdint.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_method_st SSL_METHOD;
typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct ssl_session_st SSL_SESSION;
typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;
typedef struct x509_st X509;
typedef struct X509_crl_st X509_CRL;
typedef struct X509_name_st X509_NAME;
typedef struct x509_store_st X509_STORE;
typedef struct x509_store_ctx_st X509_STORE_CTX;
typedef struct X509_VERIFY_PARAM_st X509_VERIFY_PARAM;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_mac_ctx_st EVP_MAC_CTX;
typedef struct engine_st ENGINE;
typedef struct stack_st OPENSSL_STACK;
typedef struct crypto_ex_data_st CRYPTO_EX_DATA;
typedef struct ossl_param_st {
  const char *key;
  unsigned data_type;
  void *data;
  size_t data_size, return_size;
} OSSL_PARAM;

typedef int pem_password_cb(char *, int, int, void *);
typedef int SSL_verify_cb(int, X509_STORE_CTX *);
typedef void CRYPTO_EX_free_cb(void *, void *, CRYPTO_EX_DATA *, int, long, void *);
typedef int SSL_hello_cb(SSL *, int *, void *);
typedef int SSL_alpn_cb(SSL *, const unsigned char **, unsigned char *, const unsigned char *, unsigned, void *);
typedef int SSL_new_session_cb(SSL *, SSL_SESSION *);
typedef SSL_SESSION *SSL_get_session_cb(SSL *, const unsigned char *, int, int *);
typedef void SSL_remove_session_cb(SSL_CTX *, SSL_SESSION *);
typedef int SSL_ticket_cb(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int);

#define OPENSSL_FUNCTIONS(F)                                                                                           \
  F(const char *, OpenSSL_version, (int))                                                                              \
  F(void, CRYPTO_free, (void *, const char *, int))                                                                    \
  F(void *, CRYPTO_malloc, (size_t, const char *, int))                                                                \
  F(int, CRYPTO_get_ex_new_index, (int, long, void *, void *, void *, CRYPTO_EX_free_cb *))                            \
  F(int, OPENSSL_sk_num, (const OPENSSL_STACK *))                                                                      \
  F(void *, OPENSSL_sk_value, (const OPENSSL_STACK *, int))                                                            \
  F(int, RAND_bytes, (unsigned char *, int))                                                                           \
  F(void, ERR_clear_error, (void))                                                                                     \
  F(unsigned long, ERR_get_error, (void))                                                                              \
  F(unsigned long, ERR_peek_error, (void))                                                                             \
  F(unsigned long, ERR_peek_last_error, (void))                                                                        \
  F(void, ERR_error_string_n, (unsigned long, char *, size_t))                                                         \
  F(const char *, ERR_reason_error_string, (unsigned long))                                                            \
  F(BIO *, BIO_new, (const BIO_METHOD *))                                                                              \
  F(BIO *, BIO_new_mem_buf, (const void *, int))                                                                       \
  F(int, BIO_free, (BIO *))                                                                                            \
  F(BIO_METHOD *, BIO_meth_new, (int, const char *))                                                                   \
  F(int, BIO_meth_set_read, (BIO_METHOD *, int (*)(BIO *, char *, int)))                                               \
  F(int, BIO_meth_set_write, (BIO_METHOD *, int (*)(BIO *, const char *, int)))                                        \
  F(int, BIO_meth_set_ctrl, (BIO_METHOD *, long (*)(BIO *, int, long, void *)))                                        \
  F(void, BIO_set_data, (BIO *, void *))                                                                               \
  F(void *, BIO_get_data, (BIO *))                                                                                     \
  F(void, BIO_set_init, (BIO *, int))                                                                                  \
  F(void, BIO_set_flags, (BIO *, int))                                                                                 \
  F(void, BIO_clear_flags, (BIO *, int))                                                                               \
  F(X509 *, PEM_read_bio_X509, (BIO *, X509 **, pem_password_cb *, void *))                                            \
  F(X509_CRL *, PEM_read_bio_X509_CRL, (BIO *, X509_CRL **, pem_password_cb *, void *))                                \
  F(EVP_PKEY *, PEM_read_bio_PrivateKey, (BIO *, EVP_PKEY **, pem_password_cb *, void *))                              \
  F(EVP_PKEY *, PEM_read_bio_Parameters, (BIO *, EVP_PKEY **))                                                         \
  F(void, X509_free, (X509 *))                                                                                         \
  F(void, X509_CRL_free, (X509_CRL *))                                                                                 \
  F(void, EVP_PKEY_free, (EVP_PKEY *))                                                                                 \
  F(int, EVP_PKEY_get_base_id, (const EVP_PKEY *))                                                                     \
  F(int, i2d_X509, (const X509 *, unsigned char **))                                                                   \
  F(int, X509_STORE_add_cert, (X509_STORE *, X509 *))                                                                  \
  F(int, X509_STORE_add_crl, (X509_STORE *, X509_CRL *))                                                               \
  F(int, X509_STORE_set_flags, (X509_STORE *, unsigned long))                                                          \
  F(int, X509_STORE_CTX_get_error, (const X509_STORE_CTX *))                                                           \
  F(int, X509_STORE_CTX_get_error_depth, (const X509_STORE_CTX *))                                                     \
  F(void *, X509_STORE_CTX_get_ex_data, (const X509_STORE_CTX *, int))                                                 \
  F(int, X509_VERIFY_PARAM_set1_host, (X509_VERIFY_PARAM *, const char *, size_t))                                     \
  F(int, X509_VERIFY_PARAM_set1_ip_asc, (X509_VERIFY_PARAM *, const char *))                                           \
  F(void, X509_VERIFY_PARAM_set_hostflags, (X509_VERIFY_PARAM *, unsigned))                                            \
  F(const EVP_CIPHER *, EVP_aes_128_cbc, (void))                                                                       \
  F(const EVP_CIPHER *, EVP_aes_256_cbc, (void))                                                                       \
  F(int, EVP_EncryptInit_ex,                                                                                           \
    (EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *, const unsigned char *, const unsigned char *))                    \
  F(int, EVP_DecryptInit_ex,                                                                                           \
    (EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *, const unsigned char *, const unsigned char *))                    \
  F(int, EVP_MAC_CTX_set_params, (EVP_MAC_CTX *, const OSSL_PARAM *))                                                  \
  F(const SSL_METHOD *, TLS_server_method, (void))                                                                     \
  F(const SSL_METHOD *, TLS_client_method, (void))                                                                     \
  F(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *))                                                                      \
  F(int, SSL_CTX_up_ref, (SSL_CTX *))                                                                                  \
  F(void, SSL_CTX_free, (SSL_CTX *))                                                                                   \
  F(long, SSL_CTX_ctrl, (SSL_CTX *, int, long, void *))                                                                \
  F(long, SSL_CTX_callback_ctrl, (SSL_CTX *, int, void (*)(void)))                                                     \
  F(int, SSL_CTX_set_ex_data, (SSL_CTX *, int, void *))                                                                \
  F(void *, SSL_CTX_get_ex_data, (const SSL_CTX *, int))                                                               \
  F(uint64_t, SSL_CTX_set_options, (SSL_CTX *, uint64_t))                                                              \
  F(uint64_t, SSL_get_options, (const SSL *))                                                                          \
  F(int, SSL_CTX_set_cipher_list, (SSL_CTX *, const char *))                                                           \
  F(int, SSL_CTX_set_ciphersuites, (SSL_CTX *, const char *))                                                          \
  F(int, SSL_CTX_set_num_tickets, (SSL_CTX *, size_t))                                                                 \
  F(int, SSL_CTX_use_certificate, (SSL_CTX *, X509 *))                                                                 \
  F(int, SSL_CTX_use_PrivateKey, (SSL_CTX *, EVP_PKEY *))                                                              \
  F(int, SSL_CTX_check_private_key, (const SSL_CTX *))                                                                 \
  F(int, SSL_CTX_set0_tmp_dh_pkey, (SSL_CTX *, EVP_PKEY *))                                                            \
  F(X509_STORE *, SSL_CTX_get_cert_store, (const SSL_CTX *))                                                           \
  F(int, SSL_CTX_add_client_CA, (SSL_CTX *, X509 *))                                                                   \
  F(OPENSSL_STACK *, SSL_CTX_get_client_CA_list, (const SSL_CTX *))                                                    \
  F(OPENSSL_STACK *, SSL_dup_CA_list, (const OPENSSL_STACK *))                                                         \
  F(void, SSL_set_client_CA_list, (SSL *, OPENSSL_STACK *))                                                            \
  F(void, SSL_CTX_set_verify, (SSL_CTX *, int, SSL_verify_cb *))                                                       \
  F(void, SSL_set_verify, (SSL *, int, SSL_verify_cb *))                                                               \
  F(int, SSL_CTX_set_session_id_context, (SSL_CTX *, const unsigned char *, unsigned))                                 \
  F(int, SSL_set_session_id_context, (SSL *, const unsigned char *, unsigned))                                         \
  F(long, SSL_CTX_set_timeout, (SSL_CTX *, long))                                                                      \
  F(void, SSL_CTX_sess_set_new_cb, (SSL_CTX *, SSL_new_session_cb *))                                                  \
  F(void, SSL_CTX_sess_set_get_cb, (SSL_CTX *, SSL_get_session_cb *))                                                  \
  F(void, SSL_CTX_sess_set_remove_cb, (SSL_CTX *, SSL_remove_session_cb *))                                            \
  F(int, SSL_CTX_set_tlsext_ticket_key_evp_cb, (SSL_CTX *, SSL_ticket_cb *))                                           \
  F(void, SSL_CTX_set_alpn_select_cb, (SSL_CTX *, SSL_alpn_cb *, void *))                                              \
  F(int, SSL_CTX_set_alpn_protos, (SSL_CTX *, const unsigned char *, unsigned))                                        \
  F(int, SSL_set_alpn_protos, (SSL *, const unsigned char *, unsigned))                                                \
  F(void, SSL_get0_alpn_selected, (const SSL *, const unsigned char **, unsigned *))                                   \
  F(void, SSL_CTX_set_client_hello_cb, (SSL_CTX *, SSL_hello_cb *, void *))                                            \
  F(unsigned, SSL_client_hello_get0_legacy_version, (SSL *))                                                           \
  F(size_t, SSL_client_hello_get0_ciphers, (SSL *, const unsigned char **))                                            \
  F(int, SSL_client_hello_get1_extensions_present, (SSL *, int **, size_t *))                                          \
  F(int, SSL_client_hello_get0_ext, (SSL *, unsigned, const unsigned char **, size_t *))                               \
  F(SSL *, SSL_new, (SSL_CTX *))                                                                                       \
  F(void, SSL_free, (SSL *))                                                                                           \
  F(long, SSL_ctrl, (SSL *, int, long, void *))                                                                        \
  F(int, SSL_set_ex_data, (SSL *, int, void *))                                                                        \
  F(void *, SSL_get_ex_data, (const SSL *, int))                                                                       \
  F(int, SSL_get_ex_data_X509_STORE_CTX_idx, (void))                                                                   \
  F(SSL_CTX *, SSL_set_SSL_CTX, (SSL *, SSL_CTX *))                                                                    \
  F(SSL_CTX *, SSL_get_SSL_CTX, (const SSL *))                                                                         \
  F(void, SSL_set_bio, (SSL *, BIO *, BIO *))                                                                          \
  F(void, SSL_set_accept_state, (SSL *))                                                                               \
  F(void, SSL_set_connect_state, (SSL *))                                                                              \
  F(X509_VERIFY_PARAM *, SSL_get0_param, (SSL *))                                                                      \
  F(int, SSL_do_handshake, (SSL *))                                                                                    \
  F(int, SSL_read, (SSL *, void *, int))                                                                               \
  F(int, SSL_write, (SSL *, const void *, int))                                                                        \
  F(int, SSL_shutdown, (SSL *))                                                                                        \
  F(int, SSL_get_error, (const SSL *, int))                                                                            \
  F(int, SSL_has_pending, (const SSL *))                                                                               \
  F(int, SSL_version, (const SSL *))                                                                                   \
  F(const char *, SSL_get_version, (const SSL *))                                                                      \
  F(const SSL_CIPHER *, SSL_get_current_cipher, (const SSL *))                                                         \
  F(const char *, SSL_CIPHER_get_name, (const SSL_CIPHER *))                                                           \
  F(int, SSL_CIPHER_get_bits, (const SSL_CIPHER *, int *))                                                             \
  F(uint16_t, SSL_CIPHER_get_protocol_id, (const SSL_CIPHER *))                                                        \
  F(int, SSL_CIPHER_get_auth_nid, (const SSL_CIPHER *))                                                                \
  F(const SSL_CIPHER *, SSL_CIPHER_find, (SSL *, const unsigned char *))                                               \
  F(const char *, SSL_get_servername, (const SSL *, int))                                                              \
  F(int, SSL_session_reused, (const SSL *))                                                                            \
  F(long, SSL_get_verify_result, (const SSL *))                                                                        \
  F(X509 *, SSL_get0_peer_certificate, (const SSL *))                                                                  \
  F(X509 *, SSL_get_certificate, (const SSL *))                                                                        \
  F(OPENSSL_STACK *, SSL_get_peer_cert_chain, (const SSL *))                                                           \
  F(size_t, SSL_get_client_random, (const SSL *, unsigned char *, size_t))                                             \
  F(size_t, SSL_get_server_random, (const SSL *, unsigned char *, size_t))                                             \
  F(size_t, SSL_get_finished, (const SSL *, void *, size_t))                                                           \
  F(size_t, SSL_get_peer_finished, (const SSL *, void *, size_t))                                                      \
  F(SSL_SESSION *, SSL_get_session, (const SSL *))                                                                     \
  F(int, SSL_set_session, (SSL *, SSL_SESSION *))                                                                      \
  F(void, SSL_SESSION_free, (SSL_SESSION *))                                                                           \
  F(int, SSL_SESSION_is_resumable, (const SSL_SESSION *))                                                              \
  F(const unsigned char *, SSL_SESSION_get_id, (const SSL_SESSION *, unsigned *))                                      \
  F(size_t, SSL_SESSION_get_master_key, (const SSL_SESSION *, unsigned char *, size_t))                                \
  F(int, SSL_SESSION_get_protocol_version, (const SSL_SESSION *))                                                      \
  F(int, i2d_SSL_SESSION, (const SSL_SESSION *, unsigned char **))                                                     \
  F(SSL_SESSION *, d2i_SSL_SESSION, (SSL_SESSION **, const unsigned char **, long))

#define F(type, name, arguments) extern type name arguments __attribute__((weak, visibility("default")));
OPENSSL_FUNCTIONS(F)
#undef F

/* Constants of OpenSSL's headers, the same in 3.0 to 3.5. */
enum {
  CRYPTO_EX_INDEX_SSL = 0,
  CRYPTO_EX_INDEX_SSL_CTX = 1,
  BIO_TYPE_SOURCE_SINK = 0x400,
  BIO_FLAGS_READ = 1,
  BIO_FLAGS_RWS = 7,
  BIO_FLAGS_SHOULD_RETRY = 8,
  BIO_CTRL_FLUSH = 11,
  EVP_PKEY_RSA = 6,
  EVP_PKEY_DSA = 116,
  EVP_PKEY_EC = 408,
  EVP_PKEY_RSA_PSS = 912,
  EVP_PKEY_ED25519 = 1087,
  EVP_PKEY_ED448 = 1088,
  NID_auth_ecdsa = 1047,
  NID_auth_any = 1064,
  OSSL_PARAM_UTF8_STRING = 4,
  OSSL_PARAM_OCTET_STRING = 5,
  PEM_R_NO_START_LINE = 108,
  X509_V_FLAG_CRL_CHECK = 4,
  X509_V_FLAG_CRL_CHECK_ALL = 8,
  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 4,
  SSL_ERROR_SSL = 1,
  SSL_ERROR_WANT_READ = 2,
  SSL_ERROR_ZERO_RETURN = 6,
  SSL_MODE_ENABLE_PARTIAL_WRITE = 1,
  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2,
  SSL_MODE_RELEASE_BUFFERS = 16,
  SSL_SESS_CACHE_OFF = 0,
  SSL_SESS_CACHE_CLIENT = 1,
  SSL_SESS_CACHE_SERVER = 2,
  SSL_SESS_CACHE_NO_AUTO_CLEAR = 0x80,
  SSL_SESS_CACHE_NO_INTERNAL = 0x300,
  SSL_VERIFY_PEER = 1,
  SSL_CTRL_MODE = 33,
  SSL_CTRL_SET_SESS_CACHE_MODE = 44,
  SSL_CTRL_SET_MAX_SEND_FRAGMENT = 52,
  SSL_CTRL_SET_TLSEXT_SERVERNAME_CB = 53,
  SSL_CTRL_SET_TLSEXT_HOSTNAME = 55,
  SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB = 63,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP = 71,
  SSL_CTRL_CHAIN_CERT = 89,
  SSL_CTRL_SET_GROUPS_LIST = 92,
  SSL_CTRL_SET_SIGALGS_LIST = 98,
  SSL_CTRL_SET_CLIENT_SIGALGS_LIST = 102,
  SSL_CTRL_SET_DH_AUTO = 118,
  SSL_CTRL_SET_MIN_PROTO_VERSION = 123,
  SSL_CTRL_SET_MAX_PROTO_VERSION = 124,
  SSL_AD_UNRECOGNIZED_NAME = 112,
  SSL_TLSEXT_ERR_OK = 0,
  SSL_TLSEXT_ERR_NOACK = 3,
  TLSEXT_TYPE_server_name = 0,
  TLSEXT_TYPE_supported_groups = 10,
  TLSEXT_TYPE_ec_point_formats = 11,
  TLSEXT_TYPE_signature_algorithms = 13,
  TLS1_2_VERSION = 0x0303,
  TLS1_3_VERSION = 0x0304
};
#define SSL_OP_ALL 0x80000850ull
#define SSL_OP_IGNORE_UNEXPECTED_EOF 0x80ull
#define SSL_OP_NO_TICKET 0x4000ull
#define SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION 0x10000ull
#define SSL_OP_NO_COMPRESSION 0x20000ull
#define SSL_OP_PRIORITIZE_CHACHA 0x200000ull
#define SSL_OP_CIPHER_SERVER_PREFERENCE 0x400000ull
#define SSL_OP_NO_RENEGOTIATION 0x40000000ull
/* ERR_GET_REASON of OpenSSL 3. */
#define ERR_REASON(code) ((code) & 0x7fffff)

#endif
