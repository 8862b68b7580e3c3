/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DAEMON_PKI_OPENSSL_H
#define WEFT_DAEMON_PKI_OPENSSL_H
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
	do(ASN1_BIT_STRING_free) do(ASN1_BIT_STRING_new) do(ASN1_BIT_STRING_set_bit) \
	do(ASN1_STRING_free) do(ASN1_STRING_get0_data) do(ASN1_STRING_length) \
	do(ASN1_STRING_set) do(ASN1_STRING_type_new) do(ASN1_TIME_set) do(ASN1_TIME_to_tm) \
	do(BASIC_CONSTRAINTS_free) do(BASIC_CONSTRAINTS_new) do(BIO_ctrl) do(BIO_free_all) \
	do(BIO_new) do(BIO_new_mem_buf) do(BIO_s_mem) do(ERR_clear_error) \
	do(ERR_peek_last_error) do(EVP_PKEY_Q_keygen) do(EVP_PKEY_eq) do(EVP_PKEY_free) \
	do(EVP_PKEY_get_bits) do(EVP_PKEY_get_group_name) do(EVP_PKEY_is_a) do(EVP_sha256) \
	do(GENERAL_NAMES_free) do(GENERAL_NAME_free) do(GENERAL_NAME_new) \
	do(GENERAL_NAME_set0_value) do(OPENSSL_sk_free) do(OPENSSL_sk_new_null) do(OPENSSL_sk_num) \
	do(OPENSSL_sk_pop_free) do(OPENSSL_sk_push) do(OPENSSL_sk_value) \
	do(PEM_read_bio_PrivateKey) do(PEM_read_bio_X509) do(PEM_read_bio_X509_CRL) \
	do(PEM_read_bio_X509_REQ) do(PEM_write_bio_PrivateKey) do(PEM_write_bio_X509) \
	do(PEM_write_bio_X509_REQ) do(X509V3_EXT_conf_nid) do(X509V3_add1_i2d) \
	do(X509V3_get_d2i) do(X509V3_set_ctx) do(X509_CRL_free) do(X509_EXTENSION_free) \
	do(X509_NAME_add_entry_by_txt) do(X509_NAME_free) do(X509_NAME_get_text_by_NID) do(X509_NAME_new) do(X509_NAME_oneline) do(X509_REQ_add_extensions) \
	do(X509_REQ_free) do(X509_REQ_get0_pubkey) do(X509_REQ_get_extensions) do(X509_REQ_new) \
	do(X509_REQ_set_pubkey) do(X509_REQ_set_version) do(X509_REQ_sign) do(X509_REQ_verify) \
	do(X509_STORE_CTX_free) do(X509_STORE_CTX_get_error) do(X509_STORE_CTX_init) \
	do(X509_STORE_CTX_new) do(X509_STORE_CTX_set_time) do(X509_STORE_add_cert) \
	do(X509_STORE_free) do(X509_STORE_new) do(X509_add1_ext_i2d) do(X509_add_ext) \
	do(X509_check_ca) do(X509_check_private_key) do(X509_free) do(X509_get0_notAfter) \
	do(X509_get0_notBefore) do(X509_get0_pubkey) do(X509_get_ext_d2i) \
	do(X509_get_serialNumber) do(X509_get_subject_name) do(X509_getm_notAfter) \
	do(X509_getm_notBefore) do(X509_new) do(X509_self_signed) do(X509_set_issuer_name) \
	do(X509_set_pubkey) do(X509_set_subject_name) do(X509_set_version) do(X509_sign) do(X509_up_ref) \
	do(X509_verify_cert) do(X509_verify_cert_error_string)
#define OPENSSL_SSL_FUNCTIONS(do) \
	do(SSL_CTX_add_client_CA) do(SSL_CTX_check_private_key) do(SSL_CTX_ctrl) \
	do(SSL_CTX_free) do(SSL_CTX_get_cert_store) do(SSL_CTX_new) do(SSL_CTX_use_PrivateKey) \
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

#define ASN1_BIT_STRING_free openssl_functions.ASN1_BIT_STRING_free_at
#define ASN1_BIT_STRING_new openssl_functions.ASN1_BIT_STRING_new_at
#define ASN1_BIT_STRING_set_bit openssl_functions.ASN1_BIT_STRING_set_bit_at
#define ASN1_STRING_free openssl_functions.ASN1_STRING_free_at
#define ASN1_STRING_get0_data openssl_functions.ASN1_STRING_get0_data_at
#define ASN1_STRING_length openssl_functions.ASN1_STRING_length_at
#define ASN1_STRING_set openssl_functions.ASN1_STRING_set_at
#define ASN1_STRING_type_new openssl_functions.ASN1_STRING_type_new_at
#define ASN1_TIME_set openssl_functions.ASN1_TIME_set_at
#define ASN1_TIME_to_tm openssl_functions.ASN1_TIME_to_tm_at
#define BASIC_CONSTRAINTS_free openssl_functions.BASIC_CONSTRAINTS_free_at
#define BASIC_CONSTRAINTS_new openssl_functions.BASIC_CONSTRAINTS_new_at
#define BIO_ctrl openssl_functions.BIO_ctrl_at
#define BIO_free_all openssl_functions.BIO_free_all_at
#define BIO_new openssl_functions.BIO_new_at
#define BIO_new_mem_buf openssl_functions.BIO_new_mem_buf_at
#define BIO_s_mem openssl_functions.BIO_s_mem_at
#define ERR_clear_error openssl_functions.ERR_clear_error_at
#define ERR_peek_last_error openssl_functions.ERR_peek_last_error_at
#define EVP_PKEY_Q_keygen openssl_functions.EVP_PKEY_Q_keygen_at
#define EVP_PKEY_eq openssl_functions.EVP_PKEY_eq_at
#define EVP_PKEY_free openssl_functions.EVP_PKEY_free_at
#define EVP_PKEY_get_bits openssl_functions.EVP_PKEY_get_bits_at
#define EVP_PKEY_get_group_name openssl_functions.EVP_PKEY_get_group_name_at
#define EVP_PKEY_is_a openssl_functions.EVP_PKEY_is_a_at
#define EVP_sha256 openssl_functions.EVP_sha256_at
#define GENERAL_NAMES_free openssl_functions.GENERAL_NAMES_free_at
#define GENERAL_NAME_free openssl_functions.GENERAL_NAME_free_at
#define GENERAL_NAME_new openssl_functions.GENERAL_NAME_new_at
#define GENERAL_NAME_set0_value openssl_functions.GENERAL_NAME_set0_value_at
#define OPENSSL_sk_free openssl_functions.OPENSSL_sk_free_at
#define OPENSSL_sk_new_null openssl_functions.OPENSSL_sk_new_null_at
#define OPENSSL_sk_num openssl_functions.OPENSSL_sk_num_at
#define OPENSSL_sk_pop_free openssl_functions.OPENSSL_sk_pop_free_at
#define OPENSSL_sk_push openssl_functions.OPENSSL_sk_push_at
#define OPENSSL_sk_value openssl_functions.OPENSSL_sk_value_at
#define PEM_read_bio_PrivateKey openssl_functions.PEM_read_bio_PrivateKey_at
#define PEM_read_bio_X509 openssl_functions.PEM_read_bio_X509_at
#define PEM_read_bio_X509_CRL openssl_functions.PEM_read_bio_X509_CRL_at
#define PEM_read_bio_X509_REQ openssl_functions.PEM_read_bio_X509_REQ_at
#define PEM_write_bio_PrivateKey openssl_functions.PEM_write_bio_PrivateKey_at
#define PEM_write_bio_X509 openssl_functions.PEM_write_bio_X509_at
#define PEM_write_bio_X509_REQ openssl_functions.PEM_write_bio_X509_REQ_at
#define X509V3_EXT_conf_nid openssl_functions.X509V3_EXT_conf_nid_at
#define X509V3_add1_i2d openssl_functions.X509V3_add1_i2d_at
#define X509V3_get_d2i openssl_functions.X509V3_get_d2i_at
#define X509V3_set_ctx openssl_functions.X509V3_set_ctx_at
#define X509_CRL_free openssl_functions.X509_CRL_free_at
#define X509_EXTENSION_free openssl_functions.X509_EXTENSION_free_at
#define X509_NAME_add_entry_by_txt openssl_functions.X509_NAME_add_entry_by_txt_at
#define X509_NAME_free openssl_functions.X509_NAME_free_at
#define X509_NAME_get_text_by_NID openssl_functions.X509_NAME_get_text_by_NID_at
#define X509_NAME_new openssl_functions.X509_NAME_new_at
#define X509_NAME_oneline openssl_functions.X509_NAME_oneline_at
#define X509_REQ_add_extensions openssl_functions.X509_REQ_add_extensions_at
#define X509_REQ_free openssl_functions.X509_REQ_free_at
#define X509_REQ_get0_pubkey openssl_functions.X509_REQ_get0_pubkey_at
#define X509_REQ_get_extensions openssl_functions.X509_REQ_get_extensions_at
#define X509_REQ_new openssl_functions.X509_REQ_new_at
#define X509_REQ_set_pubkey openssl_functions.X509_REQ_set_pubkey_at
#define X509_REQ_set_version openssl_functions.X509_REQ_set_version_at
#define X509_REQ_sign openssl_functions.X509_REQ_sign_at
#define X509_REQ_verify openssl_functions.X509_REQ_verify_at
#define X509_STORE_CTX_free openssl_functions.X509_STORE_CTX_free_at
#define X509_STORE_CTX_get_error openssl_functions.X509_STORE_CTX_get_error_at
#define X509_STORE_CTX_init openssl_functions.X509_STORE_CTX_init_at
#define X509_STORE_CTX_new openssl_functions.X509_STORE_CTX_new_at
#define X509_STORE_CTX_set_time openssl_functions.X509_STORE_CTX_set_time_at
#define X509_STORE_add_cert openssl_functions.X509_STORE_add_cert_at
#define X509_STORE_free openssl_functions.X509_STORE_free_at
#define X509_STORE_new openssl_functions.X509_STORE_new_at
#define X509_add1_ext_i2d openssl_functions.X509_add1_ext_i2d_at
#define X509_add_ext openssl_functions.X509_add_ext_at
#define X509_check_ca openssl_functions.X509_check_ca_at
#define X509_check_private_key openssl_functions.X509_check_private_key_at
#define X509_free openssl_functions.X509_free_at
#define X509_get0_notAfter openssl_functions.X509_get0_notAfter_at
#define X509_get0_notBefore openssl_functions.X509_get0_notBefore_at
#define X509_get0_pubkey openssl_functions.X509_get0_pubkey_at
#define X509_get_ext_d2i openssl_functions.X509_get_ext_d2i_at
#define X509_get_serialNumber openssl_functions.X509_get_serialNumber_at
#define X509_get_subject_name openssl_functions.X509_get_subject_name_at
#define X509_getm_notAfter openssl_functions.X509_getm_notAfter_at
#define X509_getm_notBefore openssl_functions.X509_getm_notBefore_at
#define X509_new openssl_functions.X509_new_at
#define X509_self_signed openssl_functions.X509_self_signed_at
#define X509_set_issuer_name openssl_functions.X509_set_issuer_name_at
#define X509_set_pubkey openssl_functions.X509_set_pubkey_at
#define X509_set_subject_name openssl_functions.X509_set_subject_name_at
#define X509_set_version openssl_functions.X509_set_version_at
#define X509_sign openssl_functions.X509_sign_at
#define X509_up_ref openssl_functions.X509_up_ref_at
#define X509_verify_cert openssl_functions.X509_verify_cert_at
#define X509_verify_cert_error_string openssl_functions.X509_verify_cert_error_string_at
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
