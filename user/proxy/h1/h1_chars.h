/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_H1_H1_CHARS_H
#define WEFT_PROXY_H1_H1_CHARS_H
/*
 * Classes of bytes (RFC 9110 5.6.2, RFC 3986).
 */
#include <stdbool.h>

enum h1_class {
	H1_C_TOKEN = 1,	 /* tchar */
	H1_C_VALUE = 2,	 /* may stand in a field value: visible, space, tab, 0x80.. */
	H1_C_TARGET = 4, /* may stand in a request target: visible ASCII without '#' */
	H1_C_METHOD = 8, /* letters that a method is made of */
	H1_C_HOST = 16,	 /* may stand in a host name */
	H1_C_SCHEME = 32,
};

extern const unsigned char h1_classes[256];

static inline bool h1_char(char c, enum h1_class class)
{
	return h1_classes[(unsigned char)c] & class;
}

static inline bool h1_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool h1_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline char h1_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* 0..15, or -1 */
static inline int h1_hex(char c)
{
	if (h1_digit(c))
		return c - '0';
	c = h1_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
