/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_ENGINE_OPENSSL_H
#define WEFT_DAEMON_ENGINE_OPENSSL_H
/*
 * OpenSSL, loaded when there is a certificate to look at for the first time (base/library.h):
 * resident, it is 1.7 MiB of a weftd that most nodes never need. Its functions are called by their
 * own names. What the headers have as macros over other functions works as it is.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* clang-format off */
#define OPENSSL_CRYPTO_FUNCTIONS(do) \
	do(ASN1_STRING_get0_data) do(ASN1_STRING_length) do(ASN1_TIME_to_tm) \
	do(BIO_free_all) do(BIO_new_mem_buf) \
	do(ERR_clear_error) do(ERR_peek_last_error) \
	do(EVP_PKEY_free) do(GENERAL_NAMES_free) \
	do(OPENSSL_sk_num) do(OPENSSL_sk_value) \
	do(PEM_read_bio_PrivateKey) do(PEM_read_bio_X509) do(PEM_read_bio_X509_CRL) \
	do(X509_CRL_free) do(X509_NAME_get_text_by_NID) do(X509_STORE_add_cert) \
	do(X509_check_private_key) do(X509_free) do(X509_get0_notAfter) do(X509_get0_notBefore) \
	do(X509_get_ext_d2i) do(X509_get_subject_name)
#define OPENSSL_SSL_FUNCTIONS(do) \
	do(SSL_CTX_add_client_CA) do(SSL_CTX_check_private_key) do(SSL_CTX_ctrl) do(SSL_CTX_free) \
	do(SSL_CTX_get_cert_store) do(SSL_CTX_new) do(SSL_CTX_use_PrivateKey) \
	do(SSL_CTX_use_certificate) do(TLS_server_method)
/* clang-format on */

#define OPENSSL_POINTER(name) __typeof__(&(name)) name##_at;
struct openssl_functions {
	OPENSSL_CRYPTO_FUNCTIONS(OPENSSL_POINTER)
	OPENSSL_SSL_FUNCTIONS(OPENSSL_POINTER)
};
#undef OPENSSL_POINTER

extern struct openssl_functions openssl_functions;

/* Before anything else of OpenSSL; whatever comes after the first time costs nothing. 0, or -EIO
 * after having logged. */
int openssl_load(void);

#define ASN1_STRING_get0_data openssl_functions.ASN1_STRING_get0_data_at
#define ASN1_STRING_length openssl_functions.ASN1_STRING_length_at
#define ASN1_TIME_to_tm openssl_functions.ASN1_TIME_to_tm_at
#define BIO_free_all openssl_functions.BIO_free_all_at
#define BIO_new_mem_buf openssl_functions.BIO_new_mem_buf_at
#define ERR_clear_error openssl_functions.ERR_clear_error_at
#define ERR_peek_last_error openssl_functions.ERR_peek_last_error_at
#define EVP_PKEY_free openssl_functions.EVP_PKEY_free_at
#define GENERAL_NAMES_free openssl_functions.GENERAL_NAMES_free_at
#define OPENSSL_sk_num openssl_functions.OPENSSL_sk_num_at
#define OPENSSL_sk_value openssl_functions.OPENSSL_sk_value_at
#define PEM_read_bio_PrivateKey openssl_functions.PEM_read_bio_PrivateKey_at
#define PEM_read_bio_X509 openssl_functions.PEM_read_bio_X509_at
#define PEM_read_bio_X509_CRL openssl_functions.PEM_read_bio_X509_CRL_at
#define X509_CRL_free openssl_functions.X509_CRL_free_at
#define X509_NAME_get_text_by_NID openssl_functions.X509_NAME_get_text_by_NID_at
#define X509_STORE_add_cert openssl_functions.X509_STORE_add_cert_at
#define X509_check_private_key openssl_functions.X509_check_private_key_at
#define X509_free openssl_functions.X509_free_at
#define X509_get0_notAfter openssl_functions.X509_get0_notAfter_at
#define X509_get0_notBefore openssl_functions.X509_get0_notBefore_at
#define X509_get_ext_d2i openssl_functions.X509_get_ext_d2i_at
#define X509_get_subject_name openssl_functions.X509_get_subject_name_at
#define SSL_CTX_add_client_CA openssl_functions.SSL_CTX_add_client_CA_at
#define SSL_CTX_check_private_key openssl_functions.SSL_CTX_check_private_key_at
#define SSL_CTX_ctrl openssl_functions.SSL_CTX_ctrl_at
#define SSL_CTX_free openssl_functions.SSL_CTX_free_at
#define SSL_CTX_get_cert_store openssl_functions.SSL_CTX_get_cert_store_at
#define SSL_CTX_new openssl_functions.SSL_CTX_new_at
#define SSL_CTX_use_PrivateKey openssl_functions.SSL_CTX_use_PrivateKey_at
#define SSL_CTX_use_certificate openssl_functions.SSL_CTX_use_certificate_at
#define TLS_server_method openssl_functions.TLS_server_method_at

#endif
