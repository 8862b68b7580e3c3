/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_H1_CORPUS_H
#define WEFT_H1_CORPUS_H
/*
 * Requests that two readers could understand differently: none may reach an endpoint. Each is whole
 * as it stands: a parser that asks for more of it has read it in one of the wrong ways.
 */
#include <stddef.h>

static const struct {
	const char *name;
	const char *bytes; /* may have NULs in them */
	size_t len;
} h1_corpus[] = {
#define REQUEST(s) s, sizeof(s) - 1
	{ "CL.TE", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: "
			   "chunked\r\n\r\n0\r\n\r\nG") },
	{ "TE.CL",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
		  "4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n") },
	{ "CL.TE, length 0",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "CL.TE, upper case", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: "
				       "6\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\nG") },
	{ "TE in HTTP/1.0",
	  REQUEST("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "CL.TE in HTTP/1.0",
	  REQUEST("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE xchunked",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE chunkedx",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunkedx\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE identity",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE gzip, chunked",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE chunked, gzip",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, "
		  "gzip\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE chunked, identity",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, "
		  "identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE identity, chunked",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE chunked, chunked",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE empty", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
			      "\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE quoted",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "\"chunked\"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE single quoted",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE parameter",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked;q=1\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE comma behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE comma in front",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE vertical tab",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE form feed",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\f\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE NUL behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\000\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE high byte",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\240\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE backslash",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chu\\nked\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE two words",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked "
		  "foo\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE twice",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE twice, second other",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		  "cow\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE twice, first identity",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE space before colon",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding : "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE tab before colon",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding\t: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE space in front",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE folded value",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE folded behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n , "
		  "identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE in a folded line",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nX: x\r\n\tTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE behind a bare LF",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nX: x\nTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE behind a bare CR",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nX: x\rTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE behind LF CR",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nX: x\n\rTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE with an underscore",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer_Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE with NUL in its name",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\000: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE with CR in its name",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-\rEncoding: chunked\r\n\r\n0\r\n\r\nGET "
		  "/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TE nominated by Connection",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nConnection: "
		  "transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled "
		  "HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "CL plus", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello") },
	{ "CL minus", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello") },
	{ "CL hexadecimal",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello") },
	{ "CL exponent",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5e0\r\n\r\nhello") },
	{ "CL fraction",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello") },
	{ "CL list, same",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello") },
	{ "CL list, different",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello") },
	{ "CL comma behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\nhello") },
	{ "CL empty", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nhello") },
	{ "CL space inside",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 2\r\n\r\nhello") },
	{ "CL tab inside",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\t2\r\n\r\nhello") },
	{ "CL leading zero",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 05\r\n\r\nhello") },
	{ "CL overflow 2^63", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
				      "9223372036854775808\r\n\r\nhello") },
	{ "CL overflow 2^64", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
				      "18446744073709551616\r\n\r\nhello") },
	{ "CL wraps to 5", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
				   "18446744073709551621\r\n\r\nhello") },
	{ "CL letter behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5a\r\n\r\nhello") },
	{ "CL NUL behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\000\r\n\r\nhello") },
	{ "CL semicolon",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5;\r\n\r\nhello") },
	{ "CL quoted",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\nhello") },
	{ "CL underscore in digits",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nhello") },
	{ "CL word", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\nhello") },
	{ "CL full-width digit",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \357\274\225\r\n\r\nhello") },
	{ "CL twice, same", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
				    "5\r\nContent-Length: 5\r\n\r\nhello") },
	{ "CL twice, different", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
					 "5\r\nContent-Length: 0\r\n\r\nhello") },
	{ "CL twice, second in capitals", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
						  "0\r\nCONTENT-LENGTH: 5\r\n\r\nhello") },
	{ "CL space before colon",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello") },
	{ "CL space in front",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 5\r\n\r\nhello") },
	{ "CL folded",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\nhello") },
	{ "CL with an underscore",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\nhello") },
	{ "CL nominated by Connection",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: "
		  "5\r\n\r\nhello") },
	{ "CL behind a bare CR",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nX: x\rContent-Length: 5\r\n\r\nhello") },
	{ "CL with CONNECT",
	  REQUEST("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello") },
	{ "TE with CONNECT",
	  REQUEST("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "chunk: extension in open quotes",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5;a=\"b\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension with LF in quotes",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5;a=\"\n0\n\n\"\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension with CR LF in quotes",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5;a=\"\r\n0\r\n\r\n\"\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension with an escaped CR",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5;a=\"\\\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension with NUL", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					       "chunked\r\n\r\n5;a\000b\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension with a bare CR",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension without name",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension with LF", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					      "chunked\r\n\r\n5;\nxx\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: extension with LF on the last",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n0;a\n\r\n") },
	{ "chunk: size with 0x", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					 "chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: size with plus", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					   "chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: size with minus", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					    "chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: size overflow",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: size space in front", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
						"chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: size space within", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					      "chunked\r\n\r\n5 5\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: size space and LF behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5 \nhello\r\n0\r\n\r\n") },
	{ "chunk: size vertical tab behind",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5\v\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: size ends in LF", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					    "chunked\r\n\r\n5\nhello\r\n0\r\n\r\n") },
	{ "chunk: size ends in CR", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					    "chunked\r\n\r\n5\rhello\r\n0\r\n\r\n") },
	{ "chunk: size empty", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
				       "chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n") },
	{ "chunk: data too long", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					  "chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n") },
	{ "chunk: data ends in LF", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					    "chunked\r\n\r\n5\r\nhello\n0\r\n\r\n") },
	{ "chunk: data ends in two other bytes",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n") },
	{ "chunk: end with LF", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					"chunked\r\n\r\n5\r\nhello\r\n0\r\n\n") },
	{ "chunk: underscore in size", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					       "chunked\r\n\r\n1_0\r\nhello\r\n") },
	{ "chunk: trailer CL", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
				       "chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n") },
	{ "chunk: trailer TE", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
				       "chunked\r\n\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n") },
	{ "chunk: trailer Host", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					 "chunked\r\n\r\n0\r\nhost: b\r\n\r\n") },
	{ "chunk: trailer folded", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
					   "chunked\r\n\r\n0\r\nx: y\r\n z\r\n\r\n") },
	{ "chunk: trailer with bare LF", REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
						 "chunked\r\n\r\n0\r\nx: y\nz: z\r\n\r\n") },
	{ "chunk: trailer space before colon",
	  REQUEST("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx : "
		  "y\r\n\r\n") },
	{ "no Host", REQUEST("GET / HTTP/1.1\r\n\r\n") },
	{ "Host twice", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") },
	{ "Host twice, same", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") },
	{ "Host empty", REQUEST("GET / HTTP/1.1\r\nHost: \r\n\r\n") },
	{ "Host list", REQUEST("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n") },
	{ "Host comma", REQUEST("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n") },
	{ "Host user", REQUEST("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n") },
	{ "Host path", REQUEST("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") },
	{ "Host space", REQUEST("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") },
	{ "Host port zero", REQUEST("GET / HTTP/1.1\r\nHost: a:0\r\n\r\n") },
	{ "Host port name", REQUEST("GET / HTTP/1.1\r\nHost: a:x\r\n\r\n") },
	{ "Host port too high", REQUEST("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n") },
	{ "Host NUL", REQUEST("GET / HTTP/1.1\r\nHost: a\000b\r\n\r\n") },
	{ "Host query", REQUEST("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n") },
	{ "Host fragment", REQUEST("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n") },
	{ "Host two ports", REQUEST("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n") },
	{ "Host port only", REQUEST("GET / HTTP/1.1\r\nHost: :80\r\n\r\n") },
	{ "Host bracket open", REQUEST("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n") },
	{ "Host scheme", REQUEST("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n") },
	{ "Host space before colon", REQUEST("GET / HTTP/1.1\r\nHost : a\r\n\r\n") },
	{ "Host folded", REQUEST("GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n") },
	{ "Host malformed beside an absolute target",
	  REQUEST("GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n") },
	{ "Host twice beside an absolute target",
	  REQUEST("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") },
	{ "no Host beside an absolute target", REQUEST("GET http://a/ HTTP/1.1\r\n\r\n") },
	{ "secure scheme on a plain connection",
	  REQUEST("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "absolute target without a host", REQUEST("GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "Host nominated by Connection",
	  REQUEST("GET / HTTP/1.1\r\nConnection: host\r\nHost: a\r\n\r\n") },
	{ "HTTP/0.9", REQUEST("GET /\r\nHost: a\r\n\r\n") },
	{ "HTTP/2 preface", REQUEST("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nHost: a\r\n\r\n") },
	{ "HTTP/2.0", REQUEST("GET / HTTP/2.0\r\nHost: a\r\n\r\n") },
	{ "HTTP/3.0", REQUEST("GET / HTTP/3.0\r\nHost: a\r\n\r\n") },
	{ "HTTP/1", REQUEST("GET / HTTP/1\r\nHost: a\r\n\r\n") },
	{ "HTTP/1.10", REQUEST("GET / HTTP/1.10\r\nHost: a\r\n\r\n") },
	{ "HTTP/01.1", REQUEST("GET / HTTP/01.1\r\nHost: a\r\n\r\n") },
	{ "http/1.1", REQUEST("GET / http/1.1\r\nHost: a\r\n\r\n") },
	{ "HTTP/1,1", REQUEST("GET / HTTP/1,1\r\nHost: a\r\n\r\n") },
	{ "space behind the version", REQUEST("GET / HTTP/1.1 \r\nHost: a\r\n\r\n") },
	{ "two spaces", REQUEST("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "two spaces before the version", REQUEST("GET /  HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "tab", REQUEST("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "space in the target", REQUEST("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "two versions", REQUEST("GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "line ends in LF", REQUEST("GET / HTTP/1.1\nHost: a\r\n\r\n") },
	{ "line ends in CR", REQUEST("GET / HTTP/1.1\rHost: a\r\n\r\n") },
	{ "line ends in CR CR LF", REQUEST("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n") },
	{ "space in front", REQUEST(" GET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "LF in front", REQUEST("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "two empty lines in front", REQUEST("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "lower-case method", REQUEST("get / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "method with a slash", REQUEST("GE/T / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "NUL in the method", REQUEST("GE\000T / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "NUL in the target", REQUEST("GET /\000 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "control character in the target", REQUEST("GET /\001 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "DEL in the target", REQUEST("GET /\177 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "fragment in the target", REQUEST("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "high byte in the target", REQUEST("GET /\300\257 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "no slash", REQUEST("GET a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "empty target", REQUEST("GET  HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "star with GET", REQUEST("GET * HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "other scheme", REQUEST("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "user in the target", REQUEST("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "CONNECT with a path", REQUEST("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "CONNECT without a port", REQUEST("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "no method", REQUEST(" / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ "TLS", REQUEST("\026\003\001\002\000\001\000\001\374\003\003\r\nHost: a\r\n\r\n") },
	{ "bare LF ends the head", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: x\n\r\n") },
	{ "NUL in a value", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\000b\r\n\r\n") },
	{ "bare CR in a value", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n") },
	{ "control character in a value",
	  REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\001b\r\n\r\n") },
	{ "DEL in a value", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\177\r\n\r\n") },
	{ "no colon", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n") },
	{ "no name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n") },
	{ "space in a name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n") },
	{ "separator in a name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX(Y): z\r\n\r\n") },
	{ "high byte in a name", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX\240: z\r\n\r\n") },
	{ "obs-fold", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n") },
	{ "obs-fold of spaces only", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n \r\n\r\n") },
	{ "space before colon", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n") },
	{ "value ends in CR CR LF", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n") },
	{ "Connection with a bad option",
	  REQUEST("GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n") },
	{ "Connection with an empty option",
	  REQUEST("GET / HTTP/1.1\r\nHost: a\r\nConnection: cl\"ose\r\n\r\n") },
	{ "other expectation", REQUEST("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n") },
	{ "fold before the first field", REQUEST("GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n") },
#undef REQUEST
};

#endif
