// SPDX-License-Identifier: Apache-2.0
#include "proxy/h1/h1_chars.h"

enum {
	VISIBLE = H1_C_VALUE | H1_C_TARGET,
	LOWER = VISIBLE | H1_C_TOKEN | H1_C_HOST | H1_C_SCHEME,
	UPPER = LOWER | H1_C_METHOD, /* digits are in the same classes */
	MARK = VISIBLE | H1_C_TOKEN | H1_C_HOST,
};

const unsigned char h1_classes[256] = {
	['\t'] = H1_C_VALUE,
	[' '] = H1_C_VALUE,
	['!'] = MARK,
	['"'] = VISIBLE,
	['#'] = H1_C_VALUE | H1_C_TOKEN,
	['$' ... '\''] = MARK,
	['('] = VISIBLE | H1_C_HOST,
	[')'] = VISIBLE | H1_C_HOST,
	['*'] = MARK,
	['+'] = MARK | H1_C_SCHEME,
	[','] = VISIBLE,
	['-'] = MARK | H1_C_SCHEME | H1_C_METHOD,
	['.'] = MARK | H1_C_SCHEME,
	['/'] = VISIBLE,
	['0' ... '9'] = UPPER,
	[':'] = VISIBLE,
	[';'] = VISIBLE | H1_C_HOST,
	['<'] = VISIBLE,
	['='] = VISIBLE | H1_C_HOST,
	['>'] = VISIBLE,
	['?'] = VISIBLE,
	['@'] = VISIBLE,
	['A' ... 'Z'] = UPPER,
	['['] = VISIBLE,
	['\\'] = VISIBLE,
	[']'] = VISIBLE,
	['^'] = VISIBLE | H1_C_TOKEN,
	['_'] = MARK | H1_C_METHOD,
	['`'] = VISIBLE | H1_C_TOKEN,
	['a' ... 'z'] = LOWER,
	['{'] = VISIBLE,
	['|'] = VISIBLE | H1_C_TOKEN,
	['}'] = VISIBLE,
	['~'] = MARK,
	[0x80 ... 0xff] = H1_C_VALUE,
};
